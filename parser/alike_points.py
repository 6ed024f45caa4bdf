"""Points that have nothing wrong with them, read all at once: many of them are one machine's, and look alike.

Whatever is unusual is left to parser/points.py, which reads them one by one and tells what is wrong where.
"""

from __future__ import annotations

from itertools import chain, repeat
from typing import Any

from libs.times import parse_time
from query.backend import Point

MEMBERS = frozenset({"time", "tags", "fields"})
_CELLS = frozenset({bool, int, float, str})
_LOWEST, _HIGHEST = -(2**63), 2**63 - 1


def alike_points(values: list[Any], measurement: str, now_ns: int, most: int) -> tuple[list[Point], int] | None:
    """(the points, the number of members of all their objects); None when any may be wrong. An object of tags or fields
    has at most `most` members."""
    if set(map(type, values)) != {dict} or not _named(values):
        return None
    times = _times([value.get("time") for value in values], now_ns)
    tags = [value.get("tags", _NO_TAGS) for value in values]
    fields = [value["fields"] for value in values]
    if times is None or not _objects(tags, most) or not _objects(fields, most) or not all(fields):
        return None
    if not set(map(type, chain.from_iterable(map(dict.values, tags)))) <= {str}:
        return None
    cells = list(chain.from_iterable(map(dict.values, fields)))
    kinds = set(map(type, cells))
    numbers = cells if str not in kinds else [cell for cell in cells if type(cell) is not str]
    if not kinds <= _CELLS or (numbers and (min(numbers) < _LOWEST or max(numbers) > _HIGHEST)):
        return None
    members = sum(map(len, chain(values, tags, fields)))
    return list(map(Point._make, zip(repeat(measurement), tags, fields, times, strict=False))), members


_NO_TAGS: dict[str, str] = {}


def _named(values: list[dict[str, Any]]) -> bool:
    return all("fields" in names and MEMBERS.issuperset(names) for names in set(map(tuple, values)))


def _objects(values: list[Any], most: int) -> bool:
    return set(map(type, values)) == {dict} and max(map(len, values)) <= most


def _times(values: list[Any], now_ns: int) -> list[int | None] | None:
    kinds = set(map(type, values))
    if kinds == {type(None)}:
        return values
    try:
        found = [parse_time(value, now_ns) for value in values] if kinds == {str} else values
    except ValueError:
        return None
    if kinds not in ({str}, {int}) or min(found) < _LOWEST or max(found) > _HIGHEST:
        return None
    return found
