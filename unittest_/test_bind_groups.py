"""Questions of groups into typed plans: keys, aggregates, fill, expressions, having, order."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from libs.context import Limits
from libs.errors import CostError
from libs.result import BOOLEAN, FLOAT64, INT64, STRING, TIMESTAMP, TIMESTAMP_MS, Type
from libs.times import parse_instant
from query.expr import And, Binary, Compare, Name, Number
from query.plan import (
    Aggregate,
    Aggregation,
    Bounds,
    BucketKey,
    FieldKey,
    Fill,
    Filter,
    Grouping,
    Limit,
    Order,
    Output,
    Project,
    Scan,
    Sort,
)
from query.schema import schema_of
from unittest_.asking import LOGS, SOURCE, asked, chain, faults, kinds, leaf


def test_groups() -> None:
    ask = asked(
        {
            "where": leaf("cached", "eq", True),
            "time_range": {"from": "2026-11-22T09:00:00Z", "to": "2026-11-22T10:00:00Z"},
            "group_by": ["host", {"time_bucket": "1m", "field": "@timestamp", "as": "t"}],
            "select": [
                {"agg": "count", "as": "n", "where": leaf("status", "gt", 499.5)},
                {"expr": "n / 2", "as": "half"},
                "host",
                {"agg": "last", "field": "tags", "as": "tag"},
                {"agg": "sum", "field": "status", "as": "s"},
            ],
            "fill": {"mode": "null"},
            "having": leaf("half", "gt", 1),
            "order_by": [{"field": "n", "dir": "desc"}, "t"],
        }
    )
    low, high = parse_instant("2026-11-22T09:00:00Z"), parse_instant("2026-11-22T10:00:00Z")
    bucket = BucketKey("@timestamp", 60 * 10**9, "t", unit="ms")
    where = And(
        (
            Compare("@timestamp", "between", (low // 10**6, high // 10**6 - 1), TIMESTAMP_MS),
            Compare("cached", "eq", True, BOOLEAN),
        )
    )
    aggregates = (
        Aggregation("count", None, "n", where=Compare("status", "gte", 500, INT64), type=INT64),
        Aggregation("last", "tags", "tag", type=STRING, time="@timestamp"),
        Aggregation("sum", "status", "s", type=INT64),
    )
    source = Scan(SOURCE, ("host", "@timestamp", "tags", "status", "cached"), bounds=Bounds("@timestamp", low, high))
    grouped = Aggregate(Filter(source, where), Grouping((FieldKey("host"), bucket), aggregates))
    filled = Fill(grouped, "null", bucket, ("host",), ("n",), ("tag", "s"), low, high)
    half = Output("half", Binary("/", Name("n"), Number(2.0)))
    projected = Project(filled, (Output("host"), Output("t"), Output("n"), half, Output("tag"), Output("s")))
    having = Filter(projected, Compare("half", "gt", 1.0, FLOAT64))
    assert ask.plan == Limit(Sort(having, (Order("n", True), Order("t"))), 101)
    assert [(c.name, c.type) for c in schema_of(ask.plan)] == [
        ("host", STRING), ("t", TIMESTAMP_MS), ("n", INT64), ("half", FLOAT64), ("tag", STRING), ("s", INT64),
    ]  # fmt: skip


def test_groups_are_ordered_by_their_keys() -> None:
    plan = asked({"group_by": ["host", "status"]}).plan
    aggregate = Aggregate(Scan(SOURCE, ("host", "status")), Grouping((FieldKey("host"), FieldKey("status")), ()))
    assert plan == Limit(Sort(aggregate, (Order("host"), Order("status"))), 101)
    assert kinds(asked({"select": [{"agg": "count", "as": "n"}]}).plan) == ["Scan", "Aggregate", "Limit"]


@pytest.mark.parametrize(
    ("function", "field", "kind"),
    [
        ("count", "body", INT64),
        ("count", "labels", INT64),
        ("count_distinct", "tags", INT64),
        ("sum", "sizes", INT64),
        ("sum", "ms", FLOAT64),
        ("avg", "status", FLOAT64),
        ("min", "sizes", INT64),
        ("max", "@timestamp", TIMESTAMP_MS),
        ("max", "seen", TIMESTAMP),
        ("median", "status", FLOAT64),
        ("stddev", "ms", FLOAT64),
        ("first", "tags", STRING),
        ("last", "cached", BOOLEAN),
    ],
)
def test_types_of_aggregates(function: str, field: str, kind: Type) -> None:
    plan = asked({"select": [{"agg": function, "field": field, "as": "x"}]}).plan
    (aggregate,) = [node for node in chain(plan) if isinstance(node, Aggregate)]
    assert aggregate.group.aggregates[0].type == kind
    assert schema_of(plan)[0].type == kind


@pytest.mark.parametrize(
    ("function", "field", "code"),
    [
        ("sum", "host", "TYPE_MISMATCH"),
        ("sum", "seen", "TYPE_MISMATCH"),
        ("avg", "cached", "TYPE_MISMATCH"),
        ("min", "host", "TYPE_MISMATCH"),
        ("max", "cached", "TYPE_MISMATCH"),
        ("min", "labels", "TYPE_MISMATCH"),
        ("sum", "labels", "TYPE_MISMATCH"),
        ("first", "body", "FIELD_NOT_FILTERABLE"),
        ("count_distinct", "body", "FIELD_NOT_FILTERABLE"),
        ("avg", "nope", "FIELD_UNKNOWN"),
    ],
)
def test_aggregates_that_do_not_fit_are_refused(function: str, field: str, code: str) -> None:
    assert faults({"select": [{"agg": function, "field": field, "as": "x"}]}) == [(code, "/select/0/field")]


def test_first_and_last_need_a_time() -> None:
    plain = replace(LOGS, time_field=None)
    body = {"select": [{"agg": "last", "field": "ms", "as": "x"}]}
    assert faults(body, plain) == [("FIELD_UNKNOWN", "/select/0/agg")]
    plan = asked(body | {"time_range": {"from": "now-1h", "field": "seen"}}, plain).plan
    (aggregate,) = [node for node in chain(plan) if isinstance(node, Aggregate)]
    assert aggregate.group.aggregates[0].time == "seen"


def test_what_has_no_order_is_refused() -> None:
    assert faults({"order_by": ["labels", {"field": "body"}], "group_by": []}) == [
        ("TYPE_MISMATCH", "/order_by/0"),
        ("FIELD_NOT_FILTERABLE", "/order_by/1/field"),
    ]
    assert faults({"group_by": ["labels", "body"]}) == [
        ("TYPE_MISMATCH", "/group_by/0"),
        ("FIELD_NOT_FILTERABLE", "/group_by/1"),
    ]


def fill_faults(mode: dict[str, Any], *select: dict[str, Any], **more: Any) -> list[tuple[str, str]]:
    bucket = {"time_bucket": "1h", "field": "@timestamp", "as": "t"}
    body = {"time_range": {"from": "now-1d", "to": "now"}, "group_by": [bucket], "select": list(select), "fill": mode}
    return faults({k: v for k, v in (body | more).items() if v})


def test_fill_needs_one_bucket_and_both_bounds() -> None:
    count = {"agg": "count", "as": "n"}
    second = {"time_bucket": "1d", "field": "@timestamp", "as": "u"}
    first = {"time_bucket": "1h", "field": "@timestamp", "as": "t"}
    wrong = [("FILL_INVALID", "/fill")]
    assert fill_faults({"mode": "null"}, count, group_by=["host"]) == wrong
    assert fill_faults({"mode": "null"}, count, group_by=[first, second]) == wrong
    assert fill_faults({"mode": "null"}, count, time_range=None) == wrong
    assert fill_faults({"mode": "null"}, count, time_range={"from": "now-1h"}) == wrong
    assert fill_faults({"mode": "null"}, count, time_range={"from": "now-1h", "to": "now", "field": "seen"}) == wrong
    assert fill_faults({"mode": "value", "value": 0.5}, {"agg": "sum", "field": "status", "as": "s"}) == wrong
    assert fill_faults({"mode": "value", "value": 2**63}, {"agg": "sum", "field": "status", "as": "s"}) == wrong
    assert fill_faults({"mode": "value", "value": 0}, {"agg": "last", "field": "host", "as": "s"}) == wrong
    assert fill_faults({"mode": "linear"}, {"agg": "max", "field": "@timestamp", "as": "s"}) == wrong


def test_linear_fill_makes_numbers_float64() -> None:
    body = {
        "time_range": {"from": "now-1d", "to": "now"},
        "group_by": [{"time_bucket": "1h", "field": "@timestamp", "as": "t"}],
        "select": [{"agg": "count", "as": "n"}, {"agg": "max", "field": "status", "as": "m"}],
        "fill": {"mode": "linear"},
        "having": {"and": [leaf("m", "gt", 0.5), leaf("n", "gt", 0.5)]},
    }
    plan = asked(body).plan
    assert [c.type for c in schema_of(plan)] == [TIMESTAMP_MS, INT64, FLOAT64]
    having = next(node for node in reversed(chain(plan)) if isinstance(node, Filter))
    assert having.where == And((Compare("m", "gt", 0.5, FLOAT64), Compare("n", "gte", 1, INT64)))


def test_buckets_past_the_limit_of_groups_cost_too_much() -> None:
    body = {
        "time_range": {"from": "now-1d", "to": "now"},
        "group_by": [{"time_bucket": "1s", "field": "@timestamp", "as": "t"}],
        "fill": {"mode": "null"},
    }
    with pytest.raises(CostError) as caught:
        asked(body, limits=Limits(groups=86_399))
    assert caught.value.code.name == "COST_EXCEEDED"
    assert caught.value.issues[0].hint
    asked(body, limits=Limits(groups=86_400))


def test_having_and_order_see_outputs_alone() -> None:
    body = {"group_by": ["host"], "select": [{"agg": "max", "field": "seen", "as": "m"}, {"agg": "count", "as": "n"}]}
    assert faults(body | {"having": leaf("ms", "gt", 1), "order_by": ["status"]}) == [
        ("FIELD_UNKNOWN", "/having/field"),
        ("FIELD_UNKNOWN", "/order_by/0"),
    ]
    assert faults(body | {"having": leaf("m", "gt", 1)}) == [("TYPE_MISMATCH", "/having/value")]
    asked(body | {"having": leaf("m", "gt", "now-1h"), "order_by": ["m"]})
