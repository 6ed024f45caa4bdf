"""The embedded series behind InfluxDB's v1 protocol: writes of any measurements, SHOW, and databases made and dropped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from libs.context import RequestContext
from libs.errors import CostError, NotFoundError, RequestError
from query.backend import WriteReport
from query.embedded.line_protocol import MAX_REASONS, Row, read_points
from query.embedded.series import PART, EmbeddedSeries
from query.embedded.series_names import database_name
from query.embedded.series_state import MeasurementView
from query.embedded.series_writer import PointsWrite
from query.embedded.show_statements import Show, read_show
from query.embedded.v1_answers import HEADERS, answer
from query.influxql import BUILD, VERSION, MadeAnswer, NativeAnswer, NativeQuery, NativeWrite, ServerVersion

Json = Any
Series = Mapping[str, Json]
_THREAD_BYTES = 256 * 1024
_POLICIES = ["name", "duration", "shardGroupDuration", "replicaN", "default"]
_AUTOGEN = ["autogen", "0s", "168h0m0s", 1, True]
_IN_NAME = str.maketrans({",": r"\,", " ": r"\ "})
_IN_TAG = str.maketrans({",": r"\,", " ": r"\ ", "=": r"\="})


class EmbeddedV1Series(EmbeddedSeries):
    """A NativeSeries. One retention policy: `rp` must be it, or nothing."""

    takes_gzip = False

    async def server_version(self, context: RequestContext) -> ServerVersion:
        await self.ping(context)
        return ServerVersion(VERSION, BUILD)

    @asynccontextmanager
    async def native_query(self, query: NativeQuery, context: RequestContext) -> AsyncIterator[NativeAnswer]:
        """A statement that fails as it runs is told in its result, and those behind it are not run, as in InfluxDB."""
        asked = [read_show(statement, self.name) for statement in query.statements]
        for show in asked:
            if show.kind in ("CREATE DATABASE", "DROP DATABASE"):
                database_name(show.db or "", "query/q")
        results: list[dict[str, Json]] = []
        failed = False
        for number, show in enumerate(asked):
            result: dict[str, Json] = {"statement_id": number}
            if failed:
                result["error"] = "not executed"
            else:
                try:
                    series = await self._answered(show, show.db or query.db, context)
                    result |= {"series": series} if series else {}
                except NotFoundError as error:
                    result["error"], failed = error.message, True
            results.append(result)
        yield answer(results, query)

    def timed(self, lines: bytes, precision: str, now_ns: int) -> bytes:
        """As they are: `native_write` takes the context's time."""
        return lines

    @asynccontextmanager
    async def native_write(
        self, write: NativeWrite, body: AsyncIterator[bytes], context: RequestContext
    ) -> AsyncIterator[NativeAnswer]:
        """Points are written a piece at a time. Raises NotFoundError (DATABASE_UNKNOWN), RequestError: POINTS_DROPPED tells, in
        InfluxDB's words, why and how many; the others are written."""
        if write.options.get("rp") not in (None, "", "autogen"):
            raise RequestError("retention policy not found: there is autogen alone", pointer="query/rp")
        self._known(write.db, write=True)
        written = dropped = 0
        reasons: dict[str, None] = {}
        async for piece in body:
            report = await self._write_piece(write, piece, context)
            written, dropped = written + report.written, dropped + report.dropped
            reasons |= dict.fromkeys(report.reasons)
        if dropped:
            why = "\n".join(list(reasons)[:MAX_REASONS])
            message = f"partial write: {why} dropped={dropped}" if written or "unable to parse" not in why else why
            raise RequestError(message, code="POINTS_DROPPED", pointer="")
        yield MadeAnswer(204, HEADERS)

    async def _write_piece(self, write: NativeWrite, piece: bytes, context: RequestContext) -> WriteReport:
        told = (piece, write.precision, context.now_ns)
        found = read_points(*told) if len(piece) < _THREAD_BYTES else await asyncio.to_thread(read_points, *told)
        written, dropped, reasons = 0, found.dropped, dict(found.reasons)
        for part in _parts(found.named):
            size = 100 * sum(len(rows) for rows in part.values())
            report = await self._submit(write.db, PointsWrite(part, False), size, context)
            written, dropped = written + report.written, dropped + report.dropped
            reasons |= dict.fromkeys(report.reasons)
        return WriteReport(written, dropped, tuple(reasons))

    def _known(self, db: str | None, write: bool = False) -> Mapping[str, MeasurementView]:
        """The database's measurements. Raises NotFoundError in InfluxDB's words, by which clients know it."""
        if not db:
            raise NotFoundError("database name required", code="DATABASE_UNKNOWN", pointer="query/db")
        try:
            return self._database(db).measurements
        except NotFoundError as error:
            message = "database not found: " + (f'"{db}"' if write else db)
            raise NotFoundError(message, code="DATABASE_UNKNOWN", source=self.name, pointer="query/db") from error

    async def _answered(self, show: Show, db: str | None, context: RequestContext) -> list[Series]:
        """The series of one statement. Raises NotFoundError, StoreError."""
        match show.kind:
            case "CREATE DATABASE":
                await self.create_database(show.db or "", context)
                return []
            case "DROP DATABASE":
                if show.db in await self._names(context):
                    await self.drop_database(show.db or "", context)
                return []
            case "SHOW DATABASES":
                names = await self._names(context)
                return [
                    {"name": "databases", "columns": ["name"]} | ({"values": [[n] for n in names]} if names else {})
                ]
            case "SHOW RETENTION POLICIES":
                self._known(db)
                return [{"columns": _POLICIES, "values": [_AUTOGEN]}]
            case "SHOW MEASUREMENTS":
                names = _cut([name for name, _ in self._chosen(show, db)], show)
                return [{"name": "measurements", "columns": ["name"], "values": [[n] for n in names]}] if names else []
            case "SHOW SERIES":
                keys = [key for _, view in self._chosen(show, db) for key in await self._series_keys(view, context)]
                keys = _cut(sorted(keys), show)
                return [{"columns": ["key"], "values": [[key] for key in keys]}] if keys else []
            case "SHOW TAG KEYS":
                return self._by_measurement(show, db, ["tagKey"], lambda view: [[tag] for tag in view.tags])
            case "SHOW FIELD KEYS":
                columns = ["fieldKey", "fieldType"]
                return self._by_measurement(show, db, columns, lambda view: [[*f] for f in view.types.items()])
        values = {name: await self._tag_values(view, show, context) for name, view in self._chosen(show, db)}
        return self._by_measurement(show, db, ["key", "value"], lambda view: values[view.name])

    async def _names(self, context: RequestContext) -> list[str]:
        (listed,) = (await self.databases(context))["results"][0]["series"]
        return [name for (name,) in listed.get("values", ())]

    def _chosen(self, show: Show, db: str | None) -> list[tuple[str, MeasurementView]]:
        known = self._known(db)
        return sorted(
            (name, view) for name, view in known.items() if show.measurements is None or name in show.measurements
        )

    def _by_measurement(
        self, show: Show, db: str | None, columns: list[str], rows_of: Callable[[MeasurementView], list[list[Json]]]
    ) -> list[Series]:
        """A series for each measurement that has rows; LIMIT counts in each."""
        found = [(name, _cut(rows_of(view), show)) for name, view in self._chosen(show, db)]
        return [{"name": name, "columns": columns, "values": rows} for name, rows in found if rows]

    async def _tag_values(self, view: MeasurementView, show: Show, context: RequestContext) -> list[list[str]]:
        found: list[list[str]] = []
        for tag in view.tags:
            if (tag in show.keys) != show.without:
                rows = await self._distinct(view, [tag], context)
                found += [[tag, value] for value in sorted(row[0] for row in rows if row[0] is not None)]
        return found

    async def _series_keys(self, view: MeasurementView, context: RequestContext) -> list[str]:
        name, tags = view.name.translate(_IN_NAME), [tag.translate(_IN_TAG) for tag in view.tags]
        if not tags:
            return [name] if view.rows else []
        return [
            name
            + "".join(
                f",{tag}={value.translate(_IN_TAG)}" for tag, value in zip(tags, row, strict=True) if value is not None
            )
            for row in await self._distinct(view, view.tags, context)
        ]

    async def _distinct(
        self, view: MeasurementView, tags: Sequence[str], context: RequestContext
    ) -> list[tuple[str | None, ...]]:
        """The combinations of some tags' values. Raises CostError past the limit of groups."""
        # The columns' own names are made by the store.
        columns = ", ".join(str(view.fields[tag].native) for tag in tags)
        limit = context.limits.groups
        async with self.store.readers.reader(context, self.name) as reader:
            rows = await reader.all(f"SELECT DISTINCT {columns} FROM {view.table} LIMIT {limit + 1}")
        if len(rows) > limit:
            raise CostError(f"{view.name!r} has more than {limit} series.", hint="ask of a measurement with fewer")
        return rows


def _cut(rows: list[Any], show: Show) -> list[Any]:
    return rows[show.offset :] if show.limit is None else rows[show.offset : show.offset + show.limit]


def _parts(named: Mapping[str, Sequence[Row]]) -> list[dict[str, list[tuple[int, Row]]]]:
    """The points of each measurement, in writes of at most PART of them, so that small writes of others come in between."""
    parts: list[dict[str, list[tuple[int, Row]]]] = [{}]
    room = PART
    for name, rows in named.items():
        for start in range(0, len(rows), PART):
            some = list(enumerate(rows[start : start + PART], start))
            if len(some) > room:
                parts.append({})
                room = PART
            parts[-1][name] = some
            room -= len(some)
    return parts if parts[0] else []
