"""InfluxDB's v1 protocol for a series instance: Telegraf, Grafana and Influx's own clients work with a base URL that ends in the
instance's name. docs/influx-clients.md shows them."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from typing import Any

from sanic import HTTPResponse, Request

from apps.influx.resources import SeriesResource, namespace
from apps.influx.v1_models import PingParameters, QueryForm, QueryParameters, WriteParameters
from apps.influx.v1_reading import FORM, check_allowed, read_query
from apps.ingest import apart, received, received_as_sent
from libs.context import RequestContext
from libs.errors import NotSupportedError, RequestError
from libs.idempotency import attempt_var
from libs.overflow import Overflow
from libs.rest import ANY_KEY
from middlewares.stream import send_pieces
from parser.record_ends import whole_lines
from query.influxql import NativeAnswer, NativeSeries, NativeWrite

LINES, BINARY = "text/plain", "application/octet-stream"
_LINES = "cpu,host=web-1 usage=12.5 1795687200000000000\nmem,host=web-1 free=4i 1795687200000000000\n"
# InfluxDB takes what it does not know for nanoseconds.
_PRECISIONS = {"": "ns", "n": "ns", "us": "u", "µ": "u"}
# So many bytes of a body have the time of a request.
PATIENCE_BYTES = 2**21
CSV, MSGPACK = "application/csv", "application/x-msgpack"
_RESULT = {
    "results": [
        {"statement_id": 0, "series": [{"name": "measurements", "columns": ["name"], "values": [["cpu"], ["mem"]]}]}
    ]
}
_STATEMENTS = (
    "Every statement is read before any is sent, and one that is not allowed stops all. SELECT, EXPLAIN and SHOW need the actions "
    "read and native; INTO and DELETE write; CREATE, ALTER and DROP metadata. A store's own answer is passed on byte for byte."
)


class V1Resource(SeriesResource):
    @property
    def native(self) -> NativeSeries:
        """Raises NotSupportedError where the store does not speak the protocol."""
        if not isinstance(self.store, NativeSeries):
            raise NotSupportedError(
                f"{self.instance.name!r} does not speak InfluxDB's v1 protocol.",
                hint=f"POST /{self.instance.name}/<db>/<measurement>/query asks it",
            )
        return self.store


@namespace.route("/ping")
class Ping(V1Resource):
    @namespace.doc("Whether the server answers (InfluxDB v1)", operation_id="ping")
    @namespace.speaks("influxdb")
    @namespace.query(PingParameters)
    @namespace.returns(204, None, "It answers; `X-Influxdb-Version` tells its version")
    @namespace.returns(200, dict[str, Any], "As `?verbose=true`", example={"version": "1.8.10"})
    @namespace.fails("STORE_UNAVAILABLE", "NOT_SUPPORTED")
    @namespace.allow("read", basic=True)
    async def get(self, request: Request, query: PingParameters) -> HTTPResponse:
        context = self.instance.services.new_context()
        found = await self.native.server_version(context)
        headers = {"x-influxdb-version": found.version, "x-influxdb-build": found.build, "request-id": context.id}
        if query.verbose in (None, "", "0", "false"):
            return HTTPResponse(status=204, headers=headers)
        return HTTPResponse(b'{"version":"%b"}' % found.version.encode(), 200, headers, "application/json")


@namespace.route("/query")
class V1Query(V1Resource):
    @namespace.doc("Run statements that read (InfluxDB v1)", operation_id="nativeRead", description=_STATEMENTS)
    @namespace.speaks("influxdb")
    @namespace.query(QueryParameters)
    @namespace.returns(200, dict[str, Any], "The store's answer", example=_RESULT)
    @namespace.returns(200, str, content_types=(CSV, MSGPACK), example="name,tags,name\nmeasurements,,cpu\n")
    @namespace.fails("STATEMENT_INVALID", "STATEMENT_REFUSED", "NOT_SUPPORTED", "STORE_UNAVAILABLE")
    @namespace.allow(ANY_KEY, basic=True)
    async def get(self, request: Request, query: QueryParameters) -> HTTPResponse | None:
        return await self._answer(request)

    @namespace.doc("Run statements (InfluxDB v1)", operation_id="nativeQuery", description=_STATEMENTS)
    @namespace.speaks("influxdb")
    @namespace.expect(
        QueryForm, content_types=(FORM,), required=False, example={"q": "SHOW MEASUREMENTS", "db": "telegraf"}
    )
    @namespace.query(QueryParameters)
    @namespace.returns(200, dict[str, Any], "The store's answer", example=_RESULT)
    @namespace.returns(200, str, content_types=(CSV, MSGPACK), example="name,tags,name\nmeasurements,,cpu\n")
    @namespace.fails("STATEMENT_INVALID", "STATEMENT_REFUSED", "NAME_INVALID", "NOT_SUPPORTED", "STORE_UNAVAILABLE")
    @namespace.allow(ANY_KEY, basic=True)
    async def post(self, request: Request, query: QueryParameters) -> HTTPResponse | None:
        return await self._answer(request)

    async def _answer(self, request: Request) -> HTTPResponse | None:
        services, native = self.instance.services, self.native
        context = services.new_context()
        asked = await read_query(request)
        check_allowed(asked, context.principal, self.instance.name, request.method)
        context.limits = context.limits.flowing()
        async with services.places.held(context), native.native_query(asked, context) as answer:
            return await _passed_on(request, answer, self.instance.name, context)


@namespace.route("/write")
class V1Write(V1Resource):
    @namespace.doc(
        "Write line protocol of any measurements (InfluxDB v1)",
        operation_id="nativeWrite",
        description="64 MB at most, gzip allowed; a store may take less (InfluxDB: 25 MB that are not compressed, unless "
        "told). The body is read whole before any of it is sent.",
    )
    @namespace.speaks("influxdb")
    @namespace.expect(bytes, content_types=(BINARY,), example=_LINES, encodings=("gzip",), stream=True)
    @namespace.expect(str, content_types=(LINES,), example=_LINES, encodings=("gzip",), stream=True)
    @namespace.query(WriteParameters)
    @namespace.returns(204, None, "Written")
    @namespace.fails("DATABASE_UNKNOWN", "POINTS_DROPPED", "VALUE_INVALID", "NOT_SUPPORTED", "STORE_UNAVAILABLE")
    @namespace.allow("write", basic=True)
    async def post(self, request: Request, query: WriteParameters) -> HTTPResponse | None:
        services, native = self.instance.services, self.native
        gzip = _is_gzip(request)
        # Under a key a second run has to write the same points.
        once = attempt_var.get() is not None
        as_sent = native.takes_gzip and not once
        precision = _PRECISIONS.get(query.precision, query.precision)
        async with self._body(request, as_sent) as arrived, self._to_send(arrived, precision, once) as body:
            context = services.new_context()
            # What a store takes as one, it also answers as one.
            context.deadline += context.limits.timeout_seconds * (body.size // PATIENCE_BYTES)
            options = {"rp": query.rp or "", "consistency": query.consistency}
            write = NativeWrite(
                query.db,
                body.size,
                precision,
                {name: value for name, value in options.items() if value},
                gzip and as_sent,
            )
            pieces = body.pieces() if native.takes_gzip else body.pieces(whole_lines)
            async with native.native_write(write, pieces, context) as answer:
                return await _passed_on(request, answer, self.instance.name, context)

    @asynccontextmanager
    async def _body(self, request: Request, as_sent: bool) -> AsyncIterator[Overflow]:
        """The whole body, of which memory holds some megabytes at the most."""
        arriving = received_as_sent if as_sent else received
        async with arriving(request, self.instance.ingest_bytes, self.instance.services.engine.folder) as body:
            yield body

    @asynccontextmanager
    async def _to_send(self, arrived: Overflow, precision: str, once: bool) -> AsyncIterator[Overflow]:
        """The body as the store gets it: under a key, with the first run's time where a line has none."""
        if not once:
            yield arrived
            return
        began_ns = self.instance.services.new_context().now_ns
        with closing(Overflow(self.instance.services.engine.folder)) as body:
            async for piece in arrived.pieces(whole_lines):
                await body.write(await apart(len(piece), self.native.timed, piece, precision, began_ns))
            yield body


def _is_gzip(request: Request) -> bool:
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip", ""):
        raise RequestError(
            f"The body's Content-Encoding ({encoding[:50]}) is not taken here.",
            code="MEDIA_TYPE_UNSUPPORTED",
            pointer="header/Content-Encoding",
            hint="send it plain or as gzip",
        )
    return encoding == "gzip"


async def _passed_on(
    request: Request, answer: NativeAnswer, source: str, context: RequestContext
) -> HTTPResponse | None:
    """The store's answer: at once where all of it has come, else as it comes. What fails before the first byte is raised, and
    chooses the status; from then on the connection is cut."""
    headers = dict(answer.headers)
    content_type = headers.pop("content-type", "application/json")
    headers["request-id"] = context.id
    pieces = _pieces(answer, source, context)
    first = await anext(pieces, b"")
    if answer.complete:
        body = first + b"".join([piece async for piece in pieces])
        if answer.status == 204:
            return HTTPResponse(status=204, headers=headers)
        return HTTPResponse(body, answer.status, headers, content_type)
    headers["x-accel-buffering"] = "no"  # nginx would hold the parts back in its buffers
    await send_pieces(request, answer.status, _chained(first, pieces), content_type, headers)
    return None


async def _pieces(answer: NativeAnswer, source: str, context: RequestContext) -> AsyncIterator[bytes]:
    """Each piece has the time that a page has, within that of a stream."""
    limits = context.limits
    until = time.monotonic() + limits.stream_seconds
    async for piece in answer.chunks():
        context.fetched(source, len(piece))
        yield piece
        context.deadline = min(until, time.monotonic() + limits.timeout_seconds)


async def _chained(first: bytes, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in pieces:
        yield piece
