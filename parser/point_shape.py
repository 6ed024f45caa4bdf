"""Many points that differ in nothing but their values, read as columns by one expression made from the first of them.

The expression holds the first point's text as it stands, its values left open, so what it matches has the same members,
each once, and is right JSON; what it does not cover to the last character is left to parser/points.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import NamedTuple

import orjson

from libs.times import parse_instant
from query.point_columns import Column, Form, PointColumns

# Below this an expression takes longer to make than the points to read one by one.
FEWEST_BYTES = 32 * 1024
MAX_VALUES = 200
_BLOCK_CHARS = 1 << 20
_FIRST_CHARS = 1 << 14
_FAR = 9 * 10**18
_BLANKS = re.compile(r"[ \t\r\n]*+")
_TOKEN = re.compile(r'"[^"\\\x00-\x1f]*+"|[^"{}\[\]:, \t\r\n]++|[{}:,]|[ \t\r\n]++')
# All but quotes, backslashes and control characters, told by ranges, which are looked up faster than a negation.
_STRING = r"[ !#-\[\]-\U0010ffff]*+"
_NUMBER = r"-?(?:[1-9][0-9]{0,17}+|0)(?:\.[0-9]{1,17}+)?+"
_NANOSECONDS = r"-?(?:[1-8][0-9]{18}|[1-9][0-9]{0,17}+|0)"
_INSTANT = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9}+)?+Z"


@dataclass(frozen=True, slots=True)
class _Shape:
    """`pattern` has a group for the time (where `timed` says so), one for the text of all tags (where `tagged`), one for each
    field, in the order of `groups`."""

    pattern: str
    groups: tuple[str, ...]
    forms: Mapping[str, Form]
    written_times: bool


class _Part(NamedTuple):
    """What one text of JSON points says of how they stand there."""

    shape: _Shape
    between: str


def read_columns(body: bytes, measurement: str, *, lines: bool) -> PointColumns | None:
    """The points of a JSON array, or of NDJSON (`lines`); None where they are not all alike, or not all right."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return None
    inner = text.strip(" \t\r\n")
    if not lines:
        if not inner.startswith("[") or not inner.endswith("]"):
            return None
        inner = inner[1:-1].strip(" \t\r\n")
    part = _learn(inner, lines)
    return None if part is None else _Reading(part, measurement).read(inner)


def _learn(text: str, lines: bool) -> _Part | None:
    """The shape of the first point, and what stands behind it until the next one begins."""
    try:
        value, end = json.JSONDecoder().raw_decode(text[:_FIRST_CHARS])
        orjson.loads(text[:end])  # the stricter of the two
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    if lines and "\n" in text[:end]:
        return None
    comma = end
    if not lines:
        blank = _BLANKS.match(text, end)
        comma = end if blank is None else blank.end()
        if text[comma : comma + 1] != ",":
            return None
        comma += 1
    blank = _BLANKS.match(text, comma)
    between = text[end : comma if blank is None else blank.end()]
    if not between or (lines and "\n" not in between):
        return None
    shape = _Walk(text[:end]).shape()
    return None if shape is None else _Part(shape, between)


class _Walk:
    """Goes once through the text of a right JSON object, and leaves its values open."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._path: list[str] = []
        self._name: str | None = None
        self._seen: set[tuple[str, ...]] = set()
        self._pattern: list[str] = []
        self._groups: list[str] = []
        self._forms: dict[str, Form] = {}
        self._written_times = False

    def shape(self) -> _Shape | None:
        """None for what is no plain point: the slower way tells why."""
        tokens = _TOKEN.findall(self._text)
        if sum(map(len, tokens)) != len(self._text) or not all(map(self._take, tokens)) or not self._forms:
            return None
        pattern = "".join(self._pattern)
        return _Shape(pattern, tuple(self._groups), self._forms, self._written_times)

    def _take(self, token: str) -> bool:
        if token == "{":
            return self._enter()
        if token == "}":
            self._leave()
        elif token == "," or token == ":" or token[0] in " \t\r\n":
            self._say(token)
        elif self._name is None:
            return self._key(token)
        else:
            return self._value(token)
        return True

    def _say(self, token: str) -> None:
        self._pattern.append(re.escape(token))

    def _enter(self) -> bool:
        self._say("{")
        self._path.append(self._name or "")
        self._name = None
        if self._path == ["", "tags"]:
            self._pattern.append("(")
            self._groups.append("/tags")
        return self._path in ([""], ["", "tags"], ["", "fields"])

    def _leave(self) -> None:
        if self._path == ["", "tags"]:
            self._pattern.append(")")
        self._path.pop()
        self._say("}")

    def _key(self, token: str) -> bool:
        self._say(token)
        self._name = token[1:-1]
        path = (*self._path, self._name)
        if path in self._seen or (len(path) == 2 and self._name not in ("time", "tags", "fields")):
            return False
        self._seen.add(path)
        return len(self._seen) <= MAX_VALUES

    def _value(self, token: str) -> bool:
        name, self._name = self._name, None
        assert name is not None
        text = token.startswith('"')
        match self._path:
            case ["", "tags"]:
                self._pattern.append(f'"{_STRING}"')
                return text
            case ["", "fields"]:
                form = _form(token)
                if form is not None:
                    self._forms[name] = form
                    self._open(f"={name}", {"string": _STRING, "boolean": "true|false"}.get(form, _NUMBER), text)
                return form is not None
            case [""] if name == "time":
                self._written_times = text
                self._open("/time", _INSTANT if text else _NANOSECONDS, text)
                return True
        return False

    def _open(self, group: str, pattern: str, text: bool) -> None:
        quote = '"' if text else ""
        self._pattern.append(f"{quote}({pattern}){quote}")
        self._groups.append(group)


def _form(token: str) -> Form | None:
    """A value's kind by how it begins, "mixed" for all numbers; None for null."""
    if token.startswith('"'):
        return "string"
    if token in ("true", "false"):
        return "boolean"
    return "mixed" if token[0] in "-0123456789" else None


class _Reading:
    def __init__(self, part: _Part, measurement: str) -> None:
        self._shape = part.shape
        self._between = part.between
        self._measurement = measurement
        self._expression = _compiled(f"{part.shape.pattern}(?:{re.escape(part.between)}|\\Z)")

    def read(self, text: str) -> PointColumns | None:
        found: dict[str, list[Sequence[str]]] = {group: [] for group in self._shape.groups}
        for block in self._blocks(text):
            columns = self._columns(block)
            if columns is None:
                return None
            for group, column in zip(found, columns, strict=True):
                found[group].append(column)
        return self._points(found)

    def _blocks(self, text: str) -> Iterator[str]:
        """Cut where a point ends, so that no other thread waits for long; a cut elsewhere fails to match."""
        start, mark = 0, self._between + "{"
        while start < len(text):
            cut = text.find(mark, start + _BLOCK_CHARS)
            end = len(text) if cut < 0 else cut
            yield text[start:end]
            start = end + len(self._between)

    def _columns(self, block: str) -> list[Sequence[str]] | None:
        """The groups of all points of a block; None where anything stands between or behind them."""
        pieces = self._expression.split(block)
        step = len(self._shape.groups) + 1
        if block.endswith(self._between) or any(pieces[::step]):
            return None
        return [pieces[at::step] for at in range(1, step)]

    def _points(self, found: dict[str, list[Sequence[str]]]) -> PointColumns | None:
        columns = {group: _together(parts) for group, parts in found.items()}
        fields = {name: _column(form, columns[f"={name}"]) for name, form in self._shape.forms.items()}
        known = {name: column for name, column in fields.items() if column is not None}
        times = columns.get("/time")
        if times is not None and self._shape.written_times:
            times = _nanoseconds(times)
            if times is None:
                return None
        if len(known) < len(fields):
            return None
        series = columns.get("/tags") or [""] * len(next(iter(known.values())).texts)
        tags: dict[str, dict[str, str]] = {text: orjson.loads("{" + text + "}") for text in set(series)}
        return PointColumns(self._measurement, series, tags, known, times)


def _together(parts: list[Sequence[str]]) -> Sequence[str]:
    return parts[0] if len(parts) == 1 else list(chain.from_iterable(parts))


def _column(form: Form, texts: Sequence[str]) -> Column | None:
    """None where a minus zero is among integers, which is a zero there."""
    if form == "string" or form == "boolean":
        return Column(form, texts)
    fractions = "".join(texts).count(".")
    if fractions == len(texts):
        return Column("float", texts)
    if "-0" in texts:
        return None
    return Column("mixed" if fractions else "integer", texts)


def _nanoseconds(times: Sequence[str]) -> list[str] | None:
    """None where one does not exist, or may not fit 64 bits."""
    try:
        known = {text: parse_instant(text) for text in set(times)}
    except ValueError:
        return None
    if min(known.values()) < -_FAR or max(known.values()) > _FAR:
        return None
    told = {text: str(time) for text, time in known.items()}
    return list(map(told.__getitem__, times))


@lru_cache(maxsize=64)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)
