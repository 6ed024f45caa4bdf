"""A key of time buckets: its width, and the zone of a calendar unit."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from typing import Any

from libs.times import NS_PER_SECOND
from parser.reading import JsonObject, Reading
from parser.words import BUCKET_ITEM, CALENDAR_WIDTHS, MOST_WIDTH_SECONDS
from query.plan import BucketKey, CalendarUnit

_FIXED = re.compile(r"([1-9][0-9]{0,9})([smh])")
_SECONDS = {"s": 1, "m": 60, "h": 3600}


@cache
def zone_names() -> frozenset[str]:
    """The time zones of the pinned database, the same on every machine."""
    return frozenset(resources.files("tzdata").joinpath("zones").read_text("utf-8").split())


def read_bucket(reading: Reading, value: JsonObject, at: str) -> BucketKey:
    reading.object(value, at, BUCKET_ITEM, ("field", "as"))
    field = reading.name(value["field"], at + "/field", "a field's name") if "field" in value else ""
    width = _width(reading, value["time_bucket"], at + "/time_bucket")
    tz = "UTC"
    if "tz" in value:
        tz = _zone(reading, value["tz"], width, at + "/tz")
    return BucketKey(field, width, reading.output(value, at), tz, at=at)


def _width(reading: Reading, value: Any, at: str) -> int | CalendarUnit:
    if type(value) is not str:
        reading.wrong(value, "a bucket's width, a string", at, "such as 30s, 5m, 1h, 1d")
        return "1d"
    for unit in CALENDAR_WIDTHS:
        if value == unit:
            return unit
    match = _FIXED.fullmatch(value)
    seconds = int(match[1]) * _SECONDS[match[2]] if match else 0
    if 0 < seconds <= MOST_WIDTH_SECONDS:
        return seconds * NS_PER_SECOND
    message = f"{value[:40]!r} is no bucket's width, or is wider than a hundred years."
    reading.issues.add("BUCKET_INVALID", message, at, "use whole seconds such as 30s 5m 1h, or 1d 1w 1M 1y")
    return "1d"


def _zone(reading: Reading, value: Any, width: int | CalendarUnit, at: str) -> str:
    if type(value) is not str:
        reading.wrong(value, "a time zone's name, a string", at)
        return "UTC"
    if isinstance(width, int):
        message = "A bucket of fixed width has no time zone."
        reading.issues.add("BUCKET_INVALID", message, at, "leave `tz` away, or use 1d, 1w, 1M, 1y")
    elif value not in zone_names():
        message = f"{value[:100]!r} is no time zone."
        reading.issues.add("BUCKET_INVALID", message, at, "use a name such as Europe/Berlin or UTC")
    return value
