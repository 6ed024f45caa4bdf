"""Every bad body of several sources is refused with exactly its codes and pointers, each with a hint, without any store."""

from __future__ import annotations

import json
from types import MappingProxyType

import pytest

from libs.context import Limits
from libs.errors import RequestError
from libs.result import FLOAT64, INT64, STRING, TIMESTAMP, TIMESTAMP_MS, Type, TypeName
from parser.json_body import parse_body
from query.bind import bind
from query.catalog import Field, SourceRef, Table
from unittest_.conformance.data import NOW
from unittest_.conformance.errors import BadBody
from unittest_.conformance.errors_joins import bad_joins

DOCS, CPU = SourceRef("es", ("docs",)), SourceRef("influx", ("telegraf", "cpu"))


def _fields(*fields: Field) -> MappingProxyType[str, Field]:
    return MappingProxyType({field.name: field for field in fields})


CATALOG = {
    DOCS: Table(
        DOCS,
        "documents",
        _fields(
            Field("@timestamp", TIMESTAMP_MS),
            Field("host", STRING),
            Field("status", INT64),
            Field("tags", Type(TypeName.STRING, multi=True)),
            Field("body", STRING, exact=False, analysed=True),
        ),
        "@timestamp",
    ),
    CPU: Table(
        CPU,
        "series",
        _fields(Field("time", TIMESTAMP), Field("host", STRING), Field("usage", FLOAT64), Field("status", STRING)),
        "time",
    ),
}


@pytest.mark.parametrize("bad", bad_joins(), ids=lambda bad: bad.name)
def test_refusal(bad: BadBody) -> None:
    with pytest.raises(RequestError) as refused:
        bind(parse_body(json.dumps(bad.body).encode()), CATALOG, NOW, Limits())
    found = [(str(issue.code), issue.pointer) for issue in refused.value.issues]
    assert sorted(found) == sorted(bad.issues)
    assert refused.value.code.status == bad.status
    assert all(issue.hint and issue.message for issue in refused.value.issues)


def test_the_path_names_no_union() -> None:
    body = json.dumps({"union": [{"from": {"source": "es", "index": "docs"}}] * 2}).encode()
    with pytest.raises(RequestError) as refused:
        parse_body(body, "es", ("docs",))
    assert [(issue.code, issue.pointer) for issue in refused.value.issues] == [("BODY_INVALID", "/union")]
