"""InfluxDB's v1 HTTP API: statements by GET, or by POST when they write or are too long for a URL."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from urllib.parse import quote, urlencode

from libs.context import RequestContext
from libs.errors import StoreError
from libs.http_relay import RelayClient
from query.backend import InstanceConfig
from query.influx.decode import Json, Lines, only, unreadable, whole
from query.influx.table_text import MARK, Blocks

CHUNK_ROWS = 10_000
# Of these it is known that a second statement runs only behind a whole first one.
_TABLE_VERSIONS = ("1.", "v1.")
_URL_BYTES = 8_000


class InfluxClient:
    """Speaks to one instance. Raises StoreError and what decode.failure makes of the store's errors."""

    def __init__(self, config: InstanceConfig) -> None:
        assert config.url is not None
        self.name = config.name
        self._http = RelayClient(
            config.name,
            config.url,
            connections=config.connections,
            username=config.username,
            password=config.password,
            authorization=f"Token {config.token}" if config.token else None,
            ca_file=config.ca_file,
        )
        self.relay = self._http.relay

    async def close(self) -> None:
        await self._http.close()

    async def ask(self, statement: str, context: RequestContext, db: str | None = None) -> Json:
        """Runs one statement that reads, and answers its whole result."""
        method, path, body = _sent(statement, db, chunked=False)
        answer = await self._http.request(
            method, path, context, body=body, content_type="application/x-www-form-urlencoded", idempotent=True
        )
        found = only(answer.body, self.name)
        if answer.status != 200:
            raise StoreError(f"{self.name!r} answered {answer.status}.", source=self.name)
        whole(found, self.name, context)
        return found

    async def order(self, statement: str, context: RequestContext, db: str | None = None) -> Json:
        """Runs one statement that changes something, and answers InfluxDB's whole answer."""
        params = {"q": statement} if db is None else {"q": statement, "db": db}
        answer = await self._http.request(
            "POST", "/query", context, body=urlencode(params).encode(), content_type="application/x-www-form-urlencoded"
        )
        found = only(answer.body, self.name)
        if answer.status != 200:
            raise StoreError(f"{self.name!r} answered {answer.status}.", source=self.name)
        return {"results": [found]}

    async def parts(self, statement: str, db: str, context: RequestContext) -> AsyncGenerator[Json, None]:
        """Runs one statement that reads, and answers its result part by part, as they are pulled. Leaving early drops
        the connection, which stops the statement."""
        method, path, body = _sent(statement, db, chunked=True)
        lines = Lines(self.name)
        last: Json = None
        async with self._http.stream(
            method, path, context, body=body, content_type="application/x-www-form-urlencoded", idempotent=True
        ) as answer:
            async for data in answer.chunks():
                context.fetched(self.name, len(data))
                for line in lines.feed(data):
                    if line:
                        last = only(line, self.name)
                        yield last
            if lines.rest():  # every part ends its line, what says why it cannot be written does not
                only(lines.rest(), self.name)
                raise unreadable(self.name, "it was cut short")
            if answer.status != 200:
                raise StoreError(f"{self.name!r} answered {answer.status}.", source=self.name)
        if last is None:
            raise unreadable(self.name, "it is empty")
        whole(_without_series(last), self.name, context)

    async def blocks(
        self, statement: str, db: str, width: int, context: RequestContext
    ) -> AsyncGenerator[bytes | None, None]:
        """Runs one statement that reads points, `width` columns each, and answers whole rows of its CSV as they are pulled.
        None, and nothing else, where this server's CSV proves nothing: then `parts` tells. Leaving early as in `parts`."""
        method, path, body = _sent(f"{statement}; {MARK}", db, chunked=True)
        found, begun = Blocks(self.name, width), False
        async with self._http.stream(
            method,
            path,
            context,
            body=body,
            content_type="application/x-www-form-urlencoded",
            headers={"Accept": "application/csv"},
            idempotent=True,
            expect=None,
        ) as answer:
            proves = answer.headers.get("x-influxdb-version", "").startswith(_TABLE_VERSIONS)
            if answer.status != 200 or answer.content_type != "text/csv" or not proves:
                yield None
                return
            async for data in answer.chunks():
                context.fetched(self.name, len(data))
                block = found.feed(data)
                if block:
                    begun = True
                    yield block
        if not found.complete:
            if begun:
                raise unreadable(self.name, "it was cut short")
            yield None

    async def write(self, db: str, lines: bytes, precision: str, context: RequestContext) -> tuple[int, bytes]:
        """Sends line protocol. Answers the status and body: a 204 stored all of it, what a 400 means is in its text."""
        path = f"/write?{urlencode({'db': db, 'precision': precision}, quote_via=quote)}"
        answer = await self._http.request(
            "POST", path, context, body=lines, content_type="text/plain; charset=utf-8", expect=None
        )
        return answer.status, answer.body

    async def ping(self, context: RequestContext) -> str:
        """The server's version."""
        return (await self.server(context))[0]

    async def server(self, context: RequestContext) -> tuple[str, str]:
        """The server's version, and what it says of its build."""
        answer = await self._http.request("GET", "/ping", context, expect=None)
        if answer.status not in (200, 204):
            raise StoreError(f"{self.name!r} answered {answer.status} to a ping.", source=self.name)
        version = answer.headers.get("x-influxdb-version")
        if version is None:
            raise unreadable(self.name, "a ping tells no version")
        return version, answer.headers.get("x-influxdb-build", "OSS")


def _without_series(result: Json) -> Json:
    return {key: value for key, value in result.items() if key != "series"}


def request_of(statement: str, db: str) -> dict[str, Json]:
    """The request that reads rows, for explain."""
    return {"method": _sent(statement, db, True)[0], "path": "/query", "params": _params(statement, db, True)}


def table_request_of(statement: str, db: str) -> dict[str, Json]:
    """As `request_of`, of rows that are asked for as CSV; the second statement runs only behind a whole first one."""
    return request_of(f"{statement}; {MARK}", db) | {"accept": "application/csv"}


def _params(statements: str, db: str | None, chunked: bool) -> dict[str, str]:
    params = {"q": statements, "epoch": "ns"}
    if db is not None:
        params["db"] = db
    if chunked:
        params |= {"chunked": "true", "chunk_size": str(CHUNK_ROWS)}
    return params


def _sent(statements: str, db: str | None, chunked: bool) -> tuple[str, str, bytes | None]:
    """(method, path, body). A GET cannot drop or create anything by accident on servers that keep it to reads."""
    params = urlencode(_params(statements, db, chunked), quote_via=quote)
    if len(params) <= _URL_BYTES:
        return "GET", f"/query?{params}", None
    return "POST", "/query", params.encode()
