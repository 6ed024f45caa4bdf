"""Elasticsearch's date formats: text to exact nanoseconds since 1970, as its strict formats read it.

`DateFormat.read` gives None where the text is not of the format. Years run from -9999 to 9999; a time is UTC unless it
names an offset or a zone.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

DEFAULT_FORMAT = "strict_date_optional_time||epoch_millis"
DEFAULT_NANOS = "strict_date_optional_time_nanos||epoch_millis"
DETECTED_SLASHES = "yyyy/MM/dd HH:mm:ss||yyyy/MM/dd||epoch_millis"

Reader = Callable[[str], "int | None"]

_OFFSET = r"(?:Z|[+-]\d{2}(?::?\d{2}(?::?\d{2})?)?|[A-Za-z][A-Za-z0-9_+/-]*)"
_OPTIONAL_TIME = re.compile(
    r"(?P<year>-?\d{4})(?:-(?P<month>\d{2})(?:-(?P<day>\d{2}))?)?"
    rf"(?:T(?:(?P<hour>\d{{2}})(?::(?P<minute>\d{{2}})(?::(?P<second>\d{{2}})(?:[.,](?P<fraction>\d{{1,9}}))?)?)?(?P<offset>{_OFFSET})?)?)?",
    re.ASCII,
)
_EPOCH = re.compile(r"(-?)(\d{1,19})(?:\.(\d{0,9}))?", re.ASCII)
_FAST = re.compile(r"(\d{4}-\d{2}-\d{2})T(\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?Z", re.ASCII)
_WHOLE_CLOCK = re.compile(r"-\d{2}T\d{2}:\d{2}:\d{2}", re.ASCII)
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_DAY_NS = 86_400 * 10**9


class UnknownFormat(Exception):
    """A date format that is not one of those read here; its text is the format."""


@lru_cache(maxsize=4096)
def _day(year: int, month: int, day: int) -> int | None:
    """Days since 1970; years before 1 count 400-year cycles back, which are all alike."""
    shift = 0
    while year < 1:
        year, shift = year + 400, shift + 146_097
    try:
        return date(year, month, day).toordinal() - _EPOCH_DAY - shift
    except ValueError:
        return None


@lru_cache(maxsize=4096)
def _iso_day(text: str) -> int | None:
    year, month, day = text.split("-")
    return _day(int(year), int(month), int(day))


def _moment(
    day: int | None, hour: int, minute: int, second: int, fraction: str | None, offset: str | None
) -> int | None:
    if day is None or hour > 23 or minute > 59 or second > 59:
        return None
    local = (day * 86_400 + hour * 3600 + minute * 60 + second) * 10**9
    if fraction:
        local += int(fraction.ljust(9, "0"))
    if offset is None or offset == "Z":
        return local
    shift = _shift(offset, local)
    return None if shift is None else local - shift


def _shift(offset: str, local_ns: int) -> int | None:
    """Nanoseconds that the offset or zone is ahead of UTC at that local time."""
    if offset[0] not in "+-":
        return _zone_shift(offset, local_ns)
    digits = offset[1:].replace(":", "").ljust(6, "0")
    hours, minutes, seconds = int(digits[:2]), int(digits[2:4]), int(digits[4:])
    total = hours * 3600 + minutes * 60 + seconds
    if minutes > 59 or seconds > 59 or total > 18 * 3600:
        return None
    return (-total if offset[0] == "-" else total) * 10**9


def _zone_shift(name: str, local_ns: int) -> int | None:
    if name in ("UTC", "GMT", "UT"):
        return 0
    try:
        zone = ZoneInfo(name)
        days, rest = divmod(local_ns, _DAY_NS)
        local = datetime.fromordinal(days + _EPOCH_DAY).replace(
            hour=rest // (3600 * 10**9), minute=rest // (60 * 10**9) % 60, tzinfo=zone
        )
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None
    shift = local.utcoffset()
    return None if shift is None else int(shift.total_seconds()) * 10**9


def strict_date_optional_time(text: str) -> int | None:
    fast = _FAST.fullmatch(text)
    if fast is not None:
        day, hour, minute, second, fraction = fast.groups()
        return _moment(_iso_day(day), int(hour), int(minute), int(second), fraction, None)
    match = _OPTIONAL_TIME.fullmatch(text)
    if match is None or (text.endswith("T") and match["day"] is None):
        return None
    year = int(match["year"])
    if match["hour"] and match["month"] is None:
        year = 1970  # so does Elasticsearch: without a month the year is not looked at
    day = _day(year, int(match["month"] or 1), int(match["day"] or 1))
    return _moment(
        day,
        int(match["hour"] or 0),
        int(match["minute"] or 0),
        int(match["second"] or 0),
        match["fraction"],
        match["offset"],
    )


def _strict_date_optional_time_nanos(text: str) -> int | None:
    """As the other, but a time has hours, minutes and seconds."""
    if "T" in text and not _WHOLE_CLOCK.search(text):
        return None
    return strict_date_optional_time(text)


def _epoch(per_unit: int) -> Reader:
    def read(text: str) -> int | None:
        match = _EPOCH.fullmatch(text)
        if match is None:
            return None
        sign, whole, fraction = match.groups()
        nanos = int(whole) * per_unit + int((fraction or "").ljust(9, "0")) * per_unit // 10**9
        return -nanos if sign else nanos

    return read


_LETTERS = {
    "yyyy": r"(?P<year>\d{4})", "uuuu": r"(?P<year>\d{4})", "MM": r"(?P<month>\d{2})", "dd": r"(?P<day>\d{2})",
    "HH": r"(?P<hour>\d{2})", "mm": r"(?P<minute>\d{2})", "ss": r"(?P<second>\d{2})",
    "XXX": r"(?P<offset>Z|[+-]\d{2}:\d{2})", "XX": r"(?P<offset>Z|[+-]\d{4})", "X": r"(?P<offset>Z|[+-]\d{2}(?:\d{2})?)",
    "Z": r"(?P<offset>[+-]\d{4})", "ZZ": r"(?P<offset>[+-]\d{2}:\d{2})",
}  # fmt: skip
_PIECE = re.compile(r"'((?:[^']|'')*)'|(([A-Za-z])\3*)|([^A-Za-z']+)")


def _pattern(form: str) -> Reader:
    """A format of Java's pattern letters. Raises UnknownFormat."""
    parts: list[str] = []
    at = 0
    while at < len(form):
        piece = _PIECE.match(form, at)
        if piece is None:
            raise UnknownFormat(form)
        at = piece.end()
        parts.append(_piece(form, piece))
    try:
        compiled = re.compile("".join(parts), re.ASCII)
    except re.error:
        raise UnknownFormat(form) from None

    def read(text: str) -> int | None:
        match = compiled.fullmatch(text)
        if match is None:
            return None
        found = match.groupdict()
        day = _day(int(found.get("year") or 1970), int(found.get("month") or 1), int(found.get("day") or 1))
        hour, minute, second = (int(found.get(name) or 0) for name in ("hour", "minute", "second"))
        return _moment(day, hour, minute, second, found.get("fraction"), found.get("offset"))

    return read


def _piece(form: str, piece: re.Match[str]) -> str:
    quoted, letters, _, literal = piece.groups()
    if letters:
        if set(letters) == {"S"} and len(letters) <= 9:
            return rf"(?P<fraction>\d{{{len(letters)}}})"
        if letters not in _LETTERS:
            raise UnknownFormat(form)
        return _LETTERS[letters]
    return re.escape(quoted.replace("''", "'") if quoted is not None else literal)


_NAMED: dict[str, Reader] = {
    "strict_date_optional_time": strict_date_optional_time,
    "strict_date_optional_time_nanos": _strict_date_optional_time_nanos,
    "epoch_millis": _epoch(10**6),
    "epoch_second": _epoch(10**9),
    "strict_date": _pattern("yyyy-MM-dd"),
    "basic_date": _pattern("yyyyMMdd"),
    "strict_date_hour_minute_second": _pattern("yyyy-MM-dd'T'HH:mm:ss"),
}

_SLASH_FORMS = tuple(_pattern(form) for form in ("yyyy/MM/dd HH:mm:ss", "yyyy/MM/dd"))


class DateFormat:
    """One or more formats between `||`, tried in turn. Raises UnknownFormat."""

    def __init__(self, form: str) -> None:
        self.form = form
        self._readers = tuple(_NAMED.get(part) or _pattern(part) for part in form.split("||"))

    def read(self, text: str) -> int | None:
        """Nanoseconds since 1970."""
        for reader in self._readers:
            found = reader(text)
            if found is not None:
                return found
        return None


@lru_cache(maxsize=256)
def date_format(form: str) -> DateFormat:
    return DateFormat(form)


def detected(text: str) -> str | None:
    """The format that dynamic mapping finds in a text: the default one, the one with slashes, or None."""
    if strict_date_optional_time(text) is not None:
        return DEFAULT_FORMAT
    return DETECTED_SLASHES if any(form(text) is not None for form in _SLASH_FORMS) else None
