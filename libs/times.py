"""Instants as text and as nanoseconds since 1970 UTC (Python integers of any size), durations, and `now` arithmetic.

Every reader raises ValueError with a message that can be shown; who reads a body turns it into TIME_INVALID.
"""

from __future__ import annotations

import re
from functools import lru_cache

from libs.result import NS_PER, Unit

NS_PER_SECOND = 1_000_000_000
TIME_HINT = "use RFC 3339 such as 2026-11-22T10:00:00Z, or now-1h/h with units ms s m h d w M y"
SECONDS_PER_DAY = 86_400
_WIDTHS = {
    "ms": 1_000_000,
    "s": NS_PER_SECOND,
    "m": 60 * NS_PER_SECOND,
    "h": 3_600 * NS_PER_SECOND,
    "d": SECONDS_PER_DAY * NS_PER_SECOND,
    "w": 7 * SECONDS_PER_DAY * NS_PER_SECOND,
}
_DAY = _WIDTHS["d"]
_RFC3339 = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,9}))?"
    r"(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))"
)
_STEP = re.compile(r"(?:([+-])([0-9]{1,9})|/)(ms|[smhdwMy])")
_DURATION = re.compile(r"([0-9]{1,9})(ms|[smhdw])")
_MONTH_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def days_from_civil(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01 of a date of the proleptic Gregorian calendar, any year."""
    year -= month <= 2
    era = year // 400
    year_of_era = year - era * 400
    day_of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146_097 + year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year - 719_468


def civil_from_days(days: int) -> tuple[int, int, int]:
    """The inverse of `days_from_civil`: (year, month, day)."""
    days += 719_468
    era = days // 146_097
    day_of_era = days - era * 146_097
    year_of_era = (day_of_era - day_of_era // 1_460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    month_index = (5 * day_of_year + 2) // 153
    month = month_index + (3 if month_index < 10 else -9)
    return era * 400 + year_of_era + (month <= 2), month, day_of_year - (153 * month_index + 2) // 5 + 1


_FIRST = days_from_civil(0, 1, 1) * _DAY
_LAST = days_from_civil(10_000, 1, 1) * _DAY - 1


def days_in_month(year: int, month: int) -> int:
    leap = month == 2 and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return _MONTH_DAYS[month - 1] + leap


def parse_instant(text: str) -> int:
    """Nanoseconds of an RFC 3339 time of the years 0000 to 9999, up to nine digits of a fraction."""
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError(f"{_shown(text)} is no RFC 3339 time")
    year, month, day, hour, minute, second, fraction, sign, offset_hour, offset_minute = match.groups()
    y, m, d, seconds = int(year), int(month), int(day), int(second)
    if not 1 <= m <= 12 or not 1 <= d <= days_in_month(y, m):
        raise ValueError(f"{_shown(text)} holds a date that does not exist")
    if seconds == 60:
        raise ValueError(f"{_shown(text)} holds a leap second, which no store can hold")
    if hour > "23" or minute > "59" or seconds > 59:
        raise ValueError(f"{_shown(text)} holds a time of day that does not exist")
    seconds += days_from_civil(y, m, d) * SECONDS_PER_DAY + int(hour) * 3600 + int(minute) * 60
    if sign is not None:
        if offset_hour > "23" or offset_minute > "59":
            raise ValueError(f"{_shown(text)} holds an offset that does not exist")
        offset = int(offset_hour) * 3600 + int(offset_minute) * 60
        seconds -= offset if sign == "+" else -offset
    return seconds * NS_PER_SECOND + (int(fraction.ljust(9, "0")) if fraction else 0)


def parse_time(text: str, now_ns: int) -> int:
    """Nanoseconds of an RFC 3339 time, or of `now` with offsets and roundings (`now-1d/d+8h`), applied from the left.

    Rounding goes down, in UTC, weeks to Monday. A month or a year that lands past a month's end takes its last day.
    """
    if not text.startswith("now"):
        return parse_instant(text)
    ns, at = now_ns, 3
    while at < len(text):
        match = _STEP.match(text, at)
        if match is None:
            raise ValueError(f"{_shown(text)} cannot be read at character {at}")
        sign, count, unit = match.groups()
        ns = _floor(ns, unit) if sign is None else _shift(ns, int(count) if sign == "+" else -int(count), unit)
        if not _FIRST <= ns <= _LAST:
            raise ValueError(f"{_shown(text)} leaves the years 0000 to 9999")
        at = match.end()
    return ns


def parse_duration(text: str) -> int:
    """Nanoseconds of a duration such as `30s`; months and years have no fixed length."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f"{_shown(text)} is no duration such as 30s, 5m or 1h (units ms s m h d w)")
    return int(match[1]) * _WIDTHS[match[2]]


def _shift(ns: int, count: int, unit: str) -> int:
    if unit in _WIDTHS:
        return ns + count * _WIDTHS[unit]
    days, rest = divmod(ns, _DAY)
    year, month, day = civil_from_days(days)
    year, month = divmod(year * 12 + month - 1 + (count * 12 if unit == "y" else count), 12)
    day = min(day, days_in_month(year, month + 1))
    return days_from_civil(year, month + 1, day) * _DAY + rest


def _floor(ns: int, unit: str) -> int:
    if unit in _WIDTHS and unit != "w":
        width = _WIDTHS[unit]
        return ns // width * width
    return first_day(ns // _DAY, unit) * _DAY


def first_day(days: int, unit: str) -> int:
    """The first day of the `d`, `w` (from Monday), `M` or `y` that holds a day, both as days since 1970."""
    if unit == "d":
        return days
    if unit == "w":
        return days - (days + 3) % 7
    year, month, _ = civil_from_days(days)
    return days_from_civil(year, month if unit == "M" else 1, 1)


_MILLIS = ("Z", *(f".{millis:03d}Z" for millis in range(1, 1000)))
_TWO = tuple(f"{number:02d}" for number in range(60))


def format_instant(value: int, unit: Unit = "ns") -> str:
    """RFC 3339 in `Z` with the fewest of 0, 3, 6 or 9 digits that are exact.

    Years outside of 0000 to 9999, which RFC 3339 cannot say, get a sign and as many digits as they need.
    """
    if unit == "ms":
        seconds, millis = divmod(value, 1000)
        minute, second = divmod(seconds, 60)
        return _minute(minute) + _TWO[second] + _MILLIS[millis]
    seconds, fraction = divmod(value, NS_PER_SECOND)
    minute, second = divmod(seconds, 60)
    millis, rest = divmod(fraction, 1_000_000)
    if not rest:
        return _minute(minute) + _TWO[second] + _MILLIS[millis]
    digits = f"{fraction:09d}" if rest % 1000 else f"{fraction // 1000:06d}"
    return f"{_minute(minute)}{_TWO[second]}.{digits}Z"


@lru_cache(maxsize=8192)
def _minute(minutes: int) -> str:
    """`2026-11-22T10:00:` of minutes since 1970: neighbouring rows share it."""
    days, minute = divmod(minutes, 1440)
    year, month, day = civil_from_days(days)
    shown = f"{year:04d}" if 0 <= year <= 9999 else f"{year:+06d}"
    return f"{shown}-{month:02d}-{day:02d}T{minute // 60:02d}:{minute % 60:02d}:"


def to_unit(ns: int, unit: Unit) -> tuple[int, bool]:
    """An instant in a field's unit, rounded down, and whether that is exact."""
    if unit == "ns":
        return ns, True
    whole, rest = divmod(ns, NS_PER[unit])
    return whole, not rest


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")
