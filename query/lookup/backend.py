"""Lookup tables as a source of queries. They are small and in memory: nothing is pushed down, the local engine does it all."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from libs.context import RequestContext
from libs.errors import NotFoundError
from libs.result import Batch, Column, Schema, TypeName
from query.backend import Capabilities, UnsupportedPart
from query.catalog import Field, Kind, SourceRef, Table
from query.expr import FALSE
from query.lookup.tables import INSTANCE, LookupTables
from query.plan import Scan

_BATCH_ROWS = 10_000
_TIMES = ("@timestamp", "time")


@dataclass(frozen=True, eq=False)
class LookupQuery:
    """Some columns of every row of one version, or of none."""

    schema: Schema
    batch: Batch
    about: Mapping[str, Any]

    def explain(self) -> object:
        return {**self.about, "columns": [column.name for column in self.schema]}

    async def stream(self, context: RequestContext) -> AsyncIterator[Batch]:
        places = {column.name: place for place, column in enumerate(self.batch.schema)}
        columns = [self.batch.columns[places[column.name]] for column in self.schema]
        chosen = Batch(self.schema, columns, self.batch.length)
        for start in range(0, chosen.length, _BATCH_ROWS):
            yield chosen.slice(start, min(start + _BATCH_ROWS, chosen.length))


class LookupBackend:
    """The instance `mix`; a target is a table's name."""

    kind: Kind = "documents"
    region: str | None = None
    capabilities = Capabilities()

    def __init__(self, tables: LookupTables, name: str = INSTANCE) -> None:
        self.tables = tables
        self.name = name

    async def table(self, source: SourceRef, context: RequestContext) -> Table:
        """Raises NotFoundError (LOOKUP_UNKNOWN), StoreError."""
        if len(source.target) != 1:
            raise NotFoundError(
                "Lookup tables have one name.", code="LOOKUP_UNKNOWN", hint='use {"source": "mix", "lookup": "…"}'
            )
        found = await self.tables.get(source.target[0])
        fields = {column.name: Field(column.name, column.type) for column in found.batch.schema}
        times = (name for name in _TIMES if name in fields and fields[name].type.name is TypeName.TIMESTAMP)
        return Table(source, self.kind, fields, next(times, None), rows=found.batch.length, native=found)

    def forget(self, source: SourceRef) -> None:
        """Nothing is cached past a change."""

    def compile(self, scan: Scan) -> LookupQuery:
        """Raises UnsupportedPart for whatever a scan has absorbed but columns."""
        if scan.where not in (None, FALSE) or scan.group is not None or scan.order or scan.limit is not None:
            raise UnsupportedPart("lookup tables declare nothing")
        found = scan.table.native if scan.table is not None else None
        schema = tuple(Column(name, scan.typed(name).type, self.name) for name in scan.columns)
        batch = found.batch.slice(0, 0) if scan.where == FALSE else found.batch  # type: ignore[attr-defined]
        about = {"lookup": found.name, "version": found.version}  # type: ignore[attr-defined]
        return LookupQuery(schema, batch, about)

    async def ping(self, context: RequestContext) -> Mapping[str, Any]:
        """How many tables there are. Raises StoreError."""
        return {"tables": len(await self.tables.list())}

    async def close(self) -> None:
        """The state is closed by who opened it."""
