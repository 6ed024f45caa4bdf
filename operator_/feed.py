"""Inputs on their way into the local engine."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import duckdb

from libs.arrow import arrow_chunks, arrow_table
from libs.context import RequestContext
from libs.result import Batch
from operator_.base import Operator, close
from operator_.session import Session

_KEPT_ROWS = 100_000  # of an input, as Arrow; beyond them rows go to a table, which the engine bounds and spills

_CELLS_AT_ONCE = 5_000


async def feed(session: Session, inputs: Mapping[str, Operator], context: RequestContext) -> None:
    """Pulls all inputs at once and makes them tables of their names, with columns c0, c1, …; the first failure ends
    the others."""
    turn = asyncio.Lock()
    tasks = [
        asyncio.ensure_future(_Input(name, operator, session, turn).fill(context)) for name, operator in inputs.items()
    ]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Input:
    """One input on its way into the engine. The session's cursor serves one input at a time (`turn`)."""

    def __init__(self, name: str, operator: Operator, session: Session, turn: asyncio.Lock) -> None:
        self.name, self.operator, self.session, self.turn = name, operator, session, turn
        self.chunks: list[Any] = []
        self.rows = 0
        self.stored = False

    async def fill(self, context: RequestContext) -> None:
        stream = self.operator.execute(context)
        try:
            async for batch in stream:
                self.chunks += await self._converted(batch)
                self.rows += batch.length
                if self.rows >= _KEPT_ROWS:
                    await self._run(self._store)
        finally:
            await close(stream)
        await self._run(self._store if self.stored else self._register)

    async def _converted(self, batch: Batch) -> list[Any]:
        """The batch as Arrow; a large one is converted in a thread, so that the event loop goes on."""
        if batch.length * len(batch.columns) <= _CELLS_AT_ONCE:
            return arrow_chunks(batch) if batch.length else []
        return await asyncio.get_running_loop().run_in_executor(self.session.threads, arrow_chunks, batch)

    async def _run(self, work: Any) -> None:
        async with self.turn:
            await self.session.run(work)

    def _register(self, cursor: duckdb.DuckDBPyConnection) -> None:
        cursor.register(self.name, arrow_table(self.operator.schema, self.chunks))

    def _store(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """Moves the rows at hand to a temporary table."""
        cursor.register(f"{self.name}_part", arrow_table(self.operator.schema, self.chunks))
        verb = f"INSERT INTO {self.name}" if self.stored else f"CREATE TEMP TABLE {self.name} AS"
        cursor.execute(f"{verb} SELECT * FROM {self.name}_part")
        cursor.unregister(f"{self.name}_part")
        self.chunks, self.rows, self.stored = [], 0, True
