"""A zone cut into pieces for calendar buckets in SQL: the same starts as libs.buckets (a test compares them), all at once.

The start of a local day is the first instant at which its clocks show midnight or, where midnight is skipped, the first
after the gap. A bucket lasts to the next start, whatever the clocks do in between. Weeks start on Monday.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from query.plan import CalendarUnit
from query.sql.zone import CYCLE, FIRST, LAST, Zone, zone

_EPOCH_DAY = date(1970, 1, 1).toordinal()
_DAY_AND_MORE = 26 * 3600  # what separates a local midnight from the same figure in UTC, and more
_LONGEST_DAYS = {"1d": 1, "1w": 7, "1M": 31, "1y": 366}


def start(unit: CalendarUnit, tz: str, second: int) -> int:
    """The start of the bucket that holds the second, both in seconds since 1970."""
    shift = _shift(second)
    clock, second = zone(tz), second - shift
    first = first_day(_EPOCH_DAY + (second + clock.offset(second)) // 86_400, unit)
    # A zone may show a little of the day before once more after midnight: the latest start that is not after the second.
    for day in (_next_first(first, unit), first, first_day(first - 1, unit)):
        if (edge := _edge(clock, day)) <= second:
            return edge + shift
    raise AssertionError("a bucket starts before every instant in it")


def following(unit: CalendarUnit, tz: str, second: int) -> int:
    """The start of the bucket after the one that starts at `second`."""
    shift = _shift(second)
    clock, second = zone(tz), second - shift
    first = first_day(_EPOCH_DAY + (second + clock.offset(second)) // 86_400, unit)
    while (edge := _edge(clock, first)) <= second:
        first = _next_first(first, unit)
    return edge + shift


def first_day(ordinal: int, unit: CalendarUnit) -> int:
    """The first day of the unit that holds a day, as proleptic ordinals."""
    if unit == "1d":
        return ordinal
    day = date.fromordinal(ordinal)
    if unit == "1w":
        return ordinal - day.weekday()
    return (day.replace(day=1) if unit == "1M" else day.replace(month=1, day=1)).toordinal()


@dataclass(frozen=True)
class Pieces:
    """A zone cut where its offset changes, for engines that look up an instant's piece (all in seconds since 1970).

    From `at[i]` on the clock is `offset[i]` ahead. The bucket of an instant before `first_edge[i]` starts at `begun[i]`; of a
    later one in the piece at the local floor, but not before `first_edge[i]`. For instants before 2500 (query.zone).
    """

    at: tuple[int, ...]
    offset: tuple[int, ...]
    begun: tuple[int, ...]
    first_edge: tuple[int, ...]


@lru_cache(maxsize=64)
def pieces(unit: CalendarUnit, tz: str) -> Pieces:
    """The zone's pieces for buckets of a unit."""
    clock = zone(tz)
    changes = clock.changes
    begun = [start(unit, tz, second) for second in changes]
    edges = [a if a == b else following(unit, tz, a) for a, b in zip(begun, changes, strict=True)]
    # Before the first change there is none: local floors hold from the beginning of time.
    past = -(2**62)
    return Pieces((past, *changes), (clock.offsets[0], *clock.offsets), (past, *begun), (past, *edges))


def _shift(second: int) -> int:
    """Whole cycles of 400 years that bring the second to where zones are known."""
    if second >= LAST:
        return ((second - LAST) // CYCLE + 1) * CYCLE
    if second < FIRST:
        return ((second - FIRST) // CYCLE + 1) * CYCLE
    return 0


def _next_first(first: int, unit: CalendarUnit) -> int:
    return first_day(first + _LONGEST_DAYS[unit], unit)


def _edge(clock: Zone, ordinal: int) -> int:
    """The first second of a local day."""
    midnight = (ordinal - _EPOCH_DAY) * 86_400
    low, high = (bisect_right(clock.changes, midnight + side) for side in (-_DAY_AND_MORE, _DAY_AND_MORE))
    leads = clock.offsets[max(low - 1, 0) : max(high, 1)]
    showing = [midnight - lead for lead in leads if midnight - lead + clock.offset(midnight - lead) == midnight]
    if showing:
        return min(showing)
    gaps = zip(clock.changes[max(low, 1) : high], leads, leads[1:], strict=False)
    return next(change for change, before, after in gaps if change + before <= midnight < change + after)
