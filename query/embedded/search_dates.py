"""Date operands of the query DSL: bounds with missing parts rounded, and date maths on `now` or a date before `||`."""

from __future__ import annotations

import calendar
import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from libs.errors import RequestError
from query.embedded.dates import DEFAULT_FORMAT, date_format

Json = Any
_DAY = 86_400
_MATHS = re.compile(r"([+-]\d{1,9}|/)([yMwdhHms])", re.ASCII)
_SECONDS = {"w": 7 * _DAY, "d": _DAY, "h": 3600, "H": 3600, "m": 60, "s": 1}
_PARTS = re.compile(r"\d{4}(?:-\d{2}(?:-\d{2}(?:T(\d{2})(?::(\d{2})(?::(\d{2})(\.\d+)?)?)?)?)?)?", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LOW, HIGH = -(2**63), 2**63 - 1


def date_range(bounds: Mapping[str, Json], nanos: bool, at: str) -> tuple[int, int]:
    """The bounds as the first and the last instant within, in milliseconds (or nanoseconds). Raises RequestError."""
    low, high = LOW, HIGH
    per = 1 if nanos else 1_000_000
    for sign, value in bounds.items():
        start, end = _instants(value, f"{at}/{sign}")
        if sign == "gte":
            low = max(low, -(-start // per))
        elif sign == "gt":
            low = max(low, end // per + 1)
        elif sign == "lt":
            high = min(high, -(-start // per) - 1)
        else:
            high = min(high, end // per)
    return max(low, LOW), min(high, HIGH)


def _instants(value: Json, at: str) -> tuple[int, int]:
    """The first and last nanosecond that an operand stands for."""
    text = value if isinstance(value, str) else str(value)
    base, _, maths = text.partition("||")
    if text.startswith("now"):
        base, maths = "now", text[3:]
    if base == "now":
        start = end = time.time_ns()
    else:
        found = date_format(DEFAULT_FORMAT).read(base)
        if found is None:
            raise _unreadable(text, at)
        start, end = found, found + _missing(base)
    if not maths:
        return start, end
    return _moved(start, maths, False, text, at), _moved(end, maths, True, text, at)


def _missing(text: str) -> int:
    """Nanoseconds from an instant to the end of what its text left open: of the day, when it names no hour."""
    match = _PARTS.match(text)
    if match is None or (text.isdecimal() and len(text) > 4):
        return 999_999 if text.lstrip("-").isdecimal() else 0
    hour, minute, second, fraction = match.groups()
    width = _DAY if hour is None else 3600 if minute is None else 60 if second is None else 1
    if fraction is None:
        return width * 10**9 - 1
    return int(10 ** (10 - len(fraction))) - 1


def _moved(ns: int, maths: str, up: bool, text: str, at: str) -> int:
    rest = ns % 10**9
    try:
        moment = _EPOCH + timedelta(seconds=ns // 10**9)
        place = 0
        while place < len(maths):
            match = _MATHS.match(maths, place)
            if match is None:
                raise _unreadable(text, at)
            place = match.end()
            if match[1] == "/":
                moment = _floor(moment, match[2])
                if up:
                    moment = _added(moment, 1, match[2]) - timedelta(seconds=1)
                rest = 10**9 - 1 if up else 0
            else:
                moment = _added(moment, int(match[1]), match[2])
    except (OverflowError, ValueError):
        raise _unreadable(text, at) from None
    return int((moment - _EPOCH).total_seconds()) * 10**9 + rest


def _added(moment: datetime, count: int, unit: str) -> datetime:
    if unit in _SECONDS:
        return moment + timedelta(seconds=count * _SECONDS[unit])
    months = moment.year * 12 + moment.month - 1 + count * (12 if unit == "y" else 1)
    year, month = divmod(months, 12)
    return moment.replace(year=year, month=month + 1, day=min(moment.day, calendar.monthrange(year, month + 1)[1]))


def _floor(moment: datetime, unit: str) -> datetime:
    day = moment.replace(hour=0, minute=0, second=0)
    match unit:
        case "y":
            return day.replace(month=1, day=1)
        case "M":
            return day.replace(day=1)
        case "w":
            return day - timedelta(days=day.weekday())
        case "d":
            return day
        case "h" | "H":
            return moment.replace(minute=0, second=0)
        case "m":
            return moment.replace(second=0)
        case _:
            return moment


def _unreadable(text: str, at: str) -> RequestError:
    return RequestError(f"The date {text[:60]!r} cannot be read.", code="TIME_INVALID", pointer=at)
