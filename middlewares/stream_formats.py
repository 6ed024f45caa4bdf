"""A whole result in a format that goes out page by page: CSV (RFC 4180), NDJSON, Arrow IPC.

Each encodes a batch at once, column by column. Cells are the page's (middlewares/format.py): multi-valued ones are
lists, in CSV as JSON; what is missing is null, in CSV nothing (an empty string is `""`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import orjson

from libs.arrow_batch import ArrowBatch
from libs.arrow_ipc import ArrowStream
from libs.arrow_lines import Lines
from libs.context import RequestContext
from libs.result import Batch, Column, Schema, TypeName
from middlewares.format import Shape, encoded_columns, objects

CSV = "text/csv"
NDJSON = "application/x-ndjson"
ARROW = "application/vnd.apache.arrow.stream"
STREAMED = (CSV, NDJSON, ARROW)
# Each line begins as a kilobyte of its own: many at a time leave the allocator in shreds.
_LINES_AT_ONCE = 500

_QUOTED = re.compile(r'[",\r\n]')
# What spreadsheets take for the start of a formula (OWASP, CSV Injection), full-width forms included.
_FORMULA = re.compile(r"[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")


class StreamFormat(Protocol):
    """`failure` answers what tells of an error behind the rows that have gone out; empty where the format cannot."""

    content_type: str
    file_name: str

    def start(self) -> bytes: ...
    def rows(self, batch: Batch) -> bytes: ...
    def end(self) -> bytes: ...
    def failure(self, problem: dict[str, Any]) -> bytes: ...


def stream_format(
    media_type: str, schema: Schema, context: RequestContext, shape: Shape, csv_guard: bool
) -> StreamFormat:
    """The encoder for one of STREAMED."""
    if media_type == CSV:
        return CsvRows(schema, context, csv_guard)
    return NdjsonRows(schema, context, shape) if media_type == NDJSON else ArrowRows(schema)


class NdjsonRows:
    """A row a line, as the page's `data` has it."""

    content_type = NDJSON
    file_name = "rows.ndjson"

    def __init__(self, schema: Schema, context: RequestContext, shape: Shape) -> None:
        self._schema, self._context, self._shape = schema, context, shape
        self._names = [column.name for column in schema]
        self._lines: Lines | None = None

    def start(self) -> bytes:
        return b""

    def rows(self, batch: Batch) -> bytes:
        if isinstance(batch, ArrowBatch):
            self._lines = self._lines or Lines(self._schema, self._shape)
            lines = self._lines.of(batch)
            if lines is not None:
                return lines
        return b"".join(
            self._written(batch.slice(start, start + _LINES_AT_ONCE))
            for start in range(0, batch.length, _LINES_AT_ONCE)
        )

    def _written(self, batch: Batch) -> bytes:
        columns = encoded_columns(self._schema, batch, self._context)
        rows: Sequence[Any]
        if not columns:
            rows = [[] if self._shape == "arrays" else {}] * batch.length
        elif self._shape == "arrays":
            rows = list(zip(*columns, strict=True))
        else:
            rows = objects(self._names, columns)
        return b"".join([orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows])

    def end(self) -> bytes:
        return b""

    def failure(self, problem: dict[str, Any]) -> bytes:
        return orjson.dumps({"error": problem}, option=orjson.OPT_APPEND_NEWLINE)


class ArrowRows:
    """Record batches; a reader that meets no end mark says so by itself."""

    content_type = ARROW
    file_name = "rows.arrows"

    def __init__(self, schema: Schema) -> None:
        self._stream = ArrowStream(schema)
        self.start, self.rows, self.end = self._stream.start, self._stream.batch, self._stream.end

    def failure(self, problem: dict[str, Any]) -> bytes:
        return b""


class CsvRows:
    """RFC 4180 with a header row, in UTF-8. With `guard` a text that a spreadsheet would run as a formula gets an
    apostrophe before it (T16)."""

    content_type = f"{CSV}; charset=utf-8; header=present"
    file_name = "rows.csv"

    def __init__(self, schema: Schema, context: RequestContext, guard: bool) -> None:
        self._schema, self._context, self._guard = schema, context, guard
        self._texts = [_text_of(column, guard) for column in schema]

    def start(self) -> bytes:
        names = _strings([column.name for column in self._schema], self._guard)
        return (",".join(names) + "\r\n").encode()

    def rows(self, batch: Batch) -> bytes:
        columns = encoded_columns(self._schema, batch, self._context)
        texts = [text(cells) for text, cells in zip(self._texts, columns, strict=True)]
        if not texts:
            return b"\r\n" * batch.length
        # A line of nothing is no row to most readers.
        lines = [cell or '""' for cell in texts[0]] if len(texts) == 1 else map(",".join, zip(*texts, strict=True))
        return "".join([f"{line}\r\n" for line in lines]).encode()

    def end(self) -> bytes:
        return b""

    def failure(self, problem: dict[str, Any]) -> bytes:
        return b""


def _text_of(column: Column, guard: bool) -> Callable[[Sequence[Any]], list[str]]:
    """What writes a column's cells as CSV fields."""
    if column.type.multi:
        return _lists
    match column.type.name:
        case TypeName.STRING:
            return lambda cells: _strings(cells, guard)
        case TypeName.JSON:
            return _json
        case TypeName.BOOLEAN:
            return lambda cells: ["" if cell is None else "true" if cell else "false" for cell in cells]
        case TypeName.TIMESTAMP:
            return lambda cells: [cell or "" for cell in cells]
        case TypeName.INT64 | TypeName.FLOAT64:
            return lambda cells: ["" if cell is None else repr(cell) for cell in cells]


def _strings(cells: Sequence[Any], guard: bool) -> list[str]:
    if guard:
        is_formula = _FORMULA.match
        cells = [f"'{cell}" if cell and is_formula(cell) else cell for cell in cells]
    needs_quotes = _QUOTED.search
    return ["" if cell is None else cell if cell and not needs_quotes(cell) else _quoted(cell) for cell in cells]


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _lists(cells: Sequence[Any]) -> list[str]:
    return ["" if cell is None else _quoted(orjson.dumps(cell).decode()) for cell in cells]


def _json(cells: Sequence[Any]) -> list[str]:
    return ["" if cell is None else _quoted(orjson.dumps(cell).decode()) for cell in cells]
