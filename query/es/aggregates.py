"""Aggregates in Elasticsearch's terms, and their numbers back: each only where it proves exact. Pure.

Elasticsearch computes in doubles. So a sum or mean of integers counts when count × extremes stay within 2^53, an extreme
of integers likewise, and a deviation when the subtraction it rests on leaves ten digits; a sum that is not finite proves
nothing. Otherwise the number raises NotProven, and the rows are fetched and aggregated here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import sqrt
from typing import Any

from libs.result import Cell
from query.backend import EXACT, NotProven, Pushdown, UnsupportedPart, Verdict
from query.catalog import Table
from query.es import decimals, single
from query.es.ends import end_request, end_value, unfit_for_ends
from query.es.mapping import EsField
from query.es.predicates import Clause, clause, native_of, verdict
from query.expr import Compare, leaves
from query.plan import Aggregation, Scan

Number = Callable[[Mapping[str, Any]], Cell]
_EXACT_BOUND = 2**53
# Such sums of a source's parts could not be added any more.
_VAST = 1e300
# What is left of the sum of squares after the subtraction, so that ten of a double's digits are sure.
_LEAST_SHARE = 1e-5
# Neither floats, of which it tells -0.0 from 0.0, nor nanoseconds, of which it sees milliseconds.
_COUNTED = frozenset({"keyword", "text", "integer", "boolean", "date", "ip"})
_DISTINCT_PRECISION = 40_000  # the most there is
_DIGEST_COMPRESSION = 200
APPROXIMATE = frozenset({"count_distinct", "median", "percentile"})
_ESTIMATED = Verdict(Pushdown.EXACT, "the store estimates it", approximate=True)
_SCRIPTED = Verdict(Pushdown.EXACT, "the store may refuse the script that sums decimals", checked=True)
_CHECKED = Verdict(Pushdown.EXACT, "the store computes in doubles", checked=True)


class Requests:
    """The aggregations of one request by short names; equal ones are asked once."""

    def __init__(self) -> None:
        self.named: dict[str, Clause] = {}

    def name(self, request: Clause) -> str:
        for name, known in self.named.items():
            if known == request:
                return name
        name = f"a{len(self.named)}"
        self.named[name] = request
        return name


def aggregate_verdict(aggregate: Aggregation, scan: Scan) -> Verdict:
    """Whether the store's number is exact, perhaps only once it proves so."""
    for leaf in leaves(aggregate.where):
        judged = verdict(leaf, scan.typed(leaf.field))
        if judged.level is not Pushdown.EXACT:
            return Verdict(Pushdown.UNSUPPORTED, f"{aggregate.name}: {judged.reason}")
    refusable = any(verdict(leaf, scan.typed(leaf.field)).checked for leaf in leaves(aggregate.where))
    found = _of_field(aggregate, scan)
    return replace(found, checked=True) if refusable and found.level is Pushdown.EXACT else found


def _of_field(aggregate: Aggregation, scan: Scan) -> Verdict:
    if aggregate.field is None:
        return EXACT
    field = scan.typed(aggregate.field)
    native = native_of(field)
    if aggregate.function == "count":
        judged = verdict(Compare(field.name, "exists", True, field.type), field)
        return judged if judged.level is Pushdown.EXACT else _no(aggregate, judged.reason)
    if aggregate.function in ("first", "last"):
        reason = unfit_for_ends(aggregate, scan)
        return _no(aggregate, reason) if reason else EXACT
    if not native.columnar or native.coerced:
        return _no(aggregate, "the field has no doc values, or not the values themselves")
    match aggregate.function, native.kind:
        case (("min" | "max"), ("double" | "float" | "date")):
            return EXACT
        case (("min" | "max" | "sum" | "avg" | "stddev"), "integer"):
            return _CHECKED
        case (("sum" | "avg" | "stddev"), "double"):
            return _CHECKED
        case (("sum" | "avg" | "stddev"), "float"):
            return _SCRIPTED
        case (("median" | "percentile"), ("integer" | "double" | "float")):
            return _ESTIMATED
        case ("count_distinct", kind) if kind in _COUNTED:
            return _ESTIMATED
        case (("min" | "max"), "date_nanos"):
            return _no(aggregate, "the store answers milliseconds")
        case _:
            return _no(aggregate, f"the store has no exact {aggregate.function} of this type")


def _no(aggregate: Aggregation, reason: str) -> Verdict:
    return Verdict(Pushdown.UNSUPPORTED, f"{aggregate.name}: {reason}")


def scripted(aggregates: Sequence[Aggregation], scan: Scan) -> bool:
    """Whether a script of ours runs in the store, which may refuse it."""
    fields = [a.field for a in aggregates if a.function in ("sum", "avg", "stddev") and a.field is not None]
    return any(native_of(scan.typed(name)).kind == "float" for name in fields)


def measure(aggregate: Aggregation, scan: Scan, table: Table, requests: Requests) -> Number:
    """The aggregate's number out of a bucket; what it needs is added to `requests`. Raises UnsupportedPart."""
    judged = aggregate_verdict(aggregate, scan)
    if judged.level is not Pushdown.EXACT:
        raise UnsupportedPart(judged.reason)
    inner, number = _inner(aggregate, scan)
    if aggregate.where is not None:
        filtered: Clause = {"filter": clause(aggregate.where, table)}
        if inner is None:
            return _at(requests.name(filtered), number)
        filtered["aggs"] = {"of": inner}
        return _at(requests.name(filtered), _at("of", number))
    return number if inner is None else _at(requests.name(inner), number)


def _at(name: str, number: Number) -> Number:
    return lambda bucket: number(bucket[name])


def _inner(aggregate: Aggregation, scan: Scan) -> tuple[Clause | None, Number]:
    """The aggregation below the `where`, None for the bucket itself."""
    if aggregate.field is None:
        return None, _documents
    native = native_of(scan.typed(aggregate.field))
    match aggregate.function:
        case "first" | "last":
            return end_request(aggregate, scan), end_value(native)
        case "count":
            return {"filter": {"exists": {"field": native.own}}}, _documents
        case ("min" | "max") as function:
            return {function: {"field": native.path}}, _extreme(native)
        case "sum":
            return {"stats": decimals.values_of(native)}, _SUMS.get(native.kind, _sum)
        case "avg":
            return {"stats": decimals.values_of(native)}, _MEANS.get(native.kind, _mean)
        case "stddev":
            deviation = _of_decimals(_deviation) if native.kind == "float" else _deviation
            return {"extended_stats": decimals.values_of(native)}, deviation
        case "count_distinct":
            spec = {"field": native.path, "precision_threshold": _DISTINCT_PRECISION}
            return {"cardinality": spec}, lambda found: int(found["value"]) or None
        case _:
            digest = {"compression": _DIGEST_COMPRESSION}
            point = 50.0 if aggregate.p is None else aggregate.p
            return {"percentiles": {"field": native.path, "percents": [point], "tdigest": digest}}, _percentile


def _documents(found: Mapping[str, Any]) -> Cell:
    count: int = found["doc_count"]
    return count


def _extreme(native: EsField) -> Number:
    def number(found: Mapping[str, Any]) -> Cell:
        value = found["value"]
        if value is None:
            return None
        if native.kind in ("integer", "date"):
            if abs(value) >= _EXACT_BOUND:
                raise NotProven("an extreme past 2^53")
            return int(value)
        return single.shortest(value) if native.kind == "float" else value + 0.0

    return number


def _within(found: Mapping[str, Any]) -> None:
    if found["count"] * max(abs(found["min"]), abs(found["max"])) > _EXACT_BOUND:
        raise NotProven("a sum that may pass 2^53")


def _whole_sum(found: Mapping[str, Any]) -> Cell:
    if not found["count"]:
        return None
    _within(found)
    return int(found["sum"])


def _whole_mean(found: Mapping[str, Any]) -> Cell:
    if not found["count"]:
        return None
    _within(found)
    mean: float = found["sum"] / found["count"]
    return mean


def _sum(found: Mapping[str, Any]) -> Cell:
    if not found["count"]:
        return None
    return _finite(found["sum"]) + 0.0


def _mean(found: Mapping[str, Any]) -> Cell:
    return _finite(found["sum"]) / found["count"] + 0.0 if found["count"] else None


def _finite(value: Any) -> float:
    if isinstance(value, str):  # "Infinity" or "NaN"
        raise NotProven("a sum that is not finite")
    if abs(value) > _VAST:
        raise NotProven("a sum near the greatest double")
    return float(value)


def _of_decimals(number: Number) -> Number:
    def checked(found: Mapping[str, Any]) -> Cell:
        if found["count"]:
            decimals.check(found)
        return number(found)

    return checked


_SUMS: Mapping[str, Number] = {"integer": _whole_sum, "float": _of_decimals(_sum)}
_MEANS: Mapping[str, Number] = {"integer": _whole_mean, "float": _of_decimals(_mean)}


def _percentile(found: Mapping[str, Any]) -> Cell:
    """Of nothing it is null, or "NaN" in older versions."""
    value = next(iter(found["values"].values()))
    return value + 0.0 if isinstance(value, int | float) else None


def _deviation(found: Mapping[str, Any]) -> Cell:
    """Of the sample, so None for one value."""
    count = found["count"]
    if count < 2:
        return None
    if found["min"] == found["max"]:
        return 0.0
    total, squares = _finite(found["sum"]), _finite(found["sum_of_squares"])
    left = squares - total * total / count
    if not left > _LEAST_SHARE * squares:
        raise NotProven("a deviation small beside the values")
    return sqrt(left / (count - 1))
