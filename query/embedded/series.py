"""Series on the embedded store: databases, points and queries, with InfluxDB's behaviour and answer forms."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import duckdb

from libs.context import RequestContext
from libs.errors import Issue, NotFoundError, RequestError
from libs.result import Column
from query.backend import Point, Query, WriteReport
from query.catalog import SourceRef, Table
from query.embedded.backend import EmbeddedBackend
from query.embedded.catalogue import drop_table, next_id
from query.embedded.line_protocol import Row, read_lines, read_some
from query.embedded.point_deletes import EmbeddedDeletes
from query.embedded.query import EmbeddedQuery
from query.embedded.series_names import (
    MAX_TIME,
    MIN_TIME,
    SERIES_BYTES,
    TIME,
    database_name,
    fault_of,
    measurement_name,
    too_long,
)
from query.embedded.series_state import Database, DatabaseView, MeasurementView
from query.embedded.series_writer import MAX_ISSUES, DatabaseTarget, PointsWrite
from query.plan import Attempt, Order, Scan
from query.plan_joins import Narrowed
from query.sql import Cell, Relation, lower, unfold

Cursor = duckdb.DuckDBPyConnection
Json = Any
DONE: Json = {"results": [{"statement_id": 0}]}
PART = 20_000  # points in one write to the store, so that small writes of others come in between


class EmbeddedSeries(EmbeddedBackend):
    """A SeriesStore."""

    async def table(self, source: SourceRef, context: RequestContext) -> Table:
        view = self._measurement(*source.target)
        return Table(
            source,
            "series",
            view.fields,
            time_field=TIME,
            ambiguous=view.ambiguous,
            rows=view.rows,
            native=view,
        )

    def compile(self, scan: Scan) -> Query:
        self.capabilities.require(scan)
        assert scan.table is not None
        assert isinstance(scan.table.native, MeasurementView)
        grouped = scan.group is not None
        if not grouped and scan.order:
            named = {key.field for key in scan.order}
            ties = (Order(name) for name in (TIME, *scan.table.native.tags) if name not in named)
            scan = replace(scan, order=(*scan.order, *ties))
        return EmbeddedQuery(self.store, self.name, lower(unfold(scan), relation), grouped)

    async def node(self, context: RequestContext) -> Json:
        await self.ping(context)
        return {"version": f"duckdb-{duckdb.__version__}", "uptime": f"{self.uptime_seconds}s", "answers": True}

    async def databases(self, context: RequestContext) -> Json:
        self.store.check()
        names = sorted(db for instance, db in self.store.series.views if instance == self.name)
        return _listed("databases", names, always=True)

    async def create_database(self, db: str, context: RequestContext) -> Json:
        """A database that exists already stays as it is, as in InfluxDB."""
        database_name(db)

        def create(cursor: Cursor) -> None:
            if (self.name, db) in self.store.series.databases:
                return
            made = Database(next_id(cursor), self.name, db)
            row = [made.id, self.name, db, time.time_ns() // 1_000_000]
            cursor.execute("INSERT INTO hm_databases VALUES (?, ?, ?, ?)", row)
            self.store.series.databases[self.name, db] = made
            self.store.series.touch(made)

        await self.store.writer.change(create, context, self.name)
        return DONE

    async def drop_database(self, db: str, context: RequestContext) -> Json:
        """Raises NotFoundError (DATABASE_UNKNOWN)."""
        database_name(db)

        def drop(cursor: Cursor) -> None:
            gone = self.store.series.databases.get((self.name, db))
            if gone is None:
                raise self._unknown(db)
            for measurement in gone.measurements.values():
                drop_table(cursor, measurement.table, measurement.id)
            cursor.execute("DELETE FROM hm_measurements WHERE database_id = ?", [gone.id])
            cursor.execute("DELETE FROM hm_databases WHERE id = ?", [gone.id])
            del self.store.series.databases[self.name, db]
            self.store.series.touch(gone)

        await self.store.writer.change(drop, context, self.name)
        return DONE

    async def measurements(self, db: str, context: RequestContext) -> Json:
        return _listed("measurements", sorted(self._database(db).measurements))

    async def drop_measurement(self, db: str, measurement: str, context: RequestContext) -> Json:
        """Raises NotFoundError (DATABASE_UNKNOWN, MEASUREMENT_UNKNOWN)."""
        self._measurement(db, measurement)

        def drop(cursor: Cursor) -> None:
            database = self.store.series.databases.get((self.name, db))
            gone = database.measurements.get(measurement) if database is not None else None
            if database is None or gone is None:
                raise self._no_measurement(db, measurement)
            drop_table(cursor, gone.table, gone.id)
            cursor.execute("DELETE FROM hm_measurements WHERE id = ?", [gone.id])
            del database.measurements[measurement]
            self.store.series.touch(database, measurement)

        await self.store.writer.change(drop, context, self.name)
        return DONE

    async def keys(self, db: str, measurement: str, context: RequestContext) -> Json:
        view = self._measurement(db, measurement)
        return {
            "tag_keys": {"name": measurement, "columns": ["tagKey"], "values": [[tag] for tag in view.tags]},
            "field_keys": {
                "name": measurement,
                "columns": ["fieldKey", "fieldType"],
                "values": [[name, kind] for name, kind in view.types.items()],
            },
        }

    async def write(self, db: str, points: Sequence[Point], context: RequestContext) -> WriteReport:
        self._database(db)
        if len(points) > 2_000:
            write = await asyncio.to_thread(checked, points, context.now_ns)
        else:
            write = checked(points, context.now_ns)
        return await self._submit(db, write, 100 * len(points), context)

    async def write_lines(
        self, db: str, measurement: str, lines: bytes, precision: str, context: RequestContext, first: int = 1
    ) -> WriteReport:
        self._database(db)
        measurement_name(measurement)
        if len(lines) > 256 * 1024:
            found = await asyncio.to_thread(read_lines, lines, measurement, precision, context.now_ns, first)
        else:
            found = read_lines(lines, measurement, precision, context.now_ns, first)
        written, dropped, reasons = 0, found.dropped, dict(found.reasons)
        for start in range(0, len(found.rows), PART):
            part = [(position, row) for position, row in enumerate(found.rows[start : start + PART], start)]
            report = await self._submit(db, PointsWrite({measurement: part}, False), 100 * len(part), context)
            written += report.written
            dropped += report.dropped
            reasons |= dict.fromkeys(report.reasons)
        return WriteReport(written, dropped, tuple(reasons)[:10])

    def check_lines(self, measurement: str, lines: bytes, precision: str, now_ns: int, first: int = 1) -> int:
        measurement_name(measurement)
        found = read_some(lines, measurement, precision, now_ns, first)
        return len(found.rows) + found.dropped

    @property
    def deletes(self) -> EmbeddedDeletes:
        return EmbeddedDeletes(self.store, self.name)

    async def _submit(self, db: str, write: PointsWrite, size: int, context: RequestContext) -> WriteReport:
        key = (self.name, db)
        target = DatabaseTarget(self.store.series, key)
        report = await self.store.writer.submit(("series", key), target, write, size, context, self.name)
        assert isinstance(report, WriteReport)
        return report

    def _database(self, db: str) -> DatabaseView:
        self.store.check()
        view = self.store.series.views.get((self.name, database_name(db)))
        if view is None:
            raise self._unknown(db)
        return view

    def _measurement(self, db: str, measurement: str) -> MeasurementView:
        view = self._database(db).measurements.get(measurement_name(measurement))
        if view is None:
            raise self._no_measurement(db, measurement)
        return view

    def _unknown(self, db: str) -> NotFoundError:
        return NotFoundError(
            f"There is no database {db!r}.", code="DATABASE_UNKNOWN", source=self.name, pointer="path/db"
        )

    def _no_measurement(self, db: str, measurement: str) -> NotFoundError:
        return NotFoundError(
            f"There is no measurement {measurement!r} in {db!r}.",
            code="MEASUREMENT_UNKNOWN",
            source=self.name,
            pointer="path/measurement",
        )


def relation(scan: Scan | Attempt | Narrowed) -> Relation:
    """The rows of a bare scan of a measurement."""
    assert isinstance(scan, Scan)
    assert scan.table is not None
    assert isinstance(scan.table.native, MeasurementView)
    view, source = scan.table.native, scan.source.instance
    cells = tuple(
        Cell(f"t.{view.fields[name].native}", Column(name, view.fields[name].type, source)) for name in scan.columns
    )
    return Relation(f"{view.table} AS t", cells)


def checked(points: Sequence[Point], now_ns: int) -> PointsWrite:
    """The points as rows. Raises RequestError (VALUE_INVALID, NAME_INVALID) with a pointer to all that is wrong."""
    rows: dict[str, list[tuple[int, Row]]] = {}
    issues: list[Issue] = []
    for position, point in enumerate(points):
        found = list(_faults(point))
        if found:
            issues += [Issue(code, message, f"/{position}{path}") for code, path, message in found]
            if len(issues) >= MAX_ISSUES:
                break
        else:
            rows.setdefault(point.measurement, []).append((position, _row(point, now_ns)))
    if issues:
        raise RequestError.of(issues[:MAX_ISSUES])
    return PointsWrite(rows, True)


def _row(point: Point, now_ns: int) -> Row:
    tags = tuple(sorted((name, value) for name, value in point.tags.items() if value != ""))
    fields = {name: value + 0.0 if isinstance(value, float) else value for name, value in point.fields.items()}
    return (now_ns if point.time is None else point.time, tags, fields)


def _faults(point: Point) -> Sequence[tuple[str, str, str]]:
    """(code, path below the point, message) of everything that is wrong with a point."""
    found: list[tuple[str, str, str]] = []
    why = fault_of(point.measurement)
    if why is not None:
        found.append(("NAME_INVALID", "/measurement", f"This cannot be the name of a measurement: {why}."))
    for where, names in (("tags", point.tags), ("fields", point.fields)):
        for name in names:
            why = "no tag and no field can be called time" if name == TIME else fault_of(name)
            if why is not None:
                found.append(("NAME_INVALID", f"/{where}/{_escaped(name)}", f"The name cannot stand there: {why}."))
    for name, tag in point.tags.items():
        if "\n" in tag:
            found.append(("VALUE_INVALID", f"/tags/{_escaped(name)}", "A tag's value cannot hold a line break."))
    if point.tags and too_long(point.tags.items()):
        message = f"The tags are longer than {SERIES_BYTES} bytes in all."
        found.append(("VALUE_INVALID", "/tags", message))
    if not point.fields:
        found.append(("VALUE_INVALID", "/fields", "A point needs at least one field."))
    for name, value in point.fields.items():
        if isinstance(value, float) and not math.isfinite(value):
            found.append(("VALUE_INVALID", f"/fields/{_escaped(name)}", "A number must be finite."))
        elif type(value) is int and not -(2**63) <= value < 2**63:
            found.append(("VALUE_INVALID", f"/fields/{_escaped(name)}", "The integer does not fit into 64 bits."))
    if point.time is not None and not MIN_TIME <= point.time <= MAX_TIME:
        found.append(("VALUE_INVALID", "/time", "The time is outside of what the store holds."))
    return found


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def _listed(what: str, names: Sequence[str], always: bool = False) -> Json:
    """A list of names in the form of SHOW; without series when there are none."""
    if not names and not always:
        return DONE
    series: dict[str, Json] = {"name": what, "columns": ["name"]}
    if names:
        series["values"] = [[name] for name in names]
    return {"results": [{"statement_id": 0, "series": [series]}]}
