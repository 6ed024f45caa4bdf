"""`over` and `top` of the reference, against truths derived by hand."""

from __future__ import annotations

from typing import Any

import pytest

from unittest_.reference import FieldSpec, Table, answer
from unittest_.reference.windows import window

SECOND = 1_000_000_000
POINTS = [(0, 10), (10 * SECOND, 30), (20 * SECOND, None), (30 * SECOND, 40), (40 * SECOND, 5)]
TABLE = Table(
    "series",
    {"time": FieldSpec("timestamp"), "host": FieldSpec("string", role="tag"), "v": FieldSpec("int64")},
    [
        {"time": at * 60 * SECOND, "host": host, "v": value}
        for host, values in (("a", (1, 4, 2)), ("b", (9, 9, 30)))
        for at, value in enumerate(values)
    ],
)


@pytest.mark.parametrize(
    ("kind", "size", "expected"),
    [
        ("difference", 1, [None, 20.0, None, None, -35.0]),
        ("rate", 1, [None, 2.0, None, None, 0.5]),
        ("moving_avg", 2, [10.0, 20.0, 30.0, 40.0, 22.5]),
        ("cumulative_sum", 1, [10.0, 40.0, 40.0, 80.0, 85.0]),
    ],
)
def test_windows(kind: str, size: int, expected: list[float | None]) -> None:
    assert window(kind, POINTS, size) == expected


def _asked(**more: Any) -> list[dict[str, Any]]:
    body = {
        "group_by": ["host", {"time_bucket": "1m", "field": "time", "as": "t"}],
        "select": [
            {"agg": "max", "field": "v", "as": "m"},
            {"over": "difference", "of": "m", "as": "d"},
            {"expr": "d * 2", "as": "twice"},
        ],
    }
    return answer(body | more, {"": TABLE}, 0).rows


def test_over_goes_along_each_series_and_before_expressions() -> None:
    assert [row["d"] for row in _asked()] == [None, 3.0, -2.0, None, 0.0, 21.0]
    assert [row["twice"] for row in _asked()] == [None, 6.0, -4.0, None, 0.0, 42.0]


def test_top_comes_after_having() -> None:
    rows = _asked(having={"field": "m", "op": "lt", "value": 30}, top={"by": "m", "n": 1, "per": ["host"]})
    assert [(row["host"], row["m"]) for row in rows] == [("a", 4), ("b", 9)]
