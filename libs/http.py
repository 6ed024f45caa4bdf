"""HTTP to a store: one client an instance, pooled connections, bounded in time and bytes, every failure a StoreError.

    refused, reset, name not found        STORE_UNAVAILABLE 503
    no (whole) answer by the deadline     DEADLINE_EXCEEDED 504
    cut short, garbled, wrong media type,
    a redirect, too many bytes            STORE_ANSWER_INVALID 502
    429, 503                              STORE_BUSY 503, with the store's Retry-After
    401, 403                              STORE_FAILED 502
    anything else                         an Answer: the caller knows what its store means by it

Nothing is decompressed (identity is asked for), redirected, or taken from the environment. A request is sent again only
when it is idempotent and a kept connection turned out to be closed before a byte of the answer came.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from types import MappingProxyType

import aiohttp
from yarl import URL

from libs.context import RequestContext
from libs.errors import ConfigError, DeadlineError, StoreError

NO_HEADERS: Mapping[str, str] = MappingProxyType({})
MAX_ANSWER_BYTES = 256 * 1024 * 1024
_CONNECT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. `content_type` is the media type alone, lower-case; header names are lower-case."""

    status: int
    content_type: str
    headers: Mapping[str, str]
    body: bytes


class StreamedAnswer:
    """An answer whose body is pulled: `async for chunk in answer.chunks()`. Raises StoreError while it is pulled."""

    __slots__ = ("_client", "_context", "_response", "content_type", "headers", "status")

    def __init__(self, client: HttpClient, response: aiohttp.ClientResponse, context: RequestContext) -> None:
        self._client = client
        self._response = response
        self._context = context
        self.status = response.status
        self.headers = _headers(response)
        self.content_type = _media_type(self.headers.get("content-type", ""))

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body's bytes as they come, in no particular sizes."""
        content = self._response.content
        while True:
            async with self._client.failures(self._context):
                chunk = await content.readany()
            if not chunk:
                return
            yield chunk

    async def read(self, max_bytes: int = MAX_ANSWER_BYTES) -> bytes:
        """What is left of the body, whole. Raises StoreError when it is more than `max_bytes`."""
        parts: list[bytes] = []
        size = 0
        async for chunk in self.chunks():
            size += len(chunk)
            if size > max_bytes:
                raise self._client.too_large(max_bytes)
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
        wins over the user name. Raises ConfigError for an address or CA file that cannot be used."""
        self.name = name
        self._base = _base(name, url)
        self._tls = _tls(name, self._base, ca_file)
        self._connections = connections
        self._fixed = {"Accept-Encoding": "identity"}
        if authorization is not None:
            self._fixed["Authorization"] = authorization
        elif username is not None:
            self._fixed["Authorization"] = aiohttp.BasicAuth(username, password or "", "utf-8").encode()
        self._session: aiohttp.ClientSession | None = None

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
    ) -> Answer:
        """Sends one request and reads its whole answer, by the context's deadline.

        `path` begins with a slash, holds the query, and is sent as it stands (percent-encoded by the caller).
        `idempotent` is told by the method unless given (a `_search` is, though POSTed). `expect` is the media type that
        a body must have; None takes any. Raises StoreError, DeadlineError.
        """
        async with self.stream(
            method, path, context, body=body, content_type=content_type, headers=headers, idempotent=idempotent,
            expect=expect,
        ) as answer:  # fmt: skip
            length = answer.headers.get("content-length", "")
            if length.isdigit() and int(length) > max_bytes and method != "HEAD":
                raise self.too_large(max_bytes)
            return Answer(answer.status, answer.content_type, answer.headers, await answer.read(max_bytes))

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
    ) -> AsyncIterator[StreamedAnswer]:
        """As `request`, with a body that is pulled; leaving before its end drops the connection."""
        sent = {**self._fixed, "X-Request-ID": context.id, **headers}
        if context.traceparent:
            sent["traceparent"] = context.traceparent
        if body is not None:
            sent["Content-Type"] = content_type
        repeat = method in ("GET", "HEAD", "PUT", "DELETE") if idempotent is None else idempotent
        response = await self._send(method, path, context, body, sent, repeat)
        try:
            answer = StreamedAnswer(self, response, context)
            self._check(answer, expect, method)
            yield answer
        finally:
            response.release() if response.content.at_eof() else response.close()

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _send(
        self,
        method: str,
        path: str,
        context: RequestContext,
        body: bytes | None,
        headers: Mapping[str, str],
        repeat: bool,
    ) -> aiohttp.ClientResponse:
        url = URL(self._base + path, encoded=True)
        session = self._opened()
        if repeat:
            with suppress(aiohttp.ServerDisconnectedError):
                async with self.failures(context, repeat=True):
                    return await session.request(method, url, data=body, headers=headers, allow_redirects=False)
        async with self.failures(context):
            return await session.request(method, url, data=body, headers=headers, allow_redirects=False)

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=self._connections, ssl=self._tls or True)
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                auto_decompress=False,
                skip_auto_headers=("User-Agent", "Accept", "Content-Type"),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS),
                read_bufsize=2**18,
            )
        return self._session

    @asynccontextmanager
    async def failures(self, context: RequestContext, *, repeat: bool = False) -> AsyncIterator[None]:
        """Maps what the connection raises inside, and ends it at the deadline."""
        deadline = asyncio.timeout(context.remaining(self.name))
        try:
            async with deadline:
                yield
        except TimeoutError as error:
            if deadline.expired():
                raise DeadlineError(f"{self.name!r} gave no answer within the deadline.", source=self.name) from error
            raise self.unavailable("no connection was made in time") from error
        except aiohttp.ServerDisconnectedError as error:
            if repeat:
                raise
            raise self.unavailable("it closed the connection") from error
        except aiohttp.ClientPayloadError as error:
            raise self.invalid("its answer was cut short or garbled") from error
        except (aiohttp.ClientResponseError, aiohttp.http_exceptions.HttpProcessingError) as error:
            raise self.invalid("its answer is no HTTP") from error
        except (aiohttp.ClientConnectionError, OSError) as error:
            raise self.unavailable(_reason(error)) from error

    def _check(self, answer: StreamedAnswer, expect: str | None, method: str) -> None:
        status = answer.status
        if status in (401, 403):
            raise StoreError(
                f"{self.name!r} does not accept the credentials it is called with ({status}).", source=self.name
            )
        if status in (429, 503):
            after = answer.headers.get("retry-after", "")
            raise StoreError(
                f"{self.name!r} has too much to do ({status}).",
                code="STORE_BUSY",
                source=self.name,
                retry_after=int(after) if after.isascii() and after.isdigit() and len(after) < 7 else 1,
            )
        if 300 <= status < 400:
            raise self.invalid(f"it redirects ({status})")
        if expect is None or method == "HEAD" or status == 204 or answer.headers.get("content-length") == "0":
            return
        if answer.content_type != expect:
            raise self.invalid(f"it sent {answer.content_type or 'no media type'} ({status}), not {expect}")

    def unavailable(self, reason: str) -> StoreError:
        return StoreError(f"{self.name!r} cannot be reached: {reason}.", code="STORE_UNAVAILABLE", source=self.name)

    def invalid(self, reason: str) -> StoreError:
        return StoreError(f"{self.name!r}: {reason}.", code="STORE_ANSWER_INVALID", source=self.name)

    def too_large(self, max_bytes: int) -> StoreError:
        return self.invalid(f"its answer is larger than {max_bytes} bytes")


def _base(name: str, url: str) -> str:
    parsed = URL(url)
    if parsed.scheme not in ("http", "https") or not parsed.host or parsed.query_string or parsed.user:
        raise ConfigError(
            f"Instance {name!r}: url must be http(s)://host[:port][/path], without user, query or fragment."
        )
    return str(parsed).rstrip("/")


def _tls(name: str, base: str, ca_file: str | None) -> ssl.SSLContext | None:
    if not base.startswith("https:"):
        return None
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"Instance {name!r}: the CA file {ca_file!r} cannot be read: {error}.") from error


def _headers(response: aiohttp.ClientResponse) -> Mapping[str, str]:
    return {key.lower(): value for key, value in response.headers.items()}


def _media_type(value: str) -> str:
    return value.partition(";")[0].strip().lower()


def _reason(error: BaseException) -> str:
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its host name is not found"
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError):
        return "its certificate is not trusted"
    if isinstance(error, ConnectionRefusedError) or isinstance(
        getattr(error, "os_error", None), ConnectionRefusedError
    ):
        return "it refuses connections"
    return "the connection broke"
