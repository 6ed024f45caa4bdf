"""A backend of one file, as somebody would add a fourth one: it holds tables in memory and can push nothing down."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from libs.context import RequestContext
from libs.errors import NotFoundError
from libs.result import Batch, Cell, Column, Schema, TypeName
from query.backend import Capabilities, InstanceConfig, UnsupportedPart
from query.catalog import Kind, SourceRef, Table
from query.expr import FALSE
from query.plan import Scan

CAPABILITIES = Capabilities()
BATCH = 500
Row = Mapping[str, Any]


@dataclass(frozen=True)
class MemoryQuery:
    """Columns of all rows."""

    schema: Schema
    rows: tuple[Row, ...]

    def explain(self) -> object:
        return {"columns": [column.name for column in self.schema]}

    async def stream(self, context: RequestContext) -> AsyncIterator[Batch]:
        for start in range(0, len(self.rows), BATCH):
            part = self.rows[start : start + BATCH]
            columns = [[_cell(row.get(column.name), column) for row in part] for column in self.schema]
            yield Batch(self.schema, columns, len(part))


def _cell(value: Any, column: Column) -> Cell:
    if value is None:
        return None
    if column.type.name is TypeName.JSON:
        return json.dumps(value)
    if column.type.name is TypeName.TIMESTAMP and column.type.unit == "ms":
        return [one // 1_000_000 for one in value] if isinstance(value, list) else int(value) // 1_000_000
    cell: Cell = value
    return cell


@dataclass
class MemoryBackend:
    name: str
    kind: Kind
    region: str | None = None
    capabilities: Capabilities = CAPABILITIES
    held: dict[tuple[str, ...], tuple[Table, tuple[Row, ...]]] = field(default_factory=dict)

    async def table(self, source: SourceRef, context: RequestContext) -> Table:
        if source.target not in self.held:
            raise NotFoundError(f"There is no table {source.target}.", code="INDEX_UNKNOWN", source=self.name)
        return self.held[source.target][0]

    def forget(self, source: SourceRef) -> None:
        """Nothing is cached."""

    def compile(self, scan: Scan) -> MemoryQuery:
        if scan.where not in (None, FALSE) or scan.group is not None or scan.order or scan.limit is not None:
            raise UnsupportedPart("nothing is declared; a filter without leaves alone needs no declaration")
        schema = tuple(Column(name, scan.typed(name).type, self.name) for name in scan.columns)
        return MemoryQuery(schema, () if scan.where == FALSE else self.held[scan.source.target][1])

    async def ping(self, context: RequestContext) -> Mapping[str, Any]:
        return {"version": "1"}

    async def close(self) -> None:
        self.held.clear()


def open_backend(config: InstanceConfig) -> MemoryBackend:
    return MemoryBackend(config.name, config.kind)
