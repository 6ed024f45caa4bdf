"""InfluxDB's groups folded into rows, and proven. Pure.

A group may come in several pieces (the server splits windows where shards meet in unusual ways): counts and sums add up,
extremes compare.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from libs.result import Batch, Cell
from query.backend import Json, NotProven
from query.influx.decode import unreadable
from query.influx.groups import Call, GroupsRequest, Measure

Number = int | float | None
Key = tuple[str | int | None, ...]
_LIMIT = 2**63
# Such sums of a source's parts could not be added any more.
_MAX_FLOAT = 1e300


class Folded:
    """The groups of one answer, by key."""

    def __init__(self, request: GroupsRequest, source: str) -> None:
        self._request = request
        self._source = source
        self.groups: dict[Key, list[Number]] = {}

    def add(self, one: Json) -> None:
        """Adds a series of the answer. Raises StoreError when it is not what was asked for, NotProven for a bucket that
        does not start where it should."""
        request = self._request
        tags = one.get("tags") or {}
        width = request.width
        for row in one.get("values") or []:
            if len(row) != len(request.calls) + 1 or not all(_is_number(value) for value in row):
                raise unreadable(self._source, "its rows are not what was asked for")
            if not any(row[place] for place in request.counted):
                continue
            if width is not None and row[0] % width:
                raise NotProven("a time bucket starts elsewhere")
            key = tuple(row[0] if name is None else tags.get(name) or None for name in request.keys)
            held = self.groups.get(key)
            if held is None:
                self.groups[key] = list(row[1:])
            else:
                for place, (call, value) in enumerate(zip(request.calls, row[1:], strict=True)):
                    held[place] = _both(call, held[place], value)

    def totals(self) -> list[int]:
        """The counts of the counted fields over all groups."""
        return [sum(int(held[place - 1] or 0) for held in self.groups.values()) for place in self._request.counted]

    def batch(self) -> Batch:
        """The groups as rows. Raises NotProven for a sum that may have wrapped or overflowed."""
        request = self._request
        if not request.keys and not self.groups:
            self.groups[()] = [None] * len(request.calls)
        columns: list[Sequence[Cell]] = [list(keys) for keys in zip(*self.groups, strict=True)]
        if not self.groups:
            columns = [[] for _ in request.keys]
        values = list(self.groups.values())
        columns += [[self._value(measure, held) for held in values] for measure in request.measures]
        return Batch(request.schema, columns, len(values))

    def _value(self, measure: Measure, held: Sequence[Number]) -> Cell:
        if measure.count is None:
            return max(int(held[place - 1] or 0) for place in self._request.counted)
        count = int(held[measure.count - 1] or 0)
        if measure.function == "count":
            return count
        if not count:
            return None
        if measure.function in ("min", "max"):
            place = measure.least if measure.function == "min" else measure.greatest
            return _number(held, place, measure.integer)
        return _summed(measure, held, count)


def _summed(measure: Measure, held: Sequence[Number], count: int) -> Cell:
    total = _number(held, measure.sum, measure.integer)
    extreme = max(abs(_number(held, place, measure.integer)) for place in (measure.least, measure.greatest))
    if (count * extreme >= _LIMIT) if measure.integer else (extreme > _MAX_FLOAT / count):
        raise NotProven("a sum may be out of range")
    return total / count if measure.function == "avg" else total


def _number(held: Sequence[Number], place: int | None, integer: bool) -> int | float:
    value = None if place is None else held[place - 1]
    if value is None or (integer and not isinstance(value, int)):
        raise NotProven("a number is missing")
    return value if integer else value + 0.0


def _is_number(value: Json) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value))


def _both(call: Call, left: Number, right: Number) -> Number:
    if left is None or right is None:
        return right if left is None else left
    if call == "min":
        return min(left, right)
    return max(left, right) if call == "max" else left + right
