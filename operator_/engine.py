"""The local engine: one in-memory DuckDB for what no store does, in a bounded pool of threads.

It never sees a file of the host, loads no extension, spills to its own folder, and each request has a cursor of its own
whose temporary tables end with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import duckdb

from libs.context import RequestContext
from libs.errors import DeadlineError
from query.sql import translate

T = TypeVar("T")
BATCH_ROWS = 10_000

_SETTINGS = (
    "SET autoinstall_known_extensions = false",
    "SET autoload_known_extensions = false",
    "SET allow_community_extensions = false",
    "SET python_enable_replacements = false",
    "SET enable_external_access = false",
    "SET lock_configuration = true",
)


class Session:
    """One request's cursor. Calls run in the engine's threads, one at a time, until the request's deadline."""

    def __init__(self, engine: Engine, context: RequestContext) -> None:
        self._engine, self._context = engine, context
        self._cursor: duckdb.DuckDBPyConnection | None = None

    async def run(self, work: Callable[[duckdb.DuckDBPyConnection], T]) -> T:
        """What `work` answers. Raises DeadlineError (the statement is interrupted then, and when the caller is
        cancelled), CostError past the engine's memory, RequestError for a number that does not fit."""
        left = self._context.remaining()
        job = self._engine.threads.submit(self._work, work)
        waiter = asyncio.wrap_future(job)
        waiter.add_done_callback(_look_at)
        try:
            return await asyncio.wait_for(asyncio.shield(waiter), left)
        except TimeoutError:
            await self._stop(job)
            raise DeadlineError("The deadline passed while the local engine worked.") from None
        except asyncio.CancelledError:
            await self._stop(job)
            raise
        except duckdb.Error as error:
            raise translate(error, memory=self._engine.memory) from error

    def _work(self, work: Callable[[duckdb.DuckDBPyConnection], T]) -> T:
        if self._cursor is None:
            self._cursor = self._engine.cursor()
        return work(self._cursor)

    async def _stop(self, job: Future[T]) -> None:
        """Ends the work under way and waits until its thread is free. Between two statements an interrupt does nothing,
        so it is repeated."""
        while not job.cancel() and not job.done():
            if self._cursor is not None:
                self._cursor.interrupt()
            await asyncio.sleep(0.01)

    async def close(self) -> None:
        if self._cursor is not None:
            cursor, self._cursor = self._cursor, None
            await asyncio.get_running_loop().run_in_executor(self._engine.threads, cursor.close)


def _look_at(waiter: asyncio.Future[Any]) -> None:
    """An interrupted statement's error has been answered already."""
    if not waiter.cancelled():
        waiter.exception()


class Engine:
    """`memory_mb` bounds all requests together; past it DuckDB spills to `spill_dir` where it can. `threads` is both the
    statements at a time and DuckDB's own parallelism."""

    def __init__(self, spill_dir: str | Path, memory_mb: int = 256, threads: int = 2, spill_mb: int = 4096) -> None:
        self.memory = f"{memory_mb} MB"
        self.threads = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="engine")
        folder = Path(spill_dir)
        folder.mkdir(parents=True, exist_ok=True)
        config: dict[str, Any] = {
            "memory_limit": f"{memory_mb}MB",
            "threads": threads,
            "temp_directory": str(folder),
            "max_temp_directory_size": f"{spill_mb}MB",
        }
        self._database = duckdb.connect(":memory:", config=config)
        for setting in _SETTINGS:
            self._database.execute(setting)

    def cursor(self) -> duckdb.DuckDBPyConnection:
        return self._database.cursor()

    @asynccontextmanager
    async def session(self, context: RequestContext) -> AsyncIterator[Session]:
        """A session that ends, temporary tables and all, with the block."""
        session = Session(self, context)
        try:
            yield session
        finally:
            await asyncio.shield(session.close())

    def close(self) -> None:
        """Waits for the threads, then drops the database."""
        self.threads.shutdown(wait=True, cancel_futures=True)
        self._database.close()
