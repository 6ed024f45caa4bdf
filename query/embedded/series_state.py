"""What the store knows of its databases and measurements: mutable while the writer works, published as frozen views."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import duckdb

from libs.result import BOOLEAN, FLOAT64, INT64, STRING, TIMESTAMP, Type
from query.catalog import Field
from query.embedded.catalogue import ColumnDef
from query.embedded.series_names import TIME

Cursor = duckdb.DuckDBPyConnection
Tags = tuple[tuple[str, str], ...]

SQL_TYPES = {"float": "DOUBLE", "integer": "BIGINT", "string": "VARCHAR", "boolean": "BOOLEAN"}
TYPES: Mapping[str, Type] = {"float": FLOAT64, "integer": INT64, "string": STRING, "boolean": BOOLEAN}
MAX_REMEMBERED = 100_000  # series of a measurement whose newest time is kept in memory


@dataclass(frozen=True, slots=True)
class MeasurementView:
    """A measurement as the last commit left it. `fields` are the catalogue's, their `native` the column."""

    id: int
    name: str
    rows: int
    tags: tuple[str, ...]
    types: Mapping[str, str]
    fields: Mapping[str, Field]
    ambiguous: frozenset[str]

    @property
    def table(self) -> str:
        return f"m{self.id}"


@dataclass(frozen=True, slots=True)
class DatabaseView:
    name: str
    measurements: Mapping[str, MeasurementView]


@dataclass(slots=True)
class Measurement:
    """A measurement as the writer sees it. `newest` holds each series' greatest time, None while it is not known."""

    id: int
    name: str
    tags: dict[str, ColumnDef] = field(default_factory=dict)
    fields: dict[str, ColumnDef] = field(default_factory=dict)
    rows: int = 0
    newest: dict[Tags, int] | None = None
    many: bool = False  # more series than are remembered
    _shape: tuple[Mapping[str, Field], Mapping[str, str], frozenset[str]] | None = None

    @property
    def table(self) -> str:
        return f"m{self.id}"

    def new_column(self, role: str, name: str, kind: str) -> ColumnDef:
        number = len(self.tags) + len(self.fields)
        sql = "VARCHAR" if role == "tag" else SQL_TYPES[kind]
        column = ColumnDef(number, role, name, kind, sql)
        (self.tags if role == "tag" else self.fields)[name] = column
        self._shape = None
        return column

    def view(self) -> MeasurementView:
        if self._shape is None:
            types = {name: self.fields[name].type for name in sorted(self.fields)}
            self._shape = (self._catalogued(), types, frozenset(self.tags) & frozenset(self.fields))
        fields, types_, ambiguous = self._shape
        return MeasurementView(self.id, self.name, self.rows, tuple(sorted(self.tags)), types_, fields, ambiguous)

    def _catalogued(self) -> Mapping[str, Field]:
        members = {TIME: Field(TIME, TIMESTAMP, "time", native=TIME)}
        for name in sorted(self.tags):
            members[name] = Field(name, STRING, "tag", native=self.tags[name].physical)
        for name in sorted(self.fields):
            column = self.fields[name]
            members.setdefault(name, Field(name, TYPES[column.type], "field", native=column.physical))
        return members


@dataclass(slots=True)
class Database:
    id: int
    instance: str
    name: str
    measurements: dict[str, Measurement] = field(default_factory=dict)


class SeriesState:
    """All databases, by (instance, name)."""

    def __init__(self) -> None:
        self.databases: dict[tuple[str, str], Database] = {}
        self.views: Mapping[tuple[str, str], DatabaseView] = {}
        self._touched: dict[tuple[str, str], set[str]] = {}

    def touch(self, database: Database, measurement: str | None = None) -> None:
        names = self._touched.setdefault((database.instance, database.name), set())
        if measurement is not None:
            names.add(measurement)

    def publish(self) -> None:
        if not self._touched:
            return
        views = dict(self.views)
        for key, names in self._touched.items():
            database = self.databases.get(key)
            if database is None:
                views.pop(key, None)
                continue
            known = dict(views[key].measurements) if key in views else {}
            for name in names:
                measurement = database.measurements.get(name)
                if measurement is None:
                    known.pop(name, None)
                else:
                    known[name] = measurement.view()
            views[key] = DatabaseView(database.name, known)
        self._touched = {}
        self.views = views

    def load(self, cursor: Cursor, columns: Mapping[int, list[ColumnDef]]) -> None:
        """Reads everything from the file, and publishes it."""
        self.databases = {}
        by_id: dict[int, Database] = {}
        for number, instance, name in cursor.execute("SELECT id, instance, name FROM hm_databases").fetchall():
            by_id[number] = self.databases[instance, name] = Database(number, instance, name)
        rows = cursor.execute("SELECT id, database_id, name FROM hm_measurements").fetchall()
        for number, database_id, name in rows:
            measurement = Measurement(number, name)
            for column in columns.get(number, ()):
                (measurement.tags if column.role == "tag" else measurement.fields)[column.name] = column
            counted = cursor.execute(f"SELECT count(*) FROM {measurement.table}").fetchone()
            assert counted is not None
            measurement.rows = counted[0]
            by_id[database_id].measurements[name] = measurement
        self.views = {}
        self._touched = {key: set(database.measurements) for key, database in self.databases.items()}
        self.publish()
