"""Texts to columns and columns to texts by statements of DuckDB: off the interpreter, whose lock they do not hold.

Columns go in and come out as Arrow in the representation of libs/arrow.py.
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any, TypeVar

import duckdb
import nanoarrow  # type: ignore[import-untyped]

from libs.arrow_rows import arrow_stream

T = TypeVar("T")

_ROWS = 100_000  # more than an input has
_TEXT = nanoarrow.struct({"text": nanoarrow.string()})
_SETTINGS = (
    "SET autoinstall_known_extensions = false",
    "SET autoload_known_extensions = false",
    "SET allow_community_extensions = false",
    "SET python_enable_replacements = false",
    "SET enable_external_access = false",
    "SET lock_configuration = true",
)


class NotConverted(Exception):
    """The engine refused: what came is not of the form that the statement takes."""


class _Input:
    """What a prepared statement reads as `given`: whatever is held when it runs."""

    def __init__(self, table: Any) -> None:
        self.table = table

    def __arrow_c_stream__(self, requested_schema: object = None) -> Any:
        return self.table.__arrow_c_stream__(requested_schema)


class Converter:
    """A statement over one input, which it calls `given`; planned once, for inputs of one form. Serves one thread at a time."""

    def __init__(self, sql: str) -> None:
        self._sql = sql
        self._cursor = _database().cursor()
        self._input: _Input | None = None

    def of_text(self, text: bytes, start: int, stop: int) -> list[Any]:
        """The statement's rows as struct arrays, over one row with one column, `text`: a part of UTF-8 bytes, not copied.
        Raises NotConverted."""
        offsets = array("i", (start, stop))
        held = nanoarrow.c_array_from_buffers(nanoarrow.string(), 1, [None, offsets, text], validation_level="none")
        return self.of_table(nanoarrow.c_array_from_buffers(_TEXT, 1, [None], children=[held], validation_level="none"))

    def of_table(self, table: Any) -> list[Any]:
        """The statement's rows as struct arrays, over a struct array. Raises NotConverted."""
        given = nanoarrow.Array(table)
        try:
            if self._input is None:
                self._prepare(given)
            assert self._input is not None
            self._input.table = given
            return list(arrow_stream(self._cursor, "EXECUTE converted", (), _ROWS))
        except (duckdb.Error, RuntimeError) as error:  # nanoarrow's are RuntimeErrors
            raise NotConverted(str(error)) from error
        finally:
            if self._input is not None:
                self._input.table = None

    def _prepare(self, given: Any) -> None:
        self._input = _Input(given)
        self._cursor.register("given", self._input)
        self._cursor.execute(f"PREPARE converted AS {self._sql}")

    def close(self) -> None:
        self._cursor.close()


@lru_cache(maxsize=1)
def _database() -> duckdb.DuckDBPyConnection:
    """One for the process, without tables; a statement runs in the thread that asks."""
    database = duckdb.connect(":memory:", config={"threads": 1, "memory_limit": "512MB"})
    for setting in _SETTINGS:
        database.execute(setting)
    return database


@lru_cache(maxsize=1)
def _threads() -> ThreadPoolExecutor:
    """Few: each keeps memory of its own for what it allocates."""
    return ThreadPoolExecutor(max_workers=2, thread_name_prefix="conversion")


async def in_thread(work: Callable[[], T]) -> T:
    """What `work` answers, in a thread. A caller that is cancelled goes on only when the thread is done."""
    job = asyncio.get_running_loop().run_in_executor(_threads(), work)
    try:
        return await asyncio.shield(job)
    except asyncio.CancelledError:
        await asyncio.wait({job})
        job.cancelled() or job.exception()
        raise
