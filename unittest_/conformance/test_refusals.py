"""Every bad body is refused with exactly its codes and pointers, without any store: a parser's and a binder's own work."""

from __future__ import annotations

import json
from types import MappingProxyType

import pytest

from libs.context import Limits
from libs.errors import RequestError
from libs.result import BOOLEAN, FLOAT64, INT64, STRING, TIMESTAMP, TIMESTAMP_MS, Type
from parser.json_body import parse_body
from query.bind import bind
from query.catalog import Field, Kind, SourceRef, Table
from unittest_.conformance.case import TIME
from unittest_.conformance.data import NOW, data_sets
from unittest_.conformance.errors import DATA, BadBody, bad_bodies

TYPES: dict[str, Type] = {"boolean": BOOLEAN, "int64": INT64, "float64": FLOAT64, "string": STRING}
KINDS: tuple[Kind, ...] = ("documents", "series")


def _table(kind: Kind, source: SourceRef) -> Table:
    data = data_sets()[DATA]
    fields = {
        name: Field(
            name, (TIMESTAMP_MS if spec.unit == "ms" else TIMESTAMP) if spec.type == "timestamp" else TYPES[spec.type]
        )
        for name, spec in data.tables[kind].fields.items()
    }
    return Table(source, kind, MappingProxyType(fields), data.time_field(kind))


def sent(body: object, time_field: str) -> bytes:
    """The bytes of a body, `$time` named."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return raw.replace(TIME.encode(), time_field.encode())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bad", bad_bodies(), ids=lambda bad: bad.name[:80])
def test_refusal(bad: BadBody, kind: Kind) -> None:
    source = SourceRef("any", ("access",) if kind == "documents" else ("db", "access"))
    table = _table(kind, source)
    with pytest.raises(RequestError) as refused:
        _bound(sent(bad.body, table.time_field or ""), table)
    found = [(str(issue.code), issue.pointer) for issue in refused.value.issues]
    assert sorted(found) == sorted(bad.issues)
    assert refused.value.code.status == bad.status


def _bound(body: bytes, table: Table) -> None:
    question = parse_body(body, table.source.instance, table.source.target)
    bind(question, {table.source: table}, NOW, Limits())
