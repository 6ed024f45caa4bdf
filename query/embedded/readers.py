"""Reading: cursors in a bounded pool of threads, one DuckDB thread each, interrupted on cancel and deadline.

A cursor belongs to one query until it has been read to the end or dropped; only its working steps occupy a thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import duckdb

from libs.arrow_rows import Params, arrow_stream
from libs.context import RequestContext
from libs.errors import DeadlineError, HostMonitorError
from query.sql import engine_error

Cursor = duckdb.DuckDBPyConnection
Row = tuple[Any, ...]
T = TypeVar("T")

MAX_OPEN = 64  # queries under way at once; more wait within their deadline


class TablesChanged(Exception):
    """The statement names tables or columns that are no longer there: it was made before a change."""


class Reader:
    """One query's cursor. Its methods raise DeadlineError past the deadline, TablesChanged, and what the engine's errors
    translate to."""

    def __init__(self, pool: Readers, cursor: Cursor, context: RequestContext, source: str) -> None:
        self._pool, self._cursor, self._context, self._source = pool, cursor, context, source
        self._arrays: Any = iter(())

    def interrupt(self) -> None:
        self._cursor.interrupt()

    async def execute(self, sql: str, params: Params = ()) -> None:
        await self._step(lambda: self._cursor.execute(sql, params))

    async def fetch(self, count: int) -> list[Row]:
        """At most `count` further rows; none at the end."""
        return await self._step(lambda: self._cursor.fetchmany(count))

    async def execute_arrow(self, sql: str, params: Params, rows: int) -> None:
        """As `execute`, for a statement whose rows `fetch_array` answers, so many at a time."""
        await self._step(lambda: self._open(sql, params, rows))

    def _open(self, sql: str, params: Params, rows: int) -> None:
        self._arrays = iter(arrow_stream(self._cursor, sql, params, rows))

    async def fetch_array(self) -> Any | None:
        """Further rows as an Arrow struct array (nanoarrow's); None at the end."""
        return await self._step(self._next_array)

    def _next_array(self) -> Any:
        try:
            return next(self._arrays, None)
        except RuntimeError as error:  # nanoarrow's, of an engine's text
            raise engine_error(str(error)) from error

    async def all(self, sql: str, params: Params = ()) -> list[Row]:
        """Every row of a statement whose answer is small."""
        return await self._step(lambda: self._cursor.execute(sql, params).fetchall())

    async def _step(self, work: Callable[[], T]) -> T:
        left = self._context.remaining(self._source)
        running = self._pool.threads.submit(work)
        try:
            done, _ = await asyncio.wait({_awaited(running)}, timeout=left)
        except asyncio.CancelledError:
            await self._stop(running)
            raise
        if not done:
            await self._stop(running)
            raise DeadlineError("The query was not done within the deadline.", source=self._source)
        try:
            return running.result()
        except (duckdb.BinderException, duckdb.CatalogException) as error:
            raise TablesChanged(str(error)) from error
        except duckdb.Error as error:
            raise self._pool.translate(error, self._source) from error

    async def _stop(self, running: Future[T]) -> None:
        """Interrupts the step and waits until its thread is free again (an interrupt before its start has no effect)."""
        while not running.cancel() and not running.done():
            self._cursor.interrupt()
            await asyncio.wait({_awaited(running)}, timeout=0.05)


def _awaited(running: Future[T]) -> asyncio.Future[T]:
    """For waiting alone; what it ends with is asked of `running`."""
    future = asyncio.wrap_future(running)
    future.add_done_callback(lambda done: done.cancelled() or done.exception())
    return future


class Readers:
    def __init__(
        self,
        open_cursor: Callable[[], Cursor],
        translate: Callable[[duckdb.Error, str], HostMonitorError],
        threads: int,
    ) -> None:
        self.threads = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="embedded-reader")
        self.translate = translate
        self._keep = 2 * threads
        self._open_cursor = open_cursor
        self._idle: list[Cursor] = []
        self._active: set[Reader] = set()
        self._slots = asyncio.Semaphore(MAX_OPEN)

    @asynccontextmanager
    async def reader(self, context: RequestContext, source: str) -> AsyncIterator[Reader]:
        """A cursor for one query. Raises DeadlineError when none becomes free in time."""
        try:
            async with asyncio.timeout(context.remaining(source)):
                await self._slots.acquire()
        except TimeoutError:
            raise DeadlineError("The store was too busy to start within the deadline.", source=source) from None
        clean = False
        cursor = reader = None
        try:
            cursor = self._idle.pop() if self._idle else self._open_cursor()
            reader = Reader(self, cursor, context, source)
            self._active.add(reader)
            yield reader
            clean = True
        finally:
            if reader is not None:
                self._active.discard(reader)
            if cursor is not None:
                self._give_back(cursor, clean)
            self._slots.release()

    def _give_back(self, cursor: Cursor, clean: bool) -> None:
        """A cursor whose query ended early still holds its result, so it is not used again."""
        if clean and len(self._idle) < self._keep:
            self._idle.append(cursor)
        else:
            cursor.close()

    def forget_cursors(self) -> None:
        """Closes idle cursors: the engine below is about to be opened anew, or closed."""
        while self._idle:
            self._idle.pop().close()

    def close(self) -> None:
        """Ends the queries under way."""
        for reader in self._active:
            reader.interrupt()
        self.threads.shutdown(wait=True, cancel_futures=True)
        self.forget_cursors()
