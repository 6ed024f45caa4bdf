"""HTTP to a store: one client an instance, kept connections, bounded in time and bytes, every failure a StoreError.

    refused, reset, name not found        STORE_UNAVAILABLE 503
    no (whole) answer by the deadline     DEADLINE_EXCEEDED 504
    cut short, garbled, wrong media type,
    a redirect, too many bytes            STORE_ANSWER_INVALID 502
    429, 503                              STORE_BUSY 503, with the store's Retry-After
    401, 403                              STORE_FAILED 502
    anything else                         an Answer: the caller knows what its store means by it

Nothing is decompressed (identity is asked for), redirected, or taken from the environment. A request is sent a second
time only when it is idempotent and its connection closed before a byte of the answer came.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import MappingProxyType

from libs.context import RequestContext
from libs.errors import ConfigError, DeadlineError, StoreError
from libs.http_address import parse_address, tls_context
from libs.http_connection import Broken, Connection, Expired, Garbled, TooLarge
from libs.http_pool import Pool
from libs.observe import METRICS

NO_HEADERS: Mapping[str, str] = MappingProxyType({})
MAX_ANSWER_BYTES = 256 * 1024 * 1024
_IDEMPOTENT = frozenset({"GET", "PUT", "DELETE"})
_HEAD_TEXT = re.compile(r"[\t\x20-\x7e]*(?:\r\n[\t\x20-\x7e]+)*")
_PATH = re.compile(r"/[\x21-\x7e]*")


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. `content_type` is the media type alone, lower-case; header names are lower-case."""

    status: int
    content_type: str
    headers: Mapping[str, str]
    body: bytes


class StreamedAnswer:
    """An answer whose body is pulled: `async for chunk in answer.chunks()`. Raises StoreError while it is pulled."""

    __slots__ = ("_client", "_connection", "_context", "content_type", "headers", "status")

    def __init__(self, client: HttpClient, connection: Connection, context: RequestContext) -> None:
        self._client = client
        self._connection = connection
        self._context = context
        self.status = connection.status
        self.headers: Mapping[str, str] = connection.headers
        self.content_type = media_type(connection.headers)

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body's bytes as they come, in no particular sizes."""
        while True:
            try:
                chunk = await self._connection.some(self._context.remaining(self._client.name))
            except (Broken, Garbled, Expired) as error:
                raise self._client.failure(error) from error
            if not chunk:
                return
            METRICS.store_received(self._client.name, len(chunk))
            yield chunk

    async def read(self, max_bytes: int = MAX_ANSWER_BYTES) -> bytes:
        """What is left of the body, whole. Raises StoreError when it is more than `max_bytes`."""
        parts: list[bytes] = []
        size = 0
        async for chunk in self.chunks():
            size += len(chunk)
            if size > max_bytes:
                raise self._client.failure(TooLarge())
            parts.append(chunk)
        return parts[0] if len(parts) == 1 else b"".join(parts)


class HttpClient:
    """Requests to one instance. Opens its connections in the loop of its first request; `close` closes them."""

    def __init__(
        self,
        name: str,
        url: str,
        *,
        connections: int = 64,
        username: str | None = None,
        password: str | None = None,
        authorization: str | None = None,
        ca_file: str | None = None,
    ) -> None:
        """`name` is the instance's, for errors. `authorization` is a whole header value ("ApiKey …", "Token …") and
        wins over the user name. Raises ConfigError for an address, credentials or CA file that cannot be used."""
        self.name = name
        secure, self._host, self._port, self._prefix, authority = parse_address(name, url)
        self._tls = tls_context(name, ca_file) if secure else None
        self._connections = connections
        if authorization is None and username is not None:
            authorization = "Basic " + b64encode(f"{username}:{password or ''}".encode()).decode()
        self._fixed = f" HTTP/1.1\r\nHost: {authority}\r\nAccept-Encoding: identity\r\nX-Request-ID: "
        if authorization is not None:
            if not authorization.isascii() or not authorization.isprintable():
                raise ConfigError(f"Instance {name!r}: the credentials hold characters that a header cannot carry.")
            self._fixed = self._fixed.replace("X-Request-ID", f"Authorization: {authorization}\r\nX-Request-ID")
        self._pool: Pool | None = None

    async def request(
        self,
        method: str,
        path: str,
        context: RequestContext,
        *,
        body: bytes | None = None,
        content_type: str = "application/json",
        headers: Mapping[str, str] = NO_HEADERS,
        idempotent: bool | None = None,
        max_bytes: int = MAX_ANSWER_BYTES,
        expect: str | None = "application/json",
        own_statuses: frozenset[int] = frozenset(),
    ) -> Answer:
        """Sends one request and reads its whole answer, by the context's deadline.

        `path` begins with a slash, holds the query, and is sent as it stands (percent-encoded by the caller; a dot
        segment is not resolved). `idempotent` is told by the method unless given (a `_search` is, though POSTed).
        `expect` is the media type that a body must have; None takes any. Of `own_statuses` the caller reads the body
        where it has that media type. HEAD is not spoken. Raises StoreError, DeadlineError.
        """
        head = self._head(method, path, context, body, content_type, headers)
        repeat = method in _IDEMPOTENT if idempotent is None else idempotent
        with METRICS.store_call(self.name, len(head) + len(body or b"")):
            connection = await self._exchange(head, body, context, repeat, max_bytes)
        content = connection.body()
        METRICS.store_received(self.name, len(content))
        answer = Answer(connection.status, media_type(connection.headers), connection.headers, content)
        connection.give_back()
        self._check(answer, expect, bool(content), own_statuses)
        return answer

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        path: str,
        context: RequestContext,
        *,
        body: bytes | None = None,
        content_type: str = "application/json",
        headers: Mapping[str, str] = NO_HEADERS,
        idempotent: bool | None = None,
        expect: str | None = "application/json",
        checked: bool = True,
    ) -> AsyncIterator[StreamedAnswer]:
        """As `request`, with a body that is pulled; leaving before its end drops the connection. Where it is not `checked`,
        the caller takes whatever answer comes."""
        head = self._head(method, path, context, body, content_type, headers)
        repeat = method in _IDEMPOTENT if idempotent is None else idempotent
        with METRICS.store_call(self.name, len(head) + len(body or b"")):
            connection = await self._exchange(head, body, context, repeat, None)
        try:
            answer = StreamedAnswer(self, connection, context)
            if checked:
                self._check(answer, expect, answer.headers.get("content-length") != "0" and answer.status != 204)
            yield answer
        finally:
            connection.give_back()

    async def close(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.close()

    def failure(self, error: Exception) -> StoreError:
        """The StoreError for what went wrong on the wire."""
        name = self.name
        match error:
            case Expired():
                return DeadlineError(f"{name!r} gave no answer within the deadline.", source=name)
            case Broken(began=True):
                code, reason = "STORE_ANSWER_INVALID", "its answer was cut short"
            case Garbled():
                code, reason = "STORE_ANSWER_INVALID", "its answer is no HTTP/1.1"
            case TooLarge():
                code, reason = "STORE_ANSWER_INVALID", "its answer is larger than is taken"
            case ssl.SSLCertVerificationError():
                code, reason = "STORE_UNAVAILABLE", "its certificate is not trusted"
            case ssl.SSLError():
                code, reason = "STORE_UNAVAILABLE", "it speaks no TLS that is known here"
            case socket.gaierror():
                code, reason = "STORE_UNAVAILABLE", "its host name is not found"
            case ConnectionRefusedError():
                code, reason = "STORE_UNAVAILABLE", "it refuses connections"
            case _:
                code, reason = "STORE_UNAVAILABLE", "the connection was not made, or broke"
        return StoreError(f"No answer from {name!r}: {reason}.", code=code, source=name)

    def _head(
        self,
        method: str,
        path: str,
        context: RequestContext,
        body: bytes | None,
        content_type: str,
        headers: Mapping[str, str],
    ) -> bytes:
        rest, lines = context.id, len(headers)
        if context.traceparent:
            rest += "\r\ntraceparent: " + context.traceparent
            lines += 1
        if body is not None:
            rest += f"\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}"
            lines += 2
        elif method != "GET" and "Content-Length" not in headers:
            rest += "\r\nContent-Length: 0"
            lines += 1
        for name, value in headers.items():
            rest += f"\r\n{name}: {value}"
        if _PATH.fullmatch(path) is None or _HEAD_TEXT.fullmatch(rest) is None or rest.count("\r\n") != lines:
            raise ValueError("a path or header holds what HTTP cannot carry")
        return f"{method} {self._prefix}{path}{self._fixed}{rest}\r\n\r\n".encode("ascii")

    async def _exchange(
        self, head: bytes, body: bytes | None, context: RequestContext, repeat: bool, allowed: int | None
    ) -> Connection:
        """Sends a request and waits for its answer, or for the answer's head when `allowed` is None."""
        pool = self._opened()
        while True:
            connection = pool.kept() or await self._connect(pool, context)
            arrived = False
            try:
                connection.start(head, body, allowed)
                await connection.ready(context.remaining(self.name))
                arrived = True
                return connection
            except Broken as error:
                if error.began or not repeat:
                    raise self.failure(error) from error
                repeat = False
                pool.drop_idle()
            except (Garbled, TooLarge, Expired) as error:
                raise self.failure(error) from error
            finally:
                if not arrived:
                    connection.drop()

    async def _connect(self, pool: Pool, context: RequestContext) -> Connection:
        deadline = asyncio.timeout(context.remaining(self.name))
        try:
            async with deadline:
                return await pool.get()
        except OSError as error:
            raise self.failure(Expired() if deadline.expired() else error) from error

    def _opened(self) -> Pool:
        if self._pool is None:
            self._pool = Pool(self._host, self._port, self._tls, self._connections)
        return self._pool

    def _check(
        self, answer: Answer | StreamedAnswer, expect: str | None, body: bool, own: frozenset[int] = frozenset()
    ) -> None:
        status, name = answer.status, self.name
        if status == 200 and answer.content_type == expect and "content-encoding" not in answer.headers:
            return
        own = own if answer.content_type == expect else frozenset()
        if status in (401, 403) and status not in own:
            raise StoreError(f"{name!r} does not accept the service's credentials ({status}).", source=name)
        if status in (429, 503) and status not in own:
            after = retry_seconds(answer.headers.get("retry-after", ""))
            message = f"{name!r} has too much to do ({status})."
            raise StoreError(message, code="STORE_BUSY", source=name, retry_after=after)
        if 300 <= status < 400:
            reason = f"redirects ({status})"
        elif answer.headers.get("content-encoding", "identity") != "identity":
            reason = "sent what was compressed unasked"
        elif body and expect is not None and answer.content_type != expect:
            reason = f"sent {answer.content_type or 'no media type'} ({status}), not {expect}"
        else:
            return
        raise StoreError(f"{name!r} {reason}.", code="STORE_ANSWER_INVALID", source=name)


def media_type(headers: Mapping[str, str]) -> str:
    """The media type alone, lower-case; "" without one."""
    value = headers.get("content-type", "")
    return value if value == "application/json" else value.partition(";")[0].strip().lower()


def retry_seconds(retry_after: str) -> int:
    """The seconds of a Retry-After header; 1 for a date, for nonsense and without one."""
    return int(retry_after) if retry_after.isascii() and retry_after.isdigit() and len(retry_after) < 7 else 1
