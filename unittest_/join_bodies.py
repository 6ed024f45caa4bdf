"""Bodies of every kind of join and of a union over the stores of faulty_stores.py, Elasticsearch or InfluxDB on the left."""

from __future__ import annotations

from typing import Any

Body = dict[str, Any]
# All of the data; the newest is less than a minute before the end.
SPAN = {"from": "1970-01-01T00:00:00Z", "to": "1970-01-01T00:00:05Z"}
SOME = {"field": "host", "op": "in", "value": ["web-0", "web-2", "web-5"]}
# What `options.partial` may do without, by the source that fails.
SPARED = {"es": ("left of series", "asof of series", "union"), "influx": ("left", "asof", "union")}


def bodies(name: str) -> dict[str, Body]:
    """By what they do; `name` is the index and the database."""
    logs: Body = {"from": {"source": "es", "index": name}, "time_range": SPAN}
    cpu: Body = {"from": {"source": "influx", "db": name, "measurement": "cpu"}, "time_range": SPAN}
    count, most = {"agg": "count", "as": "n"}, {"agg": "max", "field": "v", "as": "most"}
    lines, loads = ({**side, "group_by": ["host"], "select": [count, most]} for side in (logs, cpu))
    hit: Body = {"direction": "backward", "tolerance": "20ms"}
    rows = {**logs, "select": ["@timestamp", "host", "v"]}
    points = {**cpu, "select": ["time", "host", "v"]}
    many = {"limit": 1000}
    return {
        "inner": {**lines, "join": [_join("inner", loads)], "order_by": ["host"]},
        "left": {**lines, "join": [_join("left", {**loads, "where": SOME})], "order_by": ["host"]},
        "left of series": {**loads, "join": [_join("left", {**lines, "where": SOME})], "order_by": ["host"]},
        "anti": {**lines, "join": [_join("anti", {**points, "where": SOME})], "order_by": ["host"]},
        "semi of series": {**loads, "join": [_join("semi", {**rows, "where": SOME})], "order_by": ["host"]},
        "asof": {
            **rows,
            "join": [_join("asof", {**points, "where": SOME}, asof={"left": "@timestamp", "right": "time", **hit})],
            "order_by": ["@timestamp", "host"],
            **many,
        },
        "asof of series": {
            **points,
            "join": [_join("asof", {**rows, "where": SOME}, asof={"left": "time", "right": "@timestamp", **hit})],
            "order_by": ["time", "host"],
            **many,
        },
        "union": {"union": [rows, points], "order_by": ["host", "v", "source"], **many},
        "then": {
            **rows,
            "join": [_join("inner", points, many=True)],
            "then": {"group_by": ["host"], "select": [{"agg": "count", "as": "pairs"}], "order_by": ["host"]},
        },
    }


def _join(how: str, right: Body, **more: Any) -> Body:
    return {"how": how, "as": "m", "with": right, "on": ["host"], **more}
