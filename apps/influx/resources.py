"""The fixed routes of a series instance; their answers are in InfluxDB's own form, not wrapped."""

from __future__ import annotations

from functools import partial
from typing import Any

from sanic import Request

from apps.influx.drops import would_go
from apps.influx.long_lines import LongLines
from apps.influx.models import DatabaseBody, DatabaseQuery, DropQuery, PointBody, PrecisionQuery
from apps.ingest import apart, begin_piece, read_body, received
from apps.instance import SeriesInstance
from libs.errors import NotSupportedError, RequestError
from libs.rest import Namespace, Reply, Resource
from libs.rest.dry_run import DRY_RUN, DryRunQuery
from parser.points import parse_array, parse_ndjson, parse_point
from query.backend import WriteReport

NDJSON = "application/x-ndjson"
LINES = "text/plain"
namespace = Namespace(
    "series",
    "/influx",
    "Series: databases, measurements, points, queries.",
    reserved=("node", "db", "query", "write", "ping", "retention"),
)

_POINT = {"time": "2026-11-22T10:00:00Z", "tags": {"host": "web-1"}, "fields": {"usage": 12.5}}
_DONE = {"results": [{"statement_id": 0}]}
_DROPPED = {"example": _DONE, "dry_run": DRY_RUN}


def _listed(name: str, column: str, value: str) -> dict[str, Any]:
    return {"results": [{"statement_id": 0, "series": [{"name": name, "columns": [column], "values": [[value]]}]}]}


class SeriesResource(Resource):
    def __init__(self, instance: SeriesInstance) -> None:
        self.instance = instance
        self.store = instance.store


@namespace.route("/node")
class Node(SeriesResource):
    @namespace.doc("The server", operation_id="getNode")
    @namespace.returns(
        200,
        dict[str, Any],
        "Its version, uptime, and whether it answers",
        example={"version": "1.8.10", "uptime": "3h2m1s", "answers": True},
    )
    @namespace.allow("read")
    async def get(self, request: Request) -> Any:
        return await self.store.node(self.instance.services.new_context())

    @namespace.doc("Not supported: a store's nodes are not made over HTTP", operation_id="createNode")
    @namespace.fails("NOT_SUPPORTED")
    @namespace.allow("admin")
    async def post(self, request: Request) -> Any:
        raise NotSupportedError(
            "InfluxDB 1 has no cluster to add a node to.", hint="configure a further instance in the settings"
        )


@namespace.route("/db")
class Databases(SeriesResource):
    @namespace.doc("The databases", operation_id="listDatabases")
    @namespace.returns(200, dict[str, Any], "Their names", example=_listed("databases", "name", "telegraf"))
    @namespace.allow("read")
    async def get(self, request: Request) -> Any:
        return await self.store.databases(self.instance.services.new_context())

    @namespace.doc("Create a database", operation_id="createDatabaseByBody")
    @namespace.expect(DatabaseBody, required=False, example={"db": "telegraf"})
    @namespace.query(DatabaseQuery)
    @namespace.returns(200, dict[str, Any], "Created, or there already", example=_DONE)
    @namespace.fails("NAME_INVALID")
    @namespace.allow("metadata")
    async def post(self, request: Request, body: DatabaseBody | None, query: DatabaseQuery) -> Any:
        return await self.store.create_database(_database(body, query), self.instance.services.new_context())

    @namespace.doc("Drop exactly one database", operation_id="dropDatabaseByBody")
    @namespace.expect(DatabaseBody, required=False, example={"db": "telegraf"})
    @namespace.query(DropQuery)
    @namespace.returns(200, dict[str, Any], "Dropped", examples=_DROPPED)
    @namespace.fails("NAME_INVALID")
    @namespace.fails("DATABASE_UNKNOWN")
    @namespace.allow("metadata")
    async def delete(self, request: Request, body: DatabaseBody | None, query: DropQuery) -> Any:
        db = _database(body, query)
        if query.dry_run:
            return await would_go(self.instance, db)
        return await self.store.drop_database(db, self.instance.services.new_context())


def _database(body: DatabaseBody | None, query: DatabaseQuery) -> str:
    named = {name for name in (body.db if body else None, query.db) if name is not None}
    if len(named) != 1:
        why = "No database is named." if not named else "The body and ?db= name different databases."
        raise RequestError(why, pointer="/db", hint='send {"db": "…"} or ?db=…')
    return named.pop()


@namespace.route("/<db>")
@namespace.route("/db/<db>", suffix="Full")
@namespace.param("db", "A database's name", example="telegraf")
class Database(SeriesResource):
    @namespace.doc("The measurements of a database", operation_id="listMeasurements")
    @namespace.returns(200, dict[str, Any], "Their names", example=_listed("measurements", "name", "cpu"))
    @namespace.fails("DATABASE_UNKNOWN")
    @namespace.allow("read")
    async def get(self, request: Request, db: str) -> Any:
        return await self.store.measurements(db, self.instance.services.new_context())

    @namespace.doc("Create this database", operation_id="createDatabase")
    @namespace.returns(200, dict[str, Any], "Created, or there already", example=_DONE)
    @namespace.fails("NAME_INVALID")
    @namespace.allow("metadata")
    async def put(self, request: Request, db: str) -> Any:
        return await self.store.create_database(db, self.instance.services.new_context())

    @namespace.doc("Drop exactly this database", operation_id="dropDatabase")
    @namespace.query(DryRunQuery)
    @namespace.returns(200, dict[str, Any], "Dropped", examples=_DROPPED)
    @namespace.fails("NAME_INVALID")
    @namespace.fails("DATABASE_UNKNOWN")
    @namespace.allow("metadata")
    async def delete(self, request: Request, db: str, query: DryRunQuery) -> Any:
        if query.dry_run:
            return await would_go(self.instance, db)
        return await self.store.drop_database(db, self.instance.services.new_context())


@namespace.route("/<db>/<measurement>")
@namespace.route("/db/<db>/<measurement>", suffix="Full")
@namespace.param("measurement", "A measurement's name", example="cpu")
class Measurement(SeriesResource):
    @namespace.doc("The keys of a measurement", operation_id="getKeys")
    @namespace.returns(
        200,
        dict[str, Any],
        "Its tag keys, and its field keys with their types",
        example={
            "tag_keys": {"name": "cpu", "columns": ["tagKey"], "values": [["host"]]},
            "field_keys": {"name": "cpu", "columns": ["fieldKey", "fieldType"], "values": [["usage", "float"]]},
        },
    )
    @namespace.fails("DATABASE_UNKNOWN")
    @namespace.fails("MEASUREMENT_UNKNOWN")
    @namespace.allow("read")
    async def get(self, request: Request, db: str, measurement: str) -> Any:
        return await self.store.keys(db, measurement, self.instance.services.new_context())

    @namespace.doc("Write a point", operation_id="writePoint")
    @namespace.expect(PointBody, example=_POINT, validate=False)
    @namespace.returns(200, dict[str, Any], "Written", example={"result": True})
    @namespace.fails("DATABASE_UNKNOWN")
    @namespace.fails("FIELD_TYPE_CONFLICT")
    @namespace.fails("VALUE_INVALID")
    @namespace.fails("WRITE_REFUSED")
    @namespace.allow("write")
    async def put(self, request: Request, db: str, measurement: str) -> Any:
        context = self.instance.services.new_context()
        point = parse_point(request.body, measurement, context.now_ns)
        report = await self.store.write(db, [point], context)
        if report.dropped:
            raise RequestError(
                "The store refused the point.", code="WRITE_REFUSED", pointer="", hint="; ".join(report.reasons)
            )
        return {"result": True}

    @namespace.doc("Drop exactly this measurement", operation_id="dropMeasurement")
    @namespace.query(DryRunQuery)
    @namespace.returns(200, dict[str, Any], "Dropped", examples=_DROPPED)
    @namespace.fails("DATABASE_UNKNOWN")
    @namespace.fails("MEASUREMENT_UNKNOWN")
    @namespace.allow("metadata")
    async def delete(self, request: Request, db: str, measurement: str, query: DryRunQuery) -> Any:
        if query.dry_run:
            return await would_go(self.instance, db, measurement)
        return await self.store.drop_measurement(db, measurement, self.instance.services.new_context())


@namespace.route("/<db>/<measurement>/points")
@namespace.route("/db/<db>/<measurement>/points", suffix="Full")
class Points(SeriesResource):
    @namespace.doc(
        "Write many points",
        operation_id="writePoints",
        description="A JSON array, NDJSON, or line protocol as text/plain; 64 MB at most, gzip allowed. 200 when all were "
        "written; 207 when the store dropped some, with their count and the reasons.",
    )
    @namespace.expect(list[dict[str, Any]], example=[_POINT], encodings=("gzip",), stream=True)
    @namespace.expect(
        str,
        content_types=(NDJSON,),
        example='{"tags": {"host": "web-1"}, "fields": {"usage": 12.5}}\n',
        encodings=("gzip",),
        stream=True,
    )
    @namespace.expect(
        str,
        content_types=(LINES,),
        example="cpu,host=web-1 usage=12.5 1795687200000000000\n",
        encodings=("gzip",),
        stream=True,
    )
    @namespace.query(PrecisionQuery)
    @namespace.returns(
        200, dict[str, Any], "All written", example={"result": True, "written": 1, "dropped": 0, "reasons": []}
    )
    @namespace.returns(
        207,
        dict[str, Any],
        "Some dropped",
        example={"result": False, "written": 1, "dropped": 1, "reasons": ["field type conflict: …"]},
    )
    @namespace.fails("DATABASE_UNKNOWN")
    @namespace.fails("VALUE_INVALID")
    @namespace.fails("WRITE_REFUSED")
    @namespace.allow("write")
    async def post(self, request: Request, db: str, measurement: str, query: PrecisionQuery) -> Any:
        media_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
        if media_type == LINES:
            return written(await self._write_lines(request, db, measurement, query.precision))
        context = self.instance.services.new_context()
        body = await read_body(request, self.instance.ingest_bytes)
        parse = parse_ndjson if media_type == NDJSON else parse_array
        points = await apart(len(body), parse, body, measurement, context.now_ns)
        return written(await self.store.write(db, points, context))

    async def _write_lines(self, request: Request, db: str, measurement: str, precision: str) -> WriteReport:
        services, cap = self.instance.services, self.instance.ingest_bytes
        async with received(request, cap, services.engine.folder) as body:
            context = services.new_context()
            if body.small:
                return await self.store.write_lines(db, measurement, body.whole(), precision, context)
            lines = LongLines(self.store, db, measurement, precision)
            counts = await lines.check(body, context.now_ns)
            return await lines.write(body, counts, context, partial(begin_piece, request, context))


def written(report: WriteReport) -> Reply:
    """200 when nothing was dropped, 207 when some were. Raises RequestError (WRITE_REFUSED) when all were."""
    if report.dropped and not report.written:
        raise RequestError(
            f"The store refused all {report.dropped} points.",
            code="WRITE_REFUSED",
            pointer="",
            hint="; ".join(report.reasons),
        )
    payload = {
        "result": not report.dropped,
        "written": report.written,
        "dropped": report.dropped,
        "reasons": list(report.reasons),
    }
    return Reply(payload, 207 if report.dropped else 200)
