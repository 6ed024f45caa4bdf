# ruff: noqa: E501  one body a line
"""Bodies that are refused, each with every (code, JSON pointer) that the answer must name, over the set `access`.

`$time` stands for the kind's time field. A body is JSON as a value, or as the bytes that are sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from unittest_.conformance.bad_texts import TEXTS
from unittest_.conformance.case import TIME, Body, agg, bucket, count, every, expr, leaf, negated, span

DATA = "access"
_HOUR = span("2026-11-22T09:00:00Z", "2026-11-22T10:00:00Z")


@dataclass(frozen=True)
class BadBody:
    name: str
    body: Any
    issues: tuple[tuple[str, str], ...]

    @property
    def status(self) -> int:
        """The HTTP status of the refusal."""
        return 400 if self.issues[0][0] in ("JSON_INVALID", "DUPLICATE_KEY") else 422


def bad_bodies() -> list[BadBody]:
    """All of them, with names of their own."""
    found = [BadBody(name, body, ((code, pointer),)) for name, body, code, pointer in (*TEXTS, *_SHAPES, *_MEANINGS)]
    found += [BadBody(f"leaf: {name}", {"where": node}, ((code, "/where" + at),)) for name, node, code, at in _LEAVES]
    found += _each("time", _TIMES, lambda text: {"where": leaf(TIME, "gt", text)}, "TIME_INVALID", "/where/value")
    found += _each(
        "regex", _REGEXES, lambda text: {"where": leaf("path", "regex", text)}, "REGEX_UNSUPPORTED", "/where/value"
    )
    found += _each(
        "expression", _EXPRESSIONS, lambda text: {"select": [expr(text, "x")]}, "EXPRESSION_INVALID", "/select/0/expr"
    )
    found += _each("bucket", _WIDTHS, _bucketed, "BUCKET_INVALID", "/group_by/0/time_bucket")
    found += _each("limit", _LIMITS, lambda limit: {"limit": limit}, "LIMIT_INVALID", "/limit")
    found += [BadBody(f"several: {name}", body, issues) for name, body, issues in _SEVERAL]
    assert len({one.name for one in found}) == len(found)
    return found


def _each(what: str, values: Iterable[Any], body: Callable[[Any], Body], code: str, pointer: str) -> list[BadBody]:
    return [BadBody(f"{what}: {value!r}", body(value), ((code, pointer),)) for value in values]


def _bucketed(width: Any) -> Body:
    return {"group_by": [bucket(width)], "select": [count()]}


def _filled(fill: Any, *outputs: Body, bounds: Body | None = _HOUR, width: str = "10m") -> Body:
    body: Body = {
        "group_by": [bucket(width)],
        "select": list(outputs) or [count(), agg("max", "bytes", "m")],
        "fill": fill,
    }
    return body if bounds is None else body | {"time_range": bounds}


# name, body, code, pointer
_SHAPES: list[tuple[str, Body, str, str]] = [
    ("an unknown member", {"selects": []}, "BODY_INVALID", "/selects"),
    ("an unknown member with a slash and a tilde", {"a/b~c": 1}, "BODY_INVALID", "/a~1b~0c"),
    ("an unknown member of a leaf", {"where": {**leaf("status", "eq", 1), "boost": 2}}, "BODY_INVALID", "/where/boost"),
    ("an unknown member of an aggregate", {"select": [{"agg": "count", "as": "n", "script": "1"}]}, "BODY_INVALID", "/select/0/script"),
    ("an unknown option", {"options": {"exactly": True}}, "BODY_INVALID", "/options/exactly"),
    ("a leaf without a value", {"where": {"field": "status", "op": "eq"}}, "BODY_INVALID", "/where/value"),
    ("a leaf without an op", {"where": {"field": "status", "value": 1}}, "BODY_INVALID", "/where/op"),
    ("a leaf without a field", {"where": {"op": "eq", "value": 1}}, "BODY_INVALID", "/where/field"),
    ("an empty filter", {"where": {}}, "BODY_INVALID", "/where"),
    ("a filter that is a list", {"where": []}, "BODY_INVALID", "/where"),
    ("a filter that is null", {"where": None}, "BODY_INVALID", "/where"),
    ("two words in a node", {"where": {"and": [leaf("status", "eq", 1)], "or": [leaf("status", "eq", 1)]}}, "BODY_INVALID", "/where"),
    ("an unknown word in a node", {"where": {"nand": []}}, "BODY_INVALID", "/where"),
    ("and of an object", {"where": {"and": leaf("status", "eq", 1)}}, "BODY_INVALID", "/where/and"),
    ("not of a list", {"where": {"not": [leaf("status", "eq", 1)]}}, "BODY_INVALID", "/where/not"),
    ("an empty and", {"where": {"and": []}}, "EMPTY_NODE", "/where/and"),
    ("an empty or, deeper", {"where": {"not": {"or": []}}}, "EMPTY_NODE", "/where/not/or"),
    ("513 nodes", {"where": {"or": [leaf("status", "eq", n) for n in range(512)]}}, "TOO_MANY_NODES", "/where/or/511"),
    ("a filter in having with an empty node", {"group_by": ["host"], "having": {"and": []}}, "EMPTY_NODE", "/having/and"),
    ("a field's name that is a number", {"select": [1]}, "BODY_INVALID", "/select/0"),
    ("a field's name that is empty", {"select": [""]}, "BODY_INVALID", "/select/0"),
    ("select that is a string", {"select": "host"}, "BODY_INVALID", "/select"),
    ("select of nothing", {"select": []}, "BODY_INVALID", "/select"),
    ("an aggregate without a name", {"select": [{"agg": "count"}]}, "BODY_INVALID", "/select/0/as"),
    ("an aggregate without its field", {"select": [{"agg": "sum", "as": "s"}]}, "BODY_INVALID", "/select/0/field"),
    ("an aggregate that is not known", {"select": [agg("variance", "bytes", "v")]}, "OPERATOR_UNKNOWN", "/select/0/agg"),
    ("an aggregate that is a number", {"select": [agg(1, "bytes", "v")]}, "BODY_INVALID", "/select/0/agg"),  # type: ignore[arg-type]
    ("percentile without p", {"select": [agg("percentile", "bytes", "v")]}, "BODY_INVALID", "/select/0/p"),
    ("percentile of 101", {"select": [agg("percentile", "bytes", "v", p=101)]}, "RANGE_INVALID", "/select/0/p"),
    ("percentile of -1", {"select": [agg("percentile", "bytes", "v", p=-1)]}, "RANGE_INVALID", "/select/0/p"),
    ("percentile of text", {"select": [agg("percentile", "bytes", "v", p="95")]}, "BODY_INVALID", "/select/0/p"),
    ("percentile of true", {"select": [agg("percentile", "bytes", "v", p=True)]}, "BODY_INVALID", "/select/0/p"),
    ("p on another aggregate", {"select": [agg("avg", "bytes", "v", p=95)]}, "BODY_INVALID", "/select/0/p"),
    ("an expression that is a number", {"select": [{"expr": 1, "as": "x"}]}, "BODY_INVALID", "/select/0/expr"),
    ("an expression without a name", {"select": [{"expr": "1"}]}, "BODY_INVALID", "/select/0/as"),
    ("a function that is not known", {"select": [expr("sqrt(bytes)", "x")]}, "OPERATOR_UNKNOWN", "/select/0/expr"),
    ("group_by that is a string", {"group_by": "host"}, "BODY_INVALID", "/group_by"),
    ("a bucket with an unknown member", {"group_by": [bucket("1m", origin="x")]}, "BODY_INVALID", "/group_by/0/origin"),
    ("a zone with a fixed width", {"group_by": [bucket("5m", tz="UTC")]}, "BUCKET_INVALID", "/group_by/0/tz"),
    ("a zone that is none", {"group_by": [bucket("1d", tz="Mars/Olympus")]}, "BUCKET_INVALID", "/group_by/0/tz"),
    ("a zone that climbs", {"group_by": [bucket("1d", tz="../../etc/passwd")]}, "BUCKET_INVALID", "/group_by/0/tz"),
    ("a zone that is a number", {"group_by": [bucket("1d", tz=1)]}, "BODY_INVALID", "/group_by/0/tz"),
    ("order_by that is a string", {"order_by": "host"}, "BODY_INVALID", "/order_by"),
    ("a direction that is none", {"order_by": [{"field": "host", "dir": "down"}]}, "BODY_INVALID", "/order_by/0/dir"),
    ("an order without a field", {"order_by": [{"dir": "asc"}]}, "BODY_INVALID", "/order_by/0/field"),
    ("a mode of fill that is none", _filled({"mode": "zero"}), "BODY_INVALID", "/fill/mode"),
    ("fill without a mode", _filled({"value": 0}), "BODY_INVALID", "/fill/mode"),
    ("fill without its value", _filled({"mode": "value"}), "BODY_INVALID", "/fill/value"),
    ("fill with a value that its mode does not take", _filled({"mode": "null", "value": 1}), "BODY_INVALID", "/fill/value"),
    ("fill with text", _filled({"mode": "value", "value": "0"}), "BODY_INVALID", "/fill/value"),
    ("a timeout that is a number", {"options": {"timeout": 20}}, "BODY_INVALID", "/options/timeout"),
    ("a timeout that is none", {"options": {"timeout": "soon"}}, "TIME_INVALID", "/options/timeout"),
    ("exact that is a number", {"options": {"exact": 1}}, "BODY_INVALID", "/options/exact"),
    ("partial that is text", {"options": {"partial": "yes"}}, "BODY_INVALID", "/options/partial"),
    ("a cursor that is a number", {"cursor": 1}, "BODY_INVALID", "/cursor"),
    ("a bound that is a number", {"time_range": {"from": 1700000000}}, "BODY_INVALID", "/time_range/from"),
    ("a bound that is null", {"time_range": {"to": None}}, "BODY_INVALID", "/time_range/to"),
    ("having on rows", {"having": leaf("status", "gt", 1)}, "BODY_INVALID", "/having"),
    ("fill on rows", {"time_range": _HOUR, "fill": {"mode": "null"}}, "FILL_INVALID", "/fill"),
]  # fmt: skip

_MEANINGS: list[tuple[str, Body, str, str]] = [
    ("a time range on an unknown field", {"time_range": span("now-1h", "now", field="when")}, "FIELD_UNKNOWN", "/time_range/field"),
    ("a time range on a number", {"time_range": span("now-1h", "now", field="status")}, "TYPE_MISMATCH", "/time_range/field"),
    ("a time range upside down", {"time_range": span("now", "now-1h")}, "RANGE_INVALID", "/time_range"),
    ("a bound that is no time", {"time_range": span("yesterday", "now")}, "TIME_INVALID", "/time_range/from"),
    ("a bound on a day that is not", {"time_range": span("2026-02-30T00:00:00Z", None)}, "TIME_INVALID", "/time_range/from"),
    ("an unknown field in select", {"select": ["hots"]}, "FIELD_UNKNOWN", "/select/0"),
    ("an unknown field in an aggregate", {"select": [agg("sum", "byte", "s")]}, "FIELD_UNKNOWN", "/select/0/field"),
    ("an unknown field in an aggregate's filter", {"select": [count(where=leaf("x", "eq", 1))]}, "FIELD_UNKNOWN", "/select/0/where/field"),
    ("an unknown field in group_by", {"group_by": ["hots"]}, "FIELD_UNKNOWN", "/group_by/0"),
    ("an unknown field in a bucket", {"group_by": [{"time_bucket": "1m", "field": "ts", "as": "t"}]}, "FIELD_UNKNOWN", "/group_by/0/field"),
    ("an unknown field in order_by", {"order_by": ["hots"]}, "FIELD_UNKNOWN", "/order_by/0"),
    ("an unknown field in an expression", {"select": [expr("byte + 1", "x")]}, "FIELD_UNKNOWN", "/select/0/expr"),
    ("an object's name is no field", {"select": [{"field": "access"}]}, "FIELD_UNKNOWN", "/select/0/field"),
    ("a bucket of a number", {"group_by": [{"time_bucket": "1m", "field": "status", "as": "t"}]}, "TYPE_MISMATCH", "/group_by/0/field"),
    ("sum of text", {"select": [agg("sum", "host", "s")]}, "TYPE_MISMATCH", "/select/0/field"),
    ("avg of a time", {"select": [agg("avg", TIME, "s")]}, "TYPE_MISMATCH", "/select/0/field"),
    ("min of text", {"select": [agg("min", "host", "s")]}, "TYPE_MISMATCH", "/select/0/field"),
    ("max of a boolean", {"select": [agg("max", "cached", "s")]}, "TYPE_MISMATCH", "/select/0/field"),
    ("stddev of a boolean", {"select": [agg("stddev", "cached", "s")]}, "TYPE_MISMATCH", "/select/0/field"),
    ("an expression over text", {"select": [expr("host + 1", "x")]}, "TYPE_MISMATCH", "/select/0/expr"),
    ("an expression over a time", {"select": [expr(f"`{TIME}` + 1", "x")]}, "TYPE_MISMATCH", "/select/0/expr"),
    ("an expression over a boolean", {"select": [expr("cached + 1", "x")]}, "TYPE_MISMATCH", "/select/0/expr"),
    ("a plain field that is no key", {"group_by": ["host"], "select": ["status", count()]}, "NOT_A_KEY", "/select/0"),
    ("a plain field beside an aggregate", {"select": [count(), "status"]}, "NOT_A_KEY", "/select/1"),
    ("two outputs of one name", {"select": [count("n"), agg("max", "bytes", "n")]}, "NAME_CLASH", "/select/1/as"),
    ("an output with a key's name", {"group_by": ["host"], "select": [count("host")]}, "NAME_CLASH", "/select/0/as"),
    ("two keys of one name", {"group_by": ["host", {**bucket("1m"), "as": "host"}]}, "NAME_CLASH", "/group_by/1/as"),
    ("a field selected twice", {"select": ["host", "host"]}, "NAME_CLASH", "/select/1"),
    ("an expression with a selected field's name", {"select": ["bytes", expr("bytes + 1", "bytes")]}, "NAME_CLASH", "/select/1/as"),
    ("having on an unknown output", {"group_by": ["host"], "select": [count()], "having": leaf("m", "gt", 1)}, "FIELD_UNKNOWN", "/having/field"),
    ("having on a field that is no output", {"group_by": ["host"], "select": [count()], "having": leaf("bytes", "gt", 1)}, "FIELD_UNKNOWN", "/having/field"),
    ("having text on a number", {"group_by": ["host"], "select": [count()], "having": leaf("n", "gt", "1")}, "TYPE_MISMATCH", "/having/value"),
    ("order of groups by no output", {"group_by": ["host"], "select": [count()], "order_by": ["bytes"]}, "FIELD_UNKNOWN", "/order_by/0"),
    ("order of groups by no output, as an object", {"select": [count()], "order_by": [{"field": "host"}]}, "FIELD_UNKNOWN", "/order_by/0/field"),
    ("an expression of a later output", {"select": [expr("n + 1", "x"), count()]}, "FIELD_UNKNOWN", "/select/0/expr"),
    ("an expression of a field in groups", {"select": [count(), expr("bytes + n", "x")]}, "FIELD_UNKNOWN", "/select/1/expr"),
    ("fill without a range", _filled({"mode": "null"}, bounds=None), "FILL_INVALID", "/fill"),
    ("fill over an open range", _filled({"mode": "null"}, bounds=span("now-1h", None)), "FILL_INVALID", "/fill"),
    ("fill without a bucket", {"time_range": _HOUR, "group_by": ["host"], "fill": {"mode": "null"}}, "FILL_INVALID", "/fill"),
    ("linear fill of text", _filled({"mode": "linear"}, agg("last", "user", "u")), "FILL_INVALID", "/fill"),
    ("a fraction into integers", _filled({"mode": "value", "value": 0.5}), "FILL_INVALID", "/fill"),
    ("a number into text", _filled({"mode": "value", "value": 1}, agg("first", "path", "p")), "FILL_INVALID", "/fill"),
    ("more buckets than groups may be", _filled({"mode": "null"}, bounds=span("1990-01-01T00:00:00Z", "2026-01-01T00:00:00Z"), width="1s"), "COST_EXCEEDED", "/fill"),
]  # fmt: skip

# name, filter, code, pointer behind /where
_LEAVES: list[tuple[str, Body, str, str]] = [
    ("an unknown field", leaf("hots", "eq", "a"), "FIELD_UNKNOWN", "/field"),
    ("an unknown field, deeper", every(leaf("status", "eq", 1), negated(leaf("hots", "eq", "a"))), "FIELD_UNKNOWN", "/and/1/not/field"),
    ("an unknown operator", leaf("host", "equals", "a"), "OPERATOR_UNKNOWN", "/op"),
    ("an unknown operator, deeper", every(leaf("host", "=", "a")), "OPERATOR_UNKNOWN", "/and/0/op"),
    ("an operator in capitals", leaf("host", "EQ", "a"), "OPERATOR_UNKNOWN", "/op"),
    ("a number for text", leaf("host", "eq", 1), "TYPE_MISMATCH", "/value"),
    ("text for a number", leaf("status", "eq", "200"), "TYPE_MISMATCH", "/value"),
    ("true for a number", leaf("status", "eq", True), "TYPE_MISMATCH", "/value"),
    ("a number for a boolean", leaf("cached", "eq", 1), "TYPE_MISMATCH", "/value"),
    ("text for a boolean", leaf("cached", "eq", "true"), "TYPE_MISMATCH", "/value"),
    ("a number for a time", leaf(TIME, "gt", 1700000000), "TYPE_MISMATCH", "/value"),
    ("a number within times", leaf(TIME, "in", ["now", 1]), "TYPE_MISMATCH", "/value/1"),
    ("null", leaf("host", "eq", None), "TYPE_MISMATCH", "/value"),
    ("null in a list", leaf("host", "in", ["a", None]), "TYPE_MISMATCH", "/value/1"),
    ("null to ne", leaf("host", "ne", None), "TYPE_MISMATCH", "/value"),
    ("mixed types in a list", leaf("status", "in", [200, "404"]), "TYPE_MISMATCH", "/value/1"),
    ("an object", leaf("host", "eq", {"a": 1}), "BODY_INVALID", "/value"),
    ("a list to eq", leaf("host", "eq", ["a"]), "BODY_INVALID", "/value"),
    ("one value to in", leaf("host", "in", "a"), "BODY_INVALID", "/value"),
    ("in of nothing", leaf("host", "in", []), "BODY_INVALID", "/value"),
    ("in of 1,001", leaf("status", "in", list(range(1001))), "TOO_MANY_VALUES", "/value"),
    ("nin of 1,001", leaf("status", "nin", list(range(1001))), "TOO_MANY_VALUES", "/value"),
    ("a list in a list", leaf("host", "in", [["a"]]), "BODY_INVALID", "/value/0"),
    ("between of one", leaf("status", "between", [1]), "BODY_INVALID", "/value"),
    ("between of three", leaf("status", "between", [1, 2, 3]), "BODY_INVALID", "/value"),
    ("between of a number", leaf("status", "between", 1), "BODY_INVALID", "/value"),
    ("between upside down", leaf("status", "between", [2, 1]), "RANGE_INVALID", "/value"),
    ("between times upside down", leaf(TIME, "between", ["now", "now-1h"]), "RANGE_INVALID", "/value"),
    ("exists of text", leaf("host", "exists", "true"), "TYPE_MISMATCH", "/value"),
    ("exists of null", leaf("host", "exists", None), "TYPE_MISMATCH", "/value"),
    ("like on a number", leaf("status", "like", "2%"), "TYPE_MISMATCH", "/op"),
    ("contains on a time", leaf(TIME, "contains", "2026"), "TYPE_MISMATCH", "/op"),
    ("lt on a boolean", leaf("cached", "lt", True), "TYPE_MISMATCH", "/op"),
    ("between on a boolean", leaf("cached", "between", [False, True]), "TYPE_MISMATCH", "/op"),
    ("like with a number", leaf("host", "like", 1), "TYPE_MISMATCH", "/value"),
    ("like with a stray backslash", leaf("host", "like", "a\\b"), "PATTERN_INVALID", "/value"),
    ("like with a backslash at its end", leaf("host", "like", "a\\"), "PATTERN_INVALID", "/value"),
    ("ilike with a stray backslash", leaf("host", "ilike", "\\n"), "PATTERN_INVALID", "/value"),
    ("a text of 1,001 characters", leaf("host", "eq", "a" * 1001), "TOO_MANY_VALUES", "/value"),
    ("an op that is a number", leaf("host", 1, "a"), "BODY_INVALID", "/op"),  # type: ignore[arg-type]
    ("a field that is a number", leaf(1, "eq", "a"), "BODY_INVALID", "/field"),  # type: ignore[arg-type]
]  # fmt: skip

_TIMES = (
    "", "2026-11-22", "2026-11-22T10:00:00", "2026-13-01T00:00:00Z", "2026-02-29T00:00:00Z", "2026-11-22T24:00:00Z", "2026-11-22T10:60:00Z",
    "2026-11-22T10:00:60Z", "2026-11-22 10:00:00Z", "2026-11-22T10:00:00.1234567890Z", "2026-11-22T10:00:00+24:00", "1700000000", "now-", "now-1",
    "now-1x", "now/5m", "now-1h/", "NOW", "yesterday", "now-1.5h", "+12026-11-22T10:00:00Z",
)  # fmt: skip
_REGEXES = (
    "(?i)a",
    "(?:a)",
    "a*?",
    "a++",
    "\\bweb",
    "\\1",
    "\\p{L}",
    "(",
    ")",
    "[a",
    "a{2,1}",
    "a{1001}",
    "a^b",
    "a$b",
    "*",
    "a\\",
    "[[:alpha:]]",
    "[z-a]",
)
_EXPRESSIONS = (
    "",
    "1 +",
    "(bytes",
    "bytes)",
    "bytes bytes",
    "+bytes",
    "abs()",
    "abs(1, 2)",
    "nullif(1)",
    "coalesce()",
    "bytes ** 2",
    "'a'",
    "bytes; 1",
    "1 = 1",
    "`",
    "1..2",
)
_WIDTHS = ("0s", "-5m", "1.5h", "5", "5 m", "1ms", "2d", "2w", "1q", "", "m", "1H", "5min", "1D")
_LIMITS = (0, -1, 10_001, 1.5, 1.0, "10", True, None, [10], 1e9)

_SEVERAL: list[tuple[str, Body, tuple[tuple[str, str], ...]]] = [
    ("faults of shape", {"limit": 0, "where": leaf("status", "eqq", 1), "selct": 1},
     (("LIMIT_INVALID", "/limit"), ("OPERATOR_UNKNOWN", "/where/op"), ("BODY_INVALID", "/selct"))),
    ("faults of meaning", {"where": every(leaf("hots", "eq", "a"), leaf("status", "eq", "x")), "order_by": ["nothing"], "select": [expr("host", "x")]},
     (("FIELD_UNKNOWN", "/where/and/0/field"), ("TYPE_MISMATCH", "/where/and/1/value"), ("FIELD_UNKNOWN", "/order_by/0"), ("TYPE_MISMATCH", "/select/0/expr"))),
    ("faults in groups", {"group_by": ["hots"], "select": [count(), "user", agg("sum", "path", "n")], "having": leaf("z", "gt", 1)},
     (("FIELD_UNKNOWN", "/group_by/0"), ("NOT_A_KEY", "/select/1"), ("TYPE_MISMATCH", "/select/2/field"), ("NAME_CLASH", "/select/2/as"), ("FIELD_UNKNOWN", "/having/field"))),
    ("two bad operands in one leaf", {"where": leaf("status", "in", ["a", 1, True])}, (("TYPE_MISMATCH", "/where/value/0"), ("TYPE_MISMATCH", "/where/value/2"))),
]  # fmt: skip
