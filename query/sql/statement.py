"""What lowering reads and makes: relations in, blocks on the way, one statement out."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from libs.result import Column, Schema, Type
from query.plan import Attempt, Scan
from query.plan_joins import Narrowed


@dataclass(frozen=True, slots=True)
class Cell:
    """A column as an SQL expression. `plain`: a bare reference, so cheap that its text may be repeated."""

    sql: str
    column: Column
    plain: bool = True

    @property
    def type(self) -> Type:
        return self.column.type


@dataclass(frozen=True, slots=True)
class Relation:
    """Rows to select from: `sql` stands behind FROM, `cells` are expressions over it."""

    sql: str
    cells: tuple[Cell, ...]
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Check:
    """A SELECT that answers a row where the statement must not be run: `alias` names the join, whose keys fan out or whose
    rows are too many, `at` points to it. Apart from the statement, so that no step of that can hide it. `figure` is a SELECT of
    how many rows there are, for the second kind alone: its parameter `joined`, the limit, is to be set before it runs. `first`
    is a cheaper SELECT with its parameters: where that answers no row, neither does this."""

    sql: str
    params: dict[str, Any]
    alias: str
    at: str
    figure: str | None = None
    first: tuple[str, dict[str, Any]] | None = None


@dataclass(frozen=True, slots=True)
class Statement:
    """One SELECT with its named parameters; its columns are `schema`'s, in order. `checks` are to be run before it. `whole`:
    nothing limits its rows, which may be very many."""

    sql: str
    params: dict[str, Any]
    schema: Schema
    checks: tuple[Check, ...] = ()
    whole: bool = False


_PARAMETER = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)")

Leaf = Callable[[Scan | Attempt | Narrowed], Relation]


@dataclass(frozen=True, slots=True)
class Sorting:
    """One ORDER BY key; missing sorts last."""

    sql: str
    descending: bool

    def text(self) -> str:
        return f"{self.sql} {'DESC' if self.descending else 'ASC'} NULLS LAST"


@dataclass(frozen=True)
class Block:
    """One SELECT under construction."""

    source: str
    cells: Mapping[str, Cell]
    where: tuple[str, ...] = ()
    order: tuple[Sorting, ...] = ()
    limit: str | None = None

    @property
    def columns(self) -> Schema:
        return tuple(cell.column for cell in self.cells.values())

    def select(self, more: tuple[str, ...] = (), distinct: bool = False) -> str:
        """The block as SQL: columns c0, c1, …, then `more`."""
        outputs = [f"{cell.sql} AS c{at}" for at, cell in enumerate(self.cells.values())] + list(more)
        parts = [f"SELECT {'DISTINCT ' if distinct else ''}{', '.join(outputs) or '1'} FROM {self.source}"]
        if self.where:
            parts.append("WHERE " + " AND ".join(self.where))
        if self.order:
            parts.append("ORDER BY " + ", ".join(key.text() for key in self.order))
        if self.limit is not None:
            parts.append(f"LIMIT {self.limit}")
        return " ".join(parts)


class Build:
    """One lowering under way: its parameters, its common table expressions, and its checks as (SQL, alias, pointer, figure,
    first)."""

    def __init__(self, leaf: Leaf, groups: int | None) -> None:
        self.leaf = leaf
        self.groups = groups
        self.params: dict[str, Any] = {}
        self.tables: list[str] = []
        self.checks: list[tuple[str, str, str, str | None, str | None]] = []

    def bind(self, value: Any) -> str:
        """A parameter of that value."""
        name = f"p{len(self.params)}"
        self.params[name] = value
        return f"${name}"

    def table(self, sql: str) -> str:
        """A common table expression; answers its name."""
        name = f"q{len(self.tables)}"
        self.tables.append(f"{name} AS ({sql})")
        return name

    def nest(self, block: Block) -> Block:
        """The block's rows as the source of a new one, in the same order."""
        keys = tuple(f"{key.sql} AS s{at}" for at, key in enumerate(block.order))
        name = self.table(block.select(keys))
        return Block(
            name,
            numbered(name, block.columns),
            order=tuple(Sorting(f"{name}.s{at}", key.descending) for at, key in enumerate(block.order)),
        )

    def open(self, block: Block) -> Block:
        """A block that takes conditions, grouping or another order: one without a limit."""
        return self.nest(block) if block.limit is not None else block

    def statement(self, block: Block) -> Statement:
        with_ = f"WITH {', '.join(self.tables)} " if self.tables else ""
        sql = with_ + block.select()
        checks = tuple(self._check(with_, *check) for check in self.checks)
        return Statement(sql, self._used(sql), block.columns, checks, block.limit is None)

    def _check(self, with_: str, sql: str, alias: str, at: str, figure: str | None, first: str | None) -> Check:
        cheaper = None if first is None else (with_ + first, self._used(with_ + first))
        return Check(with_ + sql, self._used(with_ + sql), alias, at, figure and with_ + figure, cheaper)

    def _used(self, sql: str) -> dict[str, Any]:
        """The parameters of the text: a column that was projected away leaves its own behind."""
        used = set(_PARAMETER.findall(sql))
        return {name: value for name, value in self.params.items() if name in used}


def numbered(source: str, columns: Schema) -> dict[str, Cell]:
    """Cells of a table whose columns are c0, c1, …"""
    return {column.name: Cell(f"{source}.c{at}", column) for at, column in enumerate(columns)}


def named(cell: Cell, name: str) -> Cell:
    return replace(cell, column=replace(cell.column, name=name))
