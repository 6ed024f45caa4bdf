# ruff: noqa: E501  one case a line
"""Cases of groups: keys, aggregates, buckets, fill, having, expressions, order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from unittest_.conformance.case import (
    BOTH,
    DOCUMENTS,
    TIME,
    Body,
    Case,
    agg,
    count,
    either,
    every,
    expr,
    leaf,
    negated,
    span,
)

NUMERIC = ("sum", "avg", "min", "max", "median", "stddev")
ALL = (*NUMERIC, "count_distinct", "first", "last")
FEW = span("2026-11-22T06:30:00Z", "2026-11-22T07:00:00Z")


def _down(field: str) -> Body:
    return {"field": field, "dir": "desc"}


def groups() -> list[Case]:
    """All cases of groups."""
    found = [Case(f"aggregate: {name}", data, body) for name, data, body in _AGGREGATES]
    found += [Case(f"aggregate: {name}", "lists", body, DOCUMENTS) for name, body in _LISTS]
    found += [
        Case(f"aggregate: every one of {data}.{field} by {key}", data, _every(field, [key]))
        for data, field, key in _EVERY
    ]
    found += [Case(f"keys: {name}", data, body, kinds) for name, data, body, kinds in _KEYS]
    found += [Case(f"having: {name}", "access", _had(having)) for name, having in _HAVING]
    found += [Case(f"expression in groups: {name}", data, body) for name, data, body in _EXPRESSIONS]
    return found


def _every(field: str, keys: Sequence[Any], names: Sequence[str] = ALL) -> Body:
    outputs = [count(), agg("count", field), *(agg(name, field) for name in names)]
    outputs += [agg("percentile", field, f"p{p}".replace(".", "_"), p=p) for p in (0, 12.5, 95, 100)]
    return {"group_by": list(keys), "select": outputs, "limit": 2000, "options": {"exact": True}}


def _had(having: Body) -> Body:
    outputs = [
        count(),
        agg("max", "bytes", where=leaf("latency", "gt", 100)),
        agg("sum", "status"),
        agg("last", "user"),
        agg("max", TIME, "seen"),
    ]
    return {"group_by": ["host", "status"], "select": outputs, "having": having}


_EVERY = [
    ("access", "bytes", "host"),
    ("access", "latency", "dc"),
    ("access", "status", "cached"),
    ("odd", "score", "flag"),
    ("odd", "ratio", "flag"),
    ("nanos", "v", "host"),
    ("nanos", "w", "host"),
    ("days", "v", "host"),
]

_ERRORS = leaf("status", "gte", 500)
_NOTHING = leaf("status", "eq", 1)
_AGGREGATES: list[tuple[str, str, Body]] = [
    ("count of rows", "access", {"select": [count()]}),
    ("count of a field counts rows that have one", "access", {"select": [agg("count", f) for f in ("bytes", "user", "dc", "cached")]}),
    ("of nothing", "access", {"where": _NOTHING, "select": [count(), agg("count", "bytes", "nb"), *(agg(f, "bytes") for f in ALL)]}),
    ("of rows without a value", "access", {"where": leaf("bytes", "exists", False), "select": [count(), *(agg(f, "bytes") for f in ALL)]}),
    ("own filter", "access", {"group_by": ["host"], "select": [count(), count("errors", where=_ERRORS), agg("sum", "bytes", where=_ERRORS)]}),
    ("own filter that matches nothing", "access", {"group_by": ["host"], "select": [count("x", where=_NOTHING), agg("max", "bytes", where=_NOTHING)]}),
    ("own filter with or and not", "access", {"group_by": ["dc"], "select": [count("x", where=either(_ERRORS, negated(leaf("user", "like", "%n%"))))]}),
    ("own filters differ", "access", {"group_by": ["host"], "select": [
        agg("avg", "latency", "hit", where=leaf("cached", "eq", True)), agg("avg", "latency", "miss", where=leaf("cached", "eq", False)),
        agg("count", "latency", "n", where=leaf("cached", "exists", False))]}),
    ("own filter of first and last", "access", {"group_by": ["dc"], "select": [
        agg("first", "bytes", where=_ERRORS), agg("last", "bytes", where=_ERRORS), agg("last", "path", where=leaf("path", "ne", "/"))]}),
    ("stddev of one value is null", "access", {"where": leaf("bytes", "gt", 1000), "group_by": [TIME], "select": [agg("stddev", "bytes"), count()], "limit": 500}),
    ("stddev of values far from zero", "nanos", {"where": leaf("v", "exists", True), "select": [agg("stddev", "v"), agg("avg", "v")]}),
    ("extremes of integers past 2^53", "odd", {"group_by": ["flag"], "select": [agg("min", "big"), agg("max", "big"), agg("count_distinct", "big")]}),
    ("sum of integers past 2^53", "odd", {"where": leaf("big", "between", [2**53 - 1, 2**53 + 3]), "select": [agg("sum", "big"), agg("avg", "big")]}),
    ("sum of integers that leaves and comes back", "odd", {"where": every(leaf("flag", "eq", True), either(leaf("big", "gt", 2**62 + 1), leaf("big", "lt", -(2**62)))), "select": [agg("sum", "big"), count()]}),
    ("extremes of times", "odd", {"group_by": ["flag"], "select": [agg("min", TIME, "lo"), agg("max", TIME, "hi")]}),
    ("extremes of nanoseconds", "nanos", {"group_by": ["host"], "select": [agg("min", TIME, "lo"), agg("max", TIME, "hi")]}),
    ("first and last of every type", "odd", {"group_by": ["flag"], "select": [
        agg(f, field) for f in ("first", "last") for field in ("name", "text", "big", "ratio", "flag", TIME)]}),
    ("first and last at one time take the greater", "nanos", {"select": [agg(f, field) for f in ("first", "last") for field in ("v", "w", "host")]}),
    ("first and last skip rows without a value", "access", {"group_by": ["host"], "select": [agg(f, field) for f in ("first", "last") for field in ("bytes", "cached", "user")]}),
    ("count_distinct of every type", "odd", {"select": [agg("count_distinct", f) for f in ("name", "text", "big", "ratio", "flag", TIME)], "options": {"exact": True}}),
    ("count_distinct takes both zeros for one", "odd", {"where": leaf("ratio", "eq", 0), "select": [agg("count_distinct", "ratio"), count()], "options": {"exact": True}}),
    ("percentiles interpolate", "access", {"where": leaf("host", "eq", "db-1"), "select": [
        agg("percentile", "latency", f"p{p}", p=p) for p in (0, 1, 25, 33, 50, 66, 75, 90, 99, 100)], "options": {"exact": True}}),
    ("percentile with a fraction", "many", {"select": [agg("percentile", "x", "p", p=99.9), agg("percentile", "n", "q", p=0.05)], "options": {"exact": True}}),
    ("median of an even number of integers", "access", {"where": leaf("status", "in", [404, 500]), "select": [agg("median", "status")], "options": {"exact": True}}),
    ("sum of floats with both signs", "odd", {"select": [agg("sum", "ratio"), agg("avg", "score"), agg("sum", "score")]}),
    ("within a range", "access", {"time_range": FEW, "group_by": ["host"], "select": [count(), agg("last", "status"), agg("first", "path")]}),
    ("two of the same", "access", {"select": [agg("max", "bytes", "a"), agg("max", "bytes", "b")]}),
    ("a sum past the greatest float64 is null", "huge", {"group_by": ["host"], "select": [count(), agg("sum", "x"), agg("avg", "x"), agg("max", "x")]}),
    ("past the greatest float64, then filtered", "huge", {"group_by": ["host"], "select": [agg("sum", "x", "s")], "having": leaf("s", "exists", False)}),
    ("past the greatest float64, without keys", "huge", {"where": leaf("host", "eq", "a"), "select": [agg("sum", "x"), expr("coalesce(sum_x, 5)", "y")]}),
    ("of 3,000 rows", "many", {"select": [count(), agg("sum", "n"), agg("sum", "x"), agg("avg", "x"), agg("stddev", "x"), agg("min", "x"), agg("max", "n")]}),
]  # fmt: skip

_LISTS: list[tuple[str, Body]] = [
    ("over a list takes every value", _every("sizes", [], (*NUMERIC, "count_distinct", "first", "last"))),
    ("over a list of floats", _every("ratios", ["geo.lat"], (*NUMERIC, "count_distinct"))),
    ("over a member of an array of objects", _every("items.qty", ["geo.city"])),
    ("first and last of lists", {"select": [agg(f, n) for f in ("first", "last") for n in ("tags", "sizes", "flags", "seen", "peers")]}),
    ("count of lists and objects counts rows", {"select": [
        agg("count", n) for n in ("tags", "sizes", "items.sku", "parts", "labels", "body", "title", "addr", "_id")]}),
    ("count_distinct of lists", {"select": [agg("count_distinct", n) for n in ("tags", "flags", "seen", "peers", "addr", "title")],
                                 "options": {"exact": True}}),
    ("extremes of lists of times", {"select": [agg("min", "seen"), agg("max", "seen")]}),
    ("own filter over lists", {"select": [count("red", where=leaf("tags", "eq", "red")), count("none", where=leaf("tags", "nin", ["red"]))]}),
    ("first and last of json", {"group_by": ["one"], "select": [agg(f, n) for f in ("first", "last") for n in ("parts", "labels")]}),
    ("count_distinct of json", {"group_by": ["geo.city"], "select": [agg("count_distinct", "parts"), agg("count_distinct", "labels"), count()]}),
    ("json of nothing", {"where": leaf("n", "gt", 10**6), "select": [agg(f, "parts") for f in ("first", "last", "count_distinct")]}),
    ("having a first that is json", {"group_by": ["one"], "select": [agg("first", "labels", "l", where=leaf("n", "gt", 6))], "having": leaf("l", "exists", True)}),
    ("first and last need a time", {"where": leaf(TIME, "exists", False), "select": [agg("first", "n"), agg("last", "tags"), count()]}),
]  # fmt: skip

_KEYS: list[tuple[str, str, Body, tuple[str, ...]]] = [
    ("a tag with a null group, last", "access", {"group_by": ["host"], "select": [count()]}, BOTH),
    ("a field", "access", {"group_by": ["user"], "select": [count()]}, BOTH),
    ("an integer", "access", {"group_by": ["status"], "select": [count()]}, BOTH),
    ("a boolean", "access", {"group_by": ["cached"], "select": [count(), agg("max", "bytes")]}, BOTH),
    ("a float with both zeros", "odd", {"group_by": ["ratio"], "select": [count()]}, BOTH),
    ("integers past 2^53", "odd", {"group_by": ["big"], "select": [count()]}, BOTH),
    ("odd strings", "odd", {"group_by": ["text"], "select": [count()], "limit": 500}, BOTH),
    ("odd tags", "odd", {"group_by": ["name"], "select": [count()], "limit": 500}, BOTH),
    ("a time", "odd", {"group_by": [TIME], "select": [count()], "limit": 500}, BOTH),
    ("nanoseconds", "nanos", {"group_by": [TIME], "select": [count()], "limit": 500}, BOTH),
    ("two", "access", {"group_by": ["host", "dc"], "select": [count(), agg("sum", "bytes")]}, BOTH),
    ("three, one selected", "access", {"group_by": ["dc", "cached", "status"], "select": ["cached", count()], "limit": 500}, BOTH),
    ("as objects", "access", {"group_by": [{"field": "dc"}, {"field": "host"}], "select": [{"field": "host"}, count()]}, BOTH),
    ("without aggregates", "access", {"group_by": ["dc", "host"]}, BOTH),
    ("without aggregates, selected", "access", {"group_by": ["dc", "host"], "select": ["host"]}, BOTH),
    ("1,300 groups", "many", {"group_by": ["k"], "select": [count(), agg("sum", "n"), agg("last", "x")], "limit": 10_000}, BOTH),
    ("1,300 groups by their greatest sum", "many",
     {"group_by": ["k"], "select": [agg("sum", "n")], "order_by": [_down("sum_n"), "k"], "limit": 25}, BOTH),
    ("2,000 integers", "many", {"group_by": ["n"], "select": [count("rows")], "order_by": [_down("n")], "limit": 2000}, BOTH),
    ("ordered by an aggregate", "access", {"group_by": ["host"], "select": [count()], "order_by": [_down("n"), "host"]}, BOTH),
    ("ordered by an aggregate, nulls last", "access",
     {"where": leaf("bytes", "exists", False), "group_by": ["host"], "select": [agg("max", "bytes", "m"), count()],
      "order_by": [_down("m"), "host"]}, BOTH),
    ("ordered by keys descending, null last", "access",
     {"group_by": ["dc", "host"], "select": [count()], "order_by": [_down("dc"), _down("host")]}, BOTH),
    ("ordered by first", "access", {"group_by": ["host"], "select": [agg("first", "user", "u")], "order_by": [_down("u"), "host"]}, BOTH),
    ("a limit inside a tie", "odd", {"group_by": ["text"], "select": [count()], "order_by": [_down("n")], "limit": 9}, BOTH),
    ("nothing matches", "access", {"where": _NOTHING, "group_by": ["host"], "select": [count()]}, BOTH),
    ("an empty index", "empty", {"group_by": ["host"], "select": [count()]}, DOCUMENTS),
    ("an empty index without keys", "empty", {"select": [count(), agg("sum", "v"), agg("avg", "w"), agg("first", "host")]}, DOCUMENTS),
    ("a list counts in each value's group", "lists", {"group_by": ["tags"], "select": [count(), agg("sum", "n")]}, DOCUMENTS),
    ("a list of numbers, once for equal values", "lists", {"group_by": ["sizes"], "select": [count(), agg("sum", "sizes")]}, DOCUMENTS),
    ("a list of booleans", "lists", {"group_by": ["flags"], "select": [count()]}, DOCUMENTS),
    ("a list of times", "lists", {"group_by": ["seen"], "select": [count()]}, DOCUMENTS),
    ("two lists", "lists", {"group_by": ["tags", "flags"], "select": [count()], "limit": 500}, DOCUMENTS),
    ("addresses", "lists", {"group_by": ["addr"], "select": [count()]}, DOCUMENTS),
    ("text with a keyword", "lists", {"group_by": ["title"], "select": [count()], "limit": 500}, DOCUMENTS),
    ("a dotted member", "lists", {"group_by": ["geo.city", "geo.lat"], "select": [count()]}, DOCUMENTS),
    ("normalised", "coerced", {"group_by": ["lower"], "select": [count()]}, DOCUMENTS),
    ("floats in their shortest decimal", "coerced", {"group_by": ["short"], "select": [count(), agg("sum", "short", "s"), agg("max", "short", "m")]},
     DOCUMENTS),
    ("coerced integers", "coerced", {"group_by": ["whole"], "select": [count()]}, DOCUMENTS),
    ("dates in milliseconds", "coerced", {"group_by": [TIME], "select": [count(), agg("last", "nanos")]}, DOCUMENTS),
]  # fmt: skip

_HAVING: list[tuple[str, Body]] = [
    ("a count", leaf("n", "gt", 6)),
    ("a count, with a fraction", leaf("n", "between", [2.5, 7.5])),
    ("an aggregate that may be null", leaf("max_bytes", "lt", 10**6)),
    ("not of one that may be null", negated(leaf("max_bytes", "lt", 10**6))),
    ("a null aggregate", leaf("max_bytes", "exists", False)),
    ("a key", leaf("host", "in", ["web-1", "web-2"])),
    ("a null key", leaf("host", "exists", False)),
    ("a key by pattern", leaf("host", "regex", "^web-[12]$")),
    ("a text output", leaf("last_user", "ilike", "%N%")),
    ("a time output", leaf("seen", "gte", "2026-11-22T08:31:00Z")),
    ("a tree", every(either(leaf("n", "gte", 10), leaf("status", "eq", 404)), negated(leaf("host", "eq", "db-1")))),
    ("nothing is left", leaf("n", "lt", 0)),
]

_EXPRESSIONS: list[tuple[str, str, Body]] = [
    ("a rate", "access", {"group_by": ["host"], "select": [count("hits", where=leaf("cached", "eq", True)), count(), expr("hits / n", "rate")]}),
    ("of a key", "access", {"group_by": ["status"], "select": [count(), expr("status * 10 + n", "x"), expr("x % 7", "y")]}),
    ("by zero", "access", {"group_by": ["status"], "select": [count("e", where=_ERRORS), count(), expr("n / e", "x"), expr("coalesce(x, -1)", "y")]}),
    ("of null aggregates", "access", {"group_by": [TIME], "select": [agg("max", "bytes", "m"), expr("m + 1", "x")], "limit": 300}),
    ("having an expression", "access",
     {"group_by": ["host"], "select": [count("e", where=_ERRORS), count(), expr("e * 100 / n", "pct")], "having": leaf("pct", "gt", 20)}),
    ("ordered by an expression", "access",
     {"group_by": ["host"], "select": [count("e", where=_ERRORS), count(), expr("e / n", "part")], "order_by": [_down("part"), "host"]}),
    ("without keys", "access", {"select": [agg("sum", "bytes", "b"), count(), expr("round(b / n)", "mean")]}),
    ("of an output that hides a field", "access", {"group_by": ["host"], "select": [count("bytes"), expr("bytes + 0", "x")]}),
    ("of floats", "odd", {"select": [agg("sum", "score", "s"), agg("avg", "score", "a"), expr("s / a", "n"), expr("s - a * n", "rest")]}),
]  # fmt: skip
