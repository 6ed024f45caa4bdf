"""Batches that stay Arrow hold the cells that the engine's own rows have."""

from __future__ import annotations

import duckdb
import pytest

from libs.arrow import arrow_chunks, arrow_table
from libs.arrow_batch import ArrowBatch
from libs.arrow_rows import arrow_stream
from libs.result import BOOLEAN, FLOAT64, INT64, STRING, Batch, Column, Type, TypeName
from operator_.prepared import EngineCursor
from operator_.rows import Rows
from query.sql import Statement

ROWS = 3000  # more than one vector of the engine's
SCHEMA = (
    Column("number", INT64),
    Column("odd", BOOLEAN),
    Column("half", FLOAT64),
    Column("text", STRING),
    Column("many", Type(TypeName.STRING, multi=True)),
    Column("flags", Type(TypeName.BOOLEAN, multi=True)),
)
SQL = f"""
SELECT range * 307445734561825 AS c0,
       CASE WHEN range % 3 > 0 THEN range % 2 = 1 END AS c1,
       CASE WHEN range % 5 > 0 THEN range / 2 END AS c2,
       CASE WHEN range % 7 > 0 THEN 'tür ' || range ELSE NULL END AS c3,
       CASE WHEN range % 2 > 0 THEN ['a' || range, 'ß'] END AS c4,
       CASE WHEN range % 4 > 0 THEN [range % 2 = 0, true, false] END AS c5
FROM range({ROWS})
"""


@pytest.fixture(scope="module")
def expected() -> list[tuple[object, ...]]:
    return duckdb.connect().execute(SQL).fetchall()


@pytest.fixture(scope="module")
def batches() -> list[ArrowBatch]:
    connection = duckdb.connect()
    (array,) = arrow_stream(connection, SQL, (), ROWS)
    return [ArrowBatch(SCHEMA, array, start, min(start + 701, ROWS)) for start in range(0, ROWS, 701)]


def test_an_engine_s_arrays_hold_no_more_rows_than_asked_for(expected: list[tuple[object, ...]]) -> None:
    found = list(arrow_stream(duckdb.connect(), f"SELECT * FROM ({SQL}) WHERE c0 >= $least", {"least": 0}, 1100))
    assert [array.length for array in found] == [1100, 1100, 800]
    assert [row for array in found for row in ArrowBatch(SCHEMA, array, 0, array.length).rows()] == expected


def test_cells_are_those_of_the_engine(batches: list[ArrowBatch], expected: list[tuple[object, ...]]) -> None:
    assert [row for batch in batches for row in batch.rows()] == expected
    assert {batch.length for batch in batches} == {701, ROWS % 701}


def test_a_slice_is_of_the_rows_it_names(batches: list[ArrowBatch], expected: list[tuple[object, ...]]) -> None:
    part = batches[1].slice(3, 12)
    assert part.rows() == expected[704:713]
    assert part.slice(5, 100).rows() == expected[709:713]
    assert part.slice(100, 200).rows() == []


def test_picked_columns_are_of_the_same_rows(batches: list[ArrowBatch], expected: list[tuple[object, ...]]) -> None:
    places = (4, 0, 4)
    picked = batches[1].slice(3, 12).picked(tuple(SCHEMA[at] for at in places), places)
    wanted = [tuple(row[at] for at in places) for row in expected[704:713]]
    assert picked.rows() == wanted
    connection = duckdb.connect()
    connection.register("t", arrow_table(picked.schema, arrow_chunks(picked)))
    assert connection.execute("SELECT * FROM t").fetchall() == wanted


def test_they_go_on_to_an_engine_as_they_are(batches: list[ArrowBatch], expected: list[tuple[object, ...]]) -> None:
    picked = [batches[2].slice(5, 100), batches[0].slice(0, 0), batches[3]]
    connection = duckdb.connect()
    connection.register("t", arrow_table(SCHEMA, [chunk for batch in picked for chunk in arrow_chunks(batch)]))
    found = connection.execute("SELECT * FROM t").fetchall()
    assert found == expected[1407:1502] + expected[2103:2804]


def test_they_weigh_what_their_cells_do(batches: list[ArrowBatch]) -> None:
    for batch in batches:
        as_cells = Batch(SCHEMA, batch.columns, batch.length).weight()
        assert as_cells <= batch.weight() <= 1.2 * as_cells  # bytes here, characters there


def test_whole_results_come_as_arrow_and_wider_types_as_cells() -> None:
    cursor = EngineCursor(duckdb.connect())
    schema = (Column("number", INT64), Column("half", FLOAT64))
    sql = "SELECT range::{} AS c0, range / 2 AS c1 FROM range(25000)"
    for kind, arrow in (("BIGINT", True), ("HUGEINT", False)):
        rows = Rows(cursor, Statement(sql.format(kind), {}, schema, whole=True), {})
        found: list[Batch] = []
        while (batch := rows.next(cursor)).length:
            found.append(batch)
        assert [batch.length for batch in found] == [10_000, 10_000, 5_000]
        assert all(isinstance(batch, ArrowBatch) == arrow for batch in found)
        assert [row for batch in found for row in batch.rows()] == [(at, at / 2) for at in range(25_000)]


def test_a_failure_on_the_way_is_the_engines_own() -> None:
    cursor = EngineCursor(duckdb.connect(config={"threads": "1"}))
    sql = "SELECT CASE WHEN range > 200000 THEN 'x' ELSE '1' END::BIGINT AS c0 FROM range(300000)"
    rows = Rows(cursor, Statement(sql, {}, (Column("number", INT64),), whole=True), {})

    def pull() -> None:
        while rows.next(cursor).length:
            pass

    with pytest.raises(duckdb.ConversionException):
        pull()
