"""What a connection must keep to before a request is made of it: strict heads, sizes and times (T14, T15).

Sanic 25.12 takes a space before a header's colon, control characters in values, two Hosts or none, `0x5` as a chunk's
size; and its timeouts are idle ones, which any byte sets back. Two readers of one byte stream that disagree are how
requests are smuggled past a gateway, so whatever is doubtful is answered 400 and the connection closed (RFC 9112, 3 to 7).
"""

from __future__ import annotations

import re
import time
from typing import Any

from sanic.exceptions import BadRequest, RequestTimeout
from sanic.http import Http, Stage
from sanic.server.protocols.http_protocol import HttpProtocol

HEAD_SECONDS = 10.0
BODY_GRACE_SECONDS = 10.0
BODY_BYTES_PER_SECOND = 1024

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_HEAD = re.compile(
    _TOKEN + rb" [\x21-\x7e]+ HTTP/1\.(?P<minor>[01])(?P<fields>(?:\r\n" + _TOKEN + rb":[\t\x20-\x7e\x80-\xff]*)*)"
)
_FRAMING = re.compile(rb"\r\n(host|content-length|transfer-encoding):[ \t]*([^\r]*)", re.IGNORECASE)
_DECIMAL = re.compile(r"[0-9]{1,18}", re.ASCII)
_HEXADECIMAL = re.compile(r"[0-9A-Fa-f]{1,15}", re.ASCII)


def check_head(head: bytes) -> None:
    """Raises BadRequest for a head that two readers could take for different requests."""
    match = _HEAD.fullmatch(head)
    if match is None:
        raise BadRequest("The request's head is malformed.")
    found: dict[bytes, bytes] = {}
    for name, value in _FRAMING.findall(match["fields"]):
        name = name.lower()
        if name in found:
            raise BadRequest(f"The header {name.decode()} is there twice.")
        found[name] = value.strip()
    if match["minor"] == b"1" and not found.get(b"host"):
        raise BadRequest("The header host is missing.")
    if b"transfer-encoding" in found:
        if b"content-length" in found or match["minor"] == b"0":
            raise BadRequest("The body's length is told in two ways.")
        if found[b"transfer-encoding"].lower() != b"chunked":
            raise BadRequest("The only transfer-encoding taken is chunked.")


class StrictHttp(Http):
    """Sanic's reader of requests, with lengths that are digits and nothing else."""

    @staticmethod
    def _safe_int(value: str, base: int = 10) -> int:
        if not (_HEXADECIMAL if base == 16 else _DECIMAL).fullmatch(value):
            raise ValueError(value)
        return int(value, base)


class StrictProtocol(HttpProtocol):
    """A connection that gives a head ten seconds in all, and a body a kilobyte a second once it has had its grace."""

    HTTP_CLASS = StrictHttp
    __slots__ = ("_body_bytes", "_body_started", "_head_started", "_head_timer", "_reading")

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._head_started = 0.0
        self._head_timer: Any = None
        self._reading: Any = None
        self._body_started = 0.0
        self._body_bytes = 0

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
        super().connection_lost(error)  # type: ignore[no-untyped-call]  # Sanic leaves it untyped
