"""Aggregates over the rows of one group, in exact arithmetic, each with the error that a store's float64 may have.

Decision: an aggregate over a multi-valued field takes every value (a row counts once in `count` with a field); `first` and `last` take the
greater value of the row's. Decision: `first` and `last` look at rows with a value and a time; the time is the range's field where
one is named, else `@timestamp` or `time`; of several times in a row, `first` takes the least and `last` the greatest.
Decision: a json value counts by its text without spaces, members in the order in which they were sent.
Decision: `count_distinct` of nothing is null, as every aggregate but `count`. Analysed text without a keyword counts rows, nothing else.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from unittest_.reference.filters import Test, compile_filter
from unittest_.reference.tables import NUMBERS, FieldSpec, Refused, Row, values_of

Inexact = tuple[Any, float]
NUMERIC = ("sum", "avg", "median", "percentile", "stddev")
NAMES = ("count", "count_distinct", "min", "max", "first", "last", *NUMERIC)
TOLERANCE = 1e-9
_LEAST, _MOST = -(2**63), 2**63 - 1


@dataclass(frozen=True)
class Aggregate:
    """One aggregate of a body: its output, what it is taken over, and its own filter."""

    name: str
    output: FieldSpec
    field: str | None
    spec: FieldSpec | None
    test: Test | None
    p: float
    time: str

    def of(self, rows: Sequence[Row]) -> Inexact:
        """The value over the rows (None of nothing, but 0 for `count`) and the absolute error allowed."""
        kept = [row for row in rows if self.test(row)] if self.test else rows
        if self.name == "count":
            return (len(kept) if self.field is None else sum(1 for row in kept if values_of(row, self.field))), 0.0
        assert self.field is not None
        assert self.spec is not None
        if self.spec.type == "json":
            kept = [{**row, self.field: json_text(row[self.field])} for row in kept if self.field in row]
        if self.name in ("first", "last"):
            edge = _edge(kept, self.field, self.time, self.name)
            return (json.loads(edge) if self.spec.type == "json" and edge is not None else edge), 0.0
        values = [value for row in kept for value in values_of(row, self.field)]
        return _reduce(self.name, values, self.p, integer=self.output.type == "int64") if values else (None, 0.0)


def aggregate(item: Mapping[str, Any], fields: Mapping[str, FieldSpec], time: str, now: int) -> Aggregate:
    """Reads an aggregate of `select`. Raises Refused for what the language refuses."""
    name, field = item["agg"], item.get("field")
    spec = fields.get(field) if field is not None else None
    if field is not None and spec is None:
        raise Refused("FIELD_UNKNOWN", field)
    if spec is not None and name != "count":
        _check(name, spec)
    if name in ("first", "last") and time not in fields:
        raise Refused("FIELD_UNKNOWN", time)
    p = item.get("p", 50)
    if name == "percentile" and not 0 <= p <= 100:
        raise Refused("RANGE_INVALID", f"p {p}")
    test = compile_filter(item["where"], fields, now) if "where" in item else None
    return Aggregate(name, _output(name, spec), field, spec, test, p, time)


def _check(name: str, spec: FieldSpec) -> None:
    if spec.role == "text":
        raise Refused("FIELD_NOT_FILTERABLE", name)
    timed = name in ("min", "max") and spec.type == "timestamp"
    if name in (*NUMERIC, "min", "max") and spec.type not in NUMBERS and not timed:
        raise Refused("TYPE_MISMATCH", f"{name} of {spec.type}")


def _output(name: str, spec: FieldSpec | None) -> FieldSpec:
    if name in ("count", "count_distinct"):
        return FieldSpec("int64")
    assert spec is not None
    if name in ("avg", "median", "percentile", "stddev"):
        return FieldSpec("float64")
    return FieldSpec(spec.type, False, spec.unit, spec.role if spec.role in ("ip", "id") else "plain")


def json_text(value: Any) -> str:
    """What json values are told apart and compared by."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _edge(rows: Sequence[Row], field: str, time: str, name: str) -> Any:
    dated = [(row, times) for row in rows if values_of(row, field) and (times := values_of(row, time))]
    if not dated:
        return None
    pick = min if name == "first" else max
    edge = pick(pick(times) for _, times in dated)
    return max(max(values_of(row, field)) for row, times in dated if pick(times) == edge)


def _reduce(name: str, values: list[Any], p: float, *, integer: bool) -> Inexact:
    if name == "count_distinct":
        return len(set(values)), 0.0
    if name in ("min", "max"):
        return (min(values) if name == "min" else max(values)), 0.0
    if name in ("median", "percentile"):
        return percentile(values, p if name == "percentile" else 50)
    exact = [Fraction(value) for value in values]
    size = sum((abs(value) for value in exact), Fraction(0))
    total = sum(exact, Fraction(0))
    if name == "sum":
        if integer and not _LEAST <= total <= _MOST:
            raise Refused("NUMBER_OUT_OF_RANGE", "sum")
        return (int(total), 0.0) if integer else (_float(total), _slack(size))
    if name == "avg":
        return _float(total / len(exact)), _slack(size / len(exact))
    return _stddev(exact)


def _float(value: Fraction) -> float | None:
    """The nearest float64, None past the greatest (rule 18)."""
    try:
        return float(value)
    except OverflowError:
        return None


def _slack(size: Fraction) -> float:
    held = _float(size)
    return math.inf if held is None else TOLERANCE * held


def percentile(values: Sequence[int | float], p: float) -> Inexact:
    """The linear interpolation at p/100·(n-1) in the sorted values."""
    ordered = sorted(values)
    place = Fraction(p) * (len(ordered) - 1) / 100
    below = math.floor(place)
    low = Fraction(ordered[below])
    high = Fraction(ordered[min(below + 1, len(ordered) - 1)])
    value = float(low + (high - low) * (place - below))
    return value, TOLERANCE * float(max(abs(low), abs(high)))


def _stddev(values: list[Fraction]) -> Inexact:
    count = len(values)
    if count < 2:
        return None, 0.0
    mean = sum(values) / count
    variance = sum((value - mean) ** 2 for value in values) / (count - 1)
    deviation = math.sqrt(variance)
    # A running mean in float64 loses digits where the values are far from zero and close to each other.
    lost = 8 * count * 2.0**-53 * float(max(abs(value) for value in values))
    return deviation, TOLERANCE * deviation + lost
