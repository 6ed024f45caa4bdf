"""One request's cursor on the local engine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

import duckdb

from libs.context import RequestContext
from libs.errors import DeadlineError
from operator_.prepared import EngineCursor, Shelf
from query.sql import translate

T = TypeVar("T")


class Host(Protocol):
    """What sessions are opened on."""

    @property
    def memory(self) -> str: ...
    @property
    def threads(self) -> ThreadPoolExecutor: ...
    @property
    def shelf(self) -> Shelf: ...
    def cursor(self) -> duckdb.DuckDBPyConnection: ...


class Session:
    """One request's cursor. Calls run in the engine's threads, one at a time, until the request's deadline. `key`: what tells
    its statements and inputs from others; None for what does not come again."""

    def __init__(self, engine: Host, context: RequestContext, key: Hashable = None) -> None:
        self._engine, self._context, self._key = engine, context, key
        self._plain = key is None or not engine.shelf.comes_again(key)
        self._cursor = None if self._plain else engine.shelf.take(key)
        self._read = False

    @property
    def threads(self) -> ThreadPoolExecutor:
        return self._engine.threads

    def show(self, name: str, table: Any) -> bool:
        """Puts a table under a name that the cursor knows from requests before; False where it does not."""
        return self._cursor is not None and not self._cursor.plain and self._cursor.show(name, table)

    def done(self) -> None:
        """All that was asked for has been read, so that the cursor may serve another request."""
        self._read = True

    async def run(self, work: Callable[[EngineCursor], T]) -> T:
        """What `work` answers. Raises DeadlineError (the statement is interrupted then, and when the caller is
        cancelled), CostError past the engine's memory, RequestError for a number that does not fit."""
        left = self._context.remaining()
        job = self._engine.threads.submit(self._work, work)
        waiter = asyncio.wrap_future(job)
        waiter.add_done_callback(_look_at)
        try:
            # Not asyncio.wait_for: before Python 3.12 it loses a cancel that comes with the work's end.
            done, _ = await asyncio.wait({waiter}, timeout=left)
        except asyncio.CancelledError:
            await self._stop(job)
            raise
        if not done:
            await self._stop(job)
            raise DeadlineError("The deadline passed while the local engine worked.")
        try:
            return waiter.result()
        except duckdb.Error as error:
            raise translate(error, memory=self._engine.memory) from error

    def _work(self, work: Callable[[EngineCursor], T]) -> T:
        if self._cursor is None:
            self._cursor = EngineCursor(self._engine.cursor(), self._plain)
        return work(self._cursor)

    async def _stop(self, job: Future[T]) -> None:
        """Ends the work under way and waits until its thread is free. Between two statements an interrupt does nothing,
        so it is repeated."""
        while not job.cancel() and not job.done():
            if self._cursor is not None:
                self._cursor.interrupt()
            await asyncio.sleep(0.01)

    async def close(self) -> None:
        cursor, self._cursor = self._cursor, None
        if cursor is not None and self._read and not cursor.plain:
            self._engine.shelf.put(self._key, cursor)
        elif cursor is not None:
            await asyncio.get_running_loop().run_in_executor(self._engine.threads, cursor.close)


def _look_at(waiter: asyncio.Future[Any]) -> None:
    """An interrupted statement's error has been answered already."""
    if not waiter.cancelled():
        waiter.exception()
