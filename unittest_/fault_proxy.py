"""A proxy before a real store that fails as it is told: cuts after N bytes, hangs, drips, resets, answers something else.

The same fault meets every connection; setting one closes those that are open, so that no kept connection escapes it.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

_AT_ONCE = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends a reset


@dataclass(frozen=True)
class Fault:
    """What happens to a connection. `cut` bytes of the store's answers pass and then it ends, by a reset where `reset`;
    `drip` seconds pass before each single byte; `hang`: nothing is ever answered; `says`: these bytes answer every
    request instead of the store."""

    cut: int | None = None
    reset: bool = False
    drip: float = 0.0
    hang: bool = False
    says: bytes | None = None


HEALTHY = Fault()
HANG = Fault(hang=True)


class FaultProxy:
    """Since the last `set`: the first lines of `requests`, and in `passed` the most bytes of the store that one connection
    carried. `open` is the number of connections that are held open now."""

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        assert parts.hostname
        self._host, self._port = parts.hostname, parts.port or 80
        self._fault = HEALTHY
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.requests: list[str] = []
        self.passed = 0
        self.url = ""

    @property
    def open(self) -> int:
        return len(self._tasks)

    async def set(self, fault: Fault) -> None:
        """From now on every connection has this fault."""
        self._fault = fault
        await self._drop()
        self.requests.clear()
        self.passed = 0

    async def heal(self) -> None:
        await self.set(HEALTHY)

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        await self._drop()

    async def _drop(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._exchange(reader, writer, self._fault)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            self._tasks.discard(task)

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, fault: Fault) -> None:
        """Request by request; what the store says to one is passed on while it comes."""
        store: asyncio.Task[None] | None = None
        store_writer: asyncio.StreamWriter | None = None
        try:
            while True:
                request = await self._request(reader)
                if fault.hang:
                    continue
                if fault.says is not None:
                    writer.write(fault.says)
                    await writer.drain()
                    continue
                if store_writer is None:
                    store_reader, store_writer = await asyncio.open_connection(self._host, self._port)
                    store = asyncio.create_task(self._pass(store_reader, writer, fault))
                store_writer.write(request)
                await store_writer.drain()
        finally:
            if store is not None:
                store.cancel()
                await asyncio.gather(store, return_exceptions=True)
            if store_writer is not None:
                store_writer.close()

    async def _request(self, reader: asyncio.StreamReader) -> bytes:
        """One whole request; its body has a Content-Length."""
        head = await reader.readuntil(b"\r\n\r\n")
        self.requests.append(head.split(b"\r\n", 1)[0].decode())
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
        length = int(fields.get(b"content-length", b"0"))
        return head + (await reader.readexactly(length) if length else b"")

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, fault: Fault) -> None:
        room, passed = fault.cut, 0
        if room == 0:
            _end(writer, fault.reset)
            return
        while piece := await reader.read(65_536 if not fault.drip else 1):
            if fault.drip:
                await asyncio.sleep(fault.drip)
            if room is not None:
                piece = piece[:room]
                room -= len(piece)
            writer.write(piece)
            await writer.drain()
            passed += len(piece)
            self.passed = max(self.passed, passed)
            if room == 0:
                break
        _end(writer, fault.reset)


def _end(writer: asyncio.StreamWriter, reset: bool) -> None:
    if reset:
        raw = writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        writer.transport.abort()
    else:
        writer.close()


def http(status: int, body: bytes, content_type: str = "application/json", **headers: str) -> bytes:
    """A whole HTTP answer; `Content-Length` is the body's unless given, underscores in names are hyphens."""
    fields = {"Content-Type": content_type, "Content-Length": str(len(body))}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items() if value)
    return f"HTTP/1.1 {status} Said\r\n{lines}\r\n".encode() + body


@asynccontextmanager
async def faulty(target: str) -> AsyncIterator[FaultProxy]:
    proxy = FaultProxy(target)
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.stop()
