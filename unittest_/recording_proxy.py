"""A proxy before a real store that notes what reached it: the proof that refused requests never did."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from unittest_.tcp_proxy import TcpProxy


class RecordingProxy(TcpProxy):
    """Passes bytes on unchanged; `received` holds what clients sent, since the last `clear`."""

    def __init__(self, target: str) -> None:
        super().__init__(target)
        self._received: list[bytes] = []

    @property
    def received(self) -> bytes:
        return b"".join(self._received)

    def clear(self) -> None:
        self._received.clear()

    async def exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        store_reader, store_writer = await self.store()
        try:
            await asyncio.gather(_pump(reader, store_writer, self._received), _pump(store_reader, writer, None))
        finally:
            store_writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, note: list[bytes] | None) -> None:
    while piece := await reader.read(65_536):
        if note is not None:
            note.append(piece)
        writer.write(piece)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


@asynccontextmanager
async def recording(target: str) -> AsyncIterator[RecordingProxy]:
    proxy = RecordingProxy(target)
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.stop()
