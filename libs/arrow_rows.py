"""A DuckDB statement's rows as Arrow, so many at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb
import nanoarrow  # type: ignore[import-untyped]

Params = Sequence[Any] | Mapping[str, Any]


def arrow_stream(cursor: duckdb.DuckDBPyConnection, sql: str, params: Params, rows: int) -> Any:
    """The statement, begun: a nanoarrow stream of struct arrays of `rows` rows, the last one of less.

    A relation's own `__arrow_c_stream__` is the same with 131,072 rows an array, however wide: memory that no limit of the
    engine's counts. What takes a number of rows in public (`to_arrow_reader`) answers in pyarrow's classes."""
    values = dict(params) if isinstance(params, Mapping) else list(params)
    return nanoarrow.c_array_stream(cursor._submit(sql, values or None, "stream", rows).arrow_capsule())
