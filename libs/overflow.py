"""Bytes in order, of which memory holds a few at the most: past them they are in a file.

The file has no name (where the system can do that), so nothing of it is left behind, however the process ends.
"""

from __future__ import annotations

import asyncio
import errno
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import IO, TypeVar

from libs.errors import HostMonitorError, UnavailableError

IN_MEMORY_BYTES = 4 << 20
PIECE_BYTES = 2 << 20
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
T = TypeVar("T")

# Of some bytes, and whether they are the last: how many of them, from the start, are whole records; 0 for none yet.
WholeUntil = Callable[[bytes, bool], int]


class Overflow:
    """Written once, then read from anywhere; `folder` is where the file goes, `size` how many bytes there are. Its methods
    raise UnavailableError (SPOOL_FULL) where the disk has no room, HostMonitorError where it fails."""

    def __init__(self, folder: Path, in_memory: int = IN_MEMORY_BYTES) -> None:
        self._folder, self._in_memory = folder, in_memory
        self._held = bytearray()
        self._file: IO[bytes] | None = None
        self.size = 0

    @property
    def small(self) -> bool:
        """Whether memory holds all of it."""
        return self.size <= self._in_memory

    async def write(self, data: bytes) -> None:
        """Adds bytes behind those that are there."""
        self._held += data
        self.size += len(data)
        # The file is written a piece at a time.
        if self.size > self._in_memory and (self._file is None or len(self._held) >= PIECE_BYTES):
            await self._flush()

    def whole(self) -> bytes:
        """All of it, where it is small."""
        return bytes(self._held)

    async def read(self, at: int, size: int) -> bytes:
        """At most `size` bytes from a place on."""
        if self._file is None:
            return bytes(self._held[at : at + size])
        if self._held:
            await self._flush()
        file = self._file

        def read() -> bytes:
            file.seek(at)
            return file.read(size)

        return await self._in_thread(read)

    async def pieces(self, whole_until: WholeUntil | None = None, size: int = PIECE_BYTES) -> AsyncIterator[bytes]:
        """All of it in pieces of some `size` bytes, each of whole records; a record that is longer makes its piece longer."""
        at, rest = 0, b""
        while at < self.size:  # the last piece is the rest, whatever it is
            read = await self.read(at, size)
            at += len(read)
            rest += read
            end = len(rest) if whole_until is None else await asyncio.to_thread(whole_until, rest, at >= self.size)
            if end:
                yield rest[:end]
                rest = rest[end:]

    def close(self) -> None:
        """Gives memory and disk back."""
        self._held = bytearray()
        if self._file is not None:
            self._file.close()

    async def _flush(self) -> None:
        data, self._held = self._held, bytearray()

        def write() -> IO[bytes]:
            if self._file is None:
                self._folder.mkdir(parents=True, exist_ok=True)
            # Open until `close`.
            file = self._file or tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115
            self._file = file
            file.seek(0, 2)
            file.write(data)
            return file

        await self._in_thread(write)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.to_thread(work)
        except OSError as error:
            if error.errno in _FULL:
                message = "The disk of the data folder has no room for the body or its answer."
                raise UnavailableError(message, code="SPOOL_FULL") from error
            raise HostMonitorError(f"A file of the service's own cannot be used: {error.strerror}.") from error
