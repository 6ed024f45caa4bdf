"""What a record becomes on its way to the service: a line of NDJSON or of line protocol."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, Literal

import orjson

from apps.load import combined
from apps.load.csv_rows import cells, time_ns, value
from apps.load.point_lines import timed
from apps.load.refused import NotTaken
from libs.errors import ConfigError
from libs.times import format_instant

Format = Literal["ndjson", "csv", "combined", "lines"]
# What a record becomes; None of a line that holds nothing. Raises NotTaken.
Convert = Callable[[bytes], bytes | None]
_BY_ENDING: Mapping[str, Format] = {
    ".ndjson": "ndjson", ".jsonl": "ndjson", ".csv": "csv", ".log": "combined", ".lp": "lines", ".line": "lines"
}  # fmt: skip
_TIME_NAMES = ("time", "timestamp", "@timestamp")
_NS = {"ns": 1, "u": 1_000, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_MAX_ID_BYTES = 512


@dataclass(frozen=True)
class Options:
    """What decides what a record becomes; a load that goes on needs the same. `types` are given ones of CSV's columns."""

    format: Format
    host: str = ""
    time: str = ""
    tags: tuple[str, ...] = ()
    types: Mapping[str, str] = field(default_factory=dict)
    precision: str = "ns"


def format_of(name: str) -> Format:
    """By a file's name. Raises ConfigError."""
    path = PurePath(name.lower().removesuffix(".gz"))
    found = _BY_ENDING.get(path.suffix)
    if found is None:
        endings = ", ".join(_BY_ENDING)
        raise ConfigError(f"{name}: the format is not known by the name ({endings}, each also with .gz); give --format")
    return found


def ndjson(text: bytes) -> bytes | None:
    """A document as it is, once it is known to be one."""
    text = text.strip()
    if not text:
        return None
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise NotTaken(f"this is no JSON: {error.msg} (column {error.colno})") from None
    if not isinstance(document, dict):
        raise NotTaken("a document is a JSON object")
    identifier = document.get("_id", "-")
    if not isinstance(identifier, str) or not 0 < len(identifier.encode()) <= _MAX_ID_BYTES:
        raise NotTaken(f"an _id is a string of 1 to {_MAX_ID_BYTES} bytes")
    return text


def log_lines(host: str) -> Convert:
    def convert(text: bytes) -> bytes | None:
        return orjson.dumps(combined.document(_decoded(text), host)) if text.strip() else None

    return convert


def point_lines(measurement: str, now_ns: int, precision: str) -> Convert:
    now = now_ns // _NS[precision]

    def convert(text: bytes) -> bytes | None:
        text = text.strip(b" \t")
        return timed(text, measurement, now) if text and not text.startswith(b"#") else None

    return convert


def csv_documents(columns: Mapping[str, str], options: Options) -> Convert:
    """The column `options.time`, where there is one, becomes `@timestamp`, in RFC 3339."""
    time = options.time

    def convert(text: bytes) -> bytes | None:
        row = _row(text, columns)
        if row is None:
            return None
        found: dict[str, Any] = {"host": options.host} if options.host else {}
        for name, cell in row.items():
            if cell and name == time:
                found["@timestamp"] = format_instant(time_ns(cell, options.precision))
            elif cell:
                found[name] = value(cell, columns[name], name)
        if not found:
            raise NotTaken("all cells are empty")
        return orjson.dumps(found)

    return convert


def csv_points(columns: Mapping[str, str], options: Options) -> Convert:
    """Points as JSON; all columns but the time and the tags are fields."""

    def convert(text: bytes) -> bytes | None:
        row = _row(text, columns)
        if row is None:
            return None
        written = row.pop(options.time)
        if not written:
            raise NotTaken(f"the column {options.time!r}, its time, is empty")
        tags = {name: cell for name in options.tags if (cell := row.pop(name))}
        fields = {name: value(cell, columns[name], name) for name, cell in row.items() if cell}
        if not fields:
            raise NotTaken("no column holds a value")
        return orjson.dumps({"time": time_ns(written, options.precision), "tags": tags, "fields": fields})

    return convert


def header(text: bytes | None) -> list[str]:
    """The names of CSV's columns. Raises ConfigError."""
    try:
        names = cells(_decoded(text or b""))
    except NotTaken as error:
        raise ConfigError(f"the first line is no header of CSV: {error}") from None
    if not all(names) or len(set(names)) < len(names):
        raise ConfigError("the first line of CSV names its columns, each by a name of its own")
    return names


def checked(options: Options, names: Sequence[str], points: bool) -> Options:
    """The options with the time's column, for columns that are there. Raises ConfigError."""
    time = options.time or (next((name for name in _TIME_NAMES if name in names), "") if points else "")
    if points and not time:
        raise ConfigError(f"no column is called {' or '.join(_TIME_NAMES)}: give --time")
    missing = [name for name in (*options.tags, *options.types, *([time] if time else ())) if name not in names]
    if missing:
        raise ConfigError(f"there is no column {missing[0]!r}; there are {', '.join(names)}")
    return Options(options.format, options.host, time, options.tags, options.types, options.precision)


def rows(texts: Sequence[bytes | None]) -> list[list[str]]:
    """The cells of those that can be read."""
    found: list[list[str]] = []
    for text in texts:
        try:
            found.append(cells(_decoded(text or b"")))
        except NotTaken:
            continue
    return found


def _row(text: bytes, columns: Mapping[str, str]) -> dict[str, str] | None:
    if not text.strip():
        return None
    row = cells(_decoded(text))
    if len(row) != len(columns):
        raise NotTaken(f"it has {len(row)} cells, and the header {len(columns)}")
    return dict(zip(columns, row, strict=True))


def _decoded(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise NotTaken(f"this is not UTF-8 (at byte {error.start})") from None
