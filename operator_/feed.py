"""Inputs on their way into the local engine."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from typing import Any

from libs.arrow import arrow_chunks, arrow_table
from libs.arrow_batch import ArrowBatch
from libs.context import RequestContext
from libs.result import Batch, TypeName
from operator_.base import Operator, close
from operator_.narrow import NarrowOperator, Wait
from operator_.prepared import EngineCursor
from operator_.session import Session
from query.plan_joins import KeyLink, Narrowed
from query.sql import Statement

_KEPT_ROWS = 100_000  # of an input, as Arrow; beyond them rows go to a table, which the engine bounds and spills

_CELLS_AT_ONCE = 5_000

_FEW_ROWS = 1_000  # whose keys are told faster without the engine
_EXACT = frozenset({TypeName.STRING, TypeName.INT64, TypeName.TIMESTAMP, TypeName.BOOLEAN})


async def feed(session: Session, inputs: Mapping[str, Operator], context: RequestContext) -> None:
    """Pulls all inputs at once, but those that wait for the keys of others, and makes them tables of their names, with
    columns c0, c1, …; the first failure ends the others."""
    turn = asyncio.Lock()
    found = {name: _Input(name, operator, session, turn) for name, operator in inputs.items()}
    for operator in inputs.values():
        if isinstance(operator, NarrowOperator):
            for name in operator.wait.inputs:
                found[name].patience = min(found[name].patience, operator.wait.patience)
    tasks = [asyncio.ensure_future(one.fill(found, context)) for one in found.values()]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Input:
    """One input on its way into the engine. The session's cursor serves one input at a time (`turn`). It is `settled` once all
    of it is there (true), or more than `patience` rows of it."""

    def __init__(self, name: str, operator: Operator, session: Session, turn: asyncio.Lock) -> None:
        self.name, self.operator, self.session, self.turn = name, operator, session, turn
        self.chunks: list[Any] = []
        self.rows = self.seen = 0
        self.stored = self.foreign = False
        self.few: list[Batch] | None = []  # the rows themselves, as long as they are few
        self.patience = sys.maxsize
        self.settled: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    async def fill(self, inputs: Mapping[str, _Input], context: RequestContext) -> None:
        stream = await self._begun(inputs, context)
        try:
            async for batch in stream:
                self.chunks += await self._converted(batch)
                self.foreign = self.foreign or isinstance(batch, ArrowBatch)
                self.rows += batch.length
                self.seen += batch.length
                self.few = None if self.few is None or self.seen > _FEW_ROWS else [*self.few, batch]
                if self.seen > self.patience:
                    self._settle(False)
                if self.rows >= _KEPT_ROWS:
                    await self._run(self._store)
        finally:
            await close(stream)
        await (self._run(self._store) if self.stored else self._show())
        self._settle(True)

    async def _begun(self, inputs: Mapping[str, _Input], context: RequestContext) -> AsyncIterator[Batch]:
        if not isinstance(self.operator, NarrowOperator):
            return self.operator.execute(context)
        wait = self.operator.wait
        there = await asyncio.gather(*(asyncio.shield(inputs[name].settled) for name in wait.inputs))
        if not all(there):
            return self.operator.execute_whole(context)
        return await self.operator.execute_by(partial(self._keys, inputs, wait, context), context)

    async def _keys(
        self, inputs: Mapping[str, _Input], wait: Wait, context: RequestContext, node: Narrowed, statement: Statement
    ) -> list[tuple[Any, ...]]:
        if wait.plain:
            (name,) = wait.inputs
            found = inputs[name].keys_of(node.links)
            if found is not None:
                return found
        limits = {"groups": context.limits.groups}
        params = {name: limits.get(name, value) for name, value in statement.params.items()}
        async with self.turn:
            return await self.session.run(lambda cursor: cursor.execute(statement.sql, params).fetchall())

    def keys_of(self, links: Sequence[KeyLink]) -> list[tuple[Any, ...]] | None:
        """The links' values, each combination once, nulls left out; None where the engine is to be asked."""
        places = {column.name: (at, column.type.name) for at, column in enumerate(self.operator.schema)}
        found = [places[link.given] for link in links]
        if self.few is None or any(link.normalize for link in links) or any(kind not in _EXACT for _, kind in found):
            return None
        rows = {row for batch in self.few for row in zip(*(batch.columns[at] for at, _ in found), strict=True)}
        return [row for row in rows if None not in row]

    def _settle(self, whole: bool) -> None:
        if not self.settled.done():
            self.settled.set_result(whole)

    async def _converted(self, batch: Batch) -> list[Any]:
        """The batch as Arrow; a large one is converted in a thread, so that the event loop goes on."""
        if isinstance(batch, ArrowBatch) or batch.length * len(batch.columns) <= _CELLS_AT_ONCE:
            return arrow_chunks(batch) if batch.length else []
        return await asyncio.get_running_loop().run_in_executor(self.session.threads, arrow_chunks, batch)

    async def _run(self, work: Any) -> None:
        async with self.turn:
            await self.session.run(work)

    async def _show(self) -> None:
        """Puts the rows under their name. What was Arrow before may be of other types than what is made Arrow here."""
        table = arrow_table(self.operator.schema, self.chunks)
        if self.foreign:
            await self._run(lambda cursor: cursor.alone(self.name).register(self.name, table))
        elif not self.session.show(self.name, table):
            await self._run(lambda cursor: cursor.register(self.name, table))

    def _store(self, held: EngineCursor) -> None:
        """Moves the rows at hand to a temporary table."""
        cursor = held.alone(self.name)
        cursor.register(f"{self.name}_part", arrow_table(self.operator.schema, self.chunks))
        verb = f"INSERT INTO {self.name}" if self.stored else f"CREATE TEMP TABLE {self.name} AS"
        cursor.execute(f"{verb} SELECT * FROM {self.name}_part")
        cursor.unregister(f"{self.name}_part")
        self.chunks, self.rows, self.stored = [], 0, True
