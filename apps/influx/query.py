"""Queries over a series instance; the path names the database and the measurement."""

from __future__ import annotations

from typing import Any

from sanic import HTTPResponse, Request

from apps import queries, url_rows
from apps.influx.resources import SeriesResource, namespace
from apps.queries import ShapeQuery
from apps.query_docs import answers, explains, validates
from apps.url_rows import RowsQuery

EXAMPLE = {
    "time_range": {"from": "now-1h", "to": "now"},
    "group_by": ["host", {"time_bucket": "5m", "field": "time", "as": "t"}],
    "select": [{"agg": "avg", "field": "usage", "as": "cpu"}],
    "order_by": ["host", "t"],
    "limit": 5,
}
_COLUMNS = [
    {"name": "host", "type": "string", "multi": False, "source": "influx", "approximate": False},
    {"name": "t", "type": "timestamp", "multi": False, "source": "influx", "approximate": False},
    {"name": "cpu", "type": "float64", "multi": False, "source": "influx", "approximate": False},
]
_META = {"request_id": "0b6e7d9c", "took_ms": 4.2, "partial": False, "warnings": []}
ANSWER = {
    "result": True,
    "columns": _COLUMNS,
    "data": [{"host": "web-1", "t": "2026-11-22T10:00:00Z", "cpu": 37.5}],
    "page": {"cursor": None, "has_more": False, "total": None},
    "meta": _META | {"sources": [{"source": "influx", "took_ms": 3.1, "rows": 1, "status": "ok"}]},
}


ROWS = ANSWER | {
    "columns": [
        _COLUMNS[0],
        {"name": "usage", "type": "float64", "multi": False, "source": "influx", "approximate": False},
    ],
    "data": [{"host": "web-1", "usage": 37.5}],
}


@namespace.route("/<db>/<measurement>/query")
@namespace.route("/db/<db>/<measurement>/query", suffix="Full")
class Query(SeriesResource):
    @answers(namespace, "MEASUREMENT_UNKNOWN", EXAMPLE, ANSWER)
    async def post(self, request: Request, db: str, measurement: str, query: ShapeQuery) -> HTTPResponse | None:
        return await queries.answer(request, self.instance.services, self.instance.name, (db, measurement), query)


@namespace.route("/<db>/<measurement>/query/explain")
@namespace.route("/db/<db>/<measurement>/query/explain", suffix="Full")
class Explain(SeriesResource):
    @explains(namespace, "MEASUREMENT_UNKNOWN", EXAMPLE)
    async def post(self, request: Request, db: str, measurement: str) -> Any:
        return await queries.explain(request, self.instance.services, self.instance.name, (db, measurement))


@namespace.route("/<db>/<measurement>/query/validate")
@namespace.route("/db/<db>/<measurement>/query/validate", suffix="Full")
class Validate(SeriesResource):
    @validates(namespace, "MEASUREMENT_UNKNOWN", EXAMPLE)
    async def post(self, request: Request, db: str, measurement: str) -> Any:
        return await queries.validate(request, self.instance.services, self.instance.name, (db, measurement))


@namespace.route("/<db>/<measurement>/rows")
@namespace.route("/db/<db>/<measurement>/rows", suffix="Full")
class Rows(SeriesResource):
    @url_rows.answers(namespace, "MEASUREMENT_UNKNOWN", ROWS)
    async def get(self, request: Request, db: str, measurement: str, query: RowsQuery) -> HTTPResponse | None:
        return await url_rows.answer(request, self.instance.services, self.instance.name, (db, measurement), query)
