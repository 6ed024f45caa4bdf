"""What is noted of every answered request, when its end is out: the access line and the metrics."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from sanic import Request, Sanic
from sanic.response import BaseHTTPResponse

from libs.observe import Metrics

WriteLine = Callable[[dict[str, Any]], None]


def install(app: Sanic[Any, Any], metrics: Metrics, write_line: WriteLine) -> None:
    """Note every answer of the app (StrictProtocol calls it). A handler that streams counts its bytes in
    `request.ctx.bytes_sent`."""

    def note(request: Any, response: BaseHTTPResponse) -> None:
        seconds = time.perf_counter() - request.started
        route = request.route.name.rpartition(".")[2] if request.route else "unmatched"
        size = _size(request, response)
        metrics.request(route, request.method, response.status, seconds, size)
        metrics.caller(request.principal.name)
        write_line(
            {
                "event": "request",
                "method": request.method,
                "path": _path(request),
                "status": response.status,
                "bytes": size,
                "ms": round(seconds * 1000, 3),
                "route": route,
                "caller": request.principal.name,
                "client": request.conn_info.client_ip if request.conn_info else "",
                "traceparent": request.traceparent,
            }
        )

    app.ctx.answered = note


def _size(request: Request, response: BaseHTTPResponse) -> int:
    """The body's bytes, without the marks of a chunked transfer."""
    if request.method == "HEAD":
        return 0
    # Its context is made when it is first asked for.
    streamed: int = getattr(request.ctx, "bytes_sent", 0) if request._ctx else 0
    return streamed or len(response.body or b"")


def _path(request: Request) -> str:
    """The path as it was sent; the query string may hold what no log should."""
    return request.raw_url.partition(b"?")[0].decode("ascii", "backslashreplace")
