"""Saved queries over HTTP: put with typed parameters, run by GET, listed, deleted, and described in the document."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from pydantic import ConfigDict
from sanic import HTTPResponse, Request

from apps.es.query import ANSWER
from apps.jobs.docs import takes_jobs
from apps.mix.saved_queries import SavedQueries, SavedQuery, shown_parameter
from apps.pipeline import Services, Stage
from apps.queries import ShapeQuery, answer_as_asked
from apps.query_docs import FAILURES, QUERY_ANSWER
from apps.query_docs import streams as streams_declared
from libs.context import principal_var
from libs.errors import RequestError
from libs.rest import Namespace, RawSchema, Reply, Resource
from libs.rest.conditions import check_write, not_modified, quoted
from libs.rest.dry_run import DRY_RUN, DryRunQuery, counted
from parser.saved_body import RESERVED, SavedParameter, at_parameters, fill, parse_saved

namespace = Namespace("saved", "/mix", "Saved queries: bodies with typed parameters, run by GET.")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_BODY = RawSchema(
    "SavedQuery",
    {
        "type": "object",
        "description": 'A query\'s body (QueryBody) with `{"param": name}` in the place of values.',
        "properties": {
            "parameters": {"type": "object", "additionalProperties": {"$ref": "#/$defs/SavedParameter"}},
            "max_age": {"type": "string", "description": "How long an answer may be kept by caches, such as 30s."},
        },
        "required": ["from"],
        "$defs": {
            "SavedParameter": {
                "type": "object",
                "properties": {
                    "type": {"enum": ["string", "int64", "float64", "boolean", "timestamp"]},
                    "many": {"type": "boolean"},
                    "default": {},
                    "description": {"type": "string"},
                },
                "required": ["type"],
                "additionalProperties": False,
            }
        },
    },
)
_SAMPLE = {
    "parameters": {"host": {"type": "string", "default": "web-1"}, "since": {"type": "timestamp", "default": "now-1h"}},
    "max_age": "30s",
    "from": {"source": "es", "index": "access"},
    "time_range": {"from": {"param": "since"}},
    "where": {"field": "host", "op": "eq", "value": {"param": "host"}},
    "group_by": ["status"],
    "select": [{"agg": "count", "as": "requests"}],
}
_ABOUT = {"name": "by-status", "version": 1, "changed_at": "2026-11-22T10:00:00.000Z", "query": _SAMPLE}
_SCHEMAS: dict[str, dict[str, Any]] = {
    "string": {"type": "string"},
    "int64": {"type": "integer", "format": "int64"},
    "float64": {"type": "number"},
    "boolean": {"type": "boolean"},
    "timestamp": {"type": "string", "description": "RFC 3339, or now-1h/h"},
}


class RunQuery(ShapeQuery):
    """The saved query's own parameters, as it declares them."""

    model_config = ConfigDict(
        extra="allow", frozen=True, json_schema_extra={"examples": [{"host": "web-1", "since": "now-24h"}]}
    )


@dataclass(frozen=True, slots=True)
class Saved:
    services: Services
    queries: SavedQueries


class SavedResource(Resource):
    def __init__(self, saved: Saved) -> None:
        self.services = saved.services
        self.queries = saved.queries


@namespace.route("/saved")
class List(SavedResource):
    @namespace.doc("The saved queries, by name", operation_id="list")
    @namespace.returns(200, list[dict[str, Any]], "Each with its body", example=[_ABOUT], envelope=True)
    @namespace.allow("read")
    async def get(self, request: Request) -> Any:
        return [one.about() for one in await self.queries.list()]


@namespace.route("/saved/<saved>")
@namespace.param("saved", "A saved query's name", example="by-status")
class Run(SavedResource):
    @namespace.doc(
        "Run a saved query",
        operation_id="run",
        description="Its parameters stand in the query string; the document lists each saved query with its own.",
    )
    @namespace.query(RunQuery)
    @namespace.returns(200, QUERY_ANSWER, "The rows or groups", example=ANSWER)
    @streams_declared(namespace)
    @takes_jobs(namespace)
    @namespace.returns(304, None, "It is what the client holds (If-None-Match)")
    @namespace.fails("SAVED_UNKNOWN", *FAILURES)
    @namespace.allow("read")
    async def get(self, request: Request, saved: str, query: RunQuery) -> HTTPResponse | None:
        started = time.perf_counter()
        context = self.services.new_context()
        found = await self.queries.get(_checked(saved))
        with Stage(context, "parse"):
            question = fill(found.saved, _given(request))
        try:
            response = await answer_as_asked(request, question, self.services, context, query, started)
        except RequestError as error:
            raise at_parameters(error, found.saved) from None
        if response is None or response.status != 200:
            return response
        tag = _answer_tag(response)
        headers = {"etag": quoted(tag), "cache-control": _cache_control(found), "vary": "accept, prefer"}
        response.headers.update(headers)
        return not_modified(request, tag, headers) or response

    @namespace.doc(
        "Save a query, or replace it",
        operation_id="put",
        description='A body of the language, in which `{"param": name}` stands for a value of `where`, `having`, '
        "`time_range`, `limit`, `fill` or `timeout`; `many` takes a list. Fields are looked up when it runs.",
    )
    @namespace.expect(_BODY, example=_SAMPLE)
    @namespace.returns(200, dict[str, Any], "Replaced", example=_ABOUT | {"version": 2}, envelope=True)
    @namespace.returns(201, dict[str, Any], "Made", example=_ABOUT, envelope=True)
    @namespace.fails("NAME_INVALID", "TYPE_MISMATCH", "TOO_MANY_VALUES", "PRECONDITION_FAILED", "STORE_FULL")
    @namespace.allow("write")
    async def put(self, request: Request, saved: str) -> Reply:
        name = _checked(saved)
        made = await self.queries.put(name, parse_saved(request.body), check_write(request))
        return Reply(made.about(), 201 if made.version == 1 else 200, {"etag": quoted(made.tag)})

    @namespace.doc("Delete a saved query", operation_id="delete")
    @namespace.query(DryRunQuery)
    @namespace.returns(
        200, dict[str, Any], "Deleted", examples={"done": {"name": "by-status"}, "dry run": DRY_RUN}, envelope=True
    )
    @namespace.fails("NAME_INVALID", "SAVED_UNKNOWN", "PRECONDITION_FAILED")
    @namespace.allow("write")
    async def delete(self, request: Request, saved: str, query: DryRunQuery) -> Any:
        name = _checked(saved)
        if query.dry_run:
            check_write(request)((await self.queries.get(name)).tag)
            return counted(1)
        await self.queries.delete(name, check_write(request))
        return {"name": name}


@namespace.route("/saved/<saved>/definition")
class Definition(SavedResource):
    @namespace.doc("A saved query as it was put", operation_id="get")
    @namespace.returns(200, dict[str, Any], "Its body and version", example=_ABOUT, envelope=True)
    @namespace.returns(304, None, "It is what the client holds (If-None-Match)")
    @namespace.fails("NAME_INVALID", "SAVED_UNKNOWN")
    @namespace.allow("read")
    async def get(self, request: Request, saved: str) -> HTTPResponse | Reply:
        found = await self.queries.get(_checked(saved))
        headers = {"etag": quoted(found.tag), "cache-control": "no-cache"}
        return not_modified(request, found.tag, headers) or Reply(found.about(), 200, headers)


async def describe(queries: SavedQueries, paths: Mapping[str, Any]) -> dict[str, Any]:
    """The paths of the document for each saved query, made from that of running any of them, where the caller may see it."""
    if "read" not in principal_var.get().actions:
        return {}
    template = f"{namespace.path}/saved/{{saved}}"
    run: dict[str, Any] = paths[template]["get"]
    common = [one for one in run["parameters"] if one["name"] in RESERVED or one["in"] == "header"]
    found: dict[str, Any] = {}
    for one in await queries.list():
        own = [_parameter(parameter) for parameter in one.saved.parameters]
        # Swagger UI takes an underscore in an operation's link for a space.
        operation_id = f"saved-run-{one.name.replace('_', '.')}"
        summary = {"summary": f"Run the saved query {one.name}", "operationId": operation_id}
        found[template.replace("{saved}", one.name)] = {"get": run | summary | {"parameters": own + common}}
    return found


def _parameter(parameter: SavedParameter) -> dict[str, Any]:
    schema = _SCHEMAS[parameter.type]
    if parameter.many:
        schema = {"type": "array", "items": schema}
    described = shown_parameter(parameter)
    if "default" in described:
        schema = schema | {"default": described["default"]}
    shown = {"name": parameter.name, "in": "query", "required": parameter.default is None, "schema": schema}
    return shown | ({"description": parameter.description} if parameter.description else {})


def _given(request: Request) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in parse_qsl(request.query_string, keep_blank_values=True):
        if name not in RunQuery.model_fields:
            found.setdefault(name, []).append(value)
    return found


def _answer_tag(response: HTTPResponse) -> str:
    """A tag of the rows, and of the cursor where there are more: of all before `meta`, which tells of this request alone."""
    rows, _, _ = (response.body or b"").rpartition(b',"meta":')
    return hashlib.sha256(rows).hexdigest()[:32]


def _cache_control(found: SavedQuery) -> str:
    return f"private, max-age={found.saved.max_age}" if found.saved.max_age else "private, no-cache"


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise RequestError(
            f"{name[:60]!r} cannot be the name of a saved query.",
            code="NAME_INVALID",
            pointer="path/saved",
            hint="a to z, 0 to 9, '_' and '-', the first a letter or digit, 64 at the most",
        )
    return name
