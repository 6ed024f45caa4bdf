"""Points as line protocol. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from types import MappingProxyType
from typing import Any

import orjson

from libs.errors import Issue, RequestError
from query.backend import Point
from query.influx.line_names import Refused, key_text, series_text
from query.influx.table import MAX_TIME, MIN_TIME, TIME

MAX_ISSUES = 100
BATCH_POINTS = 5_000
NO_TYPES: Mapping[str, str] = MappingProxyType({})
_MAX_CACHED = 100_000
_HALF = re.compile("[\ud800-\udfff]")
_NATIVE = {bool: "boolean", int: "integer", float: "float", str: "string"}
_NUMBERS = frozenset({"integer", "float", "unsigned"})
_ENDS = {"integer": "i", "unsigned": "u"}
_EXACT = 2**53
_LOWEST, _HIGHEST = -(2**63), 2**63 - 1


class _Widened(Exception):
    """A new field that looked like an integer has a value with a fraction further on."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def _conflict(name: str, native: str, wanted: str) -> Refused:
    message = f"The field {name!r} holds {wanted} values; this one is {native} and does not fit."
    return Refused(message, "fields", name, code="FIELD_TYPE_CONFLICT")


@dataclass(frozen=True, slots=True)
class _Shape:
    """How points with the same fields of the same types are written: each field as its key and what follows its value,
    all of it as a template with %s for the values and the time; `turned` are the places of numbers that take their field's
    other type, `texts` tells whether strings are among the values."""

    names: tuple[str, ...]
    keys: tuple[str, ...]
    ends: tuple[str, ...]
    template: str
    turned: tuple[tuple[int, str], ...]
    texts: bool


class Encoder:
    """Encodes the points of one write. What it has escaped once it remembers: points share their tags and fields.

    `types` are InfluxDB's types of the fields that are known. A number takes its field's type where it fits exactly; a new
    field is a float when any of its values is one.
    """

    def __init__(self, types: Mapping[str, str], now_ns: int) -> None:
        self._types = dict(types)
        self._known = frozenset(types)
        self._now = now_ns
        self._series: dict[tuple[str, tuple[tuple[str, str], ...]], str] = {}
        self._shapes: dict[tuple[tuple[str, ...], tuple[type, ...]], _Shape] = {}

    @property
    def names(self) -> set[str]:
        """All tags and fields that were seen."""
        return {name for _, tags in self._series for name, _ in tags}.union(self._types)

    def encode(self, points: Sequence[Point], positions: Sequence[int] | None = None) -> list[bytes]:
        """Batches of lines, BATCH_POINTS or fewer, one line a point, times in nanoseconds; a point without a time gets
        the instant `now`. `positions` are the points' own, for pointers.

        Raises RequestError (VALUE_INVALID, NAME_INVALID, FIELD_TYPE_CONFLICT) with pointers /<position>/… to what is
        wrong, up to MAX_ISSUES of it.
        """
        places = range(len(points)) if positions is None else positions
        issues: list[Issue] = []
        batches: list[bytes] | None = None
        while batches is None:
            try:
                batches = [
                    self._lines(points[start : start + BATCH_POINTS], places[start : start + BATCH_POINTS], issues)
                    for start in range(0, len(points), BATCH_POINTS)
                ]
            except _Widened as widened:
                self._types[widened.name] = "float"
                self._shapes.clear()
                issues.clear()
        if issues:
            raise RequestError.of(issues[:MAX_ISSUES])
        return batches

    def _lines(self, points: Sequence[Point], places: Sequence[int], issues: list[Issue]) -> bytes:
        """The points of one batch: all at once where they are alike, else one by one."""
        alike = self._alike(points) if not issues else None
        return self._batch(points, places, issues) if alike is None else alike

    def _alike(self, points: Sequence[Point]) -> bytes | None:
        """Points that all have the same fields of the same types, and nothing wrong; None otherwise."""
        measurements, tags, fields, instants = zip(*points, strict=True)
        names = tuple(fields[0])
        if not all(map(names.__eq__, map(tuple, fields))):
            return None
        columns: list[Sequence[Any]] = list(zip(*[each.values() for each in fields], strict=True))
        kinds = [set(map(type, column)) for column in columns]
        if any(len(kind) != 1 or str in kind for kind in kinds):
            return None
        for column, (kind,) in zip(columns, kinds, strict=True):
            if kind is int and (min(column) < _LOWEST or max(column) > _HIGHEST):
                return None
        times = [self._now if time is None else time for time in instants] if None in instants else instants
        if min(times) < MIN_TIME or max(times) > MAX_TIME:
            return None
        try:
            shape = self._shape(fields[0], [column[0] for column in columns])
            known = self._series.get
            keys = zip(measurements, map(tuple, map(dict.items, tags)), strict=True)
            heads = [known(key) or self._head(*key) for key in keys]
        except Refused:
            return None
        text = orjson.dumps(list(chain.from_iterable(zip(*columns, times, strict=True))))
        if shape.turned or b"null" in text:
            return None
        template = (shape.template + "\n").join(heads) + shape.template
        return (template % tuple(text[1:-1].decode().split(","))).encode()

    def _batch(self, points: Sequence[Point], places: Sequence[int], issues: list[Issue]) -> bytes:
        """The values are turned into text all at once: one by one that takes most of the time."""
        templates: list[str] = []
        values: list[Any] = []
        for position, point in zip(places, points, strict=True):
            try:
                head = self._head(point.measurement, tuple(point.tags.items()))
                found: list[Any] = list(point.fields.values())
                shape = self._shape(point.fields, found)
                if shape.turned or shape.texts:
                    templates.append(head + _mixed(shape, found))
                else:
                    templates.append(head + shape.template)
                values += found
                values.append(self._time(point))
            except Refused as refused:
                if len(issues) < MAX_ISSUES:
                    issues.append(refused.at(position))
        if issues:
            return b""
        try:
            text = orjson.dumps(values)
        except orjson.JSONEncodeError:
            text = b"null"
        if b"null" in text or not all(type(value) is not int or _LOWEST <= value <= _HIGHEST for value in values):
            issues += _unfit(points, places)
            return b""
        return ("\n".join(templates) % tuple(text[1:-1].decode().split(","))).encode()

    def _head(self, measurement: str, tags: tuple[tuple[str, str], ...]) -> str:
        head = self._series.get((measurement, tags))
        if head is None:
            head = series_text(measurement, dict(tags)).replace("%", "%%")
            if len(self._series) < _MAX_CACHED:
                self._series[measurement, tags] = head
        return head

    def _time(self, point: Point) -> int:
        time = point.time
        if time is None:
            return self._now
        if not MIN_TIME <= time <= MAX_TIME:
            hint = "1677-09-21T00:12:43.145224194Z to 2262-04-11T23:47:16.854775806Z"
            raise Refused("The time is outside of what the store holds.", TIME, hint=hint)
        return time

    def _shape(self, fields: Mapping[str, object], values: Sequence[object]) -> _Shape:
        key = (tuple(fields), tuple(map(type, values)))
        shape = self._shapes.get(key)
        if shape is None:
            shape = self._shapes[key] = self._new_shape(*key)
        return shape

    def _new_shape(self, names: tuple[str, ...], kinds: tuple[type, ...]) -> _Shape:
        if not names:
            raise Refused("A point needs at least one field.", "fields")
        keys: list[str] = []
        ends: list[str] = []
        turned: list[tuple[int, str]] = []
        for place, (name, kind) in enumerate(zip(names, kinds, strict=True)):
            native = _NATIVE.get(kind)
            if native is None:
                raise Refused("A field holds true, false, a number or a text.", "fields", name)
            keys.append(key_text(name, "fields").replace("%", "%%") + "=")
            wanted = self._types.setdefault(name, native)
            if wanted != native:
                self._check_turn(name, native, wanted)
                turned.append((place, wanted))
            ends.append(_ENDS.get(wanted, ""))
        template = _template(keys, ["%s"] * len(keys), ends)
        return _Shape(names, tuple(keys), tuple(ends), template, tuple(turned), str in kinds)

    def _check_turn(self, name: str, native: str, wanted: str) -> None:
        if native not in _NUMBERS or wanted not in _NUMBERS:
            raise _conflict(name, native, wanted)
        if native == "float" and name not in self._known:
            raise _Widened(name)


def _mixed(shape: _Shape, values: list[Any]) -> str:
    """The template of a point with strings, which are put into it, or with numbers that take another type. `values` keeps
    what is left to be turned into text."""
    for place, wanted in shape.turned:
        values[place] = _turned(shape.names[place], values[place], wanted)
    if not shape.texts:
        return shape.template
    said = [
        _text(value, name) if isinstance(value, str) else "%s" for name, value in zip(shape.names, values, strict=True)
    ]
    values[:] = [value for value in values if not isinstance(value, str)]
    return _template(shape.keys, said, shape.ends)


def _template(keys: Sequence[str], said: Sequence[str], ends: Sequence[str]) -> str:
    fields = ",".join(key + value + end for key, value, end in zip(keys, said, ends, strict=True))
    return f" {fields} %s"


def _turned(name: str, value: int | float, wanted: str) -> int | float:
    """The number as its field's type, when it fits exactly."""
    if wanted == "float":
        if abs(value) <= _EXACT or (abs(value) <= _HIGHEST and int(float(value)) == value):
            return float(value)
    elif math.isfinite(value) and _LOWEST <= value <= _HIGHEST and value == int(value):
        return int(value)
    raise _conflict(name, "integer" if isinstance(value, int) else "float", wanted)


def _text(value: str, name: str) -> str:
    if _HALF.search(value):
        raise Refused("The text holds half a character.", "fields", name)
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'


def _unfit(points: Sequence[Point], places: Sequence[int]) -> Iterator[Issue]:
    """What cannot be stored among the numbers of points."""
    for position, point in zip(places, points, strict=True):
        for name, value in point.fields.items():
            if isinstance(value, float) and not math.isfinite(value):
                yield Refused("NaN and infinities cannot be stored.", "fields", name).at(position)
            elif isinstance(value, int) and not _LOWEST <= value <= _HIGHEST:
                yield Refused("The integer does not fit into 64 bits.", "fields", name).at(position)


def encode(points: Sequence[Point], now_ns: int, types: Mapping[str, str] = NO_TYPES) -> bytes:
    """The points as line protocol."""
    return b"\n".join(Encoder(types, now_ns).encode(points))
