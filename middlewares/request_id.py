"""Which request it is: `X-Request-ID` and `traceparent`, taken where they are well formed, made where they are not; and whose.

Every answer bears both, also a 404 and the answer to a request that could not be read. Both are in the context
variables of libs/context, from where the stores get them.
"""

from __future__ import annotations

import os
import re
import time
from typing import Any

from sanic import Request
from sanic.exceptions import BadURL, URITooLong
from sanic.response import BaseHTTPResponse
from sanic_routing.route import Route

from libs.context import ANYBODY, principal_var, request_id_var, traceparent_var
from middlewares.auth import NOBODY
from middlewares.heads import check_head

REQUEST_ID = "x-request-id"
TRACEPARENT = "traceparent"

_REQUEST_ID = re.compile(r"[A-Za-z0-9-]{1,64}", re.ASCII)
# https://www.w3.org/TR/trace-context/: version, trace id, parent id, flags; later versions may add to the end.
_TRACEPARENT = re.compile(
    r"(?!ff)([0-9a-f]{2})-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?", re.ASCII
)
_NO_METHOD = "NONE"


class IdentifiedRequest(Request):
    """`Sanic(…, request_class=IdentifiedRequest)`. `started` is in seconds of time.perf_counter()."""

    def __init__(self, url_bytes: bytes, headers: Any, version: str, method: str, *args: Any, **options: Any) -> None:
        if method != _NO_METHOD:
            check_head(options["head"])
        try:
            super().__init__(url_bytes, headers, version, method, *args, **options)
        except (BadURL, URITooLong):
            if method != _NO_METHOD:
                raise
            # Sanic makes a request of no method to answer one that it could not read: with the same URL it would fail.
            super().__init__(b"*", headers, version, method, *args, **options)
        self.started = time.perf_counter()
        self.told = False
        self.principal = NOBODY
        principal_var.set(NOBODY)
        self.request_id = _valid_id(self.headers.get(REQUEST_ID)) or _new_id()
        request_id_var.set(self.request_id)
        self.traceparent = _valid_traceparent(self.headers.get(TRACEPARENT)) or new_traceparent()
        traceparent_var.set(self.traceparent)

    @property
    def route(self) -> Route | None:
        """The route that answers it. Sanic sets it before it reads a body, so that this is where the gate lets it in, or raises
        RequestError."""
        return self._route

    @route.setter
    def route(self, route: Route | None) -> None:
        self._route = route
        if route is not None and (gate := getattr(self.app.ctx, "gate", None)) is not None:
            self.principal = gate.admit(self, getattr(route.ctx, "policy", None))
            principal_var.set(self.principal)

    @property
    def id(self) -> str:
        """The request's id, as it was sent or made."""
        return self.request_id

    async def receive_body(self) -> None:
        """As Sanic's; a body that has come with its head is taken at once."""
        stream: Any = self.stream
        size, buffer = stream.request_bytes_left, stream.recv_buffer
        if stream.request_body is not True or not 0 < size <= min(len(buffer), stream.request_max_size):
            await super().receive_body()  # type: ignore[no-untyped-call]
            return
        self.body = bytes(buffer[:size])
        del buffer[:size]
        stream.request_bytes_left, stream.request_body = 0, None

    async def respond(self, response: BaseHTTPResponse | None = None, **options: Any) -> BaseHTTPResponse:
        """As Sanic's; whatever is answered bears the ids, and no browser takes it for another type than it says."""
        answer: BaseHTTPResponse = await super().respond(response, **options)
        answer.headers[REQUEST_ID] = self.request_id
        answer.headers[TRACEPARENT] = self.traceparent
        answer.headers["x-content-type-options"] = "nosniff"
        if self.principal is not NOBODY and self.principal is not ANYBODY:
            # A shared cache knows of Authorization, but not of X-API-Key.
            answer.headers.setdefault("cache-control", "private, no-store")
        return answer


def _new_id() -> str:
    """A random UUID (RFC 9562, version 4)."""
    digits = os.urandom(16).hex()
    return (
        f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{'89ab'[int(digits[16], 16) & 3]}{digits[17:20]}-{digits[20:]}"
    )


def new_traceparent() -> str:
    """A W3C trace context of our own, not sampled."""
    random = os.urandom(24).hex()
    return f"00-{random[:32]}-{random[32:]}-00"


def _valid_id(value: str | None) -> str | None:
    return value if value is not None and _REQUEST_ID.fullmatch(value) else None


def _valid_traceparent(value: str | None) -> str | None:
    """What may be passed on: as it was sent, for this service records no span of its own."""
    match = _TRACEPARENT.fullmatch(value) if value is not None and len(value) <= 256 else None
    # Version 00 ends behind the flags.
    return value if match and (match[1] != "00" or match[2] is None) else None
