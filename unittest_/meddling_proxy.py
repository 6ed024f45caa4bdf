"""A recording proxy that lets a test do something just before a request reaches the store: what happens between two of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from unittest_.tcp_proxy import TcpProxy

Meddle = Callable[[], Awaitable[None]]


class MeddlingProxy(TcpProxy):
    """`received` holds what clients sent since the last `clear`. What `before` was given is done once."""

    def __init__(self, target: str) -> None:
        super().__init__(target)
        self._received: list[bytes] = []
        self._mark = b""
        self._left = 0
        self._meddle: Meddle | None = None

    @property
    def received(self) -> bytes:
        return b"".join(self._received)

    def clear(self) -> None:
        self._received.clear()
        self._meddle = None

    def before(self, mark: bytes, meddle: Meddle, skip: int = 0) -> None:
        """Forgets what was received; `meddle` is done when a request with the mark in its first line has come, the first
        `skip` of them apart, before it is passed on. An error of it ends the connection."""
        self.clear()
        self._mark, self._meddle, self._left = mark, meddle, skip

    async def exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        store_reader, store_writer = await self.store()
        try:
            await asyncio.gather(self._pass_on(reader, store_writer), _pump(store_reader, writer))
        finally:
            store_writer.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(65_536):
            meddle = self._meddle
            if meddle is not None and self._mark in piece.split(b"\r\n", 1)[0]:
                self._left -= 1
                if self._left < 0:
                    self._meddle = None
                    await meddle()
            self._received.append(piece)
            writer.write(piece)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(65_536):
        writer.write(piece)
        await writer.drain()


@asynccontextmanager
async def meddling(target: str) -> AsyncIterator[MeddlingProxy]:
    proxy = MeddlingProxy(target)
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.stop()
