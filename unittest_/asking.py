"""A table of logs, and questions about it: what the tests of binding share."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from libs.context import Limits
from libs.errors import RequestError
from libs.result import BOOLEAN, FLOAT64, INT64, JSON, STRING, TIMESTAMP, TIMESTAMP_MS, Type, TypeName
from libs.times import parse_instant
from parser.json_body import parse_body
from query.bind import bind
from query.catalog import Field, SourceRef, Table
from query.plan import (
    Aggregate,
    Ask,
    Fill,
    Filter,
    Limit,
    Plan,
    Project,
    Scan,
    Sort,
)

SOURCE = SourceRef("es", ("logs",))
NOW = parse_instant("2026-11-22T10:00:00Z")
FEW = frozenset({"eq", "ne", "in", "nin", "exists"})


def fields(*members: Field) -> dict[str, Field]:
    return {member.name: member for member in members}


LOGS = Table(
    SOURCE,
    "documents",
    fields(
        Field("@timestamp", TIMESTAMP_MS, "time"),
        Field("host", STRING),
        Field("status", INT64),
        Field("ms", FLOAT64),
        Field("cached", BOOLEAN),
        Field("tags", Type(TypeName.STRING, multi=True)),
        Field("sizes", Type(TypeName.INT64, multi=True)),
        Field("seen", TIMESTAMP),
        Field("labels", JSON),
        Field("body", STRING, exact=False, analysed=True),
        Field("body.keyword", STRING, hidden=True),
        Field("_id", STRING, "id", ops=FEW),
    ),
    "@timestamp",
)
EVERY = LOGS.visible()


def asked(body: Mapping[str, Any], table: Table = LOGS, limits: Limits | None = None) -> Ask:
    question = parse_body(json.dumps(body).encode(), table.source.instance, table.source.target)
    return bind(question, {table.source: table}, NOW, limits or Limits())


def faults(body: Mapping[str, Any], table: Table = LOGS) -> list[tuple[str, str]]:
    with pytest.raises(RequestError) as caught:
        asked(body, table)
    assert all(issue.message for issue in caught.value.issues)
    return [(issue.code, issue.pointer) for issue in caught.value.issues]


def chain(plan: Plan) -> list[Plan]:
    """The nodes of a plan without branches, the innermost first."""
    nodes = [plan]
    while isinstance(plan, Filter | Aggregate | Fill | Project | Sort | Limit):
        plan = plan.input
        nodes.insert(0, plan)
    return nodes


def kinds(plan: Plan) -> list[str]:
    return [type(node).__name__ for node in chain(plan)]


def scan(plan: Plan) -> Scan:
    (first, *_) = chain(plan)
    assert isinstance(first, Scan)
    return first


def leaf(field: str, op: str, value: Any) -> dict[str, Any]:
    return {"field": field, "op": op, "value": value}
