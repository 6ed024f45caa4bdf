"""The data sets of the suite: deterministic documents and series of the same content, and the reference's table of each.

A record is a time and named members. As documents the time is `@timestamp`; as series it is `time`, members marked `tag` are tags (an empty
one is missing, as InfluxDB drops it) and the others fields. Sets with lists, objects or addresses are documents alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from unittest_.conformance import records
from unittest_.conformance.documents import COERCED, LISTS
from unittest_.conformance.indexing import document_table
from unittest_.reference.tables import FieldSpec, Row, Table
from unittest_.reference.times import instant, written

NOW = instant("2026-11-22T10:17:23.456789012Z", 0)
TEXT_AND_KEYWORD = {"type": "text", "fields": {"keyword": {"type": "keyword"}}}
_SERIES_TYPES = {bool: "boolean", int: "int64", float: "float64", str: "string"}


@dataclass(frozen=True)
class Point:
    """A point: `time` in nanoseconds since 1970. It has at least one field."""

    tags: Mapping[str, str]
    fields: Mapping[str, bool | int | float | str]
    time: int


@dataclass(frozen=True)
class DataSet:
    """One content. `properties` are an Elasticsearch mapping's, `documents` are (id, source); `points` is None where a
    series can't hold it. `tables` holds the reference's table by kind (`documents`, `series`)."""

    name: str
    properties: Mapping[str, Any]
    documents: Sequence[tuple[str, Mapping[str, Any]]]
    points: Sequence[Point] | None = None
    tables: Mapping[str, Table] = field(default_factory=dict)

    @property
    def kinds(self) -> tuple[str, ...]:
        return tuple(self.tables)

    def time_field(self, kind: str) -> str:
        return "@timestamp" if kind == "documents" else "time"


def _shared(
    name: str, mapping: Mapping[str, Any], tags: Sequence[str], content: Sequence[records.Record], time: str
) -> DataSet:
    """A set that documents and series both hold. `time` is the mapping's type of `@timestamp`."""
    properties = {"@timestamp": {"type": time}, **mapping}
    documents = [(f"{name}-{at:04}", _source(record)) for at, record in enumerate(content)]
    points = [_point(record, tags) for record in content]
    assert len({(tuple(sorted(p.tags.items())), p.time) for p in points}) == len(points), "points of one time and tags"
    tables = {"documents": document_table(properties, documents), "series": _series_table(points, tags, mapping)}
    return DataSet(name, properties, documents, points, tables)


def _source(record: records.Record) -> dict[str, Any]:
    return {"@timestamp": written(record.time), **record.members}


def _point(record: records.Record, tags: Sequence[str]) -> Point:
    present = {name: value for name, value in record.members.items() if value is not None}
    return Point(
        {name: value for name, value in present.items() if name in tags and value != ""},
        {name: value for name, value in present.items() if name not in tags},
        record.time,
    )


def _series_table(points: Sequence[Point], tags: Sequence[str], mapping: Mapping[str, Any]) -> Table:
    fields = {"time": FieldSpec("timestamp", role="time")} | {name: FieldSpec("string", role="tag") for name in tags}
    rows: list[Row] = []
    for point in points:
        for name, value in point.fields.items():
            spec = FieldSpec(_SERIES_TYPES[type(value)])
            assert fields.setdefault(name, spec) == spec, f"{name} has two types"
        held = {name: value + 0.0 if isinstance(value, float) else value for name, value in point.fields.items()}
        rows.append({"time": point.time, **point.tags, **held})
    assert set(fields) == {"time", *mapping}
    return Table("series", fields, rows)


def _documents(name: str, properties: Mapping[str, Any], documents: Sequence[tuple[str, Mapping[str, Any]]]) -> DataSet:
    return DataSet(name, properties, documents, None, {"documents": document_table(properties, documents)})


@cache
def data_sets() -> Mapping[str, DataSet]:
    """All sets by name."""
    keyword, whole, number = {"type": "keyword"}, {"type": "long"}, {"type": "double"}
    access = {
        "host": keyword,
        "dc": keyword,
        "path": TEXT_AND_KEYWORD,
        "user": keyword,
        "status": {"type": "integer"},
        "bytes": whole,
        "latency": number,
        "cached": {"type": "boolean"},
    }
    odd = {
        "name": keyword,
        "text": keyword,
        "big": whole,
        "ratio": number,
        "score": number,
        "flag": {"type": "boolean"},
    }
    timed = {"host": keyword, "v": whole, "w": number}
    sets = (
        _shared("access", access, ("host", "dc"), records.access(), "date"),
        _shared("odd", odd, ("name",), records.odd(), "date"),
        _shared("nanos", timed, ("host",), records.nanos(), "date_nanos"),
        _shared("days", timed, ("host",), records.days(), "date"),
        _shared("many", {"k": keyword, "n": whole, "x": number}, ("k",), records.many(), "date"),
        _shared("huge", {"host": keyword, "x": number}, ("host",), records.huge(), "date"),
        _documents("lists", LISTS.properties, LISTS.documents),
        _documents("coerced", COERCED.properties, COERCED.documents),
        _documents("empty", {"@timestamp": {"type": "date"}, "host": keyword, "v": whole, "w": number}, ()),
    )
    return {one.name: one for one in sets}
