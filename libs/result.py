"""What an answer is made of: typed columns and batches of cells.

Cells of a batch are plain Python values by type: boolean bool, int64 int, float64 float, string str,
timestamp int (in the type's unit since 1970), json str (JSON text); None is missing. In a `multi` column
every cell is None or a non-empty list of such values. Batches are handed on whole, never row by row.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import chain
from typing import Any, Literal

Cell = bool | int | float | str | list[bool] | list[int] | list[float] | list[str] | None
Unit = Literal["ms", "ns"]
NS_PER: dict[Unit, int] = {"ms": 1_000_000, "ns": 1}


class TypeName(StrEnum):
    BOOLEAN = "boolean"
    INT64 = "int64"
    FLOAT64 = "float64"
    STRING = "string"
    TIMESTAMP = "timestamp"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Type:
    """A cell's type. `unit` counts for timestamps alone: what their integers count."""

    name: TypeName
    multi: bool = False
    unit: Unit = "ns"

    def single(self) -> Type:
        return replace(self, multi=False) if self.multi else self

    @property
    def numeric(self) -> bool:
        return self.name in (TypeName.INT64, TypeName.FLOAT64)


BOOLEAN = Type(TypeName.BOOLEAN)
INT64 = Type(TypeName.INT64)
FLOAT64 = Type(TypeName.FLOAT64)
STRING = Type(TypeName.STRING)
TIMESTAMP = Type(TypeName.TIMESTAMP)
TIMESTAMP_MS = Type(TypeName.TIMESTAMP, unit="ms")
JSON = Type(TypeName.JSON)


@dataclass(frozen=True, slots=True)
class Column:
    """`source` is the instance the values come from, None when computed from several."""

    name: str
    type: Type
    source: str | None = None
    approximate: bool = False


Schema = tuple[Column, ...]


class Batch:
    """Some rows, column by column: `columns[i]` holds `length` cells of `schema[i]`."""

    __slots__ = ("columns", "length", "schema")

    def __init__(self, schema: Schema, columns: Sequence[Sequence[Cell]], length: int | None = None) -> None:
        self.schema = schema
        self.columns = columns
        self.length = length if length is not None else (len(columns[0]) if columns else 0)

    def rows(self) -> list[tuple[Cell, ...]]:
        """The rows as tuples in the schema's order."""
        return list(zip(*self.columns, strict=True)) if self.columns else [()] * self.length

    def weight(self) -> int:
        """About how many bytes the cells hold: 8 each, but one a character of texts."""
        return sum(_weight(column.type, cells) for column, cells in zip(self.schema, self.columns, strict=True))

    def slice(self, start: int, stop: int) -> Batch:
        return Batch(
            self.schema, [column[start:stop] for column in self.columns], max(0, min(stop, self.length) - start)
        )


def _weight(kind: Type, cells: Sequence[Any]) -> int:
    if kind.multi:
        cells = list(chain.from_iterable(cell for cell in cells if cell))
    if kind.name in (TypeName.STRING, TypeName.JSON):
        return sum(len(cell) for cell in cells if cell)
    return 8 * len(cells)


@dataclass(frozen=True, slots=True)
class Result:
    """An answer under way: its schema, and batches that do their I/O when they are pulled."""

    schema: Schema
    batches: AsyncIterator[Batch]
