"""Bodies of points to write: {"time", "tags", "fields"} objects, one, in a JSON array or as NDJSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from libs.errors import RequestError
from libs.issues import Issues, escape, kind_of
from libs.times import parse_time
from parser.alike_points import MEMBERS, alike_points
from parser.decode import decode, decode_exact, find_duplicates, surely_unique
from parser.point_shape import FEWEST_BYTES, read_columns
from query.backend import Point

MAX_ISSUES = 20
MAX_MEMBERS = 1_000
_INT64 = range(-(2**63), 2**63)
_LOWEST, _PAST_HIGHEST = -(2.0**63), 2.0**64  # beyond them an integer is decoded as a float
_SHAPE = 'like {"time", "tags", "fields"}'
_TIMES = "RFC 3339, or an integer of nanoseconds since 1970"


def parse_point(body: bytes, measurement: str, now_ns: int) -> Point:
    """The one point of a body. Raises RequestError with all its issues."""
    reading = _Reading(measurement, now_ns)
    point = reading.point(decode(body), "")
    if reading.wide:
        reading = _Reading(measurement, now_ns)
        point = reading.point(decode_exact(body), "")
    reading.finish(body)
    assert point is not None
    return point


def parse_array(body: bytes, measurement: str, now_ns: int) -> Sequence[Point]:
    """The points of a JSON array. All issues at once (the first twenty)."""
    columns = read_columns(body, measurement, lines=False) if len(body) >= FEWEST_BYTES else None
    return columns or careful_array(body, measurement, now_ns)


def careful_array(body: bytes, measurement: str, now_ns: int) -> list[Point]:
    """As `parse_array`, for points of any kind, one by one."""
    values = decode(body)
    if not isinstance(values, list):
        hint = "send an array of points, NDJSON, or line protocol as text/plain"
        raise RequestError("The body is not an array.", code="BODY_INVALID", pointer="", hint=hint)
    reading = _Reading(measurement, now_ns)
    points = reading.points(values)
    if reading.wide:
        reading = _Reading(measurement, now_ns)
        points = reading.points(decode_exact(body))
    reading.finish(body)
    return _any(points)


def parse_ndjson(body: bytes, measurement: str, now_ns: int) -> Sequence[Point]:
    """The points of NDJSON: one object a line, empty lines ignored. Pointers count the points, from 0."""
    columns = read_columns(body, measurement, lines=True) if len(body) >= FEWEST_BYTES else None
    return columns or careful_ndjson(body, measurement, now_ns)


def careful_ndjson(body: bytes, measurement: str, now_ns: int) -> list[Point]:
    """As `parse_ndjson`, for points of any kind, one by one."""
    lines = [line for line in body.split(b"\n") if line and not line.isspace()]
    return _any(_ndjson(lines, _Reading(measurement, now_ns)))


def _ndjson(lines: list[bytes], reading: _Reading) -> list[Point]:
    found: list[Point] = []
    for at, line in enumerate(lines):
        if len(reading.issues.found) >= MAX_ISSUES:
            break
        reading.members = 0
        try:
            value = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            message = f"point {at + 1} is not JSON: {error.msg} (column {error.colno})"
            reading.issues.add("JSON_INVALID", message, f"/{at}", "one object a line")
            continue
        point = reading.point(value, f"/{at}")
        if reading.wide:
            reading.wide = False
            point = reading.point(decode_exact(line), f"/{at}")
        if point is not None:
            found.append(point)
            if not surely_unique(line, reading.members):
                _find_duplicates(line, f"/{at}", reading.issues)
    reading.issues.raise_any()
    return found


def _find_duplicates(line: bytes, at: str, issues: Issues) -> None:
    repeated = Issues()
    find_duplicates(line, repeated)
    for issue in repeated.found:
        issues.add(issue.code, issue.message, at + issue.pointer, issue.hint)


def _any(points: list[Point]) -> list[Point]:
    if not points:
        raise RequestError("There is no point in the body.", code="BODY_INVALID", pointer="", hint="send one or more")
    return points


class _Reading:
    """Reads decoded points. `members` counts those of all objects; `wide`: an integer past 64 bits may have been rounded."""

    __slots__ = ("issues", "measurement", "members", "now_ns", "wide")

    def __init__(self, measurement: str, now_ns: int) -> None:
        self.measurement = measurement
        self.now_ns = now_ns
        self.issues = Issues()
        self.members = 0
        self.wide = False

    def finish(self, body: bytes) -> None:
        """Raises RequestError with all that was found, and what stands twice in an object."""
        if not self.issues.found and not surely_unique(body, self.members):
            find_duplicates(body, self.issues)
        self.issues.raise_any()

    def points(self, values: list[Any]) -> list[Point]:
        alike = alike_points(values, self.measurement, self.now_ns, MAX_MEMBERS)
        if alike is not None:
            points, self.members = alike
            return points
        found: list[Point] = []
        for at, value in enumerate(values):
            point = self.point(value, f"/{at}")
            if point is not None:
                found.append(point)
            elif len(self.issues.found) >= MAX_ISSUES:
                break
        return found

    def point(self, value: Any, at: str) -> Point | None:
        """The point; None where it is none, which is a fault then."""
        before = len(self.issues.found)
        if not isinstance(value, dict):
            self._add("BODY_INVALID", f"a point is an object, not {kind_of(value)}", at, _SHAPE)
            return None
        self.members += len(value)
        if not value.keys() <= MEMBERS:
            for name in list(value.keys() - MEMBERS)[:MAX_ISSUES]:
                self._add(
                    "BODY_INVALID", f"a point has no {name[:100]!r}", f"{at}/{escape(name)}", "time, tags or fields"
                )
        time = self._time(value.get("time"), f"{at}/time")
        tags = self._tags(value.get("tags"), f"{at}/tags")
        fields = self._fields(value.get("fields"), f"{at}/fields")
        return Point(self.measurement, tags, fields, time) if len(self.issues.found) == before else None

    def _add(self, code: str, message: str, at: str, hint: str) -> None:
        self.issues.add(code, message, at, hint)

    def _time(self, value: Any, at: str) -> int | None:
        """RFC 3339, or an integer of nanoseconds since 1970 as the earlier HostMonitor took it; absent is the store's now."""
        if value is None:
            return None
        if isinstance(value, int) and not isinstance(value, bool):
            time = value
        elif isinstance(value, str):
            try:
                time = parse_time(value, self.now_ns)
            except ValueError as error:
                self._add("TIME_INVALID", str(error), at, _TIMES)
                return None
        else:
            self._add("TIME_INVALID", "this is no time", at, _TIMES)
            return None
        if time not in _INT64:
            self._add("TIME_INVALID", "the time does not fit 64 bits of nanoseconds", at, "1677 to 2262")
        return time

    def _tags(self, value: Any, at: str) -> dict[str, str]:
        if value is None:
            return {}
        if not isinstance(value, dict):
            self._add(
                "BODY_INVALID", f"tags are an object of strings, not {kind_of(value)}", at, 'like {"host": "web-1"}'
            )
            return {}
        if self._too_many(value, at):
            return {}
        for name, tag in value.items():
            if not isinstance(tag, str):
                self._add("VALUE_INVALID", "a tag is a string", f"{at}/{escape(name)}", "put numbers into fields")
        return value

    def _fields(self, value: Any, at: str) -> dict[str, bool | int | float | str]:
        if not isinstance(value, dict) or not value:
            self._add("BODY_INVALID", "a point has one field or more", at, 'like {"usage": 12.5}')
            return {}
        if self._too_many(value, at):
            return {}
        for name, cell in value.items():
            if isinstance(cell, float):
                self.wide = self.wide or not _LOWEST < cell < _PAST_HIGHEST
            elif isinstance(cell, int):
                if cell not in _INT64:
                    hint = "-2^63 to 2^63-1; write it with a fraction for a float"
                    self._add("NUMBER_OUT_OF_RANGE", "this does not fit int64", f"{at}/{escape(name)}", hint)
            elif not isinstance(cell, str):
                hint = "a number, string or boolean; leave a missing field away"
                self._add("VALUE_INVALID", "this cannot be a field's value", f"{at}/{escape(name)}", hint)
        return value

    def _too_many(self, value: dict[str, Any], at: str) -> bool:
        self.members += len(value)
        if len(value) <= MAX_MEMBERS:
            return False
        self._add(
            "TOO_MANY_VALUES", f"these are {len(value)}; a point has at most {MAX_MEMBERS}", at, "split the point"
        )
        return True
