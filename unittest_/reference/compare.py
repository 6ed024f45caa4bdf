"""Compares what a service answered with what the reference says.

Columns must agree in name, type, multi and order; integers, texts, booleans, timestamps, keys and order exactly; float
cells within the error that the reference allows for the cell (none for fields, keys, extremes). Rows of one tie class
may come in any order, and a limit that cuts a class may keep any of its rows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from unittest_.reference.tables import Answer, Column, Row


def differences(reference: Answer, payload: Mapping[str, Any]) -> list[str]:
    """What is wrong with an answer's JSON, as sentences; empty when it is right. Rows may be objects or arrays."""
    columns = [Column(c["name"], c["type"], c["multi"]) for c in payload["columns"]]
    if columns != reference.columns:
        return [f"columns {columns} instead of {reference.columns}"]
    names = [column.name for column in columns]
    rows = [dict(zip(names, row, strict=True)) if isinstance(row, list) else row for row in payload["data"]]
    expected = len(reference.rows)
    if len(rows) != expected:
        return [
            f"{len(rows)} rows instead of {expected}; the first expected: {reference.rows[:3]}; the first got: {rows[:3]}"
        ]
    found = [f"row {at} has members {list(row)}" for at, row in enumerate(rows) if list(row) != names]
    more = payload.get("page", {}).get("has_more")
    if more is not None and more is not (len(reference.ranked) > expected):
        found.append(f"has_more is {more} with {len(reference.ranked)} rows in all")
    return found or _compare_rows(reference, rows)


def _compare_rows(reference: Answer, rows: Sequence[Row]) -> list[str]:
    at = 0
    while at < len(rows):
        members = _run(reference.ties, at)
        got = rows[at : at + len(members)]
        unused = list(members)
        for offset, row in enumerate(got):
            match = next((i for i in unused if not _cells(reference, i, row)), None)
            if match is None:
                return [f"row {at + offset}: {'; '.join(_cells(reference, unused[0], row))}; the row is {row}"]
            unused.remove(match)
        at += len(got)
    return []


def _run(ties: Sequence[int], start: int) -> list[int]:
    end = start
    while end < len(ties) and ties[end] == ties[start]:
        end += 1
    return list(range(start, end))


def _cells(reference: Answer, at: int, row: Row) -> list[str]:
    expected, slack = reference.ranked[at], reference.slack[at]
    return [
        f"{column.name} is {row[column.name]!r} instead of {expected[column.name]!r}"
        for column in reference.columns
        if not same(expected[column.name], row[column.name], column, slack.get(column.name, 0.0))
    ]


def same(expected: Any, got: Any, column: Column, slack: float = 0.0) -> bool:
    """Whether a cell is right. Minus zero never is: it is written 0."""
    if column.type == "json":
        return equal_json(expected, got)
    if isinstance(expected, list):
        single = Column(column.name, column.type)
        if not isinstance(got, list) or len(got) != len(expected):
            return False
        return all(same(a, b, single, slack) for a, b in zip(expected, got, strict=True))
    if math.isinf(slack):
        return got is None or _number(got)
    if expected is None or got is None:
        return expected is None and got is None
    if column.type == "float64":
        return _number(got) and not _minus_zero(got) and abs(got - expected) <= slack
    return type(got) is type(expected) and bool(got == expected)


def equal_json(a: Any, b: Any) -> bool:
    """Equality of JSON values: 1 equals 1.0, true equals neither."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(equal_json(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(equal_json(x, y) for x, y in zip(a, b, strict=True))
    return isinstance(a, bool) == isinstance(b, bool) and bool(a == b)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _minus_zero(value: float) -> bool:
    return value == 0 and math.copysign(1.0, value) < 0
