"""Cases of rows: selected fields, order, limit, time ranges, expressions."""

from __future__ import annotations

from typing import Any

from unittest_.conformance.case import DOCUMENTS, TIME, Body, Case, expr, leaf, span

UP, DOWN = "asc", "desc"


def _by(field: str, direction: str) -> Body:
    return {"field": field, "dir": direction}


# name, data set, order_by, limit
ORDERS: list[tuple[str, str, list[Any], int]] = [
    ("by time unless told", "access", [], 50),
    ("an integer, missing last", "access", ["bytes"], 300),
    ("an integer descending, missing last", "access", [_by("bytes", DOWN)], 300),
    ("a float", "access", ["latency", TIME], 300),
    ("a float descending", "access", [_by("latency", DOWN), TIME], 300),
    ("a string by code point", "odd", ["text"], 300),
    ("a string by code point descending", "odd", [_by("text", DOWN)], 300),
    ("a tag", "odd", ["name", TIME], 300),
    ("a tag descending", "odd", [_by("name", DOWN), TIME], 40),
    ("booleans", "access", ["cached", TIME], 300),
    ("booleans descending", "access", [_by("cached", DOWN), TIME], 300),
    ("integers past 2^53", "odd", ["big"], 300),
    ("integers past 2^53 descending", "odd", [_by("big", DOWN)], 300),
    ("floats with zeros of both signs", "odd", ["ratio"], 300),
    ("time descending", "odd", [_by(TIME, DOWN)], 20),
    ("time before 1970", "odd", [TIME], 60),
    ("nanoseconds", "nanos", [_by(TIME, DOWN), "host"], 300),
    ("three keys, mixed", "access", ["dc", _by("status", DOWN), "bytes"], 300),
    ("a limit inside a tie", "access", ["status"], 7),
    ("a limit of 1", "access", [_by("bytes", DOWN)], 1),
    ("text with a keyword", "access", ["path", TIME], 300),
]
LIST_ORDERS: list[tuple[str, list[Any]]] = [
    ("a list by its least value", ["sizes", "_id"]),
    ("a list by its greatest value descending", [_by("sizes", DOWN), "_id"]),
    ("a list of strings", ["tags", "_id"]),
    ("a list of strings descending", [_by("tags", DOWN), "_id"]),
    ("a list of floats", ["ratios", "_id"]),
    ("a list of times descending", [_by("seen", DOWN), "_id"]),
    ("a list of booleans", ["flags", "_id"]),
    ("_id", ["_id"]),
    ("_id descending", [_by("_id", DOWN)]),
    ("a dotted member of an array", [_by("items.qty", DOWN), "_id"]),
    ("a missing time last", [TIME, "_id"]),
    ("a missing time last, descending", [_by(TIME, DOWN), "_id"]),
]

# name, data set, time range
RANGES: list[tuple[str, str, Body]] = [
    ("half open", "odd", span("1969-12-31T23:59:59Z", "1970-01-01T00:00:00Z")),
    ("without an end", "access", span("2026-11-22T09:30:00Z", None)),
    ("without a start", "access", span(None, "2026-11-22T07:00:00Z")),
    ("now-1h", "access", span("now-1h", "now")),
    ("now-2h rounded", "access", span("now-2h/h", "now/h")),
    ("now rounded to the day", "access", span("now/d", "now")),
    ("weeks, rounded to Monday", "days", span("now-4w/w", "now/w")),
    ("months and years", "days", span("now-23M/M", "now/y")),
    ("milliseconds", "access", span("now-12000000ms", "now-1ms")),
    ("in the future", "odd", span("now", "now+200y")),
    ("nanoseconds", "nanos", span("2026-11-22T09:59:59.999999001Z", "2026-11-22T10:00:00.000000001Z")),
    ("before 1970", "odd", span("1900-01-01T00:00:00+14:00", "1969-12-31T23:59:59.999999999Z")),
    ("over more than nanoseconds hold", "odd", span("0001-01-01T00:00:00Z", "9999-01-01T00:00:00Z")),
    ("with its field named", "access", span("now-3h", "now-2h", field=TIME)),
]

# name, data set, expression
EXPRESSIONS: list[tuple[str, str, str]] = [
    ("a number", "access", "1.5e3"),
    ("sum", "access", "status + bytes"),
    ("precedence", "access", "status + bytes * 2 - latency / 4"),
    ("from the left", "access", "bytes - status - 10"),
    ("division from the left", "access", "bytes / 2 / 5"),
    ("parentheses", "access", "(status + bytes) * (2 - 3)"),
    ("unary minus binds first", "access", "-status + -bytes * -2"),
    ("minus of a minus", "access", "status - -1"),
    ("by zero is null", "access", "bytes / (status - 200)"),
    ("remainder by zero is null", "access", "bytes % (status - 200)"),
    ("remainder keeps the dividend's sign", "odd", "score % 3"),
    ("remainder of a negative divisor", "days", "(v - 40) % -7"),
    ("round halves away from zero", "odd", "round(ratio)"),
    ("round of the largest below a half", "odd", "round(ratio * 1)"),
    ("abs", "odd", "abs(score)"),
    ("coalesce", "access", "coalesce(bytes, latency, -1)"),
    ("coalesce of one", "access", "coalesce(bytes)"),
    ("coalesce takes what is not finite as null", "access", "coalesce(1 / (status - 200), 5)"),
    ("nullif", "access", "nullif(status, 200) + 1"),
    ("not finite is null", "odd", "ratio * 1e308 * 1e308"),
    ("integers past 2^53 are rounded", "odd", "big + 0"),
    ("minus zero is zero", "odd", "-ratio * 0"),
    ("backticks", "access", "`status` + `bytes`"),
    ("blanks", "access", "  status+\tbytes  "),
    ("nested calls", "odd", "round(abs(coalesce(score, ratio, 0)) * 10) / 10"),
]


def rows() -> list[Case]:
    """All cases of rows."""
    found = [Case(f"rows: {name}", data, body, kinds) for name, data, body, kinds in _PLAIN]
    found += [Case(f"order: {name}", data, _ordered(order, limit)) for name, data, order, limit in ORDERS]
    found += [Case(f"order: {name}", "lists", _ordered(order, 100), DOCUMENTS) for name, order in LIST_ORDERS]
    found += [Case(f"range: {name}", data, {"time_range": bounds, "limit": 10_000}) for name, data, bounds in RANGES]
    found += [Case(f"expression: {name}", data, _computed(text)) for name, data, text in EXPRESSIONS]
    return found


def _ordered(order: list[Any], limit: int) -> Body:
    return {"order_by": order, "limit": limit} if order else {"limit": limit}


def _computed(text: str) -> Body:
    return {"select": [TIME, expr(text, "x")], "order_by": [TIME], "limit": 300}


_BOTH = ("documents", "series")
_PLAIN: list[tuple[str, str, Body, tuple[str, ...]]] = [
    ("every field", "access", {"limit": 1000}, _BOTH),
    ("every field, odd values", "odd", {"limit": 1000}, _BOTH),
    ("every field, nanoseconds", "nanos", {"limit": 1000}, _BOTH),
    ("every field, lists and objects", "lists", {"limit": 1000}, DOCUMENTS),
    ("every field, coerced", "coerced", {"limit": 1000}, DOCUMENTS),
    ("every field of an empty index", "empty", {}, DOCUMENTS),
    ("a limit of 100 unless told", "access", {"order_by": [TIME, "host", "dc"]}, _BOTH),
    ("3,000 rows", "many", {"limit": 10_000}, _BOTH),
    ("2,500 rows ordered by a value", "many", {"order_by": [{"field": "x", "dir": "desc"}], "limit": 2500}, _BOTH),
    ("fields in the asked order", "access", {"select": ["status", TIME, "host"], "limit": 300}, _BOTH),
    ("fields as objects", "access", {"select": [{"field": "bytes"}, {"field": "host"}], "limit": 300}, _BOTH),
    ("ordered by a field that is not selected", "access", {"select": ["host"], "order_by": ["bytes", TIME], "limit": 300}, _BOTH),
    ("a tag alone", "access", {"select": ["dc"], "limit": 300}, _BOTH),
    ("a rare field alone, rows without it stay", "odd", {"select": ["flag"], "limit": 300}, _BOTH),
    ("the time alone", "nanos", {"select": [TIME], "limit": 300}, _BOTH),
    ("_id alone", "lists", {"select": ["_id"], "order_by": ["_id"], "limit": 300}, DOCUMENTS),
    ("json cells", "lists", {"select": ["_id", "parts", "labels"], "order_by": ["_id"]}, DOCUMENTS),
    ("dotted fields", "lists", {"select": ["items.sku", "items.qty", "geo.lat", "geo.city"], "order_by": ["_id"]}, DOCUMENTS),
    ("analysed text as it was sent", "lists", {"select": ["body", "title"], "order_by": ["_id"]}, DOCUMENTS),
    ("ordered by an expression", "access",
     {"select": [TIME, expr("coalesce(bytes, 0) % 1000", "rest")], "order_by": [_by("rest", DOWN), TIME], "limit": 60}, _BOTH),
    ("several expressions", "access",
     {"select": ["host", expr("bytes / 1024", "kib"), expr("latency / 1000", "s"), "status"], "order_by": [TIME], "limit": 300}, _BOTH),
    ("an output named like a field wins", "access",
     {"select": [expr("bytes * 2", "bytes")], "order_by": [_by("bytes", DOWN), TIME], "limit": 300}, _BOTH),
    ("nothing matches", "access", {"where": leaf("status", "eq", 1), "select": ["host", expr("bytes + 1", "x")]}, _BOTH),
    ("where, range, order and limit together", "access",
     {"where": leaf("status", "in", [200, 500]), "time_range": span("now-3h", "now"), "select": [TIME, "host", "bytes"],
      "order_by": [_by("bytes", DOWN), TIME, "host"], "limit": 12}, _BOTH),
    ("a range on another field", "coerced", {"time_range": span("2023-01-01T00:00:00Z", "2026-11-22T10:00:00.123456789Z", field="nanos")},
     DOCUMENTS),
]  # fmt: skip
