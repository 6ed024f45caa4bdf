"""The wire below libs/http: HTTP/1.1 connections, one exchange at a time (libs/http_pool.py keeps them).

What goes wrong is told as Broken, Garbled, TooLarge or Expired, or as the OSError of a connection that was not made.
docs/decisions/http-client.md says why this is not an HTTP library.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import httptools

if TYPE_CHECKING:
    from libs.http_pool import Pool

_MAX_HEAD_BYTES = 64 * 1024
_BUFFER_BYTES = 1024 * 1024


class Broken(Exception):
    """The connection ended before the answer did; `began`: after some of it came."""

    def __init__(self, began: bool) -> None:
        super().__init__()
        self.began = began


class Garbled(Exception):
    """What came is no HTTP/1.1 answer that can be proven whole."""


class TooLarge(Exception):
    """The answer is larger than was allowed."""


class Expired(Exception):
    """The deadline passed."""


class Connection(asyncio.Protocol):
    """One connection. `start` sends a request and `ready` waits for the answer: for all of it, or for its
    head, and then, as often as it takes, `some` for more of its body."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._until = 0.0
        self._error: Exception | None = None
        self._allowed: int | None = None
        self._began = self._paused = self._head_done = self._done = self._full = False
        self._buffered = self._head_bytes = 0
        self._chunks: list[bytes] = []
        self.status = 0
        self.headers: dict[str, str] = {}
        self.open = self.reusable = False
        self.idle_since = 0.0

    # the exchange

    def start(self, head: bytes, body: bytes | None, allowed: int | None) -> None:
        """Sends a request. `allowed` bounds the body of an answer that is waited for whole; None streams it."""
        self.status, self.headers, self._chunks = 0, {}, []
        self._allowed, self._buffered, self._head_bytes = allowed, 0, 0
        self._began = self._head_done = self._done = self.reusable = False
        self._parser = httptools.HttpResponseParser(self)
        if self._transport is None:
            self._error = Broken(False)
        elif body is None:
            self._transport.write(head)
        else:
            self._transport.write(head + body)

    async def send(self, data: bytes, seconds: float) -> bool:
        """More of the request's body, behind a head that was sent alone; waits until there is room for it. False where the
        answer is there already: the store wants no more."""
        until = self._loop.time() + seconds
        while self._full and not self._head_done:
            await self._wait(until - self._loop.time())
        if self._head_done:
            return False
        if self._error is not None:
            raise self._error
        if self._transport is not None:
            self._transport.write(data)
        return True

    async def ready(self, seconds: float) -> None:
        """Waits for the answer: whole, or its status and headers when it streams."""
        until = self._loop.time() + seconds
        while not (self._done if self._allowed is not None else self._head_done):
            await self._wait(until - self._loop.time())

    @property
    def complete(self) -> bool:
        """Whether the whole answer has come, taken or not."""
        return self._done

    def body(self) -> bytes:
        """The body of an answer that has come whole."""
        chunks = self._chunks
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    async def some(self, seconds: float) -> bytes:
        """Waits for more of the body; empty at its end."""
        while not self._chunks and not self._done:
            await self._wait(seconds)
        chunks, self._chunks = self._chunks, []
        self._buffered = 0
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    async def _wait(self, seconds: float) -> None:
        if self._error is not None:
            raise self._error
        waiter = self._waiter = self._loop.create_future()
        self._until = self._loop.time() + seconds
        if self._timer is None or self._timer.when() > self._until:
            self._set_timer()
        try:
            await waiter
        finally:
            self._waiter = None

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._until, self._check_time)

    def _check_time(self) -> None:
        """One timer for many exchanges: when it rings, most of the time, the one that it was set for is long over."""
        self._timer = None
        if self._waiter is not None:
            if self._loop.time() >= self._until:
                self._fail(Expired())
            else:
                self._set_timer()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _fail(self, error: Exception) -> None:
        if self._error is None:
            self._error = error
        self.abort()
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(self._error)

    def abort(self) -> None:
        """Ends the connection at once; the store sees it and stops its work."""
        self.open = self.reusable = False
        if self._transport is not None:
            self._transport.abort()

    def give_back(self) -> None:
        """Returns it to the pool; dropped unless its answer has been read to the end."""
        self._pool.put(self)

    def drop(self) -> None:
        """Returns the place alone: nothing more of the answer is wanted."""
        self.abort()
        self._pool.put(self)

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass
        self.open = True

    def data_received(self, data: bytes) -> None:
        parser = self._parser
        if parser is None or self._done:
            self.abort()  # nobody asked
            return
        self._began = True
        if not self._head_done:
            self._head_bytes += len(data)
        try:
            parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._fail(Garbled())
            return
        if self._head_bytes > _MAX_HEAD_BYTES and not self._head_done:
            self._fail(Garbled())
        elif self._allowed is None:
            self._wake()
            held_back = self._paused or self._done  # what has come whole leaves the connection to the next answer
            if self._buffered > _BUFFER_BYTES and not held_back and self._transport is not None:
                self._paused = True
                self._transport.pause_reading()
        elif self._buffered > self._allowed:
            self._fail(TooLarge())
        elif self._came_whole():
            self._wake()

    def _came_whole(self) -> bool:
        return self._done

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self.open = self.reusable = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._parser is not None and not self._done:
            self._fail(Broken(self._began))
        self._transport = None
        self._pool.lost(self)

    # httptools; what is raised in a callback becomes an HttpParserCallbackError

    def on_message_begin(self) -> None:
        if self._done:
            raise ValueError("an answer that nobody asked for")

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        assert self._parser is not None
        self.status = self._parser.get_status_code()
        if self.status < 200:
            self.headers = {}
            return
        self._head_done = True
        length = self.headers.get("content-length")
        if length is not None and self._allowed is not None and int(length) > self._allowed:
            self._buffered = int(length)

    def on_body(self, body: bytes) -> None:
        self._buffered += len(body)
        if self._allowed is None or self._buffered <= self._allowed:
            self._chunks.append(body)

    def on_message_complete(self) -> None:
        assert self._parser is not None
        if self._head_done:
            self._done = True
            self.reusable = self.open and self._parser.should_keep_alive()
