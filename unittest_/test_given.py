"""What a walk leaves out: each row of the first page once, though doubles differ in their last digits from run to run."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from apps.given import Given, LeavingOut
from libs.result import FLOAT64, INT64, STRING, Batch, Column, Schema, Type
from parser.json_body import parse_body
from query.question import Question

CPU = {"from": {"source": "influx", "db": "d", "measurement": "cpu"}, "group_by": ["host"]}
LOGS = {"from": {"source": "es", "index": "logs"}}
JOIN = {"how": "left", "as": "m", "with": {**CPU, "select": [{"agg": "avg", "field": "v", "as": "v"}]}, "on": ["host"]}
JOINED = {**LOGS, "select": ["host", "n"], "join": [JOIN]}
GROUPS = {**LOGS, "group_by": ["host", "n"], "select": [{"agg": "avg", "field": "v", "as": "v"}]}
COLUMNS: dict[str, Type] = {"host": STRING, "n": INT64, "v": FLOAT64}
SCHEMA: Schema = tuple(Column(name, kind) for name, kind in COLUMNS.items())


def question(body: dict[str, Any]) -> Question:
    return parse_body(json.dumps(body).encode())


def batch(*rows: tuple[Any, ...]) -> Batch:
    return Batch(SCHEMA, [list(column) for column in zip(*rows, strict=True)] or [[], [], []], len(rows))


def left(body: dict[str, Any], first: Batch, *walk: Batch) -> tuple[list[tuple[Any, ...]], bool]:
    """The rows that the walk gives, and whether all of the first page's have come in it."""
    leaving = LeavingOut(Given(question(body), SCHEMA, [first]))
    rows = [row for part in walk for row in leaving.rest(part).rows()]
    return rows, leaving.done


@pytest.mark.parametrize("value", [123456.7895, 0.1234567885, 1e300, -2.5, 0.0, 1e-12])
def test_sums_that_differ_in_their_last_digits_are_the_same_row(value: float) -> None:
    """Also where rounding them would tell them apart."""
    for noise in (-2e-16, 2e-16, 3e-10):
        other = value * (1 + noise)
        first = batch(("a", 1, value), ("b", 1, 5e9))
        assert left(JOINED, first, batch(("a", 1, other), ("b", 1, 5e9), ("c", 1, value))) == (
            [("c", 1, value)],
            True,
        )


def test_rows_that_only_look_alike_are_not() -> None:
    first = batch(("a", 1, 1.0), ("a", 1, None))
    walk = batch(("a", 1, None), ("a", 1, 1.1), ("a", 1, 1.0), ("a", 1, None), ("a", 1, float("nan")))
    rows, done = left(JOINED, first, walk)
    assert [row[2] for row in rows[:2]] == [1.1, None]
    assert len(rows) == 3
    assert done


def test_a_group_is_told_by_its_keys() -> None:
    first = batch(("a", -2, 1.0), (None, 1, 2.0))
    walk = batch(("a", -1, 1.0), ("a", -2, 77.0), (None, 1, None), (None, None, 2.0))
    assert left(GROUPS, first, walk) == ([("a", -1, 1.0), (None, None, 2.0)], True)
    # So are those that a join widens, unless one of them may come several times.
    widened = {**GROUPS, "join": [JOIN]}
    assert left(widened, first, walk) == ([("a", -1, 1.0), (None, None, 2.0)], True)
    many = {**GROUPS, "join": [{**JOIN, "many": True}]}
    assert len(left(many, first, walk)[0]) == 4
    shaped = {**JOINED, "then": {"group_by": ["host", "n"], "select": [{"agg": "avg", "field": "m.v", "as": "v"}]}}
    assert left(shaped, first, walk)[0] == [("a", -1, 1.0), (None, None, 2.0)]


def test_a_row_that_never_comes_is_told() -> None:
    assert left(JOINED, batch(("a", 1, 1.0)), batch(("a", 2, 1.0)), batch()) == ([("a", 2, 1.0)], False)


@pytest.mark.parametrize("ties", [True, False])
def test_many_rows_in_any_order_of_ties(ties: bool) -> None:
    """And in a time that does not grow with the square of their number."""
    rows = [("a" if ties else f"h{at % 9}", 1, at / 8) for at in range(20_000)]
    first = random.Random(1).sample(rows, 9_000)
    given, done = left(JOINED, batch(*first), batch(*rows))
    assert sorted(given + first) == sorted(rows)
    assert done
