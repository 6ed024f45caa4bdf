"""Answers of InfluxDB's v1 protocol that are made here: JSON, whole or an object a statement, and CSV. Pure."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from query.influxql import BUILD, VERSION, MadeAnswer, NativeQuery

Json = Any
HEADERS: Mapping[str, str] = {"x-influxdb-version": VERSION, "x-influxdb-build": BUILD}
_CSV = ("application/csv", "text/csv")


def answer(results: Sequence[Mapping[str, Json]], query: NativeQuery) -> MadeAnswer:
    """The results of a query's statements, in the form that the client asks for; what is not known is JSON, as in InfluxDB."""
    if query.accept is not None and query.accept.split(",")[0].split(";")[0].strip() in _CSV:
        return MadeAnswer(200, {**HEADERS, "content-type": "text/csv"}, _csv(results))
    pretty = query.options.get("pretty") == "true"
    if query.options.get("chunked") == "true":
        body = b"".join(_json({"results": [result]}, pretty) for result in results)
    else:
        body = _json({"results": list(results)}, pretty)
    return MadeAnswer(200, {**HEADERS, "content-type": "application/json"}, body)


def _json(value: Json, pretty: bool) -> bytes:
    if pretty:
        return json.dumps(value, indent=4, ensure_ascii=False).encode() + b"\n"
    return orjson.dumps(value) + b"\n"


def _csv(results: Sequence[Mapping[str, Json]]) -> bytes:
    """A header for each statement, a blank line between them; every row begins with its series' name and tags."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for result in results:
        series = result.get("series", ())
        if "error" in result:
            writer.writerows([["error"], [result["error"]]])
        if series and text.tell():
            text.write("\n")
        for number, one in enumerate(series):
            if not number:
                writer.writerow(["name", "tags", *one["columns"]])
            writer.writerows([one.get("name", ""), "", *map(_cell, row)] for row in one.get("values", ()))
    return text.getvalue().encode()


def _cell(value: Json) -> Json:
    return ("true" if value else "false") if isinstance(value, bool) else value
