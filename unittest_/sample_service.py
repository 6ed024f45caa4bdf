"""A small real service on libs/rest: two instances of one kind, with every feature of a resource."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
from pydantic import BaseModel, Field
from sanic import HTTPResponse, Request, Sanic

from libs.errors import ConflictError, NotFoundError
from libs.rest import Api, BodyModel, Namespace, QueryModel, RawSchema, Reply, Resource, Router, pieces, serve
from middlewares import errors
from middlewares.connection import StrictProtocol
from middlewares.request_id import IdentifiedRequest

things = Namespace("things", "/things", "Things of a store", reserved=("ping",))

FILTER = RawSchema(
    "Query",
    {
        "type": "object",
        "properties": {"where": {"$ref": "#/$defs/Filter"}, "with": {"$ref": "#"}, "limit": {"type": "integer"}},
        "additionalProperties": False,
        "$defs": {
            "Condition": {
                "type": "object",
                "properties": {"field": {"type": "string"}, "op": {"const": "eq"}, "value": {}},
                "required": ["field", "op", "value"],
                "additionalProperties": False,
            },
            "Conjunction": {
                "type": "object",
                "properties": {"and": {"type": "array", "items": {"$ref": "#/$defs/Filter"}}},
                "required": ["and"],
                "additionalProperties": False,
            },
            "Filter": {"anyOf": [{"$ref": "#/$defs/Condition"}, {"$ref": "#/$defs/Conjunction"}]},
        },
    },
)


class Leaf(BodyModel):
    field: str
    value: int


class Node(BodyModel):
    all: list[Leaf | Node]


class NewThing(BodyModel):
    """A thing to be made."""

    name: str = Field(min_length=1, description="Its name.")
    size: int = Field(default=0, ge=0)
    rule: Leaf | Node | None = None
    by_name: dict[str, Leaf] = Field(default_factory=dict)


class Thing(BaseModel):
    """A thing as it is kept."""

    name: str
    size: int


class Listing(QueryModel):
    """How to list."""

    limit: int = Field(default=10, ge=1, le=100, description="How many at most.", examples=[5])
    tag: list[str] = Field(default=[], description="Those with any of these tags.")


class Store:
    """What the resources of one instance share."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.things: dict[str, int] = {"one": 1}


class StoreResource(Resource):
    def __init__(self, store: Store) -> None:
        self.store = store


@things.route("/node")
class NodeResource(StoreResource):
    @things.doc("The nodes of the store", operation_id="listNodes")
    @things.returns(200, dict[str, list[str]], "The nodes", example={"nodes": ["one"]})
    @things.allow("read")
    async def get(self, request: Request) -> dict[str, Any]:
        return {"nodes": [self.store.name]}


@things.route("/thing")
class Things(StoreResource):
    @things.doc("List things", operation_id="listThings")
    @things.query(Listing)
    @things.returns(200, list[Thing], "The things", example=[{"name": "one", "size": 1}], envelope=True)
    @things.allow("read")
    async def get(self, request: Request, query: Listing) -> list[dict[str, Any]]:
        found = [{"name": name, "size": size} for name, size in self.store.things.items()]
        return [thing for thing in found if not query.tag or thing["name"] in query.tag][: query.limit]

    @things.doc("Make a thing", operation_id="createThing")
    @things.query(Listing)
    @things.expect(NewThing, "The thing", example={"name": "two", "size": 2})
    @things.returns(201, Thing, "Made", example={"name": "two", "size": 2}, envelope=True)
    @things.fails("ALREADY_EXISTS")
    @things.allow("write")
    async def post(self, request: Request, query: Listing, body: NewThing) -> Thing:
        if body.name in self.store.things:
            raise ConflictError(f"There is a thing {body.name!r} already.", pointer="/name")
        self.store.things[body.name] = body.size
        return Thing(name=body.name, size=body.size)


@things.route("/<name>")
@things.route("/thing/<name>", suffix="ByFullForm")
@things.param("name", "A thing's name", example="one")
class OneThing(StoreResource):
    @things.doc("Read a thing", operation_id="getThing")
    @things.expect(dict[str, Any], required=False, example={"as": "it is"})
    @things.returns(200, dict[str, Any], "The thing as it was asked for", example={"name": "one"})
    @things.fails("INDEX_UNKNOWN")
    @things.allow("read")
    async def get(self, request: Request, name: str, body: dict[str, Any] | None) -> dict[str, Any]:
        """Answers the name as the route understood it.

        A second paragraph, for the document.
        """
        return {"name": name, "store": self.store.name, **(body or {})}

    @things.doc("Replace a thing", operation_id="putThing")
    @things.expect(dict[str, Any], example={"any": 1}, required=False)
    @things.returns(200, dict[str, Any], "What was sent", example={"sent": {"any": 1}})
    @things.allow("write")
    async def put(self, request: Request, name: str, body: dict[str, Any] | None) -> Reply:
        return Reply({"sent": body}, 200, {"x-thing": "put"})

    @things.doc("Drop a thing", operation_id="deleteThing")
    @things.returns(204, None, "Dropped")
    @things.fails("INDEX_UNKNOWN")
    @things.allow("write")
    async def delete(self, request: Request, name: str) -> Reply:
        if self.store.things.pop(name, None) is None:
            raise NotFoundError(f"There is no thing {name!r}.", code="INDEX_UNKNOWN", pointer="path/name")
        return Reply(None, 204)


@things.route("/<name>/query")
@things.route("/thing/<name>/query", suffix="ByFullForm")
class Query(StoreResource):
    @things.doc("Ask", operation_id="query")
    @things.expect(FILTER, "A query", examples={"all": {"limit": 1}, "one": {"where": {"and": []}}})
    @things.returns(200, dict[str, Any], "Rows", example={"bytes": 12})
    @things.returns(200, str, content_types=("text/csv",), example="bytes\n12\n")
    @things.allow("write")
    async def post(self, request: Request, name: str) -> HTTPResponse:
        return HTTPResponse(orjson.dumps({"bytes": len(request.body)}), content_type="application/json")


@things.route("/<name>/docs")
class Docs(StoreResource):
    @things.doc("Send many", operation_id="sendDocs")
    @things.expect(
        bytes, content_types=("application/x-ndjson",), example='{"a": 1}\n', stream=True, encodings=("gzip",)
    )
    @things.returns(200, dict[str, int], "How much came", example={"bytes": 9})
    @things.allow("write")
    async def post(self, request: Request, name: str) -> dict[str, int]:
        return {"bytes": sum([len(piece) async for piece in pieces(request)])}


def make_api(base_path: str = "", public_url: str | None = None, description: str = "A sample service.") -> Api:
    """The sample's Api: the kind `things` as the instances `es` and `es-eu`."""
    api = Api("Sample", "1.0", description, base_path=base_path, public_url=public_url)
    for name in ("es", "es-eu"):
        api.add(things, instance=name, args=(Store(name),))
    return api


def make_app(name: str, *settings: Any, **more: Any) -> Sanic[Any, Any]:
    """The sample as an app; names of apps are unique in a process. The rest goes to make_api."""
    app: Sanic[Any, Any] = Sanic(name, router=Router(), request_class=IdentifiedRequest, configure_logging=False)
    # Sanic can rewrite its classes for one app in a process alone.
    app.config.TOUCHUP = False
    app.config.REQUEST_MAX_SIZE = 10_000
    errors.install(app)
    api = make_api(*settings, **more)
    api.mount(app)
    serve(app, api)
    return app


@asynccontextmanager
async def running(app: Sanic[Any, Any], **options: Any) -> AsyncIterator[str]:
    """Runs an app in this process on a free port; yields its address without a trailing slash."""
    # Sanic takes port 0 for its default port, and leaves the server's methods untyped.
    listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
    options.setdefault("protocol", StrictProtocol)
    server: Any = await app.create_server(sock=listening, return_asyncio_server=True, access_log=False, **options)
    await server.startup()
    await server.before_start()
    await server.after_start()
    host, port = listening.getsockname()
    try:
        yield f"http://{host}:{port}"
    finally:
        await server.before_stop()
        server.close()
        await server.wait_closed()
        await server.after_stop()
        Sanic.unregister_app(app)
