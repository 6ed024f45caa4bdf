"""Routes over all instances at once: where a thing is, and queries that name their source in the body."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from sanic import HTTPResponse, Request

from apps import following, queries
from apps.es.query import ANSWER, EXAMPLE
from apps.pipeline import Services
from apps.queries import ShapeQuery
from apps.query_docs import FAILURES, QUERY_ANSWER, answers, explains, validates
from libs.context import RequestContext
from libs.errors import NotFoundError, StoreError
from libs.rest import Namespace, Resource
from query.backend import Backend

namespace = Namespace("mix", "/mix", "All instances: nodes of a region, things by name, queries.")

MIX_EXAMPLE = {"from": {"source": "es", "index": "access"}, **EXAMPLE}


class MixResource(Resource):
    def __init__(self, services: Services) -> None:
        self.services = services


@namespace.route("/node/<region_id>")
@namespace.param("region_id", "A region, as the settings name it", example="local")
class RegionNodes(MixResource):
    @namespace.doc("The nodes of every instance in a region", operation_id="getRegionNodes")
    @namespace.returns(
        200,
        dict[str, Any],
        "Each instance's nodes; one that is down is reported, not fatal",
        example={
            "region": "local",
            "instances": {"es": {"status": "ok", "nodes": {"cluster_name": "embedded", "nodes": {}}}},
        },
    )
    @namespace.fails("REGION_UNKNOWN")
    @namespace.allow("read")
    async def get(self, request: Request, region_id: str) -> Any:
        backends = [backend for backend in self.services.factory.instances.values() if backend.region == region_id]
        if not backends:
            known = sorted({backend.region for backend in self.services.factory.instances.values() if backend.region})
            hint = f"one of: {', '.join(known)}" if known else "no instance has a region"
            raise NotFoundError(
                f"No instance belongs to the region {region_id[:100]!r}.", code="REGION_UNKNOWN", hint=hint
            )
        context = self.services.new_context()
        found = await _from_each(backends, lambda backend: _nodes(backend, context))
        return {"region": region_id, "instances": found}


@namespace.route("/resource/<keyword>")
@namespace.param("keyword", "A part of a name", example="c")
class ResourcesByName(MixResource):
    @namespace.doc("Indices and measurements whose name holds the keyword", operation_id="findResources")
    @namespace.returns(
        200,
        dict[str, Any],
        "By instance; one that is down is reported, not fatal",
        example={"keyword": "c", "instances": {"es": {"status": "ok", "indices": ["access"]}}},
    )
    @namespace.allow("read")
    async def get(self, request: Request, keyword: str) -> Any:
        context = self.services.new_context()
        backends = list(self.services.factory.instances.values())
        found = await _from_each(backends, lambda backend: _named(backend, keyword, context))
        return {"keyword": keyword, "instances": found}


@namespace.route("/query")
class Query(MixResource):
    @answers(namespace, "SOURCE_UNKNOWN", MIX_EXAMPLE, ANSWER)
    async def post(self, request: Request, query: ShapeQuery) -> HTTPResponse | None:
        return await queries.answer(request, self.services, None, None, query)


@namespace.route("/query/explain")
class Explain(MixResource):
    @explains(namespace, "SOURCE_UNKNOWN", MIX_EXAMPLE)
    async def post(self, request: Request) -> Any:
        return await queries.explain(request, self.services, None, None)


@namespace.route("/query/validate")
class Validate(MixResource):
    @validates(namespace, "SOURCE_UNKNOWN", MIX_EXAMPLE)
    async def post(self, request: Request) -> Any:
        return await queries.validate(request, self.services, None, None)


@namespace.route("/cursor/<cursor>")
@namespace.param("cursor", "`page.cursor` of a page", example="AAECAwQFBgc")
class Cursor(MixResource):
    @namespace.doc(
        "The next page of a query",
        operation_id="followCursor",
        description="Every row exactly once, in the order of the first page. The answer holds the next cursor.",
    )
    @namespace.query(following.CursorQuery)
    @namespace.returns(200, QUERY_ANSWER, "The rows or groups", example=ANSWER)
    @namespace.fails("CURSOR_INVALID", "CURSOR_EXPIRED", *FAILURES)
    @namespace.allow("read")
    async def get(self, request: Request, cursor: str, query: following.CursorQuery) -> HTTPResponse:
        return await following.answer_link(self.services, cursor, query.limit, query.shape)


async def _from_each(
    backends: list[Backend], ask: Callable[[Backend], Awaitable[dict[str, Any]]]
) -> dict[str, dict[str, Any]]:
    """Asks all at once; a store that fails becomes its own entry's error."""

    async def one(backend: Backend) -> dict[str, Any]:
        try:
            return {"kind": backend.kind, "status": "ok", **await ask(backend)}
        except StoreError as error:
            return {"kind": backend.kind, "status": "down", "code": error.code.name, "message": error.message}

    answered = await asyncio.gather(*map(one, backends))
    return {backend.name: entry for backend, entry in zip(backends, answered, strict=True)}


async def _nodes(backend: Any, context: RequestContext) -> dict[str, Any]:
    return {"nodes": await (backend.nodes(context) if backend.kind == "documents" else backend.node(context))}


async def _named(backend: Any, keyword: str, context: RequestContext) -> dict[str, Any]:
    if backend.kind == "documents":
        names = [str(entry["index"]) for entry in await backend.indices(context)]
        return {"indices": [name for name in names if keyword in name]}
    found: list[dict[str, str]] = []
    for db in _listed(await backend.databases(context)):
        try:
            measurements = _listed(await backend.measurements(db, context))
        except NotFoundError:  # dropped since it was listed
            continue
        found.extend({"db": db, "measurement": name} for name in measurements if keyword in name)
    return {"measurements": found}


def _listed(answer: Any) -> list[str]:
    """The names in InfluxDB's form of a list."""
    return [row[0] for series in answer["results"][0].get("series", ()) for row in series.get("values", ())]
