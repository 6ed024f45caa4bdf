"""What a connection must keep to before a request is made of it: strict heads, sizes and times (T14, T15).

Sanic 25.12 takes a space before a header's colon, control characters in values, two Hosts or none, `0x5` as a chunk's
size; and its timeouts are idle ones, which any byte sets back. Two readers of one byte stream that disagree are how
requests are smuggled past a gateway, so whatever is doubtful is answered 400 and the connection closed (RFC 9112, 3 to 7).
"""

from __future__ import annotations

import re
import time
from typing import Any, cast

from sanic import HTTPResponse
from sanic.exceptions import RequestTimeout
from sanic.http import Http, Stage
from sanic.server.protocols.http_protocol import HttpProtocol

from libs.errors import RequestError
from middlewares.heads import DECIMAL, answer_head, usual_head
from middlewares.peers import Peers, peer_of

HEAD_SECONDS = 10.0
BODY_GRACE_SECONDS = 10.0
BODY_BYTES_PER_SECOND = 1024
REFUSED_SECONDS = 1

_HEXADECIMAL = re.compile(r"[0-9A-Fa-f]{1,15}", re.ASCII)


class StrictHttp(Http):
    """Sanic's reader of requests, with lengths that are digits and nothing else."""

    @staticmethod
    def _safe_int(value: str, base: int = 10) -> int:
        if not (_HEXADECIMAL if base == 16 else DECIMAL).fullmatch(value):
            raise ValueError(value)
        return int(value, base)

    async def http1_request_header(self) -> None:
        """Reads a head; one that is usual, and there whole, without Sanic's way through it."""
        if cast(StrictProtocol, self.protocol).refused:
            self.keep_alive = False
            raise RequestError(
                "There are too many connections from this address.",
                code="RATE_LIMITED",
                hint="keep connections open and use them again",
                retry_after=REFUSED_SECONDS,
            )
        end = self.recv_buffer.find(b"\r\n\r\n")
        head = bytes(self.recv_buffer[:end]) if 0 < end < self.HEADER_MAX_SIZE else b""
        usual = usual_head(head) if head else None
        if usual is None:
            await super().http1_request_header()  # type: ignore[no-untyped-call]
            return
        protocol: Any = self.protocol
        self.url = usual.target.decode()
        self.keep_alive, self.head_only, self.upgrade_websocket = True, False, False
        request = protocol.request_class(
            url_bytes=usual.target,
            headers=usual.headers,
            head=head,
            version="1.1",
            method=usual.method,
            transport=protocol.transport,
            app=protocol.app,
        )
        protocol.request_class._current.set(request)
        self.request_bytes_left = self.request_bytes = usual.length or 0
        self.request_body = usual.length is not None  # type: ignore[assignment]  # Sanic's own values for it
        del self.recv_buffer[: end + 4]
        self.request, request.stream = request, self
        protocol.state["requests_count"] += 1

    async def http1_response_header(self, data: bytes, end_stream: bool) -> None:
        """Sends an answer's head; a whole answer on a connection that stays goes in one piece, made at once."""
        answer, protocol = self.response, cast(StrictProtocol, self.protocol)
        if type(answer) is HTTPResponse and answer.body and not data and self._is_usual():
            head = answer_head(answer, len(answer.body))
            if head is not None:
                self.response_size = len(answer.body)
                self.response_func = None  # type: ignore[assignment]  # Sanic's own sign of the end
                await protocol.send_now(head + answer.body)
                self.stage = Stage.IDLE
                return
        await super().http1_response_header(data, end_stream)

    def _is_usual(self) -> bool:
        """Whether the connection stays, and the client waits for a body and nothing before it."""
        return self.keep_alive and not self.head_only and not self.expecting_continue

    async def error_response(self, exception: Exception) -> None:
        """Answers what went wrong outside of a handler, and tells of it as of every answer."""
        await super().error_response(exception)
        cast(StrictProtocol, self.protocol).answered(self.request, self.response)


class StrictProtocol(HttpProtocol):
    """A connection that gives a head ten seconds in all, and a body a kilobyte a second once it has had its grace."""

    HTTP_CLASS = StrictHttp
    __slots__ = (
        "_body_bytes",
        "_body_started",
        "_handle",
        "_head_started",
        "_head_timer",
        "_peer",
        "_reading",
        "_tell",
        "refused",
    )

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._head_started = 0.0
        self._head_timer: Any = None
        self._reading: Any = None
        self._body_started = 0.0
        self._body_bytes = 0
        self._peer: str | None = None
        self.refused = False

    def connection_made(self, transport: Any) -> None:
        """Called by the loop. One connection too many of an address gets an answer to what it sends first, or is closed."""
        super().connection_made(transport)  # type: ignore[no-untyped-call]  # Sanic leaves it untyped
        peers: Peers | None = getattr(self.app.ctx, "peers", None)
        if peers is None:
            return
        peer = peer_of(transport)
        if peers.enter(peer):
            self._peer = peer
        else:
            self.refused = True
            self.loop.call_later(REFUSED_SECONDS, self.abort)

    def _setup(self) -> None:
        super()._setup()  # type: ignore[no-untyped-call]  # Sanic leaves it untyped
        self._tell = getattr(self.app.ctx, "answered", None)
        self._handle = self.app.handle_request
        self.request_handler = self._handle_and_tell

    async def _handle_and_tell(self, request: Any) -> None:
        await self._handle(request)
        self.answered(request, request.stream.response)

    def answered(self, request: Any, response: Any) -> None:
        """Tells `app.ctx.answered` of an answer, once. Sanic's signal for it takes as long as the telling."""
        if self._tell is not None and response is not None and not request.told:
            request.told = True
            self._tell(request, response)

    async def send_now(self, data: bytes) -> None:
        """As `send`, at once where the client reads."""
        transport = self.transport
        if transport is None or transport.is_closing() or not self._can_write.is_set():
            await self.send(data)  # type: ignore[no-untyped-call]
            return
        transport.write(data)
        self._time = time.monotonic()

    def goes_on(self) -> None:
        """Told by a handler that works through a long body: the time that it has to answer begins anew."""
        self._time = time.monotonic()

    def data_received(self, data: bytes) -> None:
        """Called by the loop with what has arrived."""
        # The connection's task makes it; the loop may hand over the first bytes before it runs that.
        http = getattr(self, "_http", None)
        if http is not None and http.request_body:
            # Also what is left of a body behind its answer, when Sanic calls itself idle already.
            self._note_body(http, len(data))
        elif http is None or http.stage is Stage.IDLE:
            self._head_started = time.monotonic()
            if self._head_timer is None:
                self._head_timer = self.loop.call_later(HEAD_SECONDS, self._check_head)
        super().data_received(data)

    def _check_head(self) -> None:
        """One timer a connection: cuts a head that is late, or looks again when the present one's time is over."""
        self._head_timer = None
        if self._http is None or self._http.stage is not Stage.REQUEST:
            return
        left = self._head_started + HEAD_SECONDS - time.monotonic()
        if left <= 0.01:
            self._cut("The head did not arrive in time.")
        else:
            self._head_timer = self.loop.call_later(left, self._check_head)

    def _note_body(self, http: Any, size: int) -> None:
        now = time.monotonic()
        if http.request is not self._reading:
            self._reading, self._body_started, self._body_bytes = http.request, now, 0
        self._body_bytes += size
        over = now - self._body_started - BODY_GRACE_SECONDS
        if over > 0 and self._body_bytes < over * BODY_BYTES_PER_SECOND:
            self._cut("The body arrives too slowly.")

    def _cut(self, why: str) -> None:
        if self._http is not None and self._task is not None:
            self._http.exception = RequestTimeout(why)
            self._task.cancel()

    def connection_lost(self, error: Exception | None) -> None:
        """Called by the loop when the connection is gone."""
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
        self._reading = None
        if self._peer is not None:
            self.app.ctx.peers.leave(self._peer)
            self._peer = None
        super().connection_lost(error)  # type: ignore[no-untyped-call]  # Sanic leaves it untyped
