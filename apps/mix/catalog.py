"""GET /mix/catalog: what every source holds, its datasets with their fields, page by page."""

from __future__ import annotations

import time
from typing import Any

import orjson
from pydantic import Field
from sanic import HTTPResponse, Request

from apps.mix.datasets import Catalogued, Dataset, Reader, from_token, to_token
from apps.mix.resources import MixResource, namespace
from libs.errors import RequestError
from libs.rest import QueryModel
from middlewares.format import meta_json

_SOURCES = [{"source": "es", "took_ms": 3.1, "rows": 2, "status": "ok"}]
_META = {"request_id": "0b6e7d9c", "took_ms": 4.2, "partial": False, "warnings": [], "sources": _SOURCES}
_ANSWER = {
    "result": True,
    "data": [
        {
            "from": {"source": "es", "index": "access"},
            "kind": "documents",
            "time_field": "@timestamp",
            "fields": [{"field": "host", "type": "string", "role": "keyword"}],
        }
    ],
    "page": {"cursor": None, "has_more": False, "total": {"value": 1, "relation": "eq"}},
    "meta": _META,
}


class CatalogQuery(QueryModel):
    instance: str | None = Field(None, description="Of this instance alone; `mix` has the lookup tables.")
    prefix: str | None = Field(
        None, description="Datasets whose name starts so: `access`, or `telegraf/cpu` of series."
    )
    limit: int = Field(100, ge=1, le=1000, description="Datasets of this page.")
    cursor: str | None = Field(None, description="`page.cursor` of the page before.")


@namespace.route("/catalog")
class Catalog(MixResource):
    @namespace.doc(
        "The datasets of every source, with their fields",
        operation_id="getCatalog",
        description="By instance and name: indices and aliases, measurements, lookup tables. `from` is what a query takes. A "
        "source that is down or hangs is left out and told: `meta.partial`, `meta.warnings` and its row of `meta.sources`; "
        "it is given half of the deadline. `fields` is null where they could not be read.",
    )
    @namespace.query(CatalogQuery)
    @namespace.returns(200, dict[str, Any], "One page", example=_ANSWER)
    @namespace.fails("SOURCE_UNKNOWN", "CURSOR_INVALID", "DEADLINE_EXCEEDED")
    @namespace.allow("read")
    async def get(self, request: Request, query: CatalogQuery) -> HTTPResponse:
        started = time.perf_counter()
        context = self.services.new_context()
        factory = self.services.factory
        names = [factory.backend(query.instance).name] if query.instance is not None else list(factory.backends)
        after = None if query.cursor is None else _after(query.cursor)
        reader = Reader(factory, context)
        found = [one for one in await reader.datasets(names, query.prefix or "") if after is None or one.key > after]
        page = await reader.catalogued(found[: query.limit])
        has_more = len(found) > query.limit
        cursor = to_token(found[query.limit - 1].key) if has_more else None
        body = {
            "result": True,
            "data": [_shown(one) for one in page],
            "page": {"cursor": cursor, "has_more": has_more, "total": reader.total},
            "meta": meta_json(context, (time.perf_counter() - started) * 1000),
        }
        return HTTPResponse(orjson.dumps(body), 200, {"cache-control": "no-store"}, "application/json")


def _after(cursor: str) -> tuple[str, ...]:
    key = from_token(cursor)
    if key is None:
        raise RequestError(
            "This is no cursor of the catalogue.", code="CURSOR_INVALID", pointer="query/cursor",
            hint="take page.cursor of the page before, unchanged",
        )  # fmt: skip
    return key


def _shown(one: Catalogued) -> dict[str, Any]:
    dataset: Dataset = one.dataset
    shown: dict[str, Any] = {"from": dataset.named, "kind": dataset.kind}
    if dataset.alias_of:
        shown["alias_of"] = list(dataset.alias_of)
    if one.error is not None:
        return shown | {"fields": None, "error": {"code": one.error.code.name, "message": one.error.message}}
    return shown | {"time_field": one.time_field, "fields": one.fields}
