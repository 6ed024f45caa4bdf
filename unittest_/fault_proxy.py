"""A proxy before a real store that fails as it is told: cuts after N bytes, stalls, drips, resets, answers something else.

The same fault meets every connection; setting one closes those that are open, so that no kept connection escapes it.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from unittest_.tcp_proxy import TcpProxy

_AT_ONCE = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends a reset


@dataclass(frozen=True)
class Fault:
    """What happens to a connection. `cut` bytes of the store's answers pass and then it ends, by a reset where `reset`, or
    stays open in silence where `stall`; `drip` seconds pass before each single byte, `late` before each piece; `hang`:
    nothing is ever answered; `says`: these bytes answer every request instead of the store. The last two begin behind
    `after` requests that the store answers; `every`: only each so-manieth connection has the fault."""

    cut: int | None = None
    reset: bool = False
    stall: bool = False
    drip: float = 0.0
    late: float = 0.0
    hang: bool = False
    says: bytes | None = None
    after: int = 0
    every: int = 1


HEALTHY = Fault()
HANG = Fault(hang=True)


class FaultProxy(TcpProxy):
    """Since the last `set`: the first lines of `requests`, the number of `connections`, and in `passed` the most bytes of
    the store that one of them carried."""

    def __init__(self, target: str) -> None:
        super().__init__(target)
        self._fault = HEALTHY
        self.requests: list[str] = []
        self.connections = 0
        self.passed = 0

    async def set(self, fault: Fault) -> None:
        """From now on every connection has this fault."""
        self._fault = fault
        await self.drop()
        self.requests.clear()
        self.connections = 0
        self.passed = 0

    async def heal(self) -> None:
        await self.set(HEALTHY)

    async def exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Request by request; what the store says to one is passed on while it comes."""
        self.connections += 1
        fault = self._fault if self.connections % self._fault.every == 0 else HEALTHY
        store: asyncio.Task[None] | None = None
        store_writer: asyncio.StreamWriter | None = None
        try:
            while True:
                request = await self._request(reader)
                failing = len(self.requests) > fault.after
                if failing and fault.hang:
                    continue
                if failing and fault.says is not None:
                    writer.write(fault.says)
                    await writer.drain()
                    continue
                if store_writer is None:
                    store_reader, store_writer = await self.store()
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
            await _end(writer, fault)
            return
        while piece := await reader.read(65_536 if not fault.drip else 1):
            if fault.drip or fault.late:
                await asyncio.sleep(fault.drip or fault.late)
            if room is not None:
                piece = piece[:room]
                room -= len(piece)
            writer.write(piece)
            await writer.drain()
            passed += len(piece)
            self.passed = max(self.passed, passed)
            if room == 0:
                break
        await _end(writer, fault)


async def _end(writer: asyncio.StreamWriter, fault: Fault) -> None:
    if fault.stall:
        await asyncio.Event().wait()
    if fault.reset:
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
