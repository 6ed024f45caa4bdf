"""Whole results on disk: an Arrow IPC stream each, with an index of its batches, within caps in bytes.

A result is under its name only once it is whole and on the disk; before that it is a part, and parts are thrown away.
All reading and writing is in threads.
"""

from __future__ import annotations

import asyncio
import errno
import os
from array import array
from bisect import bisect_right
from collections.abc import AsyncGenerator, Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import IO, TypeVar

from libs.arrow_ipc import ArrowStream
from libs.arrow_reading import DamagedArrow, read_batches
from libs.errors import ConfigError, CostError, StoreError
from libs.result import Batch, Schema

SOURCE = "jobs"
RESULT, INDEX, PART = ".arrows", ".index", ".part"
_END = b"\xff\xff\xff\xff\0\0\0\0"
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
T = TypeVar("T")


class Spools:
    """One folder of results. `most_each` and `most` are bytes: of one result, and of all."""

    def __init__(self, folder: Path, most_each: int, most: int) -> None:
        self.folder, self.most_each, self.most = folder, most_each, most
        self._sizes: dict[str, int] = {}

    @property
    def used(self) -> int:
        """Bytes of all results, those under way among them."""
        return sum(self._sizes.values())

    async def open(self, kept: Collection[str]) -> set[str]:
        """Makes the folder, and deletes whatever is no whole result of the names that are kept; answers the names that
        are there. Raises ConfigError: the folder cannot be used."""
        try:
            self._sizes = await asyncio.to_thread(_sweep, self.folder, kept)
        except OSError as error:
            raise ConfigError(f"{self.folder} cannot hold the results of jobs: {error.strerror}") from error
        return set(self._sizes)

    def check_room(self) -> None:
        """Raises StoreError (SPOOL_FULL) where not a byte more may be written."""
        if self.used >= self.most:
            raise _no_room(f"The results of jobs take {self.used} bytes, of {self.most} at the most.")

    def write(self, name: str, schema: Schema) -> SpoolWriter:
        """A result to be written; either `finish` or `abandon` ends it."""
        return SpoolWriter(self, name, schema)

    async def read(self, name: str, schema: Schema) -> SpoolReader:
        """Raises StoreError: it is gone, or damaged."""
        reader = SpoolReader(self.folder / name, schema)
        await in_thread(reader.open)
        return reader

    async def remove(self, name: str) -> None:
        """Whoever reads it meanwhile reads on. Raises StoreError."""
        await in_thread(partial(_unlink, self.folder / name))
        self._sizes.pop(name, None)

    def take(self, name: str, size: int) -> None:
        """Counts bytes that are about to be written. Raises CostError past the cap of one, StoreError past that of all."""
        mine = self._sizes.get(name, 0) + size
        if mine > self.most_each:
            raise CostError(
                f"The job's result is larger than {self.most_each} bytes.",
                hint="ask for fewer rows or columns, or raise jobs.result_bytes",
            )
        if self.used + size > self.most:
            raise _no_room(f"The results of jobs would take more than {self.most} bytes.")
        self._sizes[name] = mine


class SpoolWriter:
    """`rows` and `bytes` are what has been written so far."""

    def __init__(self, spools: Spools, name: str, schema: Schema) -> None:
        self.rows = self.bytes = 0
        self._spools, self._name = spools, name
        self._path = spools.folder / name
        self._stream = ArrowStream(schema)
        self._file: IO[bytes] | None = None
        # Where each batch starts: the rows before it and its first byte; the last pair is the end of all.
        self._index = array("Q")

    async def begin(self) -> None:
        """Raises StoreError."""
        await in_thread(self._open)
        await self._append(self._stream.start())

    async def write(self, batch: Batch) -> None:
        """Raises CostError, StoreError."""
        data = await in_thread(partial(self._stream.batch, batch))
        self._index.extend((self.rows, self.bytes))
        await self._append(data)
        self.rows += batch.length

    async def finish(self) -> None:
        """The result is whole, on the disk and under its name. Raises StoreError."""
        self._index.extend((self.rows, self.bytes))
        await self._append(self._stream.end())
        await in_thread(self._keep)

    async def abandon(self) -> None:
        """Nothing stays of it. Raises StoreError."""
        await in_thread(self._close)
        await self._spools.remove(self._name)

    async def _append(self, data: bytes) -> None:
        self._spools.take(self._name, len(data))
        await in_thread(partial(self._put, data))
        self.bytes += len(data)

    def _open(self) -> None:
        self._file = self._path.with_suffix(PART).open("xb")

    def _put(self, data: bytes) -> None:
        assert self._file is not None
        self._file.write(data)
        self._file.flush()

    def _keep(self) -> None:
        assert self._file is not None
        os.fsync(self._file.fileno())
        self._file.close()
        with self._path.with_suffix(INDEX).open("xb") as index:
            index.write(self._index.tobytes())
            index.flush()
            os.fsync(index.fileno())
        self._path.with_suffix(PART).rename(self._path.with_suffix(RESULT))
        _sync_folder(self._path.parent)

    def _close(self) -> None:
        if self._file is not None:
            with suppress(OSError):  # what could not be written before cannot be written now
                self._file.close()


class SpoolReader:
    """One whole result, held open: it can be read on while it is removed."""

    def __init__(self, path: Path, schema: Schema) -> None:
        self._path, self._schema = path, schema
        self._file: IO[bytes] | None = None
        self._rows = array("Q")
        self._places = array("Q")

    @property
    def rows(self) -> int:
        return self._rows[-1]

    def open(self) -> None:
        """Raises OSError, DamagedArrow."""
        pairs = array("Q")
        pairs.frombytes(self._path.with_suffix(INDEX).read_bytes())
        self._rows, self._places = pairs[::2], pairs[1::2]
        self._file = self._path.with_suffix(RESULT).open("rb")
        if not pairs or os.fstat(self._file.fileno()).st_size != self._places[-1] + len(_END):
            self._file.close()
            raise DamagedArrow("its size is not what its index says")

    async def batches(self, start: int = 0, count: int | None = None) -> AsyncGenerator[Batch]:
        """`count` rows behind the first `start`, or all behind them; closes the file. Raises StoreError."""
        stop = self.rows if count is None else min(start + count, self.rows)
        try:
            # The last batch that starts at or before the first row: empty ones share their start.
            at = max(bisect_right(self._rows, start) - 1, 0)
            while start < stop and at < len(self._rows) - 1:
                before = self._rows[at]
                for batch in await in_thread(partial(self._read, at)):
                    first, end = max(start - before, 0), min(stop - before, batch.length)
                    before += batch.length
                    if first < end:
                        start += end - first
                        yield batch if end - first == batch.length else batch.slice(first, end)
                at += 1
        finally:
            await self.close()

    async def close(self) -> None:
        if self._file is not None:
            file, self._file = self._file, None
            await in_thread(file.close)

    def _read(self, at: int) -> list[Batch]:
        assert self._file is not None
        file = self._file.fileno()
        first, last = self._places[at], self._places[at + 1]
        data = os.pread(file, self._places[0], 0) + os.pread(file, last - first, first)
        found = read_batches(self._schema, data + _END)
        if sum(batch.length for batch in found) != self._rows[at + 1] - self._rows[at]:
            raise DamagedArrow("a batch does not have the rows that the index says")
        return found


async def in_thread(work: Callable[[], T]) -> T:
    """What `work` answers; a caller that is cancelled waits until it has ended. Raises StoreError."""
    job = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        with _translated():
            return await asyncio.shield(job)
    except asyncio.CancelledError:
        await asyncio.wait({job})
        if not job.cancelled():
            job.exception()
        raise


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except DamagedArrow as error:
        raise StoreError(f"The job's result is damaged: {error}.", source=SOURCE) from error
    except FileNotFoundError as error:
        raise StoreError("The job's result is no longer on the disk.", source=SOURCE) from error
    except OSError as error:
        if error.errno in _FULL:
            raise _no_room("The disk of the data folder has no room for the job's result.") from error
        message = f"The job's result cannot be read or written: {error.strerror}."
        raise StoreError(message, source=SOURCE) from error


def _no_room(message: str) -> StoreError:
    return StoreError(message, code="SPOOL_FULL", source=SOURCE)


def _sweep(folder: Path, kept: Collection[str]) -> dict[str, int]:
    """The bytes of each whole result that is kept; everything else is deleted."""
    folder.mkdir(parents=True, exist_ok=True)
    there = {path.stem for path in folder.iterdir() if path.suffix == RESULT}
    there = {name for name in there & set(kept) if (folder / name).with_suffix(INDEX).exists()}
    for path in folder.iterdir():
        if path.stem not in there or path.suffix not in (RESULT, INDEX):
            path.unlink()
    return {name: (folder / name).with_suffix(RESULT).stat().st_size for name in there}


def _unlink(path: Path) -> None:
    for suffix in (PART, RESULT, INDEX):
        path.with_suffix(suffix).unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
