"""Writes of points to one database: typed, merged by time and tags, then appended or set field by field."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from libs.errors import HostMonitorError, Issue, NotFoundError, RequestError
from query.backend import WriteReport
from query.embedded.catalogue import add_columns, next_id
from query.embedded.line_protocol import MAX_REASONS, Row, Value
from query.embedded.series_state import MAX_REMEMBERED, Database, Measurement, SeriesState, Tags
from query.embedded.staging import staged

Cursor = duckdb.DuckDBPyConnection
Fields = dict[str, Value]

NATIVE: Mapping[type, str] = {bool: "boolean", int: "integer", float: "float", str: "string"}
MAX_ISSUES = 100
EXACT = 2**53


@dataclass(frozen=True, slots=True)
class PointsWrite:
    """Points of one caller, by measurement, with their positions. `strict`: all or none, numbers turned where they fit
    (JSON); else what does not fit is dropped and told (line protocol). `dropped` counts what was left out before."""

    rows: Mapping[str, Sequence[tuple[int, Row]]]
    strict: bool
    dropped: int = 0
    reasons: tuple[str, ...] = ()


class DatabaseTarget:
    """The writer's target for one database (`key`: instance and name)."""

    def __init__(self, state: SeriesState, key: tuple[str, str]) -> None:
        self.state = state
        self.key = key

    def apply(self, cursor: Cursor, payloads: Sequence[PointsWrite]) -> Sequence[Any]:
        """A WriteReport, or a RequestError of its own, for each payload."""
        database = self.state.databases.get(self.key)
        if database is None:
            missing = NotFoundError(
                f"There is no database {self.key[1]!r}.", code="DATABASE_UNKNOWN", source=self.key[0]
            )
            return [missing] * len(payloads)
        batches: dict[str, _Batch] = {}
        outcomes: list[WriteReport | HostMonitorError] = []
        for write in payloads:
            try:
                outcomes.append(self._take(cursor, database, batches, write))
            except RequestError as refused:
                outcomes.append(refused)
        for name, batch in batches.items():
            if batch.rows:
                batch.store()
                self.state.touch(database, name)
        return outcomes

    def _take(self, cursor: Cursor, database: Database, batches: dict[str, _Batch], write: PointsWrite) -> WriteReport:
        ready: list[tuple[_Batch, _Typed]] = []
        issues: list[Issue] = []
        for name, rows in write.rows.items():
            if name not in batches:
                batches[name] = _Batch(cursor, database, name)
            typed = batches[name].typed(rows, write.strict)
            issues += typed.issues
            ready.append((batches[name], typed))
        if issues:
            raise RequestError.of(issues[:MAX_ISSUES])
        written, dropped, reasons = 0, write.dropped, dict.fromkeys(write.reasons)
        for batch, typed in ready:
            batch.take(typed)
            written += len(typed.rows)
            dropped += typed.dropped
            reasons |= dict.fromkeys(typed.reasons)
        return WriteReport(written, dropped, tuple(reasons)[:MAX_REASONS])


@dataclass(slots=True)
class _Typed:
    """Points whose fields have their measurement's types; `types` are those of the fields that are new."""

    rows: list[Row]
    types: dict[str, str]
    issues: list[Issue]
    dropped: int
    reasons: dict[str, None]


class _Batch:
    """The points of one transaction for one measurement, each time and series once."""

    def __init__(self, cursor: Cursor, database: Database, name: str) -> None:
        self.cursor, self.database, self.name = cursor, database, name
        known = database.measurements.get(name)
        self.types = {field: column.type for field, column in known.fields.items()} if known is not None else {}
        self.rows: dict[tuple[Tags, int], Fields] = {}

    def typed(self, rows: Sequence[tuple[int, Row]], strict: bool) -> _Typed:
        return self._strict(rows) if strict else self._lenient(rows)

    def _lenient(self, rows: Sequence[tuple[int, Row]]) -> _Typed:
        found = _Typed([], {}, [], 0, {})
        types = dict(self.types)
        for _, row in rows:
            fields = row[2]
            clash = next(
                (f for f, value in fields.items() if types.get(f, NATIVE[type(value)]) != NATIVE[type(value)]), None
            )
            if clash is None:
                for name, value in fields.items():
                    if name not in types:
                        types[name] = found.types[name] = NATIVE[type(value)]
                found.rows.append(row)
                continue
            found.dropped += 1
            if len(found.reasons) < MAX_REASONS:
                kind = NATIVE[type(fields[clash])]
                found.reasons[
                    f'field type conflict: input field "{clash}" on measurement "{self.name}" is type {kind}, already exists '
                    f"as type {types[clash]}"
                ] = None
        return found

    def _strict(self, rows: Sequence[tuple[int, Row]]) -> _Typed:
        found = _Typed([], {}, [], 0, {})
        for _, (_, _, fields) in rows:  # a new field is a float when any of its values is one
            for name, value in fields.items():
                if name not in self.types and (name not in found.types or isinstance(value, float)):
                    kind = NATIVE[type(value)]
                    if found.types.get(name) in (None, "integer"):
                        found.types[name] = kind
        for position, (time, tags, fields) in rows:
            turned: Fields = {}
            for name, value in fields.items():
                kind = self.types.get(name) or found.types[name]
                fitted = fit(value, kind)
                if fitted is None:
                    found.issues.append(_conflict(position, name, kind, value))
                else:
                    turned[name] = fitted
            found.rows.append((time, tags, turned))
        return found

    def take(self, typed: _Typed) -> None:
        self.types |= typed.types
        for time, tags, fields in typed.rows:
            held = self.rows.get((tags, time))
            if held is None:
                self.rows[tags, time] = fields
            else:
                self.rows[tags, time] = held | fields

    def store(self) -> None:
        measurement = self.database.measurements.get(self.name) or _created(self.cursor, self.database, self.name)
        used: dict[str, None] = {}
        tags: dict[str, None] = {}
        for (series, _), fields in self.rows.items():
            used.update(dict.fromkeys(fields))
            tags.update(dict.fromkeys(name for name, _ in series))
        fresh = [
            measurement.new_column("tag", name, "string") for name in sorted(tags.keys() - measurement.tags.keys())
        ]
        fresh += [
            measurement.new_column("field", name, self.types[name])
            for name in sorted(used.keys() - measurement.fields.keys())
        ]
        add_columns(self.cursor, measurement.table, measurement.id, fresh, measurement.rows)
        old = _perhaps_there(self.cursor, measurement, self.rows)
        _write(self.cursor, measurement, self.rows, list(tags), list(used), old)


def fit(value: Value, kind: str) -> Value | None:
    """A JSON value as a field's type, None where it does not fit exactly."""
    native = NATIVE[type(value)]
    if native == kind:
        return value
    if kind == "float" and native == "integer":
        number = float(value)
        return number if abs(int(value)) <= EXACT or int(number) == value else None
    if kind == "integer" and isinstance(value, float) and value.is_integer() and -(2**63) <= value < 2**63:
        return int(value)
    return None


def _conflict(position: int, name: str, kind: str, value: Value) -> Issue:
    pointer = f"/{position}/fields/" + name.replace("~", "~0").replace("/", "~1")
    message = f"The field {name!r} holds {kind} values; this one is {NATIVE[type(value)]} and does not fit."
    return Issue("FIELD_TYPE_CONFLICT", message, pointer)


def _created(cursor: Cursor, database: Database, name: str) -> Measurement:
    made = Measurement(next_id(cursor), name, newest={})
    cursor.execute(f"CREATE TABLE {made.table}(time BIGINT NOT NULL)")
    cursor.execute("INSERT INTO hm_measurements VALUES (?, ?, ?)", [made.id, database.id, name])
    database.measurements[name] = made
    return made


def _perhaps_there(cursor: Cursor, measurement: Measurement, rows: Iterable[tuple[Tags, int]]) -> list[bool]:
    """For each point whether its table may hold its series at its time already: not when it is newer than all of it."""
    newest = _newest(cursor, measurement)
    if newest is None:
        return [True for _ in rows]
    keys = list(rows)
    old = [newest.get(tags, time - 1) >= time for tags, time in keys]
    for tags, time in keys:
        if newest.get(tags, time) <= time:
            newest[tags] = time
    if len(newest) > MAX_REMEMBERED:
        measurement.newest, measurement.many = None, True
    return old


def _newest(cursor: Cursor, measurement: Measurement) -> dict[Tags, int] | None:
    if measurement.newest is None and not measurement.many:
        names = sorted(measurement.tags)
        columns = [measurement.tags[name].physical for name in names]
        keys = "".join(f"{column}, " for column in columns)
        group = f" GROUP BY {', '.join(columns)}" if columns else " HAVING count(*) > 0"
        sql = f"SELECT {keys}max(time) FROM {measurement.table}{group} LIMIT {MAX_REMEMBERED + 1}"
        found = cursor.execute(sql).fetchall()
        if len(found) > MAX_REMEMBERED:
            measurement.many = True
            return None
        measurement.newest = {
            tuple((name, value) for name, value in zip(names, row, strict=False) if value is not None): row[-1]
            for row in found
        }
    return measurement.newest


def _write(
    cursor: Cursor,
    measurement: Measurement,
    rows: Mapping[tuple[Tags, int], Fields],
    tags: list[str],
    fields: list[str],
    old: list[bool],
) -> None:
    columns: dict[str, tuple[str, Sequence[Any]]] = {"time": ("BIGINT", [time for _, time in rows])}
    series = [dict(key) for key, _ in rows]
    for name in tags:
        columns[measurement.tags[name].physical] = ("VARCHAR", [one.get(name) for one in series])
    for name in fields:
        column = measurement.fields[name]
        columns[column.physical] = (column.sql, [one.get(name) for one in rows.values()])
    names = ", ".join(columns)
    table = measurement.table
    if not any(old):
        with staged(cursor, columns, len(rows)) as stage:
            cursor.execute(f"INSERT INTO {table}({names}) SELECT {names} FROM {stage}")
        measurement.rows += len(rows)
        return
    columns["hm_old"] = ("BOOLEAN", old)
    times = [time for (_, time), there in zip(rows, old, strict=True) if there]
    same = [f"m.time = s.time AND m.time BETWEEN {min(times)} AND {max(times)} AND s.hm_old"]
    for name, tag in measurement.tags.items():
        same.append(
            f"m.{tag.physical} IS NOT DISTINCT FROM s.{tag.physical}" if name in tags else f"m.{tag.physical} IS NULL"
        )
    condition = " AND ".join(same)
    sets = ", ".join(
        f"{column} = coalesce(s.{column}, m.{column})"
        for column in (measurement.fields[name].physical for name in fields)
    )
    with staged(cursor, columns, len(rows)) as stage:
        cursor.execute(f"UPDATE {table} AS m SET {sets} FROM {stage} AS s WHERE {condition}")
        added = cursor.execute(
            f"INSERT INTO {table}({names}) SELECT {', '.join(f's.{name}' for name in names.split(', '))} FROM {stage} AS s "
            f"WHERE NOT EXISTS (SELECT 1 FROM {table} AS m WHERE {condition})"
        ).fetchone()
    assert added is not None
    measurement.rows += int(added[0])
