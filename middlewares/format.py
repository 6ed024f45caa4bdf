"""A pulled answer as the HTTP body: the envelope of query-language.md, rows as objects or arrays.

Not a Sanic response middleware: an error while such a one encodes would be swallowed into a 500. The caller awaits the
rows first, so that errors still choose the status.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import isfinite
from typing import Any, Literal

import orjson
from sanic import HTTPResponse

from libs.context import RequestContext
from libs.identity import ByIdentity
from libs.result import Batch, Column, Schema, TypeName
from libs.times import format_instant

Shape = Literal["objects", "arrays"]
_WIDEST = 64


@dataclass(slots=True)
class Page:
    """The rows of one page, pulled whole. `has_more`: rows beyond the limit exist."""

    schema: Schema
    batches: Sequence[Batch]
    has_more: bool
    cursor: str | None = None
    total: dict[str, Any] | None = None


def page_response(page: Page, context: RequestContext, took_ms: float, shape: Shape) -> HTTPResponse:
    """The 200 answer of a query. `shape` arrays gives each row as an array in the columns' order."""
    body = {
        "result": True,
        "columns": _columns_json(page.schema),
        "data": rows_json(page, context, shape),
        "page": {"cursor": page.cursor, "has_more": page.has_more, "total": page.total},
        "meta": meta_json(context, took_ms),
    }
    headers = {"cache-control": "no-store"}
    return HTTPResponse(orjson.dumps(body), 200, headers, "application/json")


def column_json(column: Column) -> dict[str, Any]:
    return {
        "name": column.name,
        "type": column.type.name.value,
        "multi": column.type.multi,
        "source": column.source,
        "approximate": column.approximate,
    }


# A plan that comes again has the same schema.
_columns_json = ByIdentity(lambda schema: orjson.Fragment(orjson.dumps([column_json(one) for one in schema])))


def meta_json(context: RequestContext, took_ms: float) -> dict[str, Any]:
    """`meta`: who answered, how long it took (milliseconds), what to know about the answer."""
    return {
        "request_id": context.id,
        "took_ms": round(took_ms, 3),
        "partial": context.partial,
        "warnings": [
            {"code": notice.code, "message": notice.message, "source": notice.source} for notice in context.warnings
        ],
        "sources": [
            {
                "source": report.source,
                "took_ms": round(report.took_ms, 3),
                "rows": report.rows,
                "status": report.status,
                **({} if report.freshness_ns is None else {"freshness": format_instant(report.freshness_ns)}),
            }
            for report in context.sources
        ],
    }


def server_timing(context: RequestContext) -> str:
    """The stages' milliseconds as a Server-Timing header (W3C Server Timing)."""
    return ", ".join(f"{name};dur={ms:.2f}" for name, ms in context.timings.items())


def rows_json(page: Page, context: RequestContext, shape: Shape) -> list[Any]:
    names = [column.name for column in page.schema]
    rows: list[Any] = []
    for batch in page.batches:
        columns = encoded_columns(page.schema, batch, context)
        if not columns:
            rows.extend([[] if shape == "arrays" else {} for _ in range(batch.length)])
        elif shape == "arrays":
            rows.extend(zip(*columns, strict=True))
        else:
            rows.extend(objects(names, columns))
    return rows


def objects(names: Sequence[str], columns: Sequence[Sequence[Any]]) -> list[dict[str, Any]]:
    """Rows as dicts: as a display of as many members as there are columns, which takes a third of the time of `dict`."""
    if len(names) > _WIDEST:
        return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
    return _display(len(names))(*names)(columns)


@cache
def _display(width: int) -> Callable[..., Callable[[Sequence[Sequence[Any]]], list[dict[str, Any]]]]:
    """A function of `width` names that returns one of columns. Its text holds no name of a caller's."""
    names, cells = (", ".join(f"{letter}{at}" for at in range(width)) for letter in "nc")
    members = ", ".join(f"n{at}: c{at}" for at in range(width))
    made: dict[str, Any] = {}
    exec(f"def make({names}): return lambda columns: [{{{members}}} for {cells}, in zip(*columns, strict=True)]", made)
    return made["make"]  # type: ignore[no-any-return]


def encoded_columns(schema: Schema, batch: Batch, context: RequestContext) -> list[Sequence[Any]]:
    return [encoded(column, cells, context) for column, cells in zip(schema, batch.columns, strict=True)]


def encoded(column: Column, cells: Sequence[Any], context: RequestContext) -> Sequence[Any]:
    """One column's cells as values that orjson writes as the language says."""
    encode = _ENCODERS.get(column.type.name)
    if encode is None:
        return cells
    if not column.type.multi:
        return encode(cells, column, context)
    return [None if cell is None else encode(cell, column, context) for cell in cells]


def _instants(cells: Sequence[Any], column: Column, _: RequestContext) -> Sequence[Any]:
    unit = column.type.unit
    return [None if cell is None else format_instant(cell, unit) for cell in cells]


def _documents(cells: Sequence[Any], _: Column, __: RequestContext) -> Sequence[Any]:
    return [None if cell is None else orjson.Fragment(cell) for cell in cells]


def _doubles(cells: Sequence[Any], column: Column, context: RequestContext) -> Sequence[Any]:
    if all(map(isfinite, filter(None, cells))):
        return [None if cell is None else cell + 0.0 for cell in cells] if 0.0 in cells else cells  # -0.0 becomes 0.0
    context.warn("NOT_FINITE", f"{column.name} holds values that are not finite; they are null here.", column.source)
    return [cell + 0.0 if cell is not None and isfinite(cell) else None for cell in cells]


_ENCODERS: Mapping[TypeName, Callable[[Sequence[Any], Column, RequestContext], Sequence[Any]]] = {
    TypeName.TIMESTAMP: _instants,
    TypeName.JSON: _documents,
    TypeName.FLOAT64: _doubles,
}
