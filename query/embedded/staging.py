"""Python columns to an Arrow array that DuckDB inserts from: some hundred times the speed of bound rows."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import duckdb
import nanoarrow as na  # type: ignore[import-untyped]
from nanoarrow.c_array import c_array_from_buffers  # type: ignore[import-untyped]

STAGE = "hm_stage"  # the name under which a staged array is seen by the statement that inserts from it

_ELEMENTS = {"VARCHAR": na.string, "BIGINT": na.int64, "DOUBLE": na.float64, "BOOLEAN": na.bool_, "INTEGER": na.int32}


def arrow_type(sql_type: str) -> Any:
    """The Arrow schema of one of the SQL types that the store's tables use."""
    if sql_type.endswith("[]"):
        return na.list_(_ELEMENTS[sql_type[:-2]]())
    return _ELEMENTS[sql_type]()


def arrow_column(sql_type: str, values: Sequence[Any]) -> Any:
    """One column; None is missing, a list type takes lists."""
    if not sql_type.endswith("[]"):
        return na.c_array(values, _ELEMENTS[sql_type]())
    element = _ELEMENTS[sql_type[:-2]]()
    offsets, flat = array("i", [0]), []
    valid, missing = bytearray((len(values) + 7) // 8), 0
    for position, items in enumerate(values):
        if items is None:
            missing += 1
        else:
            flat.extend(items)
            valid[position >> 3] |= 1 << (position & 7)
        offsets.append(len(flat))
    return c_array_from_buffers(
        na.list_(element),
        len(values),
        [bytes(valid), offsets],
        null_count=missing,
        children=[na.c_array(flat, element)],
    )


@contextmanager
def staged(
    cursor: duckdb.DuckDBPyConnection, columns: Mapping[str, tuple[str, Sequence[Any]]], length: int
) -> Iterator[str]:
    """The columns (name: SQL type and `length` values) as a relation; gives the name it has inside statements."""
    arrays = [arrow_column(sql_type, values) for sql_type, values in columns.values()]
    schema = na.struct({name: arrow_type(sql_type) for name, (sql_type, _) in columns.items()})
    table = na.Array(c_array_from_buffers(schema, length=length, buffers=[None], children=arrays))
    cursor.register(STAGE, table)
    try:
        yield STAGE
    finally:
        cursor.unregister(STAGE)
