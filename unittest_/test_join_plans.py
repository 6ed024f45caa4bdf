"""What joins look like as plans: pruned columns, filters on the side they choose among, inherited bounds, and explain."""

from __future__ import annotations

import json
from typing import Any

from libs.context import Limits
from parser.canonical import canonical
from parser.json_body import parse_body
from query.backend import Capabilities, Part, Pushdown, Verdict
from query.bind import bind
from query.explain import check_cost
from query.expr import Compare, Predicate
from query.optimizer import optimize
from query.plan import Filter, Plan, Scan, inputs, scans
from query.plan_joins import Join, Union
from query.rules.rewrite import output_names
from query.schema import schema_of
from unittest_.conformance.data import NOW
from unittest_.conformance.errors_joins import CPU, DOCS, asof, join, left
from unittest_.conformance.test_refused_joins import CATALOG

_RANGE = {"from": "2026-11-22T08:00:00Z", "to": "2026-11-22T09:00:00Z"}
_HOUR = 3_600_000_000_000


class Filters(Capabilities):
    """Takes every filter exactly, and nothing else."""

    def pushdown(self, part: Part, scan: Scan) -> Verdict:
        return Verdict(Pushdown.EXACT if isinstance(part, Compare) else Pushdown.UNSUPPORTED)

    def composed(self, conjunct: Predicate, scan: Scan) -> Verdict:
        return Verdict(Pushdown.EXACT)


def planned(body: Any) -> Plan:
    plan = bind(parse_body(json.dumps(body).encode()), CATALOG, NOW, Limits()).plan
    check_cost(plan, Limits())
    return optimize(plan, {name: Filters() for name in ("es", "influx")})


def found(plan: Plan, kind: type) -> list[Any]:
    own = [plan] if isinstance(plan, kind) else []
    return own + [node for child in inputs(plan) for node in found(child, kind)]


def scan_of(plan: Plan, instance: str) -> Scan:
    (scan,) = [one for one in scans(plan) if one.source.instance == instance]
    return scan


def test_each_side_fetches_what_is_needed_of_it() -> None:
    right = {"from": CPU, "select": ["host", "usage", "status", "time"]}
    plan = planned(left(join("host", right=right, many=True), then={"select": ["status", "m.usage"]}))
    assert set(scan_of(plan, "es").columns) == {"@timestamp", "host", "status"}  # rows come by time
    assert set(scan_of(plan, "influx").columns) == {"host", "usage"}
    assert output_names(plan) == ("status", "m.usage")


def test_a_semi_join_fetches_the_keys_alone() -> None:
    plan = planned(left(join("host", how="semi")))
    assert scan_of(plan, "influx").columns == ("host",)


def test_filters_of_then_go_to_the_left_side() -> None:
    where = {"and": [
        {"field": "status", "op": "gte", "value": 500},
        {"field": "m.usage", "op": "gt", "value": 1},
    ]}  # fmt: skip
    plan = planned(left(join("host"), then={"where": where}))
    assert scan_of(plan, "es").where is not None
    assert scan_of(plan, "influx").where is None
    (filter_,) = found(plan, Filter)
    assert isinstance(filter_.input, Join)


def test_a_right_side_inherits_bounds_and_an_as_of_join_widens_them() -> None:
    plain = scan_of(planned(left(join("host", many=True), time_range=_RANGE)), "influx").bounds
    assert plain is not None
    assert plain.start is not None
    assert plain.end is not None
    assert (plain.field, plain.end - plain.start) == ("time", _HOUR)
    for direction, before, after in (("backward", 30, 0), ("forward", 0, 30), ("nearest", 30, 30)):
        wide = scan_of(planned(left(asof(direction=direction), time_range=_RANGE)), "influx").bounds
        assert wide is not None
        assert wide.start is not None
        assert wide.end is not None
        assert (plain.start - wide.start, wide.end - plain.end) == (before * 10**9, after * 10**9)


def test_a_right_side_grouped_by_its_keys_needs_no_check() -> None:
    groups = {"from": CPU, "group_by": ["host"], "select": [{"agg": "max", "field": "usage", "as": "most"}]}
    (known,) = found(planned(left(join("host", right=groups))), Join)
    (unknown,) = found(planned(left(join("host", right=groups, normalize=["lower"]))), Join)
    assert known.unique
    assert not unknown.unique


def test_a_union_widens_and_labels() -> None:
    parts = [
        {"from": DOCS, "select": ["status"]},
        {"from": CPU, "group_by": ["host"], "select": [{"agg": "avg", "field": "usage", "as": "status"}]},
    ]
    plan = planned({"union": parts})
    assert [(column.name, str(column.type.name)) for column in schema_of(plan)] == [
        ("status", "float64"), ("host", "string"), ("source", "string"),
    ]  # fmt: skip
    (union,) = found(plan, Union)
    assert union.labels == ("es/docs", "influx/telegraf/cpu")


def test_the_canonical_form_asks_the_same() -> None:
    groups = {"from": CPU, "group_by": ["host", {"time_bucket": "5m", "field": "time", "as": "t"}], "select": [
        {"agg": "max", "field": "usage", "as": "most"}, {"over": "moving_avg", "of": "most", "window": 3, "as": "smooth"},
    ], "top": {"by": "most", "n": 2, "per": ["host"]}}  # fmt: skip
    for body in (
        left(
            join("host", right=groups, normalize=["lower"]), then={"where": {"field": "m.most", "op": "gt", "value": 1}}
        ),
        left({**asof(), "many": True}, order_by=["m.usage"]),
        {"union": [groups, left(join("host", how="semi"))], "limit": 5},
        {"from": {"source": "mix", "lookup": "owners"}, "select": ["host"]},
    ):
        question = parse_body(json.dumps({"limit": 100, **body}).encode())
        assert parse_body(json.dumps(canonical(question)).encode()) == question
