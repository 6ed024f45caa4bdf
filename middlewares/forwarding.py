"""Answers of other replicas: what one of them holds is asked of it, and its answer passed on as it comes.

The caller's own headers go with the request, so that the other replica knows and checks the caller by itself.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

from sanic import HTTPResponse, Request, Sanic

from libs.context import RequestContext, request_id_var, traceparent_var
from libs.errors import StoreError
from libs.http import HttpClient, StreamedAnswer
from libs.replicas import OnReplica, Replicas
from libs.rest import Api
from libs.rest.api import Endpoint
from libs.rest.handlers import Handler
from middlewares.stream import send_pieces

FORWARDED = "x-hm-replica"
_CONNECTIONS = 64
# Of one connection alone, or made anew for the other.
_HOP = {"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}
_MADE_ANEW = _HOP | {"accept-encoding", "content-length", "content-type", "date", "expect", "host"}
# A browser's Origin is of the replica that it asked, which has checked it.
_MADE_ANEW |= {"origin", "traceparent", "x-request-id"}


def forward(app: Sanic[Any, Any], api: Api, replicas: Replicas) -> None:
    """Has every endpoint of an api that is not mounted yet answer for other replicas too, where there are some."""
    if not replicas.urls:
        return
    # A page, and each piece of a stream, has as long as Sanic waits here: the other replica's own deadlines come first.
    forwarding, before = Forwarding(replicas, app.config.RESPONSE_TIMEOUT), api.around

    def around(endpoint: Endpoint, handler: Handler) -> Handler:
        return forwarding.around(before(endpoint, handler) if before else handler)

    api.around = around

    @app.after_server_stop
    async def close(app: Sanic[Any, Any]) -> None:
        await forwarding.close()


class Forwarding:
    """Asks the replica that has it, and waits `seconds` for each piece of its answer. Raises ConfigError for an address that
    cannot be used."""

    def __init__(self, replicas: Replicas, seconds: float) -> None:
        self._seconds = seconds
        self._own = str(replicas.own)
        self._clients = [
            HttpClient(f"replica-{number}", url, connections=_CONNECTIONS) for number, url in enumerate(replicas.urls)
        ]

    def around(self, handler: Handler) -> Handler:
        """A handler whose OnReplica is answered here."""

        async def handle(request: Request, **arguments: Any) -> HTTPResponse | None:
            try:
                return await handler(request, **arguments)
            except OnReplica as elsewhere:
                await self._pass_on(request, elsewhere.number)
                return None

        return handle

    async def close(self) -> None:
        for client in self._clients:
            await client.close()

    async def _pass_on(self, request: Request, number: int) -> None:
        client = self._clients[number]
        if FORWARDED in request.headers:
            message = f"{client.name!r} is asked for what it does not have: the replicas' settings differ."
            raise StoreError(message, source=client.name)
        path = request.path + ("?" + request.query_string if request.query_string else "")
        context = RequestContext(id=request_id_var.get(), traceparent=traceparent_var.get(), deadline=self._deadline())
        async with client.stream(
            request.method,
            path,
            context,
            body=request.body or None,
            content_type=request.headers.get("content-type", "application/json"),
            headers=_kept(request.headers) | {FORWARDED: self._own},
            expect=None,
            checked=False,
        ) as answer:
            content_type = answer.headers.get("content-type", "")
            pieces = self._pieces(answer, context)
            await send_pieces(request, answer.status, pieces, content_type, _kept(answer.headers))

    async def _pieces(self, answer: StreamedAnswer, context: RequestContext) -> AsyncIterator[bytes]:
        context.deadline = self._deadline()
        async for piece in answer.chunks():
            yield piece
            context.deadline = self._deadline()

    def _deadline(self) -> float:
        return time.monotonic() + self._seconds


def _kept(headers: Mapping[str, str]) -> dict[str, str]:
    """Those that go on; what a header cannot carry in plain text no route of ours reads."""
    return {
        name: value
        for name, value in headers.items()
        if name.lower() not in _MADE_ANEW and value.isascii() and value.isprintable()
    }
