"""Scans as InfluxQL: the golden cases of query/influx/testdata/compile.json, and what is refused.

`python -m unittest_.test_influx_compile` writes the statements anew; the difference is then read before it is kept.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from libs.context import Limits
from parser.json_body import parse_body
from query.backend import InstanceConfig, Pushdown, UnsupportedPart
from query.bind import bind
from query.catalog import SourceRef, Table
from query.expr import And, Compare, Not, Or, Predicate
from query.factory import QueryFactory
from query.influx import open_backend
from query.influx.capabilities import InfluxCapabilities
from query.influx.table import MAX_TIME, MIN_TIME, table_of
from query.optimizer import optimize
from query.plan import Aggregation, Attempt, BucketKey, FieldKey, Grouping, Order, Plan, Scan, inputs

GOLDEN = Path(__file__).parent.parent / "query" / "influx" / "testdata" / "compile.json"
SOURCE = SourceRef("influx", ("telegraf", 'c"pu'))
FIELDS = [("f", "float"), ("i", "integer"), ("s", "string"), ("b", "boolean"), ("m", "float"), ("m", "integer")]
NOW = 1_795_687_200_000_000_000
CASES: list[dict[str, Any]] = json.loads(GOLDEN.read_text())


def table(*more: tuple[str, str]) -> Table:
    return table_of(SOURCE, ["host", "dc", "_name"], [*FIELDS, *more])


def planned(body: dict[str, Any], source: Table) -> Plan:
    question = parse_body(json.dumps(body).encode(), SOURCE.instance, SOURCE.target)
    ask = bind(question, {SOURCE: source}, NOW, Limits())
    return optimize(ask.plan, {SOURCE.instance: InfluxCapabilities()})


def first_scan(plan: Plan) -> Scan:
    if isinstance(plan, Attempt):
        return first_scan(plan.pushed)
    return plan if isinstance(plan, Scan) else first_scan(inputs(plan)[0])


def steps(plan: Plan) -> list[str]:
    """What is left to be done here."""
    if isinstance(plan, Attempt):
        return steps(plan.pushed)
    return [] if isinstance(plan, Scan) else [type(plan).__name__, *steps(inputs(plan)[0])]


def told(body: dict[str, Any]) -> dict[str, Any]:
    source = table_of(SOURCE, ["host", "dc", "_name"], [one for one in FIELDS if one[0] != "m"])
    plan = planned(body, source)
    backend = open_backend(InstanceConfig("influx", "series", "http://127.0.0.1:1", ""))
    query = QueryFactory([backend]).compile(plan)[first_scan(plan)].explain()
    params = query.get("params", {})
    found = {"statement": params.get("q"), "left": steps(plan)}
    return found | ({"proof": query["proof"]} if "proof" in query else {})


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["name"]))
def test_golden(case: dict[str, Any]) -> None:
    assert told(case["body"]) == {name: case[name] for name in ("statement", "left", "proof") if name in case}


def able(part: Any, scan: Scan | None = None) -> Pushdown:
    return InfluxCapabilities().pushdown(part, scan or Scan(SOURCE, table=table())).level


def leaf(field: str, op: Any, value: Any) -> Compare:
    return Compare(field, op, value, table().fields[field].type)


@pytest.mark.parametrize(
    "part",
    [
        leaf("host", "lt", "a"),
        leaf("host", "between", ("a", "b")),
        leaf("s", "gte", "a"),
        leaf("f", "exists", False),
        leaf("i", "in", tuple(range(101))),
        leaf("m", "gt", 1.0),
        leaf("time", "in", (1, 2)),
        leaf("time", "ne", 1),
        leaf("_name", "eq", "x"),
        leaf("host", "in", tuple("x" * 1000 + str(number) for number in range(200))),
    ],
)
def test_unsupported_leaves(part: Compare) -> None:
    assert able(part) is Pushdown.UNSUPPORTED


@pytest.mark.parametrize(
    "conjunct",
    [
        Not(leaf("f", "gt", 1.0)),
        Or((leaf("host", "eq", "a"), Not(leaf("s", "eq", "x")))),
        Or((leaf("time", "gt", 1), leaf("f", "gt", 1.0))),
        Not(And((leaf("host", "eq", "a"), leaf("b", "eq", True)))),
        Not(leaf("time", "gt", 1)),
    ],
)
def test_unsupported_compositions(conjunct: Predicate) -> None:
    """Not of a field would lose the points without it; times never stand in an OR."""
    scan = Scan(SOURCE, ("f",), where=conjunct, table=table())
    assert InfluxCapabilities().composed(conjunct, scan).level is Pushdown.UNSUPPORTED
    backend = open_backend(InstanceConfig("influx", "series", "http://127.0.0.1:1", ""))
    with pytest.raises(UnsupportedPart):
        backend.compile(scan)


def counted(function: Any = "count", field: str | None = None, **more: Any) -> Aggregation:
    kind = table().fields[field].type if field else None
    return Aggregation(function, field, "n", type=kind, **more)


HOUR = BucketKey("time", 3600 * 10**9, "t")
BOUNDED = And((leaf("time", "gte", 0), leaf("time", "lt", 10**18), leaf("f", "exists", True)))


@pytest.mark.parametrize(
    ("group", "where"),
    [
        (Grouping((HOUR,), (counted(),)), None),
        (Grouping((BucketKey("time", "1M", "t"),), (counted(),)), BOUNDED),
        (Grouping((BucketKey("time", "1d", "t", "Europe/Berlin"),), (counted(),)), BOUNDED),
        (Grouping((FieldKey("s"),), (counted(),)), BOUNDED),
        (Grouping((FieldKey("time"),), (counted(),)), BOUNDED),
        (Grouping((HOUR, BucketKey("time", 10**9, "u")), (counted(),)), BOUNDED),
        (Grouping((), (counted("count", "host"),)), BOUNDED),
        (Grouping((), (counted("min", "time"),)), BOUNDED),
        (Grouping((), (counted("sum", "m"),)), BOUNDED),
        (Grouping((), (counted("stddev", "f"),)), BOUNDED),
        (Grouping((), (counted("first", "f", time="time"),)), BOUNDED),
        (Grouping((), (counted("sum", "f", where=leaf("host", "eq", "a")),)), BOUNDED),
        (Grouping((), (counted(),)), None),
    ],
)
def test_unsupported_groups(group: Grouping, where: Predicate | None) -> None:
    scan = Scan(SOURCE, where=where, table=table())
    assert able(group, scan) is Pushdown.UNSUPPORTED
    backend = open_backend(InstanceConfig("influx", "series", "http://127.0.0.1:1", ""))
    with pytest.raises(UnsupportedPart):
        backend.compile(Scan(SOURCE, where=where, group=group, table=table()))


def test_orders() -> None:
    backend = open_backend(InstanceConfig("influx", "series", "http://127.0.0.1:1", ""))
    with pytest.raises(UnsupportedPart):
        backend.compile(Scan(SOURCE, ("f",), order=(Order("f"),), table=table()))


def test_bounds_are_always_sent() -> None:
    backend = open_backend(InstanceConfig("influx", "series", "http://127.0.0.1:1", ""))
    scan = Scan(SOURCE, ("f",), table=table())
    assert f"time >= {MIN_TIME} AND time <= {MAX_TIME}" in backend.compile(scan).explain()["params"]["q"]
    nothing: list[Predicate] = [
        And((leaf("time", "gte", 5), leaf("time", "lt", 5))),
        leaf("time", "lt", MIN_TIME),
        leaf("time", "gt", MAX_TIME),
        Or(()),
        leaf("time", "exists", False),
    ]
    for where in nothing:
        assert "nothing" in backend.compile(Scan(SOURCE, ("f",), where=where, table=table())).explain()


def test_long_statements_are_posted() -> None:
    backend = open_backend(InstanceConfig("influx", "series", "http://127.0.0.1:1", ""))
    for count, method in ((3, "GET"), (900, "POST")):
        where = leaf("host", "in", tuple(f"host-{number:06}" for number in range(count)))
        assert backend.compile(Scan(SOURCE, ("f",), where=where, table=table())).explain()["method"] == method


if __name__ == "__main__":
    written = [{"name": case["name"], "body": case["body"], **told(case["body"])} for case in CASES]
    GOLDEN.write_text(json.dumps(written, indent=1, ensure_ascii=False) + "\n")
