"""The conformance suite's bodies, good and bad, bound over its tables: no store is asked."""

from __future__ import annotations

import json

import pytest

from libs.context import Limits
from libs.errors import RequestError
from libs.result import Type, TypeName
from parser.json_body import parse_body
from query.bind import bind
from query.catalog import Field, SourceRef, Table
from query.schema import schema_of
from unittest_.asking import FEW, fields
from unittest_.conformance.case import bound
from unittest_.conformance.cases import cases
from unittest_.conformance.data import NOW as DATA_NOW
from unittest_.conformance.data import DataSet, data_sets
from unittest_.conformance.errors import DATA, BadBody, bad_bodies


def table_of(data: DataSet, kind: str) -> Table:
    """A set of the conformance suite as the catalogue would know it."""
    known = data.tables[kind]
    source = SourceRef("x", ("a",) if kind == "documents" else ("a", "b"))
    members = [
        Field(
            name,
            Type(TypeName(spec.type), spec.multi, "ms" if spec.unit == "ms" else "ns"),
            exact=spec.role != "text",
            ops=FEW if spec.role in ("ip", "id") else None,
            address=spec.role == "ip",
        )
        for name, spec in sorted(known.fields.items())
    ]
    time = data.time_field(kind)
    return Table(
        source,
        "documents" if kind == "documents" else "series",
        fields(*members),
        time if time in known.fields else None,
    )


SETS = data_sets()


def refused(body: bytes, table: Table) -> list[tuple[str, str]]:
    try:
        question = parse_body(body, "x", table.source.target)
        schema_of(bind(question, {table.source: table}, DATA_NOW, Limits()).plan)
    except RequestError as error:
        return [(issue.code if issue.hint else "no hint", issue.pointer) for issue in error.issues]
    return []


@pytest.mark.parametrize("kind", ["documents", "series"])
@pytest.mark.parametrize("bad", bad_bodies(), ids=lambda bad: bad.name)
def test_bad_bodies_are_refused_with_every_fault(bad: BadBody, kind: str) -> None:
    data = SETS[DATA]
    body = bad.body if isinstance(bad.body, bytes) else json.dumps(bound(bad.body, data.time_field(kind))).encode()
    assert sorted(refused(body, table_of(data, kind))) == sorted(bad.issues)


def test_every_case_of_the_suite_is_bound_or_refused_as_it_says() -> None:
    for case in cases():
        for kind in case.kinds:
            data = SETS[case.data]
            body = json.dumps(bound(case.body, data.time_field(kind))).encode()
            codes = {code for code, _ in refused(body, table_of(data, kind))}
            # A sum past int64 shows only when it runs.
            wanted = {case.error} - {None, "NUMBER_OUT_OF_RANGE"}
            assert codes == wanted, case.name
