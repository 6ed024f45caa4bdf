"""A time zone as the instants at which its offset changes, exact before 1970 and as far as the calendar repeats.

The Gregorian calendar repeats every 400 years, and so do a zone's rules once its listed changes have ended: an instant
from 2500 on behaves as its image in 2100 to 2500, one before 1600 as its image in 1200 to 1600 (local mean time).
"""

from __future__ import annotations

import struct
import zoneinfo
from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from importlib import resources
from pathlib import Path

CYCLE = 146_097 * 86_400  # seconds in 400 years
LAST = 16_725_225_600  # 2500-01-01T00:00:00Z
FIRST = -11_676_096_000  # 1600-01-01T00:00:00Z, before any zone's first change
_STEP = 21 * 86_400  # no zone's standing rules change twice within three weeks
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Zone:
    """`changes[i]` is a second since 1970 from which on the local clock is `offsets[i]` seconds ahead of UTC."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._info = zoneinfo.ZoneInfo(name)
        self.changes: list[int] = []
        self.offsets: list[int] = [self._ask(FIRST)]
        for instant in _listed(name):
            if FIRST < instant < LAST:
                self._add(instant)
        self._follow_rules(max(self.changes, default=FIRST))
        self.changes.insert(0, FIRST)

    def offset(self, second: int) -> int:
        """The local clock's lead over UTC, in seconds. `second` before 2500."""
        return self.offsets[max(bisect_right(self.changes, second) - 1, 0)]

    def _ask(self, second: int) -> int:
        moment = (_EPOCH + timedelta(seconds=second)).astimezone(self._info)
        lead = moment.utcoffset()
        assert lead is not None
        return lead.days * 86_400 + lead.seconds

    def _add(self, instant: int) -> None:
        offset = self._ask(instant)
        if offset != self.offsets[-1]:
            self.changes.append(instant)
            self.offsets.append(offset)

    def _follow_rules(self, second: int) -> None:
        """Finds the changes that no list holds, from `second` on."""
        for step in range(second, LAST, _STEP):
            end = min(step + _STEP, LAST - 1)
            if self._ask(end) == self.offsets[-1]:
                continue
            low, high = step, end
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if self._ask(middle) == self.offsets[-1] else (low, middle)
            self._add(high)


@lru_cache(maxsize=64)
def zone(name: str) -> Zone:
    """The zone of that IANA name. Raises zoneinfo.ZoneInfoNotFoundError or ValueError for what is none."""
    return Zone(name)


def _listed(name: str) -> tuple[int, ...]:
    """The changes that the zone's file lists (RFC 8536), seconds since 1970."""
    data = _file(name)
    version, counts = data[4:5], struct.unpack(">6l", data[20:44])
    if version < b"2":
        return struct.unpack(f">{counts[3]}l", data[44 : 44 + 4 * counts[3]])
    isutc, isstd, leap, times, types, chars = counts
    second = 44 + times * 5 + types * 6 + chars + leap * 8 + isstd + isutc
    count = struct.unpack(">6l", data[second + 20 : second + 44])[3]
    return struct.unpack(f">{count}q", data[second + 44 : second + 44 + 8 * count])


def _file(name: str) -> bytes:
    """The zone's file, from where zoneinfo reads it."""
    for folder in zoneinfo.TZPATH:
        path = Path(folder, name)
        if path.is_file():
            return path.read_bytes()
    return resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).read_bytes()
