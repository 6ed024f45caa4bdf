"""What is asked of the real data: bodies over the access log (2015) and over the metrics (2013 and 2014), by name."""

from __future__ import annotations

from typing import Any

from unittest_.conformance.case import Body, agg, count, either, every, expr, leaf, negated

EXACT = {"exact": True}
LOG_DAYS = {"from": "2015-05-17T00:00:00Z", "to": "2015-05-21T00:00:00Z"}
LOG_HOURS = {"from": "2015-05-18T06:00:00Z", "to": "2015-05-18T18:00:00Z"}
NUMBERS = [agg(name, "bytes") for name in ("count", "sum", "avg", "min", "max", "stddev")]
BY_LINE = {"order_by": ["line"], "limit": 300}
PATHS = {"select": ["line", "path", "status"], **BY_LINE}


def bucket(width: str, field: str, **more: Any) -> Body:
    return {"time_bucket": width, "field": field, "as": "t", **more}


def _log(where: Body | None = None, **more: Any) -> Body:
    return more if where is None else {"where": where, **more}


LOG: dict[str, Body] = {
    "every field": _log(order_by=["@timestamp", "line"], limit=200),
    "largest first": _log(
        select=["line", "bytes", "path"], order_by=[{"field": "bytes", "dir": "desc"}, "line"], limit=100
    ),
    "missing last": _log(select=["line", "referrer"], order_by=[{"field": "referrer", "dir": "desc"}, "line"], limit=9000),
    "eq and gte": _log(every(leaf("method", "eq", "GET"), leaf("status", "gte", 400)), **PATHS),
    "lt or gt": _log(either(leaf("bytes", "lt", 100), leaf("bytes", "gt", 20_000_000)), **PATHS),
    "fractions": _log(every(leaf("bytes", "gt", 120.5), leaf("bytes", "lte", 126.5)), **PATHS),
    "ne keeps no missing": _log(every(leaf("bytes", "ne", 0), leaf("status", "ne", 200)), **PATHS),
    "not eq keeps the missing": _log(every(negated(leaf("bytes", "gte", 0))), **PATHS),
    "in and nin": _log(
        every(leaf("status", "in", [404, 500, 403]), leaf("method", "nin", ["HEAD", "POST"])), **PATHS
    ),
    "between": _log(leaf("bytes", "between", [1000, 1100]), **PATHS),
    "absent": _log(every(leaf("bytes", "exists", False), leaf("referrer", "exists", True)), **PATHS),
    "like": _log(leaf("path", "like", r"/blog/t_gs/%\%20%"), **PATHS),
    "ilike": _log(
        every(leaf("status", "gte", 300), leaf("agent", "ilike", "%GOOGLEBOT%")), select=["line", "agent"], **BY_LINE
    ),
    "starts and ends": _log(every(leaf("path", "starts_with", "/images/"), leaf("path", "ends_with", ".png")), **PATHS),
    "contains": _log(leaf("path", "contains", "?"), **PATHS),
    "regex": _log(every(leaf("status", "gte", 300), leaf("path", "regex", r"^/(blog|articles)/[a-z-]+/.*\.html$")), **PATHS),
    "one address": _log(leaf("ip", "eq", "66.249.73.135"), **PATHS),
    "addresses": _log(leaf("ip", "in", ["46.105.14.53", "130.237.218.86"]), **PATHS),
    "two hours": _log(
        time_range={"from": "2015-05-19T10:05:00Z", "to": "2015-05-19T12:05:00+00:00"},
        select=["@timestamp", "line"],
        order_by=["@timestamp", "line"],
        limit=1000,
    ),
    "row expression": _log(
        leaf("status", "eq", 200),
        select=["line", expr("round(bytes / 1024)", "kib"), expr("bytes % 7", "rest"), expr("coalesce(bytes, -1)", "b")],
        **BY_LINE,
    ),
    "all in one": _log(select=[count("n"), *NUMBERS]),
    "by status": _log(group_by=["status"], select=[count("n"), *NUMBERS]),
    "by method and status": _log(
        group_by=["method", "status"],
        select=[count("n"), agg("max", "bytes")],
        having=leaf("n", "gt", 1),
        order_by=[{"field": "n", "dir": "desc"}, "method", "status"],
    ),
    "busiest referrers": _log(
        group_by=["referrer"], select=[count("n")], order_by=[{"field": "n", "dir": "desc"}, "referrer"], limit=50
    ),
    "share of errors": _log(
        group_by=["ip"],
        select=[
            count("n"),
            count("errors", where=leaf("status", "gte", 400)),
            expr("round(1000 * errors / n) / 10", "percent"),
        ],
        having=every(leaf("n", "gte", 20), leaf("errors", "gt", 0)),
        order_by=[{"field": "percent", "dir": "desc"}, "ip"],
    ),
    "by the hour": _log(
        time_range=LOG_DAYS, group_by=[bucket("1h", "@timestamp")], select=[count("n"), agg("sum", "bytes")], limit=200
    ),
    "five minutes, filled": _log(
        every(leaf("status", "eq", 404)),
        time_range=LOG_HOURS,
        group_by=[bucket("5m", "@timestamp")],
        select=[count("n"), agg("avg", "bytes", "b")],
        fill={"mode": "value", "value": 0},
        limit=200,
    ),
    "previous": _log(
        leaf("status", "eq", 404),
        time_range=LOG_HOURS,
        group_by=["method", bucket("15m", "@timestamp")],
        select=[agg("max", "bytes", "b")],
        fill={"mode": "previous"},
        limit=500,
    ),
    "days of New York": _log(
        time_range={"from": "2015-05-16T00:00:00Z", "to": "2015-05-23T00:00:00Z"},
        group_by=["method", bucket("1d", "@timestamp", tz="America/New_York")],
        select=[count("n"), agg("sum", "bytes")],
        fill={"mode": "null"},
    ),
    "weeks": _log(group_by=[bucket("1w", "@timestamp", tz="Asia/Kolkata")], select=[count("n")]),
    "addresses by the hour": _log(
        group_by=["ip", bucket("1h", "@timestamp")],
        select=[count("n"), agg("max", "status")],
        order_by=[{"field": "n", "dir": "desc"}, "ip", "t"],
        limit=300,
    ),
    "exact distribution": _log(
        group_by=["status"],
        select=[
            agg("count_distinct", "ip"),
            agg("median", "bytes"),
            agg("percentile", "bytes", "p95", p=95),
            agg("percentile", "bytes", "p999", p=99.9),
        ],
        options=EXACT,
    ),
    "first and last": _log(
        leaf("line", "lt", 4000),
        group_by=["method"],
        select=[agg("min", "@timestamp", "since"), agg("max", "@timestamp", "until"), agg("first", "line"), agg("last", "status")],
    ),
}  # fmt: skip

YEAR = {"from": "2014-01-01T00:00:00Z", "to": "2015-01-01T00:00:00Z", "field": "time"}
APRIL = {"from": "2014-04-10T00:00:00Z", "to": "2014-04-17T00:00:00Z", "field": "time"}
ONE_DAY = {"from": "2014-04-11T00:00:00Z", "to": "2014-04-12T00:00:00Z", "field": "time"}
CPU = leaf("kind", "in", ["ec2_cpu_utilization", "rds_cpu_utilization"])
VALUES = [agg(name, "value") for name in ("count", "sum", "avg", "min", "max", "stddev")]
ROWS: Body = {"select": ["time", "file", "value"], "order_by": ["time", "file"], "limit": 400}

METRICS: dict[str, Body] = {
    "rows": {"time_range": ONE_DAY, **ROWS},
    "last rows": {
        "time_range": YEAR,
        "select": ["time", "file", "value"],
        "order_by": [{"field": "time", "dir": "desc"}, "file"],
        "limit": 100,
    },
    "greatest": {
        "where": leaf("kind", "eq", "ec2_network_in"),
        "select": ["value", "time", "instance"],
        "order_by": [{"field": "value", "dir": "desc"}, "time", "instance"],
        "limit": 100,
    },
    "between": {"where": every(leaf("value", "between", [99.5, 100]), CPU), **ROWS},
    "equal": {"where": leaf("value", "eq", 0.066), "time_range": YEAR, **ROWS},
    "not and or": {
        "where": every(
            negated(leaf("kind", "eq", "ec2_cpu_utilization")),
            either(leaf("value", "gt", 1e8), leaf("instance", "eq", "8c0756")),
        ),
        "time_range": APRIL,
        **ROWS,
    },
    "nin and ne": {
        "where": every(leaf("kind", "nin", ["ec2_cpu_utilization"]), leaf("value", "ne", 0), leaf("file", "ne", "x")),
        "time_range": ONE_DAY,
        **ROWS,
    },
    "patterns of keys": {
        "where": either(leaf("file", "like", "rds%e47b__"), leaf("file", "regex", "_[0-9a-f]{5}d$")),
        "time_range": APRIL,
        **ROWS,
    },
    "row expression": {
        "where": leaf("instance", "eq", "8c0756"),
        "select": ["time", expr("value * 2 - 1", "twice"), expr("abs(nullif(value, 94)) / 0.3", "part")],
        "order_by": ["time"],
        "limit": 300,
    },
    "all in one": {"select": [count("n"), *VALUES]},
    "by file": {"group_by": ["file"], "select": [count("n"), *VALUES]},
    "by kind and instance": {
        "group_by": ["kind", "instance"],
        "select": [agg("min", "time", "since"), agg("max", "time", "until"), count("n")],
        "order_by": [{"field": "n", "dir": "desc"}, "kind", "instance"],
    },
    "having": {
        "group_by": ["file"],
        "select": [agg("avg", "value", "mean"), agg("max", "value", "most")],
        "having": every(leaf("mean", "gt", 30), leaf("most", "lte", 100)),
        "order_by": [{"field": "mean", "dir": "desc"}],
    },
    "hours of kinds": {
        "time_range": APRIL,
        "group_by": ["kind", bucket("1h", "time")],
        "select": [agg("avg", "value", "mean"), count("n")],
        "limit": 2000,
    },
    "busy buckets": {
        "where": CPU,
        "time_range": YEAR,
        "group_by": ["file", bucket("6h", "time")],
        "select": [count("n"), count("busy", where=leaf("value", "gt", 80)), expr("busy / n", "share")],
        "having": leaf("busy", "gt", 0),
        "order_by": [{"field": "share", "dir": "desc"}, "file", "t"],
        "limit": 200,
    },
    "days of Berlin": {
        "time_range": {"from": "2014-03-25T00:00:00Z", "to": "2014-04-05T00:00:00Z", "field": "time"},
        "group_by": ["kind", bucket("1d", "time", tz="Europe/Berlin")],
        "select": [agg("sum", "value", "total"), count("n")],
        "fill": {"mode": "null"},
        "limit": 500,
    },
    "months": {
        "group_by": [bucket("1M", "time")],
        "select": [count("n"), agg("min", "value", "least"), agg("max", "value", "most")],
    },
    "years and weeks": {
        "where": leaf("kind", "eq", "grok_asg"),
        "group_by": [bucket("1w", "time", tz="America/Los_Angeles")],
        "select": [count("n"), agg("avg", "value", "mean")],
    },
    "straight lines": {
        "where": leaf("instance", "eq", "24ae8d"),
        "time_range": {"from": "2014-02-14T12:00:00Z", "to": "2014-02-15T00:00:00Z", "field": "time"},
        "group_by": ["file", bucket("2m", "time")],
        "select": [agg("avg", "value", "mean")],
        "fill": {"mode": "linear"},
        "limit": 500,
    },
    "steps": {
        "where": CPU,
        "time_range": {"from": "2014-02-14T14:00:00Z", "to": "2014-02-14T16:00:00Z", "field": "time"},
        "group_by": ["file", bucket("1m", "time")],
        "select": [agg("max", "value", "most")],
        "fill": {"mode": "previous"},
        "limit": 2000,
    },
    "exact distribution": {
        "group_by": ["kind"],
        "select": [
            agg("median", "value"),
            agg("percentile", "value", "p95", p=95),
            agg("count_distinct", "value"),
            agg("count_distinct", "instance", "instances"),
        ],
        "options": EXACT,
    },
    "first and last": {
        "time_range": YEAR,
        "group_by": ["file"],
        "select": [agg("first", "value"), agg("last", "value"), agg("first", "time", "since")],
    },
    "difference of extremes": {
        "time_range": APRIL,
        "where": leaf("kind", "eq", "ec2_network_in"),
        "group_by": ["instance", bucket("12h", "time")],
        "select": [agg("max", "value", "most"), agg("min", "value", "least"), expr("most - least", "spread")],
        "order_by": [{"field": "spread", "dir": "desc"}, "t"],
    },
}  # fmt: skip
