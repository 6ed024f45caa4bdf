"""Lookup tables in the service's state: each replaced as a whole, in one transaction, under the next version."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import func, select

from libs.errors import NotFoundError, RequestError
from libs.result import Batch, Column, Type, TypeName
from libs.state import State, now_text
from libs.state_tables import LOOKUP

INSTANCE = "mix"
# Looks at the entity tag of what is there, None when nothing is, and raises when that must not be changed.
Check = Callable[[str | None], None]


@dataclass(frozen=True, slots=True, eq=False)
class LookupTable:
    """One version of a table. `tag` is the same for the same columns and cells."""

    name: str
    version: int
    changed_at: str
    tag: str
    batch: Batch


class LookupTables:
    """The tables of one state; those that were read stay in memory until they change."""

    def __init__(self, state: State, most_tables: int = 1_000) -> None:
        self._state = state
        self._most = most_tables
        self._held: dict[str, LookupTable] = {}

    async def get(self, name: str) -> LookupTable:
        """The table as it is now. Raises NotFoundError (LOOKUP_UNKNOWN), StoreError."""
        async with self._state.read() as connection:
            query = select(LOOKUP.c.version, LOOKUP.c.tag, LOOKUP.c.changed_at).where(LOOKUP.c.name == name)
            found = (await connection.execute(query)).one_or_none()
            if found is None:
                self._held.pop(name, None)
                raise _unknown(name)
            held = self._held.get(name)
            if held is not None and (held.version, held.tag, held.changed_at) == tuple(found):
                return held
            content = await connection.execute(select(LOOKUP.c.columns, LOOKUP.c.cells).where(LOOKUP.c.name == name))
            columns, cells = content.one()
        table = LookupTable(name, found.version, found.changed_at, found.tag, _batch(columns, cells))
        self._held[name] = table
        return table

    async def list(self) -> list[Mapping[str, Any]]:
        """Every table without its rows, by name. Raises StoreError."""
        members = (LOOKUP.c.name, LOOKUP.c.version, LOOKUP.c.changed_at, LOOKUP.c.length, LOOKUP.c.columns)
        async with self._state.read() as connection:
            rows = (await connection.execute(select(*members).order_by(LOOKUP.c.name))).all()
        return [
            {"name": name, "version": version, "changed_at": at, "length": length, "columns": orjson.loads(columns)}
            for name, version, at, length, columns in rows
        ]

    async def put(self, name: str, batch: Batch, check: Check) -> LookupTable:
        """Makes or replaces a table. Raises RequestError (TOO_MANY_VALUES: too many tables), what `check` raises, StoreError."""
        columns, cells = _texts(batch)
        tag = hashlib.sha256(columns.encode() + cells.encode()).hexdigest()[:32]
        async with self._state.write() as connection:
            query = select(LOOKUP.c.version, LOOKUP.c.tag).where(LOOKUP.c.name == name)
            known = (await connection.execute(query)).one_or_none()
            check(None if known is None else known.tag)
            if known is None:
                await self._check_count(
                    (await connection.execute(select(func.count()).select_from(LOOKUP))).scalar_one()
                )
            version, at = (1 if known is None else known.version + 1), now_text()
            values = {"version": version, "changed_at": at, "tag": tag, "length": batch.length}
            values |= {"columns": columns, "cells": cells}
            if known is None:
                await connection.execute(LOOKUP.insert().values(name=name, **values))
            else:
                await connection.execute(LOOKUP.update().where(LOOKUP.c.name == name).values(**values))
        return LookupTable(name, version, at, tag, batch)

    async def delete(self, name: str, check: Check) -> None:
        """Raises NotFoundError (LOOKUP_UNKNOWN), what `check` raises, StoreError."""
        async with self._state.write() as connection:
            query = select(LOOKUP.c.tag).where(LOOKUP.c.name == name)
            tag = (await connection.execute(query)).scalar_one_or_none()
            if tag is None:
                raise _unknown(name)
            check(tag)
            await connection.execute(LOOKUP.delete().where(LOOKUP.c.name == name))
        self._held.pop(name, None)

    async def _check_count(self, count: int) -> None:
        if count >= self._most:
            raise RequestError(
                f"There are {count} lookup tables; at most {self._most} are kept.",
                code="TOO_MANY_VALUES", hint="delete one, or raise limits.lookups",
            )  # fmt: skip


def _texts(batch: Batch) -> tuple[str, str]:
    columns = [{"name": column.name, "type": column.type.name.value} for column in batch.schema]
    return orjson.dumps(columns).decode(), orjson.dumps([list(cells) for cells in batch.columns]).decode()


def _batch(columns: str, cells: str) -> Batch:
    schema = tuple(Column(one["name"], Type(TypeName(one["type"])), INSTANCE) for one in orjson.loads(columns))
    return Batch(schema, orjson.loads(cells))


def _unknown(name: str) -> NotFoundError:
    return NotFoundError(
        f"There is no lookup table {name[:100]!r}.", code="LOOKUP_UNKNOWN", hint="GET /mix/lookup lists them"
    )
