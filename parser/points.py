"""Bodies of points to write: {"time", "tags", "fields"} objects, one, in a JSON array or as NDJSON."""

from __future__ import annotations

from typing import Any

import orjson

from libs.errors import Issue, RequestError
from libs.times import parse_time
from query.backend import Point

_MEMBERS = frozenset({"time", "tags", "fields"})
_INT64 = range(-(2**63), 2**63)
_MAX_ISSUES = 20


def parse_point(body: bytes, measurement: str, now_ns: int) -> Point:
    """The one point of a body. Raises RequestError with all its issues."""
    issues: list[Issue] = []
    point = _point(_loads(body, ""), measurement, now_ns, "", issues)
    if point is None:
        raise RequestError.of(issues)
    return point


def parse_array(body: bytes, measurement: str, now_ns: int) -> list[Point]:
    """The points of a JSON array. All issues at once (the first twenty)."""
    values = _loads(body, "")
    if not isinstance(values, list):
        hint = "send an array of points, NDJSON, or line protocol as text/plain"
        raise RequestError("The body is not an array.", code="BODY_INVALID", pointer="", hint=hint)
    return _points(values, measurement, now_ns)


def parse_ndjson(body: bytes, measurement: str, now_ns: int) -> list[Point]:
    """The points of NDJSON: one object a line, empty lines ignored. Pointers count the points, from 0."""
    lines = [line for line in body.split(b"\n") if line.strip()]
    return _points([_loads(line, f"/{at}") for at, line in enumerate(lines)], measurement, now_ns)


def _loads(body: bytes, at: str) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RequestError(f"This is not JSON: {error}.", code="JSON_INVALID", pointer=at) from error


def _points(values: list[Any], measurement: str, now_ns: int) -> list[Point]:
    issues: list[Issue] = []
    points = [_point(value, measurement, now_ns, f"/{at}", issues) for at, value in enumerate(values)]
    if issues:
        raise RequestError.of(issues[:_MAX_ISSUES])
    if not points:
        raise RequestError("There is no point in the body.", code="BODY_INVALID", pointer="", hint="send one or more")
    return [point for point in points if point is not None]


def _point(value: Any, measurement: str, now_ns: int, at: str, issues: list[Issue]) -> Point | None:
    before = len(issues)
    if not isinstance(value, dict):
        issues.append(Issue("BODY_INVALID", "a point is an object", at, 'like {"time", "tags", "fields"}'))
        return None
    for name in value.keys() - _MEMBERS:
        issues.append(
            Issue("BODY_INVALID", f"a point has no {name!r}", f"{at}/{_escape(name)}", "time, tags or fields")
        )
    time = _time(value.get("time"), now_ns, f"{at}/time", issues)
    tags = _tags(value.get("tags"), f"{at}/tags", issues)
    fields = _fields(value.get("fields"), f"{at}/fields", issues)
    return Point(measurement, tags, fields, time) if len(issues) == before else None


def _time(value: Any, now_ns: int, at: str, issues: list[Issue]) -> int | None:
    """RFC 3339, or an integer of nanoseconds since 1970 as the earlier HostMonitor took it; absent is the store's now."""
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        time = value
    elif isinstance(value, str):
        try:
            time = parse_time(value, now_ns)
        except ValueError as error:
            issues.append(Issue("TIME_INVALID", str(error), at, "RFC 3339, or an integer of nanoseconds since 1970"))
            return None
    else:
        issues.append(Issue("TIME_INVALID", "this is no time", at, "RFC 3339, or an integer of nanoseconds since 1970"))
        return None
    if time not in _INT64:
        issues.append(Issue("TIME_INVALID", "the time does not fit 64 bits of nanoseconds", at, "1677 to 2262"))
    return time


def _tags(value: Any, at: str, issues: list[Issue]) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        issues.append(Issue("BODY_INVALID", "tags are an object of strings", at, 'like {"host": "web-1"}'))
        return {}
    for name, tag in value.items():
        if not isinstance(tag, str):
            issues.append(
                Issue("VALUE_INVALID", "a tag is a string", f"{at}/{_escape(name)}", "put numbers into fields")
            )
    return value


def _fields(value: Any, at: str, issues: list[Issue]) -> dict[str, bool | int | float | str]:
    if not isinstance(value, dict) or not value:
        issues.append(Issue("BODY_INVALID", "a point has one field or more", at, 'like {"usage": 12.5}'))
        return {}
    for name, cell in value.items():
        if not isinstance(cell, bool | int | float | str):
            hint = "a number, string or boolean; leave a missing field away"
            issues.append(Issue("VALUE_INVALID", "this cannot be a field's value", f"{at}/{_escape(name)}", hint))
        elif isinstance(cell, int) and cell not in _INT64:
            issues.append(Issue("NUMBER_OUT_OF_RANGE", "this does not fit int64", f"{at}/{_escape(name)}", None))
    return value


def _escape(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
