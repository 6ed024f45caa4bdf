"""Kept connections to one address, and who waits for one."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque

from libs.http_connection import Connection

KEPT_SECONDS = 30.0
_CONNECT_SECONDS = 10.0


class Pool:
    """At most `limit` connections to one address; who comes when all are out waits in line."""

    def __init__(self, host: str, port: int, tls: ssl.SSLContext | None, limit: int) -> None:
        self._host, self._port, self._tls, self._limit = host, port, tls, limit
        self._loop = asyncio.get_running_loop()
        self._idle: list[Connection] = []
        self._line: deque[asyncio.Future[Connection | None]] = deque()
        self._count, self._closed = 0, False

    def kept(self) -> Connection | None:
        """A connection that is open and idle, if there is one."""
        while self._idle:
            connection = self._idle.pop()
            if connection.open and self._loop.time() - connection.idle_since < KEPT_SECONDS:
                return connection
            connection.abort()
            self._count -= 1
        return None

    async def get(self) -> Connection:
        """A connection: a kept one, a new one, or the next that comes back. Raises OSError when none can be made."""
        connection = self.kept()
        if connection is not None:
            return connection
        if self._count >= self._limit:
            connection = await self._next()
            if connection is not None:
                return connection
        else:
            self._count += 1
        opened: Connection | None = None
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                _, opened = await self._loop.create_connection(
                    lambda: Connection(self), self._host, self._port, ssl=self._tls
                )
            return opened
        finally:
            if opened is None:
                self._leave()

    def put(self, connection: Connection) -> None:
        """Takes a connection back after its exchange; one whose answer was not read to its end is dropped."""
        if not connection.reusable or self._closed:
            connection.abort()
            self._leave()
            return
        while self._line:
            waiter = self._line.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return
        connection.idle_since = self._loop.time()
        self._idle.append(connection)

    def lost(self, connection: Connection) -> None:
        """Forgets an idle connection that the store has closed."""
        if connection in self._idle:
            self._idle.remove(connection)
            self._count -= 1

    def drop_idle(self) -> None:
        for connection in self._idle:
            connection.abort()
        self._count -= len(self._idle)
        self._idle.clear()

    def close(self) -> None:
        self._closed = True
        self.drop_idle()

    async def _next(self) -> Connection | None:
        """The next connection that comes back, or None with the right to open one."""
        waiter: asyncio.Future[Connection | None] = self._loop.create_future()
        self._line.append(waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                given = waiter.result()
                self._leave() if given is None else self.put(given)
            raise

    def _leave(self) -> None:
        """Gives up a place: to the first in line, if there is one."""
        while self._line:
            waiter = self._line.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        self._count -= 1
