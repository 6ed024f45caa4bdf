"""A proxy before a real store that notes what reached it: the proof that refused requests never did."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit


class RecordingProxy:
    """Passes bytes on unchanged; `received` holds what clients sent, since the last `clear`."""

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        assert parts.hostname
        self._host, self._port = parts.hostname, parts.port or 80
        self._received: list[bytes] = []
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.url = ""

    @property
    def received(self) -> bytes:
        return b"".join(self._received)

    def clear(self) -> None:
        self._received.clear()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        store_reader, store_writer = await asyncio.open_connection(self._host, self._port)
        try:
            await asyncio.gather(_pump(reader, store_writer, self._received), _pump(store_reader, writer, None))
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            store_writer.close()
            writer.close()


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
