"""Instants and widths of time, in integer nanoseconds since 1970 UTC.

Decision: a timestamp is written with 0, 3, 6 or 9 digits of a second, the fewest that hold it, always in `Z`.
Decision: RFC 3339 is taken with `T` and `Z` in either case, an offset of at most 23:59, one to nine digits of a fraction,
and no leap second; a date alone is no time.
Decision: `now` takes any number of offsets and roundings (`now-1d/d+8h`), applied from the left. A month or a year that
lands past a month's end takes its last day. A day is 24 hours, since offsets and roundings are in UTC.
"""

from __future__ import annotations

import calendar
import re
from datetime import date

from unittest_.reference.tables import Refused

SECOND = 1_000_000_000
DAY = 86_400 * SECOND
WIDTHS = {"ms": 1_000_000, "s": SECOND, "m": 60 * SECOND, "h": 3600 * SECOND, "d": DAY, "w": 7 * DAY}
EPOCH = date(1970, 1, 1).toordinal()

_RFC3339 = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,9}))?(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))"
)
_OFFSET = re.compile(r"([+-])([0-9]{1,9})(ms|[smhdwMy])")
_ROUND = re.compile(r"/(ms|[smhdwMy])")
_DURATION = re.compile(r"([0-9]{1,9})(ms|[smhdw])")


def instant(text: object, now: int) -> int:
    """The instant that an RFC 3339 text or a `now` expression names. Raises TIME_INVALID."""
    if not isinstance(text, str):
        raise Refused("TYPE_MISMATCH", f"{text!r} is no time")
    return _relative(text, now) if text.startswith("now") else _absolute(text)


def written(ns: int) -> str:
    """The text of an instant, with the fewest digits in threes."""
    seconds, fraction = divmod(ns, SECOND)
    days, rest = divmod(seconds, 86_400)
    day = date.fromordinal(EPOCH + days)
    text = f"{day.year:04}-{day.month:02}-{day.day:02}T{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"
    digits = f"{fraction:09}"
    while digits.endswith("000"):
        digits = digits[:-3]
    return f"{text}.{digits}Z" if digits else f"{text}Z"


def duration(text: str) -> int:
    """Nanoseconds of a duration like `30s`; months and years have no fixed length."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise Refused("TIME_INVALID", f"{text!r} is no duration")
    return int(match[1]) * WIDTHS[match[2]]


def _absolute(text: str) -> int:
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise Refused("TIME_INVALID", f"{text!r} is no RFC 3339 time")
    year, month, day, hour, minute, second = (int(match[i]) for i in range(1, 7))
    try:
        days = date(year, month, day).toordinal() - EPOCH
    except ValueError as error:
        raise Refused("TIME_INVALID", f"{text!r}: {error}") from None
    offset = 0
    if match[8]:
        offset_hours, offset_minutes = int(match[9]), int(match[10])
        if offset_hours > 23 or offset_minutes > 59:
            raise Refused("TIME_INVALID", f"{text!r} has no such offset")
        offset = (offset_hours * 60 + offset_minutes) * 60 * (1 if match[8] == "+" else -1)
    if hour > 23 or minute > 59 or second > 59:
        raise Refused("TIME_INVALID", f"{text!r} has no such time of day")
    seconds = days * 86_400 + hour * 3600 + minute * 60 + second - offset
    return seconds * SECOND + int((match[7] or "").ljust(9, "0"))


def _relative(text: str, now: int) -> int:
    at, ns = 3, now
    while at < len(text):
        if match := _OFFSET.match(text, at):
            count = int(match[2]) * (1 if match[1] == "+" else -1)
            ns = _shift(ns, count, match[3])
        elif match := _ROUND.match(text, at):
            ns = _floor(ns, match[1])
        else:
            raise Refused("TIME_INVALID", f"{text!r} is no time")
        at = match.end()
    return ns


def _shift(ns: int, count: int, unit: str) -> int:
    if unit in WIDTHS:
        return ns + count * WIDTHS[unit]
    days, rest = divmod(ns, DAY)
    day = date.fromordinal(EPOCH + days)
    months = day.year * 12 + day.month - 1 + count * (12 if unit == "y" else 1)
    year, month = divmod(months, 12)
    if not 1 <= year <= 9999:
        raise Refused("TIME_INVALID", "the year is out of range")
    last = calendar.monthrange(year, month + 1)[1]
    return (date(year, month + 1, min(day.day, last)).toordinal() - EPOCH) * DAY + rest


def _floor(ns: int, unit: str) -> int:
    if unit in WIDTHS and unit != "w":
        return ns // WIDTHS[unit] * WIDTHS[unit]
    day = date.fromordinal(EPOCH + ns // DAY)
    return (first_day(day, unit).toordinal() - EPOCH) * DAY


def first_day(day: date, unit: str) -> date:
    """The first day of the calendar unit (`d`, `w`, `M`, `y`) that holds `day`."""
    if unit == "w":
        return date.fromordinal(day.toordinal() - day.weekday())
    if unit == "M":
        return day.replace(day=1)
    return day.replace(month=1, day=1) if unit == "y" else day
