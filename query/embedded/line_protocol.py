"""InfluxDB's line protocol to rows, exact to the nanosecond: what InfluxDB takes is taken, with its reasons for the rest."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from libs.errors import RequestError
from query.embedded.series_names import MAX_TIME, MIN_TIME, SERIES_BYTES, TIME, fault_of, too_long
from query.embedded.series_state import Tags

Value = bool | int | float | str
Row = tuple[int, Tags, dict[str, Value]]  # time in nanoseconds, tags by name, fields

NS_PER_TICK = {
    "ns": 1,
    "n": 1,
    "u": 1_000,
    "us": 1_000,
    "µ": 1_000,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
MAX_REASONS = 10

_KEY = r"(?:\\[,= ]|[^,= \n])++"
_VALUE = r'(?:"(?:[^"\\]|\\.)*+"|[^,\n "][^,\n ]*+)'
_FIELD = rf"{_KEY}={_VALUE}"
_LINE = re.compile(
    r"(?P<name>(?:\\[,= ]|[^, \n])++)"
    rf"(?P<tags>(?:,{_KEY}={_KEY})*+) ++(?P<fields>{_FIELD}(?:,{_FIELD})*+)"
    r"(?: ++(?P<time>[^ \n\r]++))?+ *+\r?(?:\n|\Z)",
    re.DOTALL,
)
_PAIR = re.compile(rf",?({_KEY})=({_VALUE})", re.DOTALL)
_TAG = re.compile(rf",({_KEY})=({_KEY})")
_BLANK = re.compile(r"[ \t\r]*+(?:#[^\n]*+)?+(?:\n|\Z)")
_ESCAPED = re.compile(r"\\([,= ])")
_QUOTED = re.compile(r'\\(["\\])')
_NUMBER = re.compile(r"-?(?:\d++(?:\.\d*+)?|\.\d++)(?:[eE][+-]?\d++)?", re.ASCII)
_INTEGER = re.compile(r"-?\d++i", re.ASCII)
_BOOLEANS = {
    **dict.fromkeys(("t", "T", "true", "True", "TRUE"), True),
    **dict.fromkeys(("f", "F", "false", "False", "FALSE"), False),
}


class BadLine(Exception):
    """A line that is not taken; the text says why, in InfluxDB's words."""


@dataclass
class Lines:
    """The points read, by measurement, and what was dropped."""

    named: dict[str, list[Row]] = field(default_factory=dict)
    dropped: int = 0
    reasons: dict[str, None] = field(default_factory=dict)

    @property
    def rows(self) -> list[Row]:
        """The points, where they are of one measurement."""
        return next(iter(self.named.values()), [])

    def drop(self, reason: str) -> None:
        self.dropped += 1
        if len(self.reasons) < MAX_REASONS:
            self.reasons[reason] = None


def read_lines(body: bytes, measurement: str, precision: str, now_ns: int, first: int = 1) -> Lines:
    """As `read_some`. Raises RequestError (VALUE_INVALID) also where there is no line at all."""
    found = read_some(body, measurement, precision, now_ns, first)
    if not found.rows and not found.dropped:
        raise RequestError("There is no line.", code="VALUE_INVALID", pointer="", hint="name,tag=a field=1 0")
    return found


def read_some(body: bytes, measurement: str, precision: str, now_ns: int, first: int = 1) -> Lines:
    """The points of one measurement; `first` is the first line's number. Raises RequestError (VALUE_INVALID): not UTF-8,
    another precision, a line of another measurement; nothing is to be written then."""
    return _read(body, measurement, precision, now_ns, first)


def read_points(body: bytes, precision: str, now_ns: int) -> Lines:
    """The points of any measurements. Raises RequestError (VALUE_INVALID): not UTF-8, another precision."""
    return _read(body, None, precision, now_ns, 1)


def _read(body: bytes, measurement: str | None, precision: str, now_ns: int, first: int) -> Lines:
    tick = NS_PER_TICK.get(precision)
    if tick is None:
        raise RequestError(
            f"{precision!r} is no precision.", code="VALUE_INVALID", pointer="query/precision", hint="ns u ms s m h"
        )
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise RequestError(
            f"The lines are not UTF-8 (at byte {error.start}).", code="VALUE_INVALID", pointer=""
        ) from None
    if "\x00" in text:
        raise RequestError("A line holds a zero character.", code="VALUE_INVALID", pointer="")
    reader = _Reader(measurement, tick, now_ns // tick * tick, first)
    if "\\" in text or '"' in text:
        reader.slowly(text)
    else:
        reader.quickly(text)
    return reader.found


class _Reader:
    """`measurement`: None takes any."""

    def __init__(self, measurement: str | None, tick: int, now: int, first: int) -> None:
        self.found = Lines()
        self._measurement = measurement
        self._tick = tick
        self._now = now
        # The tags of a line's beginning, and the points of its measurement.
        self._heads: dict[str, tuple[Tags, list[Row]]] = {}
        self._number = first - 1

    def quickly(self, text: str) -> None:
        """Without quotes and backslashes every line feed ends a line, every space and comma parts."""
        heads = self._heads
        for line in text.split("\n"):
            self._number += 1
            parts = line.split(" ")
            if len(parts) != 3:
                self._one(line)
                continue
            head, pairs, stamp = parts
            known = heads.get(head)
            if known is None:
                self._one(line)
                continue
            try:
                fields = {}
                for pair in pairs.split(","):
                    name, value = pair.split("=")
                    fields[name] = scalar(value) if name and value else _missing()
                if TIME in fields:
                    self._one(line)
                    continue
                known[1].append((self._time(stamp), known[0], fields))
            except (BadLine, ValueError):
                self._one(line)

    def slowly(self, text: str) -> None:
        at = 0
        while at < len(text):
            self._number += 1
            at = self._step(text, at)

    def _one(self, line: str) -> None:
        if line and line != "\r":
            self._step(line, 0)

    def _step(self, text: str, at: int) -> int:
        """Reads the line at a place; answers where the next one begins."""
        blank = _BLANK.match(text, at)
        if blank is not None:
            return max(blank.end(), at + 1)
        while text[at] in " \t":
            at += 1
        line = _LINE.match(text, at)
        if line is None:
            end = text.find("\n", at)
            end = len(text) if end < 0 else end
            self._drop(text[at:end], _why(text[at:end]))
            return end + 1
        name = _unescaped(line["name"])
        if self._measurement is not None and name != self._measurement:
            raise RequestError(
                f"Line {self._number} is not of the measurement {self._measurement!r}.",
                code="VALUE_INVALID",
                pointer="",
                hint="nothing was written",
            )
        try:
            if self._measurement is None and (fault := fault_of(name)) is not None:
                raise BadLine(f"its measurement cannot be called so: {fault}")
            tags = self._tags(line["tags"])
            fields = {_unescaped(name): scalar(value) for name, value in _PAIR.findall(line["fields"])}
            time = self._now if line["time"] is None else self._time(line["time"])
        except BadLine as bad:
            self._drop(line[0].rstrip("\n"), str(bad))
            return line.end()
        if any(tag == TIME for tag, _ in tags):
            self.found.drop(f'invalid tag key: input tag "time" on measurement "{name}" is invalid')
            return line.end()
        self._keep(name, time, tags, fields)
        if name in self.found.named and "\\" not in line["tags"]:
            self._heads[line["name"] + line["tags"]] = (tags, self.found.named[name])
        return line.end()

    def _keep(self, name: str, time: int, tags: Tags, fields: dict[str, Value]) -> None:
        if TIME in fields:
            del fields[TIME]
            if not fields:
                self.found.drop(f'invalid field name: input field "time" on measurement "{name}" is invalid')
                return
        self.found.named.setdefault(name, []).append((time, tags, fields))

    def _tags(self, text: str) -> Tags:
        pairs = [(_unescaped(name), _unescaped(value)) for name, value in _TAG.findall(text)]
        if len({name for name, _ in pairs}) < len(pairs):
            raise BadLine("duplicate tags")
        if len(text) > SERIES_BYTES // 4 and too_long(pairs):
            raise BadLine("max key size exceeded")
        return tuple(sorted(pairs))

    def _time(self, text: str) -> int:
        try:
            if not text.lstrip("-").isdecimal():
                raise ValueError
            time = int(text) * self._tick
        except ValueError:
            raise BadLine("bad timestamp") from None
        if not MIN_TIME <= time <= MAX_TIME:
            raise BadLine(f"time outside range {MIN_TIME} - {MAX_TIME}")
        return time

    def _drop(self, line: str, why: str) -> None:
        self.found.drop(f"unable to parse '{line[:200]}': {why}")


def _missing() -> Value:
    raise BadLine("missing field value")


def scalar(text: str) -> Value:
    """A field's value. Raises BadLine."""
    first = text[0]
    if first == '"':
        return _QUOTED.sub(r"\1", text[1:-1])
    if first in "-.0123456789Nn":
        if _NUMBER.fullmatch(text):
            return _float(text)
        if _INTEGER.fullmatch(text):
            return _int(text)
        raise BadLine("invalid number")
    try:
        return _BOOLEANS[text]
    except KeyError:
        raise BadLine("invalid boolean") from None


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise BadLine("invalid float")
    return value + 0.0  # minus zero is written 0


def _int(text: str) -> int:
    value = int(text[:-1]) if len(text) < 1_000 else 2**63
    if not -(2**63) <= value < 2**63:
        raise BadLine(f"unable to parse integer {text[:40].removesuffix('i')}: value out of range")
    return value


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(r"\1", text) if "\\" in text else text


_REASONS: tuple[tuple[Callable[[str], object], str], ...] = (
    (lambda line: line.startswith(","), "missing measurement"),
    (lambda line: re.match(r"[^ ]*,=", line), "missing tag key"),
    (lambda line: re.match(r"(?:\\.|[^ \\])*,(?:[^ ,=]*=?)(?= |,|\Z)", line), "missing tag value"),
    (lambda line: not re.search(r"(?<!\\) +\S", line), "missing fields"),
    (lambda line: re.search(r" [^ ]*=(?:,| |\Z)", line), "missing field value"),
    (lambda line: re.search(r" [^ ]* [^ ]* [^ ]", line), "point is invalid"),
)


def _why(line: str) -> str:
    """The likeliest reason why a line cannot be read."""
    return next((reason for test, reason in _REASONS if test(line)), "invalid field format")
