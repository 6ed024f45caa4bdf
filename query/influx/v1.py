"""An InfluxDB instance behind InfluxDB's own v1 protocol: statements and lines are sent as they came, and every byte of the
answer is passed on.

Reads go by GET, which InfluxDB takes for what changes nothing; those that are too long for an address by POST, since the
classifier (parser/influxql.py) has proved all of them to be reads. What changes something goes by POST.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType
from urllib.parse import quote, urlencode

from libs.context import RequestContext
from libs.http_relay import RelayedAnswer
from query.influx.quote import database_name
from query.influx.store import InfluxStore
from query.influx.text_lines import timed
from query.influxql import NativeAnswer, NativeQuery, NativeWrite, ServerVersion, Statement

_URL_BYTES = 8_000
_MEDIA_TYPES = frozenset({"application/json", "application/csv", "text/csv", "application/x-msgpack", "text/plain"})
_FORM = "application/x-www-form-urlencoded"
_NAMING = frozenset({"CREATE DATABASE", "DROP DATABASE"})


class _Passed:
    """A relayed answer with those headers alone that are meant for its client."""

    def __init__(self, answer: RelayedAnswer) -> None:
        self._answer = answer
        self.status = answer.status
        self.headers: Mapping[str, str] = MappingProxyType(
            {name: value for name, value in answer.headers.items() if _is_passed(name, value)}
        )

    @property
    def complete(self) -> bool:
        return self._answer.complete

    def chunks(self) -> AsyncIterator[bytes]:
        return self._answer.chunks()


def _is_passed(name: str, value: str) -> bool:
    own = name.startswith("x-influxdb-") or name in ("content-type", "content-encoding", "retry-after")
    return own and value.isascii() and value.isprintable()


class InfluxV1Store(InfluxStore):
    """A NativeSeries. The store's 401 and 403 concern the service's own credentials, so that they are failures here."""

    takes_gzip = True

    async def server_version(self, context: RequestContext) -> ServerVersion:
        return ServerVersion(*await self.client.server(context))

    @asynccontextmanager
    async def native_query(self, query: NativeQuery, context: RequestContext) -> AsyncIterator[NativeAnswer]:
        """Raises RequestError (NAME_INVALID), StoreError."""
        for statement in query.statements:
            _check_names(statement)
        params = {"q": query.text, **query.options}
        if query.db:
            params["db"] = database_name(query.db, "query/db")
        encoded = urlencode(params, quote_via=quote)
        headers = {} if query.accept is None else {"Accept": query.accept}
        by_get = not query.mutates and len(encoded) <= _URL_BYTES
        form = encoded.encode()
        relayed = self.client.relay(
            "GET" if by_get else "POST",
            f"/query?{encoded}" if by_get else "/query",
            context,
            headers=headers if by_get else {**headers, "Content-Type": _FORM},
            media_types=_MEDIA_TYPES,
            body=None if by_get else _once(form),
            size=0 if by_get else len(form),
            gzip=query.gzip,
            idempotent=by_get,
        )
        try:
            async with relayed as answer:
                yield _Passed(answer)
        finally:
            if query.mutates:
                self.catalog.forget_all()

    def timed(self, lines: bytes, precision: str, now_ns: int) -> bytes:
        return timed(lines, precision, now_ns)

    @asynccontextmanager
    async def native_write(
        self, write: NativeWrite, body: AsyncIterator[bytes], context: RequestContext
    ) -> AsyncIterator[NativeAnswer]:
        """Raises RequestError (NAME_INVALID), StoreError. A write that is cut off before its end writes nothing: InfluxDB reads
        a body whole before any of it."""
        params = {"db": database_name(write.db, "query/db"), "precision": write.precision, **write.options}
        headers = {"Content-Type": "text/plain; charset=utf-8"}
        if write.gzip:
            headers["Content-Encoding"] = "gzip"
        relayed = self.client.relay(
            "POST",
            f"/write?{urlencode(params, quote_via=quote)}",
            context,
            headers=headers,
            media_types=_MEDIA_TYPES,
            body=body,
            size=write.size,
        )
        try:
            async with relayed as answer:
                yield _Passed(answer)
        finally:
            self.catalog.forget_database(write.db)


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body


def _check_names(statement: Statement) -> None:
    """InfluxDB makes a folder of a database's name; some versions take any."""
    if statement.kind in _NAMING and len(statement.tokens) > 2:
        name = statement.tokens[2]
        if name.kind == "identifier":
            database_name(name.text, "query/q")
