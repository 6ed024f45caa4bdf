"""A pulled answer as the HTTP body: the envelope of query-language.md, rows as objects or arrays.

Not a Sanic response middleware: an error while such a one encodes would be swallowed into a 500. The caller awaits the
rows first, so that errors still choose the status.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, Literal

import orjson
from sanic import HTTPResponse

from libs.context import RequestContext
from libs.result import Batch, Cell, Column, Schema, TypeName
from libs.times import format_instant

Shape = Literal["objects", "arrays"]


@dataclass(frozen=True, slots=True)
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
        "columns": [column_json(column) for column in page.schema],
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
            rows.extend([dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)])
    return rows


def encoded_columns(schema: Schema, batch: Batch, context: RequestContext) -> list[Sequence[Any]]:
    return [encoded(column, cells, context) for column, cells in zip(schema, batch.columns, strict=True)]


def encoded(column: Column, cells: Sequence[Cell], context: RequestContext) -> Sequence[Any]:
    """One column's cells as values that orjson writes as the language says."""
    encode = _encoder(column, context)
    if encode is None:
        return cells
    if column.type.multi:
        return [None if cell is None else [encode(item) for item in cell] for cell in cells]  # type: ignore[union-attr]
    return [None if cell is None else encode(cell) for cell in cells]


def _encoder(column: Column, context: RequestContext) -> Callable[[Any], Any] | None:
    match column.type.name:
        case TypeName.TIMESTAMP:
            unit = column.type.unit
            return lambda cell: format_instant(cell, unit)
        case TypeName.JSON:
            return orjson.Fragment
        case TypeName.FLOAT64:
            return lambda cell: _finite(cell, column, context)
        case _:
            return None


def _finite(cell: float, column: Column, context: RequestContext) -> float | None:
    if isfinite(cell):
        return cell + 0.0  # -0.0 becomes 0.0
    context.warn("NOT_FINITE", f"{column.name} holds values that are not finite; they are null here.", column.source)
    return None
