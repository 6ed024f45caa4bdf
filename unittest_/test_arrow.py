"""Batches through Arrow into DuckDB and back."""

from __future__ import annotations

from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import libs.arrow
from libs.arrow import TextTooLong, arrow_chunks, arrow_table
from libs.result import BOOLEAN, FLOAT64, INT64, JSON, STRING, TIMESTAMP_MS, Batch, Cell, Column, Schema, Type, TypeName

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
INTEGERS = st.integers(-(2**63), 2**63 - 1)
CELLS: dict[TypeName, st.SearchStrategy[Cell]] = {
    TypeName.BOOLEAN: st.booleans(),
    TypeName.INT64: INTEGERS,
    TypeName.FLOAT64: st.floats(allow_nan=False, allow_infinity=False),
    TypeName.STRING: TEXT,
    TypeName.TIMESTAMP: INTEGERS,
    TypeName.JSON: st.just('{"a": [1, "\\u0000"]}'),
}
SINGLE = (BOOLEAN, INT64, FLOAT64, STRING, TIMESTAMP_MS, JSON)
SCHEMA: Schema = tuple(
    Column(f"{kind.name} {multi}", Type(kind.name, multi, kind.unit)) for kind in SINGLE for multi in (False, True)
)


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    length = draw(st.integers(0, 20))
    columns: list[list[Cell]] = []
    for column in SCHEMA:
        one = CELLS[column.type.name]
        cell: st.SearchStrategy[Any] = st.lists(one, min_size=1, max_size=4) if column.type.multi else one
        columns.append(draw(st.lists(st.none() | cell, min_size=length, max_size=length)))
    return Batch(SCHEMA, columns, length)


@given(st.lists(batches(), max_size=3))
@settings(max_examples=60, deadline=None)
def test_cells_come_back(some: list[Batch]) -> None:
    table = arrow_table(SCHEMA, [chunk for batch in some for chunk in arrow_chunks(batch)])
    with duckdb.connect() as connection:
        connection.register("t", table)
        expected = [row for batch in some for row in batch.rows()]
        # Each reader gets a stream of its own.
        for _ in range(2):
            assert connection.execute("SELECT * FROM t").fetchall() == expected
        (count,) = connection.execute("SELECT count(*) FROM t a, t b").fetchall()
        assert count == (len(expected) ** 2,)


def test_rows_without_columns_are_counted() -> None:
    with duckdb.connect() as connection:
        connection.register("t", arrow_table((), arrow_chunks(Batch((), [], 5))))
        assert connection.execute("SELECT count(*) FROM t").fetchall() == [(5,)]


def test_no_batches_are_an_empty_table() -> None:
    with duckdb.connect() as connection:
        connection.register("t", arrow_table(SCHEMA, []))
        assert connection.execute("SELECT * FROM t").fetchall() == []
        assert len(connection.description or ()) == len(SCHEMA)


def test_text_past_the_offsets_is_split(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = libs.arrow._text

    def short(cells: list[str]) -> object:
        if sum(map(len, cells)) > 10:
            raise TextTooLong
        return whole(cells)

    monkeypatch.setattr(libs.arrow, "_text", short)
    schema = (Column("s", STRING), Column("n", INT64))
    batch = Batch(schema, [["abcd", "efgh", "ijkl", "mnop", "q"], [1, 2, 3, 4, 5]])
    chunks = arrow_chunks(batch)
    assert len(chunks) > 1
    with duckdb.connect() as connection:
        connection.register("t", arrow_table(schema, chunks))
        assert connection.execute("SELECT * FROM t").fetchall() == batch.rows()
