"""Groups: keys, aggregates and fill.

Decision: a key is missing or has values; a row with several counts once in the group of each, and in each combination of several such keys.
Decision: fill needs both bounds of the time range, on the bucket's own field, and exactly one time bucket. The buckets are those that meet
the half-open range, so the first may start before `from`.
Decision: instants are int64 in the field's unit. A bucket that starts before the least one is labelled by that, and what begins after the
greatest is no bucket.
Decision: `linear` interpolates by the instants at which buckets start, takes numbers alone, and makes an int64 aggregate float64 (`count`
is never null and stays). A value of `value` has the type of every aggregate that it may replace.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from typing import Any

from unittest_.reference.aggregates import TOLERANCE, Aggregate
from unittest_.reference.buckets import Width, width_of
from unittest_.reference.tables import NUMBERS, FieldSpec, Refused, Row, Scope, values_of

Key = tuple[Any, ...]
LEAST, MOST = -(2**63), 2**63 - 1
_UNITS = {"ns": 1, "ms": 1_000_000}


@dataclass(frozen=True)
class GroupKey:
    """A key: a field, or the time buckets of one."""

    name: str
    field: str
    output: FieldSpec
    width: Width | None = None

    def values(self, row: Row) -> list[Any]:
        values = values_of(row, self.field)
        if self.width is not None:
            values = [self.label(self.width.start(value)) for value in values]
        return list(dict.fromkeys(values)) or [None]

    def label(self, start: int) -> int:
        """What a bucket is called: its start, or the least instant that the field can hold."""
        return max(start, LEAST * _UNITS[self.output.unit])

    def starts(self, low: int, high: int) -> list[int]:
        """The labels of all buckets that meet the half-open range and hold an instant that the field can hold."""
        assert self.width is not None
        unit = _UNITS[self.output.unit]
        return [self.label(start) for start in self.width.starts(max(low, LEAST * unit), min(high, (MOST + 1) * unit))]


def group_key(item: str | Mapping[str, Any], fields: Mapping[str, FieldSpec], default_time: str) -> GroupKey:
    """Reads an item of `group_by`."""
    if isinstance(item, str):
        item = {"field": item}
    name = item.get("field", default_time)
    spec = fields.get(name)
    if spec is None:
        raise Refused("FIELD_UNKNOWN", name)
    if spec.role == "text":
        raise Refused("FIELD_NOT_FILTERABLE", name)
    timed = "time_bucket" in item
    if spec.type == "json" or (timed and spec.type != "timestamp"):
        raise Refused("TYPE_MISMATCH", name)
    output = FieldSpec(spec.type, False, spec.unit, spec.role if spec.role in ("ip", "id") else "plain")
    return GroupKey(
        item.get("as", name), name, output, width_of(item["time_bucket"], item.get("tz")) if timed else None
    )


def grouped(rows: Sequence[Row], keys: Sequence[GroupKey], aggregates: Mapping[str, Aggregate]) -> Scope:
    """One row a group, in no order; without keys one group, also of nothing."""
    members: dict[Key, list[Row]] = {} if keys else {(): []}
    for row in rows:
        for key in product(*(k.values(row) for k in keys)):
            members.setdefault(key, []).append(row)
    fields = {k.name: k.output for k in keys} | {name: a.output for name, a in aggregates.items()}
    scope = Scope(fields, [], [])
    for key, inside in members.items():
        _add(scope, keys, key, aggregates, inside)
    return scope


def _add(
    scope: Scope, keys: Sequence[GroupKey], key: Key, aggregates: Mapping[str, Aggregate], rows: Sequence[Row]
) -> None:
    row = {k.name: value for k, value in zip(keys, key, strict=True) if value is not None}
    slack: dict[str, float] = {}
    for name, one in aggregates.items():
        value, slack[name] = one.of(rows)
        if value is not None:
            row[name] = value
    scope.rows.append(row)
    scope.slack.append(slack)


@dataclass(frozen=True)
class Fill:
    mode: str
    value: Any
    bounds: tuple[int, int]


def filled(scope: Scope, keys: Sequence[GroupKey], aggregates: Mapping[str, Aggregate], fill: Fill) -> Scope:
    """Adds the absent buckets of each series, then replaces its null aggregates as the mode says."""
    timed = [k for k in keys if k.width is not None]
    if len(timed) != 1:
        raise Refused("FILL_INVALID", "fill needs one time bucket")
    time, others = timed[0], [k for k in keys if k.width is None]
    assert time.width is not None
    series: dict[Key, dict[int, int]] = {} if others else {(): {}}
    for at, row in enumerate(scope.rows):
        series.setdefault(tuple(row.get(k.name) for k in others), {})[row[time.name]] = at
    starts = time.starts(*fill.bounds)
    for key, present in series.items():
        for start in starts:
            if start not in present:
                present[start] = len(scope.rows)
                whole = dict(zip((k.name for k in others), key, strict=True)) | {time.name: start}
                _add(scope, keys, tuple(whole[k.name] for k in keys), aggregates, ())
    fields = dict(scope.fields)
    for name, one in aggregates.items():
        if one.name != "count":
            fields[name] = _replace(
                scope, name, one.output, fill, [[p[s] for s in sorted(p)] for p in series.values()], time.name
            )
    return Scope(fields, scope.rows, scope.slack)


def _replace(scope: Scope, name: str, output: FieldSpec, fill: Fill, series: list[list[int]], time: str) -> FieldSpec:
    if fill.mode == "value":
        _check_value(fill.value, output)
        for row in scope.rows:
            row.setdefault(name, float(fill.value) if output.type == "float64" else fill.value)
    elif fill.mode == "previous":
        for places in series:
            for before, at in pairwise(places):
                if name not in scope.rows[at] and name in scope.rows[before]:
                    scope.rows[at][name] = scope.rows[before][name]
                    scope.slack[at][name] = scope.slack[before][name]
    elif fill.mode == "linear":
        if output.type not in NUMBERS:
            raise Refused("FILL_INVALID", f"linear over {output.type}")
        for places in series:
            _interpolate(scope, name, places, time)
        for row in scope.rows:
            if name in row:
                row[name] = float(row[name])
        return FieldSpec("float64")
    return output


def _check_value(value: Any, output: FieldSpec) -> None:
    fits = {"boolean": bool, "int64": int, "float64": int | float, "string": str}.get(output.type)
    if fits is None or not isinstance(value, fits) or (isinstance(value, bool) and output.type != "boolean"):
        raise Refused("FILL_INVALID", f"{value!r} in a column of {output.type}")


def _interpolate(scope: Scope, name: str, places: list[int], time: str) -> None:
    known = [at for at in places if name in scope.rows[at]]
    for left, right in pairwise(known):
        a, b = scope.rows[left][name], scope.rows[right][name]
        start, end = scope.rows[left][time], scope.rows[right][time]
        for at in places[places.index(left) + 1 : places.index(right)]:
            part = (scope.rows[at][time] - start) / (end - start)
            scope.rows[at][name] = a + (b - a) * part
            error = TOLERANCE * max(abs(a), abs(b))
            scope.slack[at][name] = max(scope.slack[left][name], scope.slack[right][name]) + error
