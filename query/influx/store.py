"""What the fixed routes of series ask of an InfluxDB instance, in InfluxDB's own answer form."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from libs.context import RequestContext
from libs.errors import NotFoundError, StoreError
from query.backend import Json, Point, WriteReport
from query.catalog import SourceRef, Table
from query.influx.backend import InfluxBackend
from query.influx.column_lines import column_lines
from query.influx.decode import rows_of, series
from query.influx.line_protocol import NO_TYPES, Encoder
from query.influx.point_deletes import InfluxDeletes
from query.influx.quote import database_name, identifier, measurement_name
from query.influx.table import Measurement
from query.influx.text_lines import check, read
from query.influx.writing import LineWriter
from query.point_columns import PointColumns

# Below this the work takes less time than handing it to a thread.
_THREAD_POINTS = 2_000
_THREAD_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Write:
    """`count` points in batches of lines; `fresh`: with names that the catalogue does not know yet."""

    measurement: str
    batches: Iterable[bytes]
    count: int
    fresh: bool


class InfluxStore(InfluxBackend):
    """Every name is checked and quoted here; statements that change something name exactly one thing."""

    async def node(self, context: RequestContext) -> Json:
        version = await self.client.ping(context)
        return {"version": version, "uptime": await self._uptime(context), "answers": True}

    async def _uptime(self, context: RequestContext) -> str | None:
        """None where the server does not tell everyone."""
        try:
            result = await self.client.ask("SHOW DIAGNOSTICS", context)
        except StoreError as error:
            if error.status >= 503:
                raise
            return None
        for one in series(result, self.name):
            if one.get("name") == "system" and "uptime" in one["columns"] and one.get("values"):
                return str(one["values"][0][one["columns"].index("uptime")])
        return None

    async def databases(self, context: RequestContext) -> Json:
        return {"results": [await self.client.ask("SHOW DATABASES", context)]}

    async def create_database(self, db: str, context: RequestContext) -> Json:
        return await self.client.order(f"CREATE DATABASE {identifier(database_name(db))}", context)

    async def drop_database(self, db: str, context: RequestContext) -> Json:
        """Raises NotFoundError (DATABASE_UNKNOWN)."""
        await self._known_database(database_name(db), context)
        answer = await self.client.order(f"DROP DATABASE {identifier(db)}", context)
        self.catalog.forget_database(db)
        return answer

    async def measurements(self, db: str, context: RequestContext) -> Json:
        found = await self.client.ask("SHOW MEASUREMENTS", context, database_name(db))
        if not series(found, self.name):  # so it answers for a database that is not there, too
            await self._known_database(db, context)
        return {"results": [found]}

    async def drop_measurement(self, db: str, measurement: str, context: RequestContext) -> Json:
        """Raises NotFoundError (DATABASE_UNKNOWN, MEASUREMENT_UNKNOWN)."""
        await self.catalog.keys(database_name(db), measurement_name(measurement), context)
        answer = await self.client.order(f"DROP MEASUREMENT {identifier(measurement)}", context, db)
        self.forget(self._source(db, measurement))
        return answer

    async def keys(self, db: str, measurement: str, context: RequestContext) -> Json:
        tags, fields = await self.catalog.keys(database_name(db), measurement_name(measurement), context)
        return {
            "tag_keys": {"name": measurement, "columns": ["tagKey"], "values": [[tag] for tag in tags]},
            "field_keys": {"name": measurement, "columns": ["fieldKey", "fieldType"], "values": [[*f] for f in fields]},
        }

    async def write(self, db: str, points: Sequence[Point], context: RequestContext) -> WriteReport:
        database_name(db)
        writes: list[_Write] = []
        for measurement, places in _positions(points).items():
            own = points if len(places) == len(points) else [points[place] for place in places]
            writes.append(await self._encoded(db, measurement, own, places, context))
        reports = [await self._written(db, write, context) for write in writes]
        return WriteReport(
            sum(report.written for report in reports),
            sum(report.dropped for report in reports),
            tuple(reason for report in reports for reason in report.reasons),
        )

    async def _encoded(
        self, db: str, measurement: str, points: Sequence[Point], places: Sequence[int], context: RequestContext
    ) -> _Write:
        table = await self._known_table(db, measurement, context)
        if isinstance(points, PointColumns):
            lines = column_lines(points, _types(table), context.now_ns)
            if lines is not None:
                fresh = table is None or not points.names.issubset(table.fields)
                return _Write(measurement, lines, len(points), fresh)
        encoder = Encoder(_types(table), context.now_ns)
        if len(points) < _THREAD_POINTS:
            batches = encoder.encode(points, places)
        else:
            batches = await asyncio.to_thread(encoder.encode, points, places)
        return _Write(measurement, batches, len(points), table is None or not encoder.names.issubset(table.fields))

    async def _written(self, db: str, write: _Write, context: RequestContext) -> WriteReport:
        writer = LineWriter(self.client, db, write.measurement, "ns", context)
        report = await writer.write(write.batches, write.count)
        if write.fresh or report.dropped:
            self.forget(self._source(db, write.measurement))
        return report

    async def write_lines(
        self, db: str, measurement: str, lines: bytes, precision: str, context: RequestContext, first: int = 1
    ) -> WriteReport:
        """Lines that are none are dropped, and told. Raises RequestError (NAME_INVALID; VALUE_INVALID for a line of another
        measurement or no line at all: nothing was written), NotFoundError, StoreError."""
        database_name(db)
        if len(lines) < _THREAD_BYTES:
            found = check(lines, measurement, precision, context.now_ns, first)
        else:
            found = await asyncio.to_thread(check, lines, measurement, precision, context.now_ns, first)
        try:
            writer = LineWriter(self.client, db, measurement, precision, context)
            return await writer.write(found.batches, found.count, found.bad)
        finally:
            self.forget(self._source(db, measurement))

    def check_lines(self, measurement: str, lines: bytes, precision: str, now_ns: int, first: int = 1) -> int:
        found = read(lines, measurement, precision, now_ns, first)
        return found.count + len(found.bad)

    @property
    def deletes(self) -> InfluxDeletes:
        return InfluxDeletes(self.client, self.catalog)

    async def _known_table(self, db: str, measurement: str, context: RequestContext) -> Table | None:
        """None for a measurement that is not there yet."""
        measurement_name(measurement)
        try:
            return await self.table(self._source(db, measurement), context)
        except NotFoundError as error:
            if error.code.name != "MEASUREMENT_UNKNOWN":
                raise
            return None

    async def _known_database(self, db: str, context: RequestContext) -> None:
        result = await self.client.ask("SHOW DATABASES", context)
        if [db] not in rows_of(result, self.name, 1):
            raise NotFoundError(
                f"There is no database {db!r}.", code="DATABASE_UNKNOWN", source=self.name, pointer="path/db"
            )

    def _source(self, db: str, measurement: str) -> SourceRef:
        return SourceRef(self.name, (db, measurement))


def _positions(points: Sequence[Point]) -> Mapping[str, Sequence[int]]:
    """Where the points of each measurement stand."""
    if isinstance(points, PointColumns):
        return {points.measurement: range(len(points))}
    positions: dict[str, list[int]] = defaultdict(list)
    for position, point in enumerate(points):
        positions[point.measurement].append(position)
    return positions


def _types(table: Table | None) -> Mapping[str, str]:
    if table is None:
        return NO_TYPES
    assert isinstance(table.native, Measurement)
    return table.native.written
