"""Queries over a documents instance; the path names the index, or a pattern of indices."""

from __future__ import annotations

from typing import Any

from sanic import HTTPResponse, Request

from apps import queries, url_rows
from apps.es.resources import DocumentResource, namespace
from apps.queries import ShapeQuery
from apps.query_docs import answers, explains, validates
from apps.url_rows import RowsQuery

EXAMPLE = {
    "time_range": {"from": "now-24h", "to": "now"},
    "where": {"field": "status", "op": "gte", "value": 500},
    "group_by": ["host"],
    "select": [{"agg": "count", "as": "errors"}],
    "order_by": [{"field": "errors", "dir": "desc"}],
    "limit": 5,
}
_COLUMNS = [
    {"name": "host", "type": "string", "multi": False, "source": "es", "approximate": False},
    {"name": "errors", "type": "int64", "multi": False, "source": "es", "approximate": False},
]
_META = {"request_id": "0b6e7d9c", "took_ms": 4.2, "partial": False, "warnings": []}
ANSWER = {
    "result": True,
    "columns": _COLUMNS,
    "data": [{"host": "web-1", "errors": 12}],
    "page": {"cursor": None, "has_more": False, "total": None},
    "meta": _META | {"sources": [{"source": "es", "took_ms": 3.1, "rows": 1, "status": "ok"}]},
}


ROWS = ANSWER | {
    "columns": [_COLUMNS[0], {"name": "status", "type": "int64", "multi": False, "source": "es", "approximate": False}],
    "data": [{"host": "web-1", "status": 503}],
}


@namespace.route("/<index>/query")
@namespace.route("/index/<index>/query", suffix="Full")
class Query(DocumentResource):
    @answers(namespace, "INDEX_UNKNOWN", EXAMPLE, ANSWER)
    async def post(self, request: Request, index: str, query: ShapeQuery) -> HTTPResponse | None:
        return await queries.answer(request, self.instance.services, self.instance.name, (index,), query)


@namespace.route("/<index>/query/explain")
@namespace.route("/index/<index>/query/explain", suffix="Full")
class Explain(DocumentResource):
    @explains(namespace, "INDEX_UNKNOWN", EXAMPLE)
    async def post(self, request: Request, index: str) -> Any:
        return await queries.explain(request, self.instance.services, self.instance.name, (index,))


@namespace.route("/<index>/query/validate")
@namespace.route("/index/<index>/query/validate", suffix="Full")
class Validate(DocumentResource):
    @validates(namespace, "INDEX_UNKNOWN", EXAMPLE)
    async def post(self, request: Request, index: str) -> Any:
        return await queries.validate(request, self.instance.services, self.instance.name, (index,))


@namespace.route("/<index>/rows")
@namespace.route("/index/<index>/rows", suffix="Full")
class Rows(DocumentResource):
    @url_rows.answers(namespace, "INDEX_UNKNOWN", ROWS)
    async def get(self, request: Request, index: str, query: RowsQuery) -> HTTPResponse | None:
        return await url_rows.answer(request, self.instance.services, self.instance.name, (index,), query)
