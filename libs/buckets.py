"""Edges of time buckets: fixed widths counted from 1970 UTC, and calendar units in a zone.

A zone's day starts at the first instant at which its clocks show midnight or later; buckets are contiguous, so an hour
that a zone repeats belongs to the bucket under way.
"""

from __future__ import annotations

from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from libs.times import NS_PER_SECOND, SECONDS_PER_DAY, days_from_civil, first_day

_APPROXIMATE_DAYS = {"d": 1, "w": 7, "M": 28, "y": 365}
_STEP_DAYS = {"d": 1, "w": 7, "M": 31, "y": 366}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# What datetime can convert, with a margin for offsets; beyond it a zone keeps the offset it has there.
_EARLIEST = days_from_civil(1, 1, 3) * SECONDS_PER_DAY
_LATEST = days_from_civil(9999, 12, 29) * SECONDS_PER_DAY
# No zone is further than this from UTC, and none changes twice within twice this.
_REACH = 90_000


def bucket_start(ns: int, width: int | str, zone: str = "UTC") -> int:
    """The start of the bucket that holds an instant, both in nanoseconds since 1970."""
    if isinstance(width, int):
        return ns // width * width
    unit = width[1:]
    second = ns // NS_PER_SECOND
    first = first_day((second + _offset(second, zone)) // SECONDS_PER_DAY, unit)
    # Near a change of clocks the local date may be the one before or after the bucket's.
    starts = [_edge(day, zone) for day in (_previous(first, unit), first, _next(first, unit))]
    return starts[max(0, bisect_right(starts, second) - 1)] * NS_PER_SECOND


def bucket_starts(start: int, end: int, width: int | str, zone: str = "UTC") -> list[int]:
    """The starts of all buckets that meet the half-open range, ascending (nanoseconds). Check `bucket_count` first."""
    if start >= end:
        return []
    at = bucket_start(start, width, zone)
    if isinstance(width, int):
        return list(range(at, end, width))
    unit = width[1:]
    second = at // NS_PER_SECOND
    day = first_day((second + _offset(second, zone)) // SECONDS_PER_DAY, unit)
    found = [at]
    while True:
        day = _next(day, unit)
        edge = _edge(day, zone) * NS_PER_SECOND
        if edge >= end:
            return found
        # A day that a zone skipped has no instant.
        if edge > found[-1]:
            found.append(edge)


def bucket_count(start: int, end: int, width: int | str) -> int:
    """How many buckets meet the half-open range; calendar units at the most."""
    if start >= end:
        return 0
    if isinstance(width, int):
        return (end - 1) // width - start // width + 1
    unit_ns = _APPROXIMATE_DAYS[width[1:]] * SECONDS_PER_DAY * NS_PER_SECOND
    return (end - start) // unit_ns + 2


def _next(first: int, unit: str) -> int:
    return first_day(first + _STEP_DAYS[unit], unit)


def _previous(first: int, unit: str) -> int:
    return first_day(first - 1, unit)


def _offset(second: int, zone: str) -> int:
    """Seconds that a zone's clocks are ahead of UTC at an instant."""
    if zone == "UTC":
        return 0
    moment = _EPOCH + timedelta(seconds=min(max(second, _EARLIEST), _LATEST))
    delta = moment.astimezone(ZoneInfo(zone)).utcoffset()
    assert delta is not None
    return delta.days * SECONDS_PER_DAY + delta.seconds


@lru_cache(maxsize=32_768)
def _edge(day: int, zone: str) -> int:
    """The first second at which a zone's clocks show the day (days since 1970) or a later one."""
    midnight = day * SECONDS_PER_DAY
    if zone == "UTC":
        return midnight
    low, high = midnight - _REACH, midnight + _REACH
    before, after = _offset(low, zone), _offset(high, zone)
    if before == after:
        return midnight - before
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _offset(middle, zone) == before else (low, middle)
    return midnight - before if midnight - before < high else max(high, midnight - after)
