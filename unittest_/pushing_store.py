"""A store for the optimizer's laws: a table in memory that is able to do whatever a test lets it, and as badly.

What it can do is decided by a seed, part by part: exactly, inexactly (then it answers a superset of the rows), not at
all, or exactly if it proves so (then it may raise NotProven). Handed what it cannot do, it raises UnsupportedPart.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from libs.context import RequestContext
from libs.result import Batch, Column, Schema, Type, TypeName
from operator_.build import build
from operator_.engine import Engine
from query.backend import Capabilities, NotProven, Ordering, Part, Pushdown, UnsupportedPart, Verdict
from query.catalog import Field, Kind, SourceRef, Table
from query.expr import Predicate, conjunction, conjuncts
from query.plan import Grouping, Plan, Scan
from query.rules.filters import share
from query.schema import schema_of
from query.sql import unfold
from unittest_.conformance.data import DataSet
from unittest_.reference.tables import FieldSpec

LEVELS = (Pushdown.EXACT, Pushdown.INEXACT, Pushdown.UNSUPPORTED)


def draw(seed: int, what: object, choices: int) -> int:
    """A number below `choices` that depends on nothing but the seed and the thing."""
    return zlib.crc32(f"{seed} {what!r}".encode()) % choices


@dataclass(frozen=True)
class SeededCapabilities(Capabilities):
    """Able by the seed; 0 can do nothing, -1 everything exactly."""

    seed: int = 0

    def pushdown(self, part: Part, scan: Scan) -> Verdict:
        if self.seed <= 0:
            return Verdict(Pushdown.EXACT if self.seed else Pushdown.UNSUPPORTED, "by the seed")
        level = LEVELS[draw(self.seed, part, 3)]
        return Verdict(level, "by the seed", checked=draw(self.seed, ("checked", part), 3) == 0)

    def composed(self, conjunct: Predicate, scan: Scan) -> Verdict:
        if self.seed <= 0:
            return Verdict(Pushdown.EXACT)
        return Verdict(LEVELS[draw(self.seed, ("composed", conjunct), 3)], "composed, by the seed")


@dataclass(frozen=True)
class PushingQuery:
    """Runs what the scan has absorbed on rows in memory."""

    scan: Scan
    schema: Schema
    rows: Batch
    able: SeededCapabilities
    engine: Engine

    def explain(self) -> object:
        return {"columns": [column.name for column in self.schema]}

    async def stream(self, context: RequestContext) -> AsyncIterator[Batch]:
        self._check()
        plan = unfold(replace(self.scan, where=self._done()))
        bare = _bare(plan)
        rows = RowsQuery(self.rows, bare.columns)
        async for batch in build(plan, {bare: rows}, self.engine).execute(RequestContext()):
            yield batch

    def _done(self) -> Predicate | None:
        """The filter without some of what it does inexactly: a superset of the rows."""
        bare = replace(self.scan, where=None, group=None, order=(), limit=None)
        kept = [
            part
            for part in conjuncts(self.scan.where)
            if share(part, bare, self.able).exact or draw(self.able.seed, ("kept", part), 2)
        ]
        return conjunction(tuple(kept))

    def _check(self) -> None:
        scan = self.scan
        bare = replace(scan, group=None, order=(), limit=None)
        parts: list[Grouping | Ordering] = [scan.group] if scan.group is not None else []
        if scan.order or scan.limit is not None:
            parts.append(Ordering(scan.order, scan.limit))
        for part in parts:
            verdict = self.able.pushdown(part, bare)
            if verdict.level is not Pushdown.EXACT:
                raise UnsupportedPart(part)
            if verdict.checked and draw(self.able.seed, ("proven", part), 2):
                raise NotProven("by the seed")


def _bare(plan: Plan) -> Scan:
    while not isinstance(plan, Scan):
        plan = plan.input  # type: ignore[union-attr]
    return plan


@dataclass(frozen=True)
class RowsQuery:
    """Some columns of a batch."""

    rows: Batch
    columns: tuple[str, ...]

    @property
    def schema(self) -> Schema:
        held = {column.name: column for column in self.rows.schema}
        return tuple(held[name] for name in self.columns)

    def explain(self) -> object:
        return None

    async def stream(self, context: RequestContext) -> AsyncIterator[Batch]:
        places = {column.name: at for at, column in enumerate(self.rows.schema)}
        for start in range(0, self.rows.length, 7):
            part = self.rows.slice(start, start + 7)
            yield Batch(self.schema, [part.columns[places[name]] for name in self.columns], part.length)


@dataclass
class PushingBackend:
    """A backend over one batch of rows; `seed` says what it can do."""

    held: Table
    rows: Batch
    engine: Engine
    seed: int = 0
    region: str | None = None

    @property
    def name(self) -> str:
        return self.held.source.instance

    @property
    def kind(self) -> Kind:
        return self.held.kind

    @property
    def capabilities(self) -> SeededCapabilities:
        return SeededCapabilities(seed=self.seed)

    async def table(self, source: SourceRef, context: RequestContext) -> Table:
        return self.held

    def forget(self, source: SourceRef) -> None:
        """Nothing is cached."""

    def compile(self, scan: Scan) -> PushingQuery:
        return PushingQuery(scan, schema_of(scan), self.rows, self.capabilities, self.engine)

    async def ping(self, context: RequestContext) -> Mapping[str, Any]:
        return {}

    async def close(self) -> None:
        """Nothing is open."""


def table_of(data: DataSet, kind: Kind, source: SourceRef) -> Table:
    """A data set's fields as a catalogue has them: `_id`, the time, tags, the others."""
    time, specs = data.time_field(kind), data.tables[kind].fields
    ordered = sorted(specs, key=lambda name: (name != "_id", name != time, specs[name].role != "tag", name))
    return Table(source, kind, {name: _field(name, specs[name]) for name in ordered}, time)


def _field(name: str, spec: FieldSpec) -> Field:
    kind = Type(TypeName(spec.type), spec.multi, "ms" if spec.unit == "ms" else "ns")
    text = spec.role == "text"
    return Field(
        name,
        kind,
        exact=not text,
        analysed=text,
        ops=frozenset({"eq", "ne", "in", "nin", "exists"}) if spec.role in ("id", "ip") else None,
        address=spec.role == "ip",
    )


def rows_of(table: Table, rows: Sequence[Mapping[str, Any]]) -> Batch:
    """Rows as the reference holds them (timestamps in nanoseconds, absent members missing) as a batch."""
    schema = tuple(Column(name, field.type, table.source.instance) for name, field in table.fields.items())
    return Batch(schema, [[_cell(row.get(column.name), column) for row in rows] for column in schema], len(rows))


def _cell(value: Any, column: Column) -> Any:
    if value is not None and column.type.name is TypeName.JSON:
        return json.dumps(value)
    if value is not None and column.type.name is TypeName.TIMESTAMP and column.type.unit == "ms":
        return [one // 1_000_000 for one in value] if isinstance(value, list) else value // 1_000_000
    return value
