"""Samples as the service takes them: NDJSON of documents, line protocol of points."""

from __future__ import annotations

from collections.abc import Iterable

import orjson

from apps.demo.samples import Document, Point

_KEY = str.maketrans({",": "\\,", "=": "\\=", " ": "\\ "})
_MEASUREMENT = str.maketrans({",": "\\,", " ": "\\ "})
_STRING = str.maketrans({'"': '\\"', "\\": "\\\\"})


def to_ndjson(documents: Iterable[Document]) -> bytes:
    """A document a line."""
    return b"".join(orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE) for document in documents)


def to_lines(points: Iterable[Point]) -> bytes:
    """A point a line, times in nanoseconds."""
    return "".join(map(_line, points)).encode()


def _line(point: Point) -> str:
    tags = "".join(f",{key.translate(_KEY)}={value.translate(_KEY)}" for key, value in sorted(point["tags"].items()))
    fields = ",".join(f"{key.translate(_KEY)}={_value(value)}" for key, value in point["fields"].items())
    return f"{point['measurement'].translate(_MEASUREMENT)}{tags} {fields} {point['time']}\n"


def _value(value: bool | int | float | str) -> str:
    if isinstance(value, str):
        return f'"{value.translate(_STRING)}"'
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value}i" if isinstance(value, int) else repr(value)
