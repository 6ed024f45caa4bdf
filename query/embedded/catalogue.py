"""The tables that say what the store holds: names are data in them, every physical identifier is made here from a number.

Documents of an index stand in `d<id>`, points of a measurement in `m<id>`; a field is a column `c<number>`, and
`c<number>m` once it holds lists (a query compiled before that then fails to bind, and is compiled anew).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass

import duckdb

Cursor = duckdb.DuckDBPyConnection

# Adding a column to a table takes, for each that it has, as long as writing so many cells; that is not worth it for a few.
_CELLS_PER_COLUMN = 40
_FEW_COLUMNS = 16
# What is written anew stands in the log: some 20 MB.
_MOST_CELLS = 4_000_000
FORMAT = 1  # of the tables below and of what they describe

_SCHEMA = """
CREATE TABLE IF NOT EXISTS hm_format(version INTEGER NOT NULL, commits BIGINT NOT NULL);
CREATE SEQUENCE IF NOT EXISTS hm_ids START 1;
CREATE TABLE IF NOT EXISTS hm_indices(
    id BIGINT NOT NULL, instance VARCHAR NOT NULL, name VARCHAR NOT NULL, uuid VARCHAR NOT NULL, created_ms BIGINT NOT NULL,
    settings VARCHAR NOT NULL, mappings VARCHAR NOT NULL);
CREATE TABLE IF NOT EXISTS hm_databases(
    id BIGINT NOT NULL, instance VARCHAR NOT NULL, name VARCHAR NOT NULL, created_ms BIGINT NOT NULL);
CREATE TABLE IF NOT EXISTS hm_measurements(id BIGINT NOT NULL, database_id BIGINT NOT NULL, name VARCHAR NOT NULL);
CREATE TABLE IF NOT EXISTS hm_columns(
    table_id BIGINT NOT NULL, number BIGINT NOT NULL, role VARCHAR NOT NULL, name VARCHAR NOT NULL, type VARCHAR NOT NULL,
    sql VARCHAR NOT NULL, multi BOOLEAN NOT NULL, ignored BOOLEAN NOT NULL);
CREATE TABLE IF NOT EXISTS hm_sequences(table_id BIGINT NOT NULL, next BIGINT NOT NULL);
CREATE TABLE IF NOT EXISTS hm_aliases(instance VARCHAR NOT NULL, name VARCHAR NOT NULL, index_id BIGINT NOT NULL);
"""


@dataclass(slots=True)
class ColumnDef:
    """A field's column. `type` is the mapping's or the series' word for its type, `sql` the column's element type,
    `role` member, tag or field; `ignored`: some value was left out of it (ignore_above, ignore_malformed)."""

    number: int
    role: str
    name: str
    type: str
    sql: str
    multi: bool = False
    ignored: bool = False

    @property
    def physical(self) -> str:
        return f"c{self.number}m" if self.multi else f"c{self.number}"

    @property
    def declared(self) -> str:
        return self.sql + "[]" if self.multi else self.sql


def prepare(cursor: Cursor) -> int:
    """Makes the tables of a new file; answers the format of the file."""
    cursor.execute("BEGIN")
    for statement in _SCHEMA.split(";"):
        if statement.strip():
            cursor.execute(statement)
    row = cursor.execute("SELECT version FROM hm_format").fetchone()
    if row is None:
        cursor.execute("INSERT INTO hm_format VALUES (?, 0)", [FORMAT])
    cursor.execute("COMMIT")
    return FORMAT if row is None else int(row[0])


def commits(cursor: Cursor) -> int:
    """How many transactions of writes the file holds."""
    row = cursor.execute("SELECT commits FROM hm_format").fetchone()
    assert row is not None
    return int(row[0])


def next_id(cursor: Cursor) -> int:
    row = cursor.execute("SELECT nextval('hm_ids')").fetchone()
    assert row is not None
    return int(row[0])


def columns_of(cursor: Cursor) -> dict[int, list[ColumnDef]]:
    """All columns by the table's id, in the order they were added."""
    found: dict[int, list[ColumnDef]] = {}
    rows = cursor.execute(
        "SELECT table_id, number, role, name, type, sql, multi, ignored FROM hm_columns ORDER BY table_id, number"
    ).fetchall()
    for table_id, *column in rows:
        found.setdefault(table_id, []).append(ColumnDef(*column))
    return found


def add_columns(cursor: Cursor, table: str, table_id: int, columns: Sequence[ColumnDef], rows: int) -> None:
    """Adds them to the physical table of so many rows (but those without a type of their own) and to the catalogue."""
    added = [f"{column.physical} {column.declared}" for column in columns if column.sql]
    if len(added) < _FEW_COLUMNS or not _rebuilt(cursor, table, added, rows):
        for column in added:
            cursor.execute(f"ALTER TABLE {table} ADD COLUMN {column}")
    note_columns(cursor, table_id, columns)


def _rebuilt(cursor: Cursor, table: str, added: Sequence[str], rows: int) -> bool:
    """Makes the table anew with further columns where that costs less than a statement for each: those take time by the
    square of their number, again when the log is read after a crash."""
    found = cursor.execute('SELECT name, type, "notnull" FROM pragma_table_info(?)', [table]).fetchall()
    altering = len(added) * (len(found) + len(added) // 2) * _CELLS_PER_COLUMN
    if rows * (len(found) + len(added)) > min(altering, _MOST_CELLS):
        return False
    declared = [f"{name} {kind}{' NOT NULL' if needed else ''}" for name, kind, needed in found]
    names = ", ".join(name for name, _, _ in found)
    cursor.execute(f"CREATE TABLE {table}_new({', '.join([*declared, *added])})")
    if rows:
        cursor.execute(f"INSERT INTO {table}_new({names}) SELECT {names} FROM {table}")
    cursor.execute(f"DROP TABLE {table}")
    cursor.execute(f"ALTER TABLE {table}_new RENAME TO {table}")
    return True


def note_columns(cursor: Cursor, table_id: int, columns: Sequence[ColumnDef]) -> None:
    """Adds them to the catalogue alone."""
    if columns:
        cursor.execute(
            "INSERT INTO hm_columns SELECT $1, unnest($2::BIGINT[]), unnest($3::VARCHAR[]), unnest($4::VARCHAR[]), "
            "unnest($5::VARCHAR[]), unnest($6::VARCHAR[]), unnest($7::BOOLEAN[]), unnest($8::BOOLEAN[])",
            [table_id, *map(list, zip(*map(astuple, columns), strict=True))],
        )


def make_multi(cursor: Cursor, table: str, table_id: int, column: ColumnDef) -> None:
    """Turns a column into one of lists: what it holds becomes lists of one."""
    old = column.physical
    column.multi = True
    new = column.physical
    cursor.execute(f"ALTER TABLE {table} ADD COLUMN {new} {column.declared}")
    cursor.execute(f"UPDATE {table} SET {new} = [{old}] WHERE {old} IS NOT NULL")
    cursor.execute(f"ALTER TABLE {table} DROP COLUMN {old}")
    cursor.execute("UPDATE hm_columns SET multi = true WHERE table_id = ? AND number = ?", [table_id, column.number])


def mark_ignored(cursor: Cursor, table_id: int, columns: Iterable[ColumnDef]) -> None:
    """Notes that some value of these columns was ignored by their index."""
    for column in columns:
        column.ignored = True
        cursor.execute(
            "UPDATE hm_columns SET ignored = true WHERE table_id = ? AND number = ?", [table_id, column.number]
        )


def drop_table(cursor: Cursor, table: str, table_id: int) -> None:
    cursor.execute(f"DROP TABLE {table}")
    cursor.execute("DELETE FROM hm_columns WHERE table_id = ?", [table_id])
    cursor.execute("DELETE FROM hm_sequences WHERE table_id = ?", [table_id])


def sequences(cursor: Cursor) -> dict[int, int]:
    """The next number of the sequence of writes, by table, where rows that had some were deleted."""
    return dict(cursor.execute("SELECT table_id, next FROM hm_sequences").fetchall())


def note_sequence(cursor: Cursor, table_id: int, following: int) -> None:
    """Keeps the next number of a table's sequence, which its rows alone no longer tell: none is ever given twice."""
    cursor.execute("DELETE FROM hm_sequences WHERE table_id = ?", [table_id])
    cursor.execute("INSERT INTO hm_sequences VALUES (?, ?)", [table_id, following])
