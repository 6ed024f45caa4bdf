"""The real access log and server metrics, parsed: the inputs of test_real_data.py."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from unittest_.conformance.indexing import document_table
from unittest_.reference.tables import FieldSpec, Row, Table

KEYWORD = {"type": "keyword"}
LOG_PROPERTIES: Mapping[str, Any] = {
    "@timestamp": {"type": "date"},
    "line": {"type": "integer"},
    "ip": {"type": "ip"},
    "method": KEYWORD,
    "path": KEYWORD,
    "status": {"type": "integer"},
    "bytes": {"type": "long"},
    "referrer": KEYWORD,
    "agent": {"type": "text", "fields": {"keyword": KEYWORD}},
}
METRIC_PROPERTIES: Mapping[str, Any] = {
    "time": {"type": "date"},
    "file": KEYWORD,
    "kind": KEYWORD,
    "instance": KEYWORD,
    "value": {"type": "double"},
}
# Combined format; the last quote is missing where the log cut an agent short.
_LINE = re.compile(r'(\S+) \S+ \S+ \[([^\]]+)\] "(\S+) (\S+) [^"]*" (\d{3}) (\d+|-) "([^"]*)" "([^"]*)"?')
_MONTHS = {"May": 5}
_FILE = re.compile(r"(?P<kind>.+)_(?P<instance>[0-9a-f]{6}|anomaly|i-[0-9a-f]+_NetworkIn)")


def log_documents(folder: Path) -> list[dict[str, Any]]:
    """A document a line, with its number as `line` and `_id`; what the log has no value for is left away."""
    lines = (folder / "apache_access.log").read_text().splitlines()
    return [_document(number, line) for number, line in enumerate(lines, 1)]


def _document(number: int, line: str) -> dict[str, Any]:
    match = _LINE.fullmatch(line)
    assert match, line
    ip, time, method, path, status, size, referrer, agent = match.groups()
    day, month, year, hour, minute, second = re.split(r"[/: ]", time)[:6]
    assert time.endswith(" +0000"), line
    document: dict[str, Any] = {
        "_id": f"line-{number:05d}",
        "@timestamp": f"{year}-{_MONTHS[month]:02d}-{day}T{hour}:{minute}:{second}Z",
        "line": number,
        "ip": ip,
        "method": method,
        "path": path,
        "status": int(status),
    }
    if size != "-":
        document["bytes"] = int(size)
    for name, text in (("referrer", referrer), ("agent", agent)):
        if text != "-":
            document[name] = text
    return document


def metric_points(folder: Path) -> list[dict[str, Any]]:
    """A point a value of every file: {"time", "tags": {"file", "kind", "instance"}, "fields": {"value"}}. A time that
    stands twice in a file keeps its last value, as a store of series does."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for path in sorted((folder / "cloudwatch").glob("*.csv")):
        match = _FILE.fullmatch(path.stem)
        assert match, path
        tags = {"file": path.stem, **match.groupdict()}
        with path.open(newline="") as opened:
            for row in csv.DictReader(opened):
                time = row["timestamp"].replace(" ", "T") + "Z"
                found[path.stem, time] = {"time": time, "tags": tags, "fields": {"value": float(row["value"])}}
    return list(found.values())


def as_document(point: Mapping[str, Any]) -> dict[str, Any]:
    identifier = f"{point['tags']['file']}@{point['time']}"
    return {"_id": identifier, "time": point["time"], **point["tags"], **point["fields"]}


def ndjson(values: list[dict[str, Any]], size: int) -> Iterator[bytes]:
    """NDJSON of `size` values each."""
    for at in range(0, len(values), size):
        yield b"\n".join(map(orjson.dumps, values[at : at + size])) + b"\n"


def log_table(documents: list[dict[str, Any]]) -> Table:
    return document_table(LOG_PROPERTIES, [_parted(document) for document in documents])


def metric_table(points: list[dict[str, Any]]) -> Table:
    """As the reference holds a measurement; for the bodies here an index holds the same."""
    fields = {
        "time": FieldSpec("timestamp", role="time"),
        **dict.fromkeys(("file", "kind", "instance"), FieldSpec("string", role="tag")),
        "value": FieldSpec("float64"),
    }
    rows: list[Row] = []
    for point in points:
        seconds = int(datetime.fromisoformat(point["time"]).replace(tzinfo=UTC).timestamp())
        rows.append({"time": seconds * 10**9, **point["tags"], **point["fields"]})
    return Table("series", fields, rows)


def _parted(document: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return document["_id"], {name: value for name, value in document.items() if name != "_id"}
