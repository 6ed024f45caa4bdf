"""What is left of a plan could run elsewhere: residuals and scans are plain data, and no credentials (docs/decisions/0005)."""

from __future__ import annotations

import json
import pickle

import pytest

from libs.context import Limits, RequestContext
from operator_.residual import Residual
from parser.json_body import parse_body
from query.backend import InstanceConfig
from query.bind import bind
from query.es.backend import EsBackend
from query.optimizer import optimize
from query.plan import scans
from query.schema import schema_of
from unittest_.conformance.case import Case, bound
from unittest_.conformance.cases import cases
from unittest_.conformance.data import NOW, data_sets
from unittest_.test_bind_suite import table_of

CASES = [case for case in cases() if case.error is None][::12]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_residual_is_the_same_once_it_was_sent(case: Case) -> None:
    for kind in case.kinds:
        data = data_sets()[case.data]
        table = table_of(data, kind)
        body = json.dumps(bound(case.body, data.time_field(kind))).encode()
        plan = bind(parse_body(body, "x", table.source.target), {table.source: table}, NOW, Limits()).plan
        residual = Residual(plan, {scan: f"input{at}" for at, scan in enumerate(scans(plan))})
        schemas = {name: schema_of(scan) for scan, name in residual.names.items()}
        there = pickle.loads(pickle.dumps(residual))
        assert there == residual
        assert there.lower(schemas) == residual.lower(schemas)


async def test_a_scan_is_compiled_where_it_is_pulled(es_url: str) -> None:
    """By whoever has opened the instance of its name; what it was opened with is not in it."""
    index, context = "test-residual-scan", RequestContext()
    here = EsBackend(InstanceConfig("es", "documents", es_url, "", username="reader", password="kept-secret"))
    there = EsBackend(InstanceConfig("es", "documents", es_url, ""))
    try:
        await here.create_index(index, {}, {"properties": {"n": {"type": "long"}, "k": {"type": "keyword"}}}, context)
        question = parse_body(
            b'{"group_by": ["k"], "select": [{"agg": "max", "field": "n", "as": "m"}]}', "es", (index,)
        )
        table = await here.table(question.source, context)
        plan = optimize(bind(question, {table.source: table}, NOW, Limits()).plan, {"es": here.capabilities})
        scan = scans(plan)[0]
        sent = pickle.dumps(scan)
        assert b"kept-secret" not in sent
        assert b"reader" not in sent
        assert there.compile(pickle.loads(sent)).explain() == here.compile(scan).explain()
    finally:
        await there.delete_index(index, context)
        await here.close()
        await there.close()
