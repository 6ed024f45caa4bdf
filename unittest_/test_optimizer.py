"""The optimizer: each rule as before and after, and its two laws on random bodies over stores of every ability."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.pipeline import Services, run
from libs.context import Limits, RequestContext
from libs.errors import CostError
from libs.result import FLOAT64, INT64, STRING, TIMESTAMP
from middlewares.format import page_response
from operator_.engine import Engine
from parser.json_body import parse_body
from query.backend import EXACT, Capabilities, Part, Pushdown, Verdict
from query.bind import bind
from query.catalog import Field, Kind, SourceRef, Table
from query.explain import check_cost, explain
from query.expr import FALSE, TRUE, And, Binary, Compare, Name, Not, Number, Or, Predicate
from query.factory import QueryFactory
from query.optimizer import optimize
from query.plan import (
    Aggregate,
    Aggregation,
    Attempt,
    Bounds,
    BucketKey,
    FieldKey,
    Fill,
    Filter,
    Grouping,
    Limit,
    Merge,
    Order,
    Output,
    Plan,
    Project,
    Scan,
    Sort,
    inputs,
    scans,
)
from query.rules.filters import simple
from unittest_.conformance.bodies import bodies
from unittest_.conformance.case import bound
from unittest_.conformance.data import NOW, data_sets
from unittest_.pushing_store import PushingBackend, SeededCapabilities, rows_of, table_of
from unittest_.reference import answer, differences

ASKED = os.environ.get("HOSTMONITOR_TEST_BODIES", "")
SOURCE = SourceRef("s", ("t",))
FIELDS = {"a": INT64, "b": FLOAT64, "h": STRING, "time": TIMESTAMP}
TABLE = Table(SOURCE, "series", {name: Field(name, kind) for name, kind in FIELDS.items()}, "time", rows=5000)
SCAN = Scan(SOURCE, tuple(FIELDS), table=TABLE)


def leaf(field: str, op: Any = "eq", value: Any = 1) -> Compare:
    return Compare(field, op, value, FIELDS[field])


NO_GROUPS = Verdict(Pushdown.UNSUPPORTED, "no groups")


@dataclass(frozen=True)
class Able(Capabilities):
    """Exact on field a, inexact on b, unable on h; groups and orders as told."""

    groups: Verdict = NO_GROUPS
    orders: Verdict = EXACT
    together: Verdict = EXACT
    checked: tuple[str, ...] = ()

    def pushdown(self, part: Part, scan: Scan) -> Verdict:
        match part:
            case Compare(field):
                levels = {"a": Pushdown.EXACT, "time": Pushdown.EXACT, "b": Pushdown.INEXACT}
                level = levels.get(field, Pushdown.UNSUPPORTED)
                return Verdict(level, f"because of {field}", checked=field in self.checked)
            case Grouping():
                return self.groups
            case _:
                return self.orders

    def composed(self, conjunct: Predicate, scan: Scan) -> Verdict:
        return self.together


def optimized(plan: Plan, able: Capabilities | None = None, exact: bool = False) -> Plan:
    return optimize(plan, {"s": able or Able()}, exact)


A, B, H = leaf("a"), leaf("b", "gt", 1.5), leaf("h", "eq", "x")


@pytest.mark.parametrize(
    ("where", "pushed", "rest"),
    [
        (A, A, None),
        (B, B, B),
        (H, None, H),
        (And((A, H)), A, H),
        (And((A, B)), And((A, B)), B),
        (Or((A, leaf("a", "gt"))), Or((A, leaf("a", "gt"))), None),
        (Or((A, H)), None, Or((A, H))),
        (Or((A, B)), Or((A, B)), Or((A, B))),
        (Or((A, And((leaf("time"), H)))), Or((A, leaf("time"))), Or((A, And((leaf("time"), H))))),
        (Not(A), Not(A), None),
        (Not(B), None, Not(B)),
        (Not(Or((A, H))), None, Not(Or((A, H)))),
        (And((A, TRUE, And((leaf("time"),)))), And((A, leaf("time"))), None),
    ],
)
def test_push_filter(where: Predicate, pushed: Predicate | None, rest: Predicate | None) -> None:
    scan = Scan(SOURCE, SCAN.columns, where=pushed, table=TABLE)
    found = optimized(Filter(SCAN, where))
    assert found == (scan if rest is None else Filter(scan, rest))


def test_what_a_store_cannot_compose_is_not_pushed() -> None:
    refusing = Able(together=Verdict(Pushdown.UNSUPPORTED, "no or"))
    where = Or((A, leaf("a", "gt")))
    assert optimized(Filter(SCAN, where), refusing) == Filter(SCAN, where)
    assert optimized(Filter(SCAN, A), refusing) == Scan(SOURCE, SCAN.columns, where=A, table=TABLE)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (And((A, And((B, TRUE)))), And((A, B))),
        (Or((A, Or((B, FALSE)))), Or((A, B))),
        (And((A, FALSE)), FALSE),
        (Or((A, TRUE)), TRUE),
        (Not(Not(A)), A),
        (Not(TRUE), FALSE),
        (Not(And((A, FALSE))), TRUE),
    ],
)
def test_simple(before: Predicate, after: Predicate) -> None:
    assert simple(before) == after


ORDER = (Order("a", True), Order("time"))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (Limit(SCAN, 5), Scan(SOURCE, SCAN.columns, limit=5, table=TABLE)),
        (Limit(Sort(SCAN, ORDER), 5), Scan(SOURCE, SCAN.columns, order=ORDER, limit=5, table=TABLE)),
        (
            Project(Limit(Sort(Filter(SCAN, A), ORDER), 5), (Output("h"), Output("b"))),
            Scan(SOURCE, ("h", "b"), where=A, order=ORDER, limit=5, table=TABLE),
        ),
        (Limit(Limit(SCAN, 3), 5), Scan(SOURCE, SCAN.columns, limit=3, table=TABLE)),
        (
            Limit(Sort(Project(SCAN, (Output("a"), Output("x", Name("b")))), (Order("a"),)), 5),
            Project(
                Scan(SOURCE, ("a", "b"), order=(Order("a"),), limit=5, table=TABLE),
                (Output("a"), Output("x", Name("b"))),
            ),
        ),
        (
            Limit(Sort(Project(SCAN, (Output("a"), Output("x", Name("b")))), (Order("x"),)), 5),
            Limit(
                Sort(
                    Project(Scan(SOURCE, ("a", "b"), table=TABLE), (Output("a"), Output("x", Name("b")))), (Order("x"),)
                ),
                5,
            ),
        ),
    ],
)
def test_push_order_and_limit(before: Plan, after: Plan) -> None:
    assert optimized(before) == after


@pytest.mark.parametrize("where", [H, B, And((A, H)), Or((A, B))])
@pytest.mark.parametrize("order", [(), ORDER])
def test_a_limit_never_passes_a_residual_or_inexact_filter(where: Predicate, order: tuple[Order, ...]) -> None:
    child: Plan = Filter(SCAN, where)
    found = optimized(Limit(Sort(child, order) if order else child, 5))
    assert all(scan.limit is None for scan in scans(found))
    assert isinstance(found, Limit)
    # The order may: filters keep it.
    assert scans(found)[0].order == order
    assert isinstance(found.input, Filter)


GROUP = Grouping((FieldKey("h"),), (Aggregation("count", None, "n"), Aggregation("sum", "a", "s")))


def test_push_group() -> None:
    exact = Able(groups=Verdict(Pushdown.EXACT))
    pushed = Scan(SOURCE, (), where=A, group=GROUP, table=TABLE)
    assert optimized(Aggregate(Filter(SCAN, A), GROUP), exact) == pushed
    rest = optimized(Aggregate(Filter(SCAN, H), GROUP), exact)
    assert rest == Aggregate(Filter(Scan(SOURCE, ("h", "a"), table=TABLE), H), GROUP)


def test_a_limit_of_groups_is_pushed_where_the_order_is_by_keys() -> None:
    exact = Able(groups=Verdict(Pushdown.EXACT))
    by_key = optimized(Limit(Sort(Aggregate(SCAN, GROUP), (Order("h"),)), 5), exact)
    assert by_key == Scan(SOURCE, (), group=GROUP, order=(Order("h"),), limit=5, table=TABLE)
    by_count = optimized(Limit(Sort(Aggregate(SCAN, GROUP), (Order("n"),)), 5), exact)
    assert by_count == Limit(Sort(Scan(SOURCE, (), group=GROUP, table=TABLE), (Order("n"),)), 5)


def test_what_only_running_proves_becomes_an_attempt_of_whole_ways() -> None:
    able = Able(groups=Verdict(Pushdown.EXACT, "sums are doubles", checked=True))
    having = Compare("n", "gt", 3, INT64)
    found = optimized(Limit(Sort(Filter(Aggregate(SCAN, GROUP), having), (Order("h"),)), 5), able)
    pushed = Scan(SOURCE, (), group=GROUP, order=(Order("h"),), table=TABLE)
    rows = Scan(SOURCE, ("h", "a"), table=TABLE)
    assert found == Attempt(
        Limit(Filter(pushed, having), 5),
        Limit(Sort(Filter(Aggregate(rows, GROUP), having), (Order("h"),)), 5),
        "sums are doubles",
    )


def test_a_checked_filter_is_attempted_beside_the_way_without_it() -> None:
    able, time_ = Able(checked=("a",)), leaf("time", "gt")
    where = And((Or((A, time_)), time_, H))
    assert optimized(Filter(SCAN, where), able) == Attempt(
        Filter(replace(SCAN, where=And((Or((A, time_)), time_))), H),
        Filter(replace(SCAN, where=time_), And((Or((A, time_)), H))),
        "because of a",
    )


def test_approximate_groups_are_left_when_exact_ones_are_asked() -> None:
    able = Able(groups=Verdict(Pushdown.EXACT, "a sketch", approximate=True))
    assert optimized(Aggregate(SCAN, GROUP), able) == Scan(SOURCE, (), group=GROUP, table=TABLE)
    assert isinstance(optimized(Aggregate(SCAN, GROUP), able, exact=True), Aggregate)


def _merge(*kinds: Any) -> Merge:
    parts = tuple(
        Table(SourceRef("s", (f"t{at}",)), "series", {**TABLE.fields, "b": Field("b", kind)}, "time")
        for at, kind in enumerate(kinds)
    )
    return Merge(tuple(Scan(part.source, tuple(FIELDS), table=part) for part in parts), TABLE)


def test_parts_are_filtered_and_limited_apart() -> None:
    merge = _merge(FLOAT64, INT64)
    found = optimized(Limit(Sort(Filter(merge, A), ORDER), 5))
    first, second = scans(found)
    assert (first.where, first.order, first.limit) == (second.where, second.order, second.limit) == (A, ORDER, 5)
    assert isinstance(found, Limit)
    typed = optimized(Filter(merge, B))
    assert [scan.where for scan in scans(typed)] == [B, None]
    assert isinstance(typed, Filter)


def test_columns_are_what_somebody_behind_needs() -> None:
    outputs = (Output("x", Binary("+", Name("b"), Number(1))), Output("y", Name("x")), Output("h"))
    found = optimized(Project(Filter(SCAN, H), outputs))
    assert scans(found)[0].columns == ("b", "h")
    kept = Project(Filter(SCAN, H), (Output("a"),))
    assert optimized(kept) == Project(Filter(Scan(SOURCE, ("a", "h"), table=TABLE), H), (Output("a"),))


def test_rules_are_pure_and_change_nothing_twice() -> None:
    plan = Project(Limit(Sort(Filter(SCAN, And((A, B, H))), ORDER), 5), (Output("h"),))
    able = {"s": Able()}
    once = optimize(plan, able)
    assert optimize(plan, able) == once
    assert optimize(once, able) == once


@cache
def _data(name: str, kind: Kind) -> tuple[Table, Any]:
    source = SourceRef("tested", ("x",) if kind == "documents" else ("x", "y"))
    table = table_of(data_sets()[name], kind, source)
    return table, rows_of(table, data_sets()[name].tables[kind].rows)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    made = Engine(Path(tmp_path_factory.mktemp("spill")))
    yield made
    made.close()


@given(drawn=st.data(), seed=st.integers(-1, 10**6))
@settings(
    max_examples=int(ASKED or 400),
    deadline=None,
    database=None,
    derandomize=not ASKED,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
async def test_optimizing_never_changes_the_answer(drawn: st.DataObject, seed: int, engine: Engine) -> None:
    name = drawn.draw(st.sampled_from(["access", "odd", "nanos", "days", "lists", "empty"]))
    data = data_sets()[name]
    kind: Kind = drawn.draw(st.sampled_from(sorted(data.tables)))
    body = bound(drawn.draw(bodies(data, approximate=True)), data.time_field(kind))
    table, rows = _data(name, kind)
    store = PushingBackend(table, rows, engine, seed)
    services = Services(QueryFactory([store]), engine, Limits())
    context = RequestContext(now_ns=NOW, deadline=time.monotonic() + 60)
    question = parse_body(json.dumps(body).encode(), "tested", table.source.target)
    ask = bind(question, {table.source: table}, NOW, Limits())
    _check_law(optimize(ask.plan, {"tested": SeededCapabilities(seed=seed)}), seed)
    expected = answer(body, {"": data.tables[kind]}, NOW)
    page, _ = await run(question, services, context)
    payload = json.loads(page_response(page, context, 0.0, "objects").body or b"")
    wrong = differences(expected, payload)
    assert not wrong, (wrong, body, seed)


def _check_law(plan: Plan, seed: int) -> None:
    """No scan with a limit stands behind a filter here, or holds an inexact one."""
    if isinstance(plan, Filter) and isinstance(plan.input, Scan):
        assert plan.input.limit is None
    if isinstance(plan, Scan) and plan.limit is not None and plan.where is not None:
        able = SeededCapabilities(seed=seed)
        for part in [plan.where] if isinstance(plan.where, Compare) else []:
            assert able.pushdown(part, plan).level is Pushdown.EXACT
    for child in inputs(plan):
        _check_law(child, seed)


def test_explain_says_what_is_left_and_why() -> None:
    bucket = BucketKey("time", 60 * 10**9, "t")
    bounds = Bounds("time", 0, 3600 * 10**9)
    scan = Scan(SOURCE, SCAN.columns, bounds=bounds, table=TABLE)
    plan = Limit(Sort(Aggregate(Filter(scan, And((A, H))), Grouping((bucket,), GROUP.aggregates)), (Order("t"),)), 5)
    able = {"s": Able()}
    found = optimize(plan, able)
    queries = {one: _Told() for one in scans(found)}
    told = explain(found, queries, able, Limits())
    assert json.loads(json.dumps(told)) == told
    assert [part["part"] for part in told["here"]] == ['h eq "x"', "groups", "order"]
    assert told["here"][0]["reason"] == "because of h"
    assert told["sources"][0]["pushed"] == {"where": ["a eq 1"]}
    assert told["sources"][0]["request"] == "native"
    assert told["estimate"] == {"rows_fetched_at_most": 5000, "buckets": {"t": 60}}
    assert told["plan"]["step"] == "limit"


class _Told:
    schema = ()

    def explain(self) -> object:
        return "native"

    def stream(self, context: RequestContext) -> Any:
        raise NotImplementedError


def test_what_is_sure_to_cost_too_much_is_refused() -> None:
    with pytest.raises(CostError, match="5000 rows"):
        check_cost(Sort(SCAN, ORDER), Limits(rows_fetched=4999))
    check_cost(Sort(SCAN, ORDER), Limits(rows_fetched=5000))
    check_cost(Scan(SOURCE, ("a",), limit=5, table=TABLE), Limits(rows_fetched=5))
    bucket = BucketKey("time", 10**9, "t")
    fill = Fill(Aggregate(SCAN, Grouping((bucket,), ())), "null", bucket, (), (), (), 0, 1001 * 10**9)
    with pytest.raises(CostError, match="1001 buckets"):
        check_cost(fill, Limits(groups=1000))
