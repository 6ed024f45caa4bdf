"""The local engine: one in-memory DuckDB for what no store does, in a bounded pool of threads.

It never sees a file of the host, loads no extension, spills to its own folder, and each request has a cursor of its own
whose temporary tables end with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Hashable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import duckdb

from libs.arrow import arrow_chunks, arrow_table
from libs.context import RequestContext
from libs.result import Batch
from operator_.base import Operator, close
from operator_.feed import feed
from operator_.prepared import EngineCursor, Shelf
from operator_.rows import BATCH_ROWS, Rows, batch_of
from operator_.session import Session
from query.sql import NULLED, SCALED, Check, OverflowedAggregate, Statement, fanned_out, too_many_joined

_SETTINGS = (
    "SET autoinstall_known_extensions = false",
    "SET autoload_known_extensions = false",
    "SET allow_community_extensions = false",
    "SET python_enable_replacements = false",
    "SET enable_external_access = false",
    # Inputs in Arrow look like one row to the planner, and a loop over that one row would be a loop over all of them.
    "SET GLOBAL asof_loop_join_threshold = 0",
    "SET lock_configuration = true",
)


class Engine:
    """`memory_mb` bounds all requests together; past it DuckDB spills to `spill_dir` where it can. `threads` is both the
    statements at a time and DuckDB's own parallelism."""

    def __init__(self, spill_dir: str | Path, memory_mb: int = 256, threads: int = 2, spill_mb: int = 4096) -> None:
        self.memory = f"{memory_mb} MB"
        self.threads = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="engine")
        self.folder = folder = Path(spill_dir)
        folder.mkdir(parents=True, exist_ok=True)
        config: dict[str, Any] = {
            "memory_limit": f"{memory_mb}MB",
            "threads": threads,
            "temp_directory": str(folder),
            "max_temp_directory_size": f"{spill_mb}MB",
        }
        self._database = duckdb.connect(":memory:", config=config)
        self.shelf = Shelf()
        for setting in _SETTINGS:
            self._database.execute(setting)

    def cursor(self) -> duckdb.DuckDBPyConnection:
        return self._database.cursor()

    async def run(
        self, statement: Statement, inputs: Mapping[str, Operator], context: RequestContext
    ) -> AsyncIterator[Batch]:
        """The statement's rows over the inputs, in batches, as they are pulled. Raises what the inputs raise, CostError
        past the limit of groups or the engine's memory, DeadlineError, RequestError for a number that does not fit."""
        limits = {"groups": context.limits.groups, "joined": context.limits.joined_rows}
        key = None if statement.whole else (statement.sql, tuple((name, one.schema) for name, one in inputs.items()))
        async with self.session(context, key) as session:
            await feed(session, inputs, context)
            rows, batch = await _begun(session, statement, limits, context)
            while batch.length:
                if batch.length < BATCH_ROWS and not statement.whole:
                    session.done()
                    yield batch
                    return
                yield batch
                batch = await session.run(rows.next)

    async def run_each(
        self, statement: Statement, inputs: Mapping[str, Operator], context: RequestContext
    ) -> AsyncIterator[Batch]:
        """As `run`, for a statement over one input whose rows depend on one row each: batch by batch, so that it holds one
        at a time, keeps their order, and pulls no more than is pulled from it."""
        ((name, operator),) = inputs.items()
        async with self.session(context) as session:
            stream = operator.execute(context)
            try:
                async for batch in stream:
                    found = await session.run(partial(_over, statement=statement, name=name, batch=batch))
                    if found.length:
                        yield found
            finally:
                await close(stream)

    @asynccontextmanager
    async def session(self, context: RequestContext, key: Hashable = None) -> AsyncIterator[Session]:
        """A session that ends, temporary tables and all, with the block."""
        session = Session(self, context, key)
        try:
            yield session
        finally:
            await asyncio.shield(session.close())

    def close(self) -> None:
        """Waits for the threads, then drops the database."""
        self.threads.shutdown(wait=True, cancel_futures=True)
        self.shelf.clear()
        self._database.close()


async def _begun(
    session: Session, statement: Statement, limits: dict[str, int], context: RequestContext
) -> tuple[Rows, Batch]:
    """The first rows, of a further try where a float aggregate is past the greatest double."""
    with suppress(OverflowedAggregate):
        return await _begin(session, statement, limits)
    try:
        return await _begin(session, statement, {**limits, **SCALED})
    except OverflowedAggregate as error:
        error.warn(context)
        return await _begin(session, statement, {**limits, **NULLED})


async def _begin(session: Session, statement: Statement, limits: Mapping[str, int]) -> tuple[Rows, Batch]:
    """The first rows, once the checks have passed."""
    for check in statement.checks:
        await session.run(partial(_pass, check=check, limits=limits))
    params = _limited(statement.params, limits)
    return await session.run(partial(_first, statement=statement, params=params))


def _limited(params: Mapping[str, Any], limits: Mapping[str, int]) -> dict[str, Any]:
    return {name: limits.get(name, value) for name, value in params.items()}


def _pass(cursor: EngineCursor, check: Check, limits: Mapping[str, int]) -> None:
    """Raises RequestError (JOIN_FANOUT), CostError for too many joined rows."""
    if check.first is not None:
        sql, values = check.first
        if cursor.execute(sql, _limited(values, limits)).fetchone() is None:
            return
    params = _limited(check.params, limits)
    if cursor.execute(check.sql, params).fetchone() is None:
        return
    if check.figure is None:
        raise fanned_out(check.alias, check.at)
    params.pop("joined")
    found = cursor.execute(check.figure, params).fetchone()
    raise too_many_joined(check.alias, check.at, int(found[0]) if found else 0, limits["joined"])


def _first(cursor: EngineCursor, statement: Statement, params: Mapping[str, Any]) -> tuple[Rows, Batch]:
    rows = Rows(cursor, statement, params)
    return rows, rows.next(cursor)


def _over(cursor: EngineCursor, statement: Statement, name: str, batch: Batch) -> Batch:
    if not batch.length:
        return batch_of(statement.schema, [])
    cursor.register(name, arrow_table(batch.schema, arrow_chunks(batch)))
    return batch_of(statement.schema, cursor.execute(statement.sql, statement.params).fetchall())
