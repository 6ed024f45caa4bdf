"""Serving one app from its start to the end of its drain, in an order of our own.

Sanic's `app.run` ignores SIGTERM between its start and its running forever, so a signal in those milliseconds is gone,
and begins to accept before the app is ready where it is asked to leave the loop to others. Here the signals are taken
before anything is open, connections are accepted when everything is, and a stop waits for the end of the start.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
from collections.abc import Callable
from typing import Any

from sanic import Sanic
from sanic.application.state import ApplicationServerInfo
from sanic.http.constants import HTTP
from sanic.server.loop import try_use_uvloop

from libs.errors import ConfigError
from middlewares.connection import StrictProtocol

BACKLOG = 1024
DRAIN_CHECK_SECONDS = 0.05


def listen(host: str, port: int) -> socket.socket:
    """A bound socket, so that a taken port is told before anything else happens; raises ConfigError."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(BACKLOG)
    except OSError as error:
        raise ConfigError(f"cannot listen at HOSTMONITOR_HOST={host}, HOSTMONITOR_PORT={port}: {error}") from None
    return listening


def run(make: Callable[[], Sanic[Any, Any]], listening: socket.socket) -> None:
    """Serves what `make` makes on the socket until SIGTERM or Ctrl-C, then lets requests finish for the app's
    GRACEFUL_SHUTDOWN_TIMEOUT seconds."""
    try_use_uvloop()
    asyncio.run(_serve(make, listening))


async def _serve(make: Callable[[], Sanic[Any, Any]], listening: socket.socket) -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    app = make()
    # Whose one version of HTTP lets Sanic leave an empty Alt-Svc out of its heads.
    app.state.server_info.append(ApplicationServerInfo(settings={"version": HTTP.VERSION_1}))
    # Sanic leaves its server's methods untyped.
    server: Any = await app.create_server(
        sock=listening,
        protocol=StrictProtocol,
        backlog=BACKLOG,
        access_log=False,
        asyncio_server_kwargs={"start_serving": False},
    )
    await server.startup()
    await server.before_start()
    await server.start_serving()
    await server.after_start()
    _calm_collector()
    await stopping.wait()
    gc.unfreeze()  # else what native libraries hold is reported as leaked at the end
    await server.before_stop()
    server.close()
    await _drain(server.connections, app.config.GRACEFUL_SHUTDOWN_TIMEOUT)
    await server.after_stop()


def _calm_collector() -> None:
    """What the start has made stays, so the garbage collector need not look at it again; and a request makes some thousand
    objects that no cycle holds: at Python's own threshold each went through several collections, a tenth of its time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


async def _drain(connections: set[Any], seconds: float) -> None:
    """Closes each connection when its answer is out, and what is left behind the time."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while connections and loop.time() < end:
        for connection in tuple(connections):
            connection.close_if_idle()
        await asyncio.sleep(DRAIN_CHECK_SECONDS)
    for connection in tuple(connections):
        connection.abort()
