"""Time buckets: fixed widths counted from 1970 UTC, and calendar units in a zone.

Decision: the start of a day in a zone is the first instant at which its clocks show midnight, or, where midnight is skipped, the first
instant after the gap; a bucket lasts to the next start, so buckets are contiguous whatever a zone does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from unittest_.reference.tables import Refused
from unittest_.reference.times import EPOCH, SECOND, WIDTHS, first_day

_FIXED = re.compile(r"([0-9]{1,9})([smh])")


@dataclass(frozen=True)
class Width:
    """A fixed width in nanoseconds, or a calendar unit (`d`, `w`, `M`, `y`) in a zone."""

    fixed: int = 0
    unit: str = ""
    zone: str = "UTC"

    def start(self, ns: int) -> int:
        """The start of the bucket that holds the instant."""
        if self.fixed:
            return ns // self.fixed * self.fixed
        first = first_day(_local(ns, self.zone).date(), self.unit)
        # A zone may repeat a little of the day before after midnight: the later start that is not after the instant wins.
        for candidate in (_next_first(first, self.unit), first, _previous_first(first, self.unit)):
            edge = _edge(candidate, self.zone)
            if edge <= ns:
                return edge
        raise AssertionError("a bucket starts before every instant in it")

    def next(self, start: int) -> int:
        """The start of the bucket after the one that starts at `start`."""
        if self.fixed:
            return start + self.fixed
        first = first_day(_local(start, self.zone).date(), self.unit)
        edge = start
        while edge <= start:
            first = _next_first(first, self.unit)
            edge = _edge(first, self.zone)
        return edge

    def starts(self, low: int, high: int) -> Iterator[int]:
        """The starts of all buckets that meet the half-open range."""
        if low >= high:
            return
        at = self.start(low)
        while at < high:
            yield at
            at = self.next(at)


def width_of(text: object, zone: object = None) -> Width:
    """Reads `time_bucket` and `tz`. Raises BUCKET_INVALID."""
    if not isinstance(text, str):
        raise Refused("BUCKET_INVALID", f"{text!r} is no width")
    if text in ("1d", "1w", "1M", "1y"):
        name = "UTC" if zone is None else str(zone)
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise Refused("BUCKET_INVALID", f"{name!r} is no time zone") from None
        return Width(unit=text[1:], zone=name)
    match = _FIXED.fullmatch(text)
    if match is None or int(match[1]) == 0 or zone is not None:
        raise Refused("BUCKET_INVALID", f"{text!r} is no width, or has a zone")
    return Width(fixed=int(match[1]) * WIDTHS[match[2]])


def _local(ns: int, zone: str) -> datetime:
    return _at(ns // SECOND).astimezone(ZoneInfo(zone))


def _at(second: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=second)


def _next_first(first: date, unit: str) -> date:
    step = {"d": 1, "w": 7, "M": 31, "y": 366}[unit]
    return first_day(date.fromordinal(first.toordinal() + step), unit)


def _previous_first(first: date, unit: str) -> date:
    return first_day(date.fromordinal(first.toordinal() - 1), unit)


@lru_cache(maxsize=20_000)
def _edge(day: date, zone: str) -> int:
    """The first instant of a local day, in nanoseconds."""
    if zone == "UTC":
        return (day.toordinal() - EPOCH) * 86_400 * SECOND
    clock = ZoneInfo(zone)
    midnight = datetime(day.year, day.month, day.day)
    early = _second(midnight.replace(tzinfo=clock, fold=0))
    if _at(early).astimezone(clock).replace(tzinfo=None) == midnight:
        return early * SECOND
    low, high = _second(midnight.replace(tzinfo=clock, fold=1)), early
    before = _at(low).astimezone(clock).utcoffset()
    while high - low > 1:
        middle = (low + high) // 2
        if _at(middle).astimezone(clock).utcoffset() == before:
            low = middle
        else:
            high = middle
    return high * SECOND


def _second(moment: datetime) -> int:
    delta = moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return delta.days * 86_400 + delta.seconds
