# ruff: noqa: E501  one case a line
"""Cases of time buckets and fill."""

from __future__ import annotations

from typing import Any

from unittest_.conformance.case import BOTH, DOCUMENTS, SERIES, TIME, Body, Case, agg, bucket, count, expr, leaf, span

HOURS = span("2026-11-22T06:30:00Z", "2026-11-22T10:30:00Z")
GAPS = span("2026-11-22T06:20:00Z", "2026-11-22T07:05:00Z")

# name, data set, bucket
BUCKETS: list[tuple[str, str, Body]] = [
    ("1s", "access", bucket("1s")),
    ("30s", "access", bucket("30s")),
    ("7s", "many", bucket("700s")),
    ("5m", "access", bucket("5m")),
    ("7m, counted from 1970", "access", bucket("7m")),
    ("1h", "access", bucket("1h")),
    ("5h", "days", bucket("5h")),
    ("24h", "days", bucket("24h")),
    ("1000h", "days", bucket("1000h")),
    ("1s around 1970", "nanos", bucket("1s")),
    ("1s before 1970", "odd", bucket("1s")),
    ("90s before 1970", "odd", bucket("90s")),
    ("1d in UTC", "days", bucket("1d")),
    ("1d with tz UTC", "days", bucket("1d", tz="UTC")),
    ("1w starts on Monday", "days", bucket("1w")),
    ("1w before 1970", "odd", bucket("1w")),
    ("1M", "days", bucket("1M")),
    ("1M before 1970", "odd", bucket("1M")),
    ("1y", "days", bucket("1y")),
    ("1y over five centuries", "odd", bucket("1y")),
    ("1d in New York", "days", bucket("1d", tz="America/New_York")),
    ("1w in New York", "days", bucket("1w", tz="America/New_York")),
    ("1d in Berlin", "days", bucket("1d", tz="Europe/Berlin")),
    ("1M in Berlin", "days", bucket("1M", tz="Europe/Berlin")),
    ("1y in Berlin", "days", bucket("1y", tz="Europe/Berlin")),
    ("1d in Beirut, where midnight is skipped", "days", bucket("1d", tz="Asia/Beirut")),
    ("1d in Havana, where midnight comes twice", "days", bucket("1d", tz="America/Havana")),
    ("1d in Apia, where a day is skipped", "days", bucket("1d", tz="Pacific/Apia")),
    ("1d in Sao Paulo", "days", bucket("1d", tz="America/Sao_Paulo")),
    ("1d in Kathmandu", "days", bucket("1d", tz="Asia/Kathmandu")),
    ("1w in Kiritimati", "days", bucket("1w", tz="Pacific/Kiritimati")),
    ("1y in Lord Howe", "days", bucket("1y", tz="Australia/Lord_Howe")),
]

# name, mode, value
FILLS: list[tuple[str, Body]] = [
    ("none", {"mode": "none"}),
    ("null", {"mode": "null"}),
    ("value", {"mode": "value", "value": 0}),
    ("a negative value", {"mode": "value", "value": -7}),
    ("previous", {"mode": "previous"}),
    ("linear", {"mode": "linear"}),
]
OUTPUTS = [count(), agg("max", "bytes", "hi"), agg("avg", "latency", "lat"), agg("sum", "status", "s")]


def times() -> list[Case]:
    """All cases of buckets and fill."""
    found = [Case(f"bucket: {name}", data, _counted(key)) for name, data, key in BUCKETS]
    for name, fill in FILLS:
        found.append(Case(f"fill {name}: one series", "access", _filled("5m", HOURS, fill)))
        found.append(Case(f"fill {name}: a series for each host", "access", _filled("10m", GAPS, fill, "host")))
        found.append(Case(f"fill {name}: two keys after the bucket", "access", _after(fill)))
        found.append(Case(f"fill {name}: days in a zone", "days", _zoned(fill)))
        found.append(Case(f"fill {name}: no row matched", "access", _nothing(fill)))
    found += [Case(f"fill: {name}", data, body, kinds) for name, data, body, kinds in _MORE]
    return found


def _counted(key: Body) -> Body:
    return {
        "group_by": [key],
        "select": [count(), agg("min", TIME, "lo"), agg("last", "n" if "700s" in key.values() else TIME, "z")],
        "limit": 2000,
    }


def _filled(width: str, bounds: Body, fill: Body, *keys: str) -> Body:
    return {"time_range": bounds, "group_by": [*keys, bucket(width)], "select": OUTPUTS, "fill": fill, "limit": 2000}


def _after(fill: Body) -> Body:
    body = _filled("15m", GAPS, fill)
    return body | {"group_by": ["dc", bucket("15m"), "cached"], "where": leaf("status", "lt", 400)}


def _zoned(fill: Body) -> Body:
    bounds = span("2026-10-20T00:00:00Z", "2026-11-06T00:00:00Z")
    outputs = [count(), agg("min", "v", "lo"), agg("avg", "w", "mean")]
    return {"time_range": bounds, "group_by": [bucket("1d", tz="Europe/Berlin")], "select": outputs, "fill": fill}


def _nothing(fill: Body) -> Body:
    return _filled("10m", GAPS, fill) | {"where": leaf("status", "eq", 1)}


def _last(width: str, start: str, end: str) -> Body:
    outputs = [count(), agg("max", "v", "hi"), agg("avg", "w", "mean")]
    return {"time_range": span(start, end), "group_by": [bucket(width)], "select": outputs, "fill": {"mode": "linear"}}


def _first(width: str, start: str, end: str, **more: Any) -> Body:
    body = {
        "time_range": span(start, end),
        "group_by": [bucket(width, **more)],
        "select": [count(), agg("max", "score", "hi")],
    }
    return body | {"fill": {"mode": "null"}}


_NULLS = {"mode": "null"}
_MORE: list[tuple[str, str, Body, tuple[str, ...]]] = [
    ("no row matched, another key", "access", _filled("10m", GAPS, _NULLS, "host") | {"where": leaf("status", "eq", 1)}, BOTH),
    ("edges inside buckets", "access", _filled("1h", span("2026-11-22T05:59:59Z", "2026-11-22T10:00:01Z"), _NULLS), BOTH),
    ("an end on an edge", "access", _filled("1h", span("2026-11-22T06:00:00Z", "2026-11-22T10:00:00Z"), _NULLS), BOTH),
    ("up to the last instant of int64", "nanos", _last("1m", "2262-04-11T23:45:30Z", "2262-04-11T23:47:16.854775807Z"), BOTH),
    ("up to the last instant of int64, in seconds", "nanos", _last("1s", "2262-04-11T23:47:10Z", "2262-04-11T23:47:16.854775807Z"), BOTH),
    ("up to the last instant of int64, in weeks", "nanos", _last("1w", "2262-03-01T00:00:00Z", "2262-04-11T23:47:16.854775807Z"), BOTH),
    ("past the last instant of int64", "nanos", _last("1h", "2262-04-11T20:00:00Z", "2262-04-12T03:00:00Z"), BOTH),
    ("from before the first instant of int64", "odd", _first("1h", "1677-09-20T22:00:00Z", "1677-09-21T03:00:00Z"), SERIES),
    ("from before the first instant of int64, in months", "odd", _first("1M", "1677-06-01T00:00:00Z", "1678-01-01T00:00:00Z"), SERIES),
    ("from before the first instant of int64, in a zone", "odd", _first("1d", "1677-09-15T00:00:00Z", "1677-09-25T00:00:00Z", tz="Europe/Berlin"), SERIES),
    ("an end past now", "access", _filled("1h", span("now-2h/h", "now+3h"), {"mode": "previous"}, "dc"), BOTH),
    ("months", "days", {"time_range": span("2025-11-15T00:00:00Z", "2026-12-01T00:00:00Z"), "group_by": [bucket("1M")],
                        "select": [count(), agg("max", "v", "hi")], "fill": {"mode": "linear"}}, BOTH),
    ("years before 1970", "odd", {"time_range": span("1960-01-01T00:00:00Z", "1975-01-01T00:00:00Z"), "group_by": [bucket("1y")],
                                  "select": [count(), agg("max", "score", "hi")], "fill": {"mode": "previous"}}, BOTH),
    ("before expressions and having", "access",
     _filled("10m", GAPS, {"mode": "value", "value": 0}, "host") | {"select": [*OUTPUTS, expr("hi / n", "x"), expr("hi + 1", "y")],
                                                                  "having": leaf("y", "eq", 1)}, BOTH),
    ("ordered by an aggregate, nulls last", "access",
     _filled("10m", GAPS, _NULLS, "host") | {"order_by": [{"field": "hi", "dir": "desc"}, "host", "t"]}, BOTH),
    ("with a limit", "access", _filled("1m", GAPS, _NULLS, "host") | {"limit": 11}, BOTH),
    ("nulls in seen buckets are filled too", "access",
     _filled("15m", HOURS, {"mode": "value", "value": 5}, "host") | {"select": [count(), agg("max", "bytes", "hi", where=leaf("status", "eq", 503))]}, BOTH),
    ("text and times keep previous", "access",
     _filled("10m", GAPS, {"mode": "previous"}, "host") | {"select": [agg("last", "user", "who"), agg("max", TIME, "seen"), agg("first", "cached", "c")]},
     BOTH),
    ("text and times stay null", "access",
     _filled("10m", GAPS, _NULLS, "dc") | {"select": [agg("last", "user", "who"), agg("max", TIME, "seen"), agg("count_distinct", "host", "hosts")],
                                         "options": {"exact": True}}, BOTH),
    ("a null and a list as keys", "lists", {"time_range": span("2026-11-01T00:00:00Z", "2026-11-08T00:00:00Z"), "group_by": ["tags", bucket("1d")],
                                            "select": [count(), agg("sum", "n", "s")], "fill": {"mode": "linear"}, "limit": 500}, DOCUMENTS),
    ("an empty index", "empty", {"time_range": span("now-6h", "now"), "group_by": [bucket("1h")], "select": [count(), agg("sum", "v", "s")],
                                 "fill": {"mode": "value", "value": 1}}, DOCUMENTS),
    ("a missing time is the null bucket", "lists", {"group_by": [bucket("1w")], "select": [count()]}, DOCUMENTS),
    ("nanosecond buckets of another field", "coerced", {"group_by": [{"time_bucket": "1s", "field": "nanos", "as": "at"}], "select": [count()]},
     DOCUMENTS),
    ("buckets of a list of times", "lists", {"group_by": [{"time_bucket": "1M", "field": "seen", "as": "m"}], "select": [count()]}, DOCUMENTS),
    ("two buckets", "access", {"group_by": [bucket("1h"), {"time_bucket": "7m", "field": TIME, "as": "u"}], "select": [count()], "limit": 500}, BOTH),
    ("a bucket between keys", "access", {"group_by": ["dc", bucket("30m"), "cached"], "select": [count()], "limit": 500}, BOTH),
    ("buckets descending", "access", {"group_by": [bucket("30m")], "select": [count()], "order_by": [{"field": "t", "dir": "desc"}]}, BOTH),
    ("having a bucket", "access", {"group_by": [bucket("30m")], "select": [count()], "having": leaf("t", "gte", "2026-11-22T08:00:00Z")}, BOTH),
]  # fmt: skip
