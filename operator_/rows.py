"""What a statement answers on the local engine, in batches: as Arrow where it may be very much."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from libs.arrow_batch import ArrowBatch
from libs.arrow_rows import arrow_stream
from libs.result import Batch, Schema, Type, TypeName
from operator_.prepared import EngineCursor
from query.sql import Statement, engine_error

BATCH_ROWS = 10_000

# The Arrow formats of the representation (Arrow C data interface, format strings).
_FORMATS = {
    TypeName.BOOLEAN: "b",
    TypeName.INT64: "l",
    TypeName.TIMESTAMP: "l",
    TypeName.FLOAT64: "g",
    TypeName.STRING: "u",
    TypeName.JSON: "u",
}


class Rows:
    """A statement that has begun; `next` is to be called in the thread that has the cursor."""

    def __init__(self, cursor: EngineCursor, statement: Statement, params: Mapping[str, Any]) -> None:
        self._schema, self._arrays = statement.schema, None
        if statement.whole and statement.schema:
            self._arrays = _arrays(cursor, statement, params)
        if self._arrays is None:
            cursor.execute(statement.sql, params)

    def next(self, cursor: EngineCursor) -> Batch:
        """Further rows; a batch of none at the end."""
        if self._arrays is None:
            return batch_of(self._schema, cursor.fetchmany(BATCH_ROWS))
        try:
            return next(self._arrays, None) or Batch(self._schema, [[] for _ in self._schema], 0)
        except RuntimeError as error:  # nanoarrow's, of an engine's text
            raise engine_error(str(error)) from error


def batch_of(schema: Schema, rows: list[tuple[Any, ...]]) -> Batch:
    return Batch(schema, list(zip(*rows, strict=True)), len(rows))


def _arrays(cursor: EngineCursor, statement: Statement, params: Mapping[str, Any]) -> Iterator[ArrowBatch] | None:
    """None where the engine computes a column in a wider type than it is answered in."""
    stream = arrow_stream(cursor.raw, statement.sql, params, BATCH_ROWS)
    held = stream.get_schema()
    if [_format(column.type) for column in statement.schema] != [
        _shape(held.child(at)) for at in range(held.n_children)
    ]:
        return None
    return (ArrowBatch(statement.schema, array, 0, array.length) for array in stream)


def _format(kind: Type) -> str:
    return f"+l {_FORMATS[kind.name]}" if kind.multi else _FORMATS[kind.name]


def _shape(held: Any) -> str:
    return f"+l {held.child(0).format}" if held.format == "+l" else str(held.format)
