"""Groups that InfluxDB makes: what it is asked for, and when that is proof enough. Pure.

InfluxDB leaves out a group whose rows lack the fields asked for, so all fields are counted, or one that the filter
guarantees. It cannot count rows: that is the count of a field which all rows have, guaranteed by the filter or proven by
a second statement (each field's count stays the same where that field is present). Its integer sums wrap, so count and
extremes come along.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from libs.result import Column, Schema, TypeName
from query.backend import EXACT, Pushdown, Verdict
from query.influx.compile import guaranteed, measurement_of, where_clause
from query.influx.conditions import present, split_time
from query.influx.quote import identifier
from query.influx.table import TIME, typed
from query.plan import Aggregation, BucketKey, FieldKey, Grouping, Scan

MAX_FIELDS = 32
# Near the ends of int64 the server's windows overflow; this is 1823 to 2116.
FIRST, LAST = -(2**62), 2**62
_DAY = 86_400 * 10**9
Call = Literal["count", "sum", "min", "max"]
_NEEDS: dict[str, tuple[Call, ...]] = {
    "count": (),
    "sum": ("sum", "min", "max"),
    "avg": ("sum", "min", "max"),
    "min": ("min",),
    "max": ("max",),
}
CHECKED = Verdict(Pushdown.EXACT, "what InfluxDB counts and sums is checked", checked=True)


def grouping_verdict(group: Grouping, scan: Scan) -> Verdict:
    """EXACT, checked where counts of rows, or sums, have to be proven; or why it is not pushed."""
    reason = _key_reason(group, scan) or _counted_reason(scan)
    reason = reason or next((why for one in group.aggregates if (why := _aggregate_reason(one, scan))), None)
    if reason is not None:
        return Verdict(Pushdown.UNSUPPORTED, reason)
    rows_counted = any(_counts_rows(one) for one in group.aggregates) and _proof_needed(scan)
    summed = any(one.function in ("sum", "avg") for one in group.aggregates)
    return CHECKED if rows_counted or summed else EXACT


def _key_reason(group: Grouping, scan: Scan) -> str | None:
    buckets = [key for key in group.keys if isinstance(key, BucketKey)]
    if len(buckets) > 1:
        return "InfluxQL takes one time bucket"
    for key in group.keys:
        if isinstance(key, FieldKey) and scan.typed(key.field).role != "tag":
            return "InfluxQL groups by tags and by time alone"
    if buckets:
        if width_of(buckets[0]) is None:
            return "InfluxQL has no buckets of the calendar"
        first, last, _ = split_time(scan.where)
        if first < FIRST or last > LAST:
            return "InfluxQL's time buckets need a bounded time range"
    return None


def width_of(key: BucketKey) -> int | None:
    """The bucket's width in nanoseconds where InfluxQL's edges are the same: counted from 1970 in UTC."""
    if key.field != TIME:
        return None
    if isinstance(key.width, int):
        return key.width
    return _DAY if key.width == "1d" and key.tz == "UTC" else None


def _counted_reason(scan: Scan) -> str | None:
    measurement = measurement_of(scan)
    if guaranteed(scan.where, scan) & measurement.uniform:
        return None
    assert scan.table is not None
    if len(measurement.presence) != len(measurement.uniform) or scan.table.ambiguous:
        return "shards type a field differently"
    if len(measurement.uniform) > MAX_FIELDS:
        return f"there are more than {MAX_FIELDS} fields to count"
    return None


def _aggregate_reason(one: Aggregation, scan: Scan) -> str | None:
    if one.where is not None:
        return "an aggregate with a filter of its own"
    if one.function not in _NEEDS:
        return f"InfluxDB's {one.function} is not exact"
    if _counts_rows(one):
        return None
    assert one.field is not None
    member = scan.typed(one.field)
    if member.role != "field" or member.name not in measurement_of(scan).uniform or member.native == "unsigned":
        return f"InfluxQL cannot aggregate {one.field!r} exactly"
    if one.function != "count" and not member.type.numeric:
        return f"InfluxQL has no {one.function} of it"
    return None


def _counts_rows(one: Aggregation) -> bool:
    return one.function == "count" and one.field in (None, TIME)


def _proof_needed(scan: Scan) -> bool:
    return len(counted_fields(scan)) > 1


def counted_fields(scan: Scan) -> tuple[str, ...]:
    """The fields whose counts tell that a group is there."""
    measurement = measurement_of(scan)
    sure = guaranteed(scan.where, scan) & measurement.uniform
    return (min(sure),) if sure else tuple(sorted(measurement.uniform))


@dataclass(frozen=True, slots=True)
class Measure:
    """How one output is made from calls: their places in the answer's rows (0 is the time)."""

    function: str
    integer: bool
    count: int | None
    sum: int | None
    least: int | None
    greatest: int | None


@dataclass(frozen=True, slots=True)
class GroupsRequest:
    """`keys` are tags' names and None for the bucket of `width`; `counted` are the places of the counts of `fields`.
    `proof` counts them where the field that is filled in is present; None when no proof is needed."""

    db: str
    statement: str | None
    schema: Schema
    keys: tuple[str | None, ...]
    width: int | None
    calls: tuple[Call, ...]
    fields: tuple[str, ...]
    counted: tuple[int, ...]
    measures: tuple[Measure, ...]
    proof: str | None

    def proof_of(self, field: str) -> str:
        """The statement that counts all fields where `field` is present."""
        assert self.proof is not None
        return f"{self.proof} AND {present(field)}"


def compile_groups(scan: Scan, group: Grouping) -> GroupsRequest:
    """For a grouping that `grouping_verdict` takes."""
    measurement = measurement_of(scan)
    calls: dict[tuple[Call, str], int] = {}
    fields = tuple(_typed(name, scan) for name in counted_fields(scan))
    counted = tuple(_place(calls, "count", field) for field in fields)
    measures = tuple(_measure(one, scan, calls) for one in group.aggregates)
    where = where_clause(scan)
    origin = f"FROM {identifier(measurement.name)} WHERE {where}"
    statement = proof = None
    bucket = next((key for key in group.keys if isinstance(key, BucketKey)), None)
    width = None if bucket is None else width_of(bucket)
    if where is not None:
        selected = ", ".join(f"{call}({field})" for call, field in calls)
        statement = f"SELECT {selected} {origin}{_group_by(group, width)}"
        if len(fields) > 1 and any(measure.count is None for measure in measures):
            proof = f"SELECT {', '.join(f'count({field})' for field in fields)} {origin}"
    return GroupsRequest(
        measurement.db,
        statement,
        _schema(scan, group),
        tuple(key.field if isinstance(key, FieldKey) else None for key in group.keys),
        width,
        tuple(call for call, _ in calls),
        fields,
        counted,
        measures,
        proof,
    )


def _measure(one: Aggregation, scan: Scan, calls: dict[tuple[Call, str], int]) -> Measure:
    if _counts_rows(one):
        return Measure("count", True, None, None, None, None)
    assert one.field is not None
    field = _typed(one.field, scan)
    needs = _NEEDS[one.function]
    return Measure(
        one.function,
        scan.typed(one.field).type.name is TypeName.INT64,
        _place(calls, "count", field),
        _place(calls, "sum", field) if "sum" in needs else None,
        _place(calls, "min", field) if "min" in needs else None,
        _place(calls, "max", field) if "max" in needs else None,
    )


def _place(calls: dict[tuple[Call, str], int], call: Call, field: str) -> int:
    return calls.setdefault((call, field), len(calls) + 1)


def _typed(name: str, scan: Scan) -> str:
    return typed(name, str(scan.typed(name).native))


def _group_by(group: Grouping, width: int | None) -> str:
    parts = [f"{identifier(key.field)}::tag" for key in group.keys if isinstance(key, FieldKey)]
    if width is not None:
        parts.append(f"time({width}ns)")
    if not parts:
        return ""
    return " GROUP BY " + ", ".join(parts) + (" fill(none)" if width is not None else "")


def _schema(scan: Scan, group: Grouping) -> Schema:
    source = scan.source.instance
    columns = [Column(key.name, scan.typed(key.field).type, source) for key in group.keys]
    for one in group.aggregates:
        assert one.type is not None
        columns.append(Column(one.name, one.type, source))
    return tuple(columns)
