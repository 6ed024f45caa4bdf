"""Many columns at once on the embedded store: one rebuilt table in place of a statement for each, with nothing lost."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import cast

import duckdb
import orjson
import pytest

from libs.context import RequestContext
from query.backend import InstanceConfig, Point
from query.catalog import SourceRef
from query.document_store import Document
from query.embedded import catalogue, open_backend
from query.embedded.catalogue import ColumnDef, add_columns, make_multi, prepare
from query.embedded.documents import EmbeddedDocuments
from query.embedded.series import EmbeddedSeries
from query.plan import Order, Scan


def columns(first: int, count: int) -> list[ColumnDef]:
    kinds = ("VARCHAR", "BIGINT", "DOUBLE", "BOOLEAN")
    return [ColumnDef(number, "member", f"n{number}", "x", kinds[number % 4]) for number in range(first, first + count)]


def shape(cursor: duckdb.DuckDBPyConnection) -> list[tuple[str, str, str]]:
    found = cursor.execute(
        "SELECT column_name, data_type, is_nullable FROM information_schema.columns WHERE table_name = 'd7'"
    )
    return cast(list[tuple[str, str, str]], found.fetchall())


@pytest.mark.parametrize("rebuild", [True, False])
def test_a_table_made_anew_is_the_one_altered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rebuild: bool) -> None:
    """Twice in one transaction, between other changes; then read from the log, as after a crash."""
    monkeypatch.setattr(catalogue, "_MOST_CELLS", 10**9 if rebuild else -1)
    path = tmp_path / "one.duckdb"
    cursor = duckdb.connect(path)
    prepare(cursor)
    cursor.execute("CREATE TABLE d7(_id VARCHAR NOT NULL, _seq BIGINT NOT NULL)")
    cursor.execute("INSERT INTO d7 VALUES ('a', 1), ('b', 2)")
    before = cursor.cursor()
    before.execute("BEGIN")
    assert before.execute("SELECT count(*) FROM d7").fetchone() == (2,)
    first, second, third = columns(0, 40), columns(40, 1), columns(41, 60)
    cursor.execute("BEGIN")
    cursor.execute("INSERT INTO d7 VALUES ('c', 3)")
    add_columns(cursor, "d7", 7, first, 3)
    cursor.execute("INSERT INTO d7(_id, _seq, c0, c1) VALUES ('d', 4, 'x', 5)")
    add_columns(cursor, "d7", 7, second, 4)
    make_multi(cursor, "d7", 7, first[1])
    cursor.execute("DELETE FROM d7 WHERE _id = 'b'")
    add_columns(cursor, "d7", 7, third, 3)
    cursor.execute("INSERT INTO d7(_id, _seq, c100) VALUES ('e', 6, 'y')")
    cursor.execute("COMMIT")
    assert before.execute("SELECT count(*) FROM d7").fetchone() == (2,)
    before.execute("COMMIT")
    shutil.copy(path, tmp_path / "two.duckdb")
    shutil.copy(f"{path}.wal", tmp_path / "two.duckdb.wal")
    again = duckdb.connect(tmp_path / "two.duckdb")
    for one in (cursor, again):
        assert one.execute("SELECT _id, _seq, c0, c1m, c100 FROM d7 ORDER BY _seq").fetchall() == [
            ("a", 1, None, None, None),
            ("c", 3, None, None, None),
            ("d", 4, "x", [5], None),
            ("e", 6, None, None, "y"),
        ]
        assert shape(one)[:3] == [("_id", "VARCHAR", "NO"), ("_seq", "BIGINT", "NO"), ("c0", "VARCHAR", "YES")]
        assert len(shape(one)) == 2 + 101
        assert [column.multi for column in catalogue.columns_of(one)[7]].count(True) == 1
        one.close()


def test_a_rebuild_that_is_taken_back_leaves_the_table(tmp_path: Path) -> None:
    cursor = duckdb.connect(tmp_path / "one.duckdb")
    prepare(cursor)
    cursor.execute("CREATE TABLE d7(_id VARCHAR NOT NULL)")
    cursor.execute("INSERT INTO d7 VALUES ('a')")
    cursor.execute("BEGIN")
    add_columns(cursor, "d7", 7, columns(0, 40), 1)
    assert len(shape(cursor)) == 41
    cursor.execute("ROLLBACK")
    assert shape(cursor) == [("_id", "VARCHAR", "NO")]
    assert cursor.execute("SELECT * FROM d7").fetchall() == [("a",)]


async def test_documents_of_many_new_members_are_all_there_after_opening_again(tmp_path: Path) -> None:
    context = RequestContext()
    store = cast(EmbeddedDocuments, open_backend(InstanceConfig("es", "documents", None, str(tmp_path))))
    await store.create_index("wide", {}, {}, context)
    await store.insert("wide", Document(b'{"n":0}'), True, context)
    for part in range(2):
        source = orjson.dumps({"n": part + 1} | {f"m{part}-{number}": number for number in range(400)})
        await store.insert("wide", Document(source), True, context)
    await store.close()
    store = cast(EmbeddedDocuments, open_backend(InstanceConfig("es", "documents", None, str(tmp_path))))
    source_ref = SourceRef("es", ("wide",))
    table = await store.table(source_ref, context)
    scan = Scan(source_ref, ("n", "m0-399", "m1-0", "m1-7"), table=table, order=(Order("n"),))
    found = [row async for batch in store.compile(scan).stream(context) for row in batch.rows()]
    assert found == [(0, None, None, None), (1, 399, None, None), (2, None, 0, 7)]
    await store.close()


async def test_points_of_many_new_fields(tmp_path: Path) -> None:
    context = RequestContext()
    store = cast(EmbeddedSeries, open_backend(InstanceConfig("influx", "series", None, str(tmp_path))))
    await store.create_database("db", context)
    await store.write("db", [Point("m", {"host": "a"}, {"v": 1.5}, 1)], context)
    await store.write("db", [Point("m", {"host": "a"}, {f"f{number}": number for number in range(300)}, 1)], context)
    source_ref = SourceRef("influx", ("db", "m"))
    table = await store.table(source_ref, context)
    scan = Scan(source_ref, ("time", "host", "v", "f0", "f299"), table=table)
    found = [row async for batch in store.compile(scan).stream(context) for row in batch.rows()]
    assert found == [(1, "a", 1.5, 0, 299)]
    await store.close()
