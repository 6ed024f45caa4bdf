"""The reference itself, against truths that can be derived by hand or from the standard library's statistics."""

from __future__ import annotations

import math
import statistics
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unittest_.reference import Answer, FieldSpec, Table, answer, differences
from unittest_.reference.aggregates import percentile
from unittest_.reference.times import SECOND, instant

NOW = instant("2026-03-31T13:47:11.5Z", 0)
FIELDS = {
    "@timestamp": FieldSpec("timestamp"),
    "host": FieldSpec("string"),
    "n": FieldSpec("int64"),
    "x": FieldSpec("float64"),
    "on": FieldSpec("boolean"),
    "tags": FieldSpec("string", True),
}
MINUTE = 60 * SECOND
ROWS: list[dict[str, Any]] = [
    {"@timestamp": 0, "host": "a", "n": 1, "x": 1.5, "tags": ["r", "g"]},
    {"@timestamp": MINUTE, "host": "a", "n": 3, "on": True, "tags": ["r"]},
    {"@timestamp": MINUTE, "host": "b", "x": -2.0, "on": False},
    {"@timestamp": 4 * MINUTE, "n": 10, "x": 0.5},
    {"host": "b", "n": 2},
]


def ask(**body: Any) -> Answer:
    return answer(body, {"t": Table("documents", FIELDS, ROWS)}, NOW)


def leaf(field: str, op: str, value: Any) -> dict[str, Any]:
    return {"field": field, "op": op, "value": value}


def numbers(where: dict[str, Any]) -> list[Any]:
    return [row["n"] for row in ask(where=where, select=["n"]).rows]


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30))
def test_the_median_and_quartiles_agree_with_statistics(values: list[float]) -> None:
    assert math.isclose(percentile(values, 50)[0], statistics.median(values), abs_tol=1e-9)
    quartiles = statistics.quantiles(values, n=4, method="inclusive")
    for p, expected in zip((25, 50, 75), quartiles, strict=True):
        assert math.isclose(percentile(values, p)[0], expected, rel_tol=1e-12, abs_tol=1e-9)


@given(st.lists(st.integers(-(2**62), 2**62), min_size=2, max_size=30))
def test_aggregates_agree_with_statistics(values: list[int]) -> None:
    rows: list[dict[str, Any]] = [{"n": value, "x": value / 3} for value in values]
    select = [
        {"agg": name, "field": field, "as": f"{name}_{field}"}
        for name in ("avg", "stddev", "min", "max")
        for field in ("n", "x")
    ]
    (got,) = answer({"select": select}, {"t": Table("documents", FIELDS, rows)}, NOW).rows
    for field in ("n", "x"):
        column = [row[field] for row in rows]
        assert got[f"avg_{field}"] == float(statistics.mean(map(Fraction, column)))
        assert math.isclose(got[f"stddev_{field}"], statistics.stdev(column), rel_tol=1e-9)
        assert (got[f"min_{field}"], got[f"max_{field}"]) == (min(column), max(column))


def test_missing_values() -> None:
    assert numbers(leaf("host", "eq", "a")) == [1, 3]
    assert numbers(leaf("host", "ne", "a")) == [None, 2]
    assert numbers({"not": leaf("host", "eq", "a")}) == [None, 10, 2]
    assert numbers(leaf("on", "exists", False)) == [1, 10, 2]
    assert numbers(leaf("n", "nin", [1])) == [3, 10, 2]


def test_lists() -> None:
    assert numbers(leaf("tags", "eq", "r")) == [1, 3]
    assert numbers(leaf("tags", "ne", "g")) == [3]
    assert numbers(leaf("tags", "nin", ["g", "z"])) == [3]
    groups = ask(group_by=["tags"], select=[{"agg": "count", "as": "c"}]).rows
    assert groups == [{"tags": "g", "c": 1}, {"tags": "r", "c": 2}, {"tags": None, "c": 3}]


def test_of_nothing() -> None:
    names = ("count_distinct", "sum", "avg", "min", "max", "median", "stddev", "first", "last")
    select = [{"agg": "count", "as": "c"}, *({"agg": name, "field": "n", "as": name} for name in names)]
    assert ask(where=leaf("n", "gt", 99), select=select).rows == [{"c": 0} | dict.fromkeys(names)]
    assert ask(where=leaf("n", "gt", 99), group_by=["host"], select=select).rows == []
    assert ask(where=leaf("n", "eq", 10), select=[{"agg": "stddev", "field": "n", "as": "s"}]).rows == [{"s": None}]


def test_first_and_last() -> None:
    def edge(name: str, field: str) -> Any:
        return ask(select=[{"agg": name, "field": field, "as": "e"}]).rows[0]["e"]

    assert [edge("first", f) for f in ("host", "x", "on", "tags")] == ["a", 1.5, True, "r"]
    assert [edge("last", f) for f in ("host", "x", "on", "n")] == ["b", 0.5, True, 10]


def test_order_puts_the_missing_last_in_both_directions() -> None:
    up = [row["n"] for row in ask(select=["n"], order_by=["n"]).rows]
    down = [row["n"] for row in ask(select=["n"], order_by=[{"field": "n", "dir": "desc"}]).rows]
    assert up == [1, 2, 3, 10, None]
    assert down == [10, 3, 2, 1, None]


@pytest.mark.parametrize(
    ("fill", "n"),
    [
        ({"mode": "none"}, [1, 3, 10]),
        ({"mode": "null"}, [1, 3, None, None, 10, None]),
        ({"mode": "value", "value": 0}, [1, 3, 0, 0, 10, 0]),
        ({"mode": "previous"}, [1, 3, 3, 3, 10, 10]),
        ({"mode": "linear"}, [1, 3, 3 + 7 / 3, 3 + 14 / 3, 10, None]),
    ],
)
def test_fill(fill: dict[str, Any], n: list[Any]) -> None:
    body = {
        "time_range": {"from": "1970-01-01T00:00:30Z", "to": "1970-01-01T00:05:01Z"},
        "group_by": [{"time_bucket": "1m", "field": "@timestamp", "as": "t"}],
        "select": [{"agg": "max", "field": "n", "as": "n"}, {"agg": "count", "as": "c"}],
    }
    rows = [ROWS[0] | {"@timestamp": 30 * SECOND}, *ROWS[1:]]
    got = answer(body | {"fill": fill}, {"t": Table("documents", FIELDS, rows)}, NOW).rows
    assert [row["n"] for row in got] == pytest.approx(n)
    counts = [1, 2, 0, 0, 1, 0] if fill["mode"] != "none" else [1, 2, 1]
    assert [row["c"] for row in got] == counts


def test_comparison_of_ties_and_limits() -> None:
    reference = ask(select=["host", "n"], order_by=["host"], limit=3)
    columns = [{"name": "host", "type": "string", "multi": False}, {"name": "n", "type": "int64", "multi": False}]

    def compared(*rows: tuple[Any, Any]) -> list[str]:
        return differences(
            reference, {"columns": columns, "data": [dict(zip(("host", "n"), row, strict=True)) for row in rows]}
        )

    assert not compared(("a", 1), ("a", 3), ("b", None))
    assert not compared(("a", 3), ("a", 1), ("b", 2))
    assert compared(("a", 1), ("a", 1), ("b", 2))
    assert compared(("a", 1), ("b", 2), ("a", 3))
    assert compared(("a", 1), ("a", 3))
    assert compared(("a", 1.0), ("a", 3), ("b", 2))
    assert compared(("a", True), ("a", 3), ("b", 2))


def test_comparison_of_floats() -> None:
    reference = ask(select=[{"agg": "sum", "field": "x", "as": "s"}, {"agg": "max", "field": "x", "as": "m"}])
    columns = [{"name": name, "type": "float64", "multi": False} for name in ("s", "m")]

    def compared(s: Any, m: Any) -> list[str]:
        return differences(reference, {"columns": columns, "data": [[s, m]]})

    assert reference.rows == [{"s": 0.0, "m": 1.5}]
    assert not compared(3e-9, 1.5)
    assert compared(5e-9, 1.5)
    assert compared(0.0, math.nextafter(1.5, 2))
    assert compared(-0.0, 1.5)
    assert not compared(0, 1.5)
