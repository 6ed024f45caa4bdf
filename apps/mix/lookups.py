"""Lookup tables over HTTP: replaced as a whole, read, listed, deleted; queries name them as {"source": "mix", "lookup": …}."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from sanic import HTTPResponse, Request

from libs.errors import RequestError
from libs.rest import Namespace, RawSchema, Reply, Resource
from libs.rest.conditions import check_write, not_modified, quoted
from libs.rest.dry_run import DRY_RUN, DryRunQuery, counted
from libs.rest.negotiate import JSON, content_type
from libs.result import TypeName
from libs.times import format_instant
from parser.lookup_body import parse_csv, parse_rows
from query.lookup import LookupTable, LookupTables

CSV = "text/csv"
namespace = Namespace("lookup", "/mix", "Lookup tables: small tables that queries read and join.")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_ROWS = RawSchema(
    "LookupRows",
    {
        "type": "array",
        "items": {
            "type": "object",
            "additionalProperties": {"type": ["string", "number", "boolean", "null"]},
        },
    },
)
_COLUMNS = [
    {"name": "host", "type": "string"},
    {"name": "owner", "type": "string"},
    {"name": "most", "type": "float64"},
]
_ABOUT = {"name": "owners", "version": 1, "changed_at": "2026-11-22T10:00:00.000Z", "length": 2, "columns": _COLUMNS}
_SAMPLE = [{"host": "web-1", "owner": "ann", "most": 80.5}, {"host": "web-2", "owner": "bo", "most": None}]
_SAMPLE_CSV = "host,owner,most\r\nweb-1,ann,80.5\r\nweb-2,bo,\r\n"


@dataclass(frozen=True, slots=True)
class Lookups:
    """The tables, and how many rows each may hold."""

    tables: LookupTables
    most_rows: int


class LookupResource(Resource):
    def __init__(self, lookups: Lookups) -> None:
        self.tables = lookups.tables
        self.most_rows = lookups.most_rows


@namespace.route("/lookup")
class List(LookupResource):
    @namespace.doc("The lookup tables, by name", operation_id="list")
    @namespace.returns(200, list[dict[str, Any]], "Each without its rows", example=[_ABOUT], envelope=True)
    @namespace.allow("read")
    async def get(self, request: Request) -> Any:
        return await self.tables.list()


@namespace.route("/lookup/<lookup>")
@namespace.param("lookup", "A lookup table's name", example="owners")
class Lookup(LookupResource):
    @namespace.doc(
        "Make a lookup table, or replace it as a whole",
        operation_id="put",
        description="Columns are typed by their cells: boolean, int64, float64, timestamp (RFC 3339), else string; an "
        'empty cell of CSV, null and an absent member are missing. Queries name it as `{"source": "mix", "lookup": '
        '"owners"}`. If-Match with an ETag guards against lost updates.',
    )
    @namespace.expect(_ROWS, example=_SAMPLE)
    @namespace.expect(str, content_types=(CSV,), example=_SAMPLE_CSV)
    @namespace.returns(200, dict[str, Any], "Replaced", example=_ABOUT | {"version": 2}, envelope=True)
    @namespace.returns(201, dict[str, Any], "Made", example=_ABOUT, envelope=True)
    @namespace.fails("NAME_INVALID", "VALUE_INVALID", "NAME_CLASH", "TOO_MANY_VALUES", "NUMBER_OUT_OF_RANGE")
    @namespace.fails("PRECONDITION_FAILED", "STORE_FULL")
    @namespace.allow("write")
    async def put(self, request: Request, lookup: str) -> Reply:
        name = _checked(lookup)
        media_type, _ = content_type(request.headers.get("content-type", JSON))
        parse = parse_csv if media_type == CSV else parse_rows
        table = await self.tables.put(name, parse(request.body, self.most_rows), check_write(request))
        return Reply(_about(table), 201 if table.version == 1 else 200, {"etag": quoted(table.tag)})

    @namespace.doc("A lookup table with its rows", operation_id="get")
    @namespace.returns(200, dict[str, Any], "Its rows", example=_ABOUT | {"rows": _SAMPLE}, envelope=True)
    @namespace.returns(304, None, "It is what the client holds (If-None-Match)")
    @namespace.fails("NAME_INVALID", "LOOKUP_UNKNOWN")
    @namespace.allow("read")
    async def get(self, request: Request, lookup: str) -> HTTPResponse | Reply:
        table = await self.tables.get(_checked(lookup))
        headers = {"etag": quoted(table.tag), "cache-control": "no-cache"}
        return not_modified(request, table.tag, headers) or Reply(_about(table) | {"rows": _rows(table)}, 200, headers)

    @namespace.doc("Delete a lookup table", operation_id="delete")
    @namespace.query(DryRunQuery)
    @namespace.returns(
        200, dict[str, Any], "Deleted", examples={"done": {"name": "owners"}, "dry run": DRY_RUN}, envelope=True
    )
    @namespace.fails("NAME_INVALID", "LOOKUP_UNKNOWN", "PRECONDITION_FAILED")
    @namespace.allow("write")
    async def delete(self, request: Request, lookup: str, query: DryRunQuery) -> Any:
        name = _checked(lookup)
        if query.dry_run:
            check_write(request)((await self.tables.get(name)).tag)
            return counted(1)
        await self.tables.delete(name, check_write(request))
        return {"name": name}


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise RequestError(
            f"{name[:60]!r} cannot be the name of a lookup table.",
            code="NAME_INVALID",
            pointer="path/lookup",
            hint="a to z, 0 to 9, '_' and '-', the first a letter or digit, 64 at the most",
        )
    return name


def _about(table: LookupTable) -> dict[str, Any]:
    columns = [{"name": column.name, "type": column.type.name.value} for column in table.batch.schema]
    about = {"name": table.name, "version": table.version, "changed_at": table.changed_at}
    return about | {"length": table.batch.length, "columns": columns}


def _rows(table: LookupTable) -> list[dict[str, Any]]:
    batch = table.batch
    columns: list[Any] = [
        [None if cell is None else format_instant(int(cell)) for cell in cells]  # type: ignore[arg-type]
        if column.type.name is TypeName.TIMESTAMP
        else cells
        for column, cells in zip(batch.schema, batch.columns, strict=True)
    ]
    names = [column.name for column in batch.schema]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
