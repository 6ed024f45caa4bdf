"""Line protocol that came as text: checked to hold points of one measurement alone, and counted. Pure.

InfluxDB finds the ends of lines, tags and quotes by rules that differ from one another. Two ways lead past that:
when every physical line begins with the measurement, so does every point, however InfluxDB reads the rest; what has
quotes, backslashes, comments, blank lines, carriage returns or points without a time is read line by line, and what is no
line, or could be read in two ways, is left out and told.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from libs.errors import RequestError
from query.influx.line_names import measurement_text
from query.influx.table import MAX_TIME, MIN_TIME

BATCH_BYTES = 512 * 1024
BATCH_LINES = 5_000
NS_PER_TICK = {"ns": 1, "u": 1_000, "ms": 1_000_000, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}

# A backslash counts before a comma, a space or an equals sign, but not when another backslash stands before it.
_PLAIN = rb"[^\\ ,=\n\r]|\\(?![ ,=\\\n\r])|\\(?=\\(?![ ,=]))|(?<!\\)\\[ ,=]"
_KEY = rb"(?:%b)++" % _PLAIN
_MEASUREMENT = rb"(?:%b|=)++" % _PLAIN
_NUMBER = rb"-?(?:[0-9]++i|(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][+-]?[0-9]++)?)"
_BOOLEAN = rb"[tT](?:rue|RUE)?|[fF](?:alse|ALSE)?"
_VALUE = rb'(?:%b|%b|"(?:[^"\\]++|\\.)*+")(?=[ ,\n\r]|\Z)' % (_NUMBER, _BOOLEAN)
_FIELD = rb"%b=%b" % (_KEY, _VALUE)
_LINE = re.compile(
    rb"(%b)((?:,%b=%b)*+) ++(%b(?:,%b)*+)(?: ++(-?[0-9]++))?+ *+\r?(?:\n|\Z)"
    % (_MEASUREMENT, _KEY, _KEY, _FIELD, _FIELD),
    re.DOTALL,
)
_MARK = b"\x00"
_MARKED_TAGS = re.compile(rb"^[^ \x00\n]*+\x00", re.MULTILINE)
_NOTHING = re.compile(rb"[ \t]*+(?:#[^\n]*+)?+\r?(?:\n|\Z)")
_SPACE = re.compile(rb"[ \t]*+")
_ESCAPE = re.compile(rb"\\([ ,=])")


@dataclass(frozen=True, slots=True)
class TextLines:
    """`count` points in batches that a server takes at once, and why other lines are none."""

    batches: list[bytes]
    count: int
    bad: tuple[str, ...] = ()


def check(lines: bytes, measurement: str, precision: str, now_ns: int, first: int = 1) -> TextLines:
    """As `read`. Raises RequestError (VALUE_INVALID) also where there is no line at all."""
    found = read(lines, measurement, precision, now_ns, first)
    if not found.count and not found.bad:
        raise RequestError("There is no line.", code="VALUE_INVALID", pointer="", hint="name,tag=a field=1 0")
    return found


def read(lines: bytes, measurement: str, precision: str, now_ns: int, first: int = 1) -> TextLines:
    """Points of `measurement` alone; those without a time get `now_ns`. `first` is the first line's number. Raises
    RequestError (NAME_INVALID, VALUE_INVALID: a line of another measurement)."""
    body = lines.strip(b"\n")
    count = _uniform(body, measurement_text(measurement).encode())
    if count is not None:
        return TextLines(_cut(body), count)
    bad: list[str] = []
    first += len(lines) - len(lines.lstrip(b"\n"))
    found = [line for line, _ in split(body, measurement, precision, now_ns, bad, first)]
    batches = [b"\n".join(found[at : at + BATCH_LINES]) for at in range(0, len(found), BATCH_LINES)]
    return TextLines(batches, len(found), tuple(bad))


def _cut(body: bytes) -> list[bytes]:
    """The body in pieces of some BATCH_BYTES, cut at ends of lines."""
    pieces: list[bytes] = []
    start = 0
    while start < len(body):
        end = body.find(b"\n", start + BATCH_BYTES)
        end = len(body) if end < 0 else end
        pieces.append(body[start:end])
        start = end + 1
    return pieces


def _uniform(body: bytes, name: bytes) -> int | None:
    """The number of points when each physical line begins with the name, has a time and nothing that could hide its end.

    A quote counts only as the start or end of a field's string, none before the first space: then InfluxDB ends lines where
    they end here, or answers that it cannot read them.
    """
    if b"\\" in body or b"\r" in body:
        return None
    count = body.count(b"\n") + 1
    tagged, untagged = name + b",", name + b" "
    begun = body.count(b"\n" + tagged) + body.startswith((tagged, untagged))
    if begun != count and begun + body.count(b"\n" + untagged) != count:
        return None
    if b'"' in body:
        body = _without_strings(body)
    return count if body.count(b" ") == 2 * count else None


def _without_strings(body: bytes) -> bytes:
    """The body with a mark for each string; empty when a quote stands elsewhere, or a string breaks."""
    parts = body.split(b'"')
    outside, strings = _MARK.join(parts[::2]), parts[1::2]
    placed = outside.count(b"=" + _MARK + b",") + outside.count(b"=" + _MARK + b" ")
    plain = len(parts) % 2 == 1 and placed == len(strings) and _MARK not in body
    return outside if plain and b"\n" not in b"".join(strings) and _MARKED_TAGS.search(outside) is None else b""


def split(
    body: bytes, measurement: str, precision: str, now_ns: int, bad: list[str], first: int = 1
) -> Iterator[tuple[bytes, int]]:
    """Every point as (its line, its time in nanoseconds), read one by one; what is no line is noted in `bad`. Raises
    RequestError (VALUE_INVALID) at a point of another measurement."""
    wanted, tick = measurement.encode(), NS_PER_TICK[precision]
    at, number, size = 0, first - 1, len(body)
    while at < size:
        number += 1
        empty = _NOTHING.match(body, at)
        if empty is not None:
            at = max(empty.end(), at + 1)
            continue
        space = _SPACE.match(body, at)
        found = _LINE.match(body, space.end() if space is not None else at)
        if found is None:
            bad.append(f"line {number} is no line protocol, or can be read in two ways")
            at = body.find(b"\n", at) + 1 or size
            continue
        name, tags, fields, time = found.groups()
        at = found.end()
        if _ESCAPE.sub(rb"\1", name) != wanted:
            shown = name[:80].decode("utf-8", "replace")
            raise RequestError(
                f"Line {number} is not of the measurement {measurement!r}; nothing was written.",
                code="VALUE_INVALID",
                pointer="",
                hint=f"It is of {shown!r}: write each measurement by its own route.",
            )
        ticks = now_ns // tick if time is None else int(time)
        if not MIN_TIME <= ticks * tick <= MAX_TIME:
            bad.append(f"line {number} has a time that the store cannot hold")
            continue
        yield b"%b%b %b %d" % (name, tags, fields, ticks), ticks * tick


def timed(lines: bytes, precision: str, now_ns: int) -> bytes:
    """Lines of any measurements, each without a time with this one behind it; whatever is no line stays as it is, for the
    store to refuse."""
    time = b" %d" % (now_ns // NS_PER_TICK[precision])
    parts: list[bytes] = []
    at, size = 0, len(lines)
    while at < size:
        empty = _NOTHING.match(lines, at)
        space = _SPACE.match(lines, at)
        found = _LINE.match(lines, space.end() if space is not None else at)
        if empty is None and found is not None and found[4] is None:
            parts += (lines[at : found.end(3)], time, b"\n")
            at = found.end()
            continue
        end = found.end() if empty is None and found is not None else lines.find(b"\n", at) + 1 or size
        parts.append(lines[at:end])
        at = end
    return b"".join(parts)
