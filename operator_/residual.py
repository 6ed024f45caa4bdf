"""What is left of a plan once the stores have done their part: a plan over named inputs, run by the local engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import duckdb

from libs.arrow import arrow_chunks, arrow_table
from libs.context import RequestContext
from libs.result import Batch, Schema
from operator_.base import Operator, close
from operator_.engine import BATCH_ROWS, Engine, Session
from query.plan import Attempt, Plan, Scan
from query.sql import Cell, Relation, Statement, lower

_KEPT_ROWS = 100_000  # of an input, as Arrow; beyond them rows go to a table, which the engine bounds and spills


@dataclass(frozen=True)
class Residual:
    """A plan whose leaves are named inputs. Plain data, so that another engine could run it elsewhere."""

    plan: Plan
    names: Mapping[Scan | Attempt, str]

    def lower(self, schemas: Mapping[str, Schema]) -> Statement:
        """One statement over tables of the inputs' names, whose columns are c0, c1, …; a limit of groups is to be set."""

        def relation(leaf: Scan | Attempt) -> Relation:
            name = self.names[leaf]
            cells = (Cell(f"{name}.c{at}", column) for at, column in enumerate(schemas[name]))
            return Relation(name, tuple(cells))

        return lower(self.plan, relation, groups=0)


class ResidualOperator:
    """Feeds the inputs, pulled all at once, to the engine; then answers the statement's rows in batches."""

    def __init__(self, residual: Residual, inputs: Mapping[str, Operator], engine: Engine) -> None:
        self.residual, self.inputs, self.engine = residual, inputs, engine
        schemas = {name: operator.schema for name, operator in inputs.items()}
        self.statement = residual.lower(schemas)

    @property
    def schema(self) -> Schema:
        return self.statement.schema

    async def execute(self, context: RequestContext) -> AsyncIterator[Batch]:
        params = dict(self.statement.params)
        if "groups" in params:
            params["groups"] = context.limits.groups
        async with self.engine.session(context) as session:
            await self._feed(session, context)
            rows = await session.run(lambda cursor: _first_rows(cursor, self.statement.sql, params))
            while rows:
                yield Batch(self.schema, list(zip(*rows, strict=True)), len(rows))
                rows = await session.run(_next_rows) if len(rows) == BATCH_ROWS else []

    async def _feed(self, session: Session, context: RequestContext) -> None:
        """Pulls all inputs at once; the first failure ends the others."""
        turn = asyncio.Lock()
        tasks = [
            asyncio.ensure_future(_Input(name, operator, session, turn).fill(context))
            for name, operator in self.inputs.items()
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
                self.chunks += arrow_chunks(batch) if batch.length else []
                self.rows += batch.length
                if self.rows >= _KEPT_ROWS:
                    await self._run(self._store)
        finally:
            await close(stream)
        await self._run(self._store if self.stored else self._register)

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


def _first_rows(cursor: duckdb.DuckDBPyConnection, sql: str, params: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    return cursor.execute(sql, params).fetchmany(BATCH_ROWS)


def _next_rows(cursor: duckdb.DuckDBPyConnection) -> list[tuple[Any, ...]]:
    return cursor.fetchmany(BATCH_ROWS)
