"""Questions into typed plans: rows, the order of nodes, what is used, exact bounds, parts, faults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from libs.errors import RequestError
from libs.result import FLOAT64, INT64, STRING, TIMESTAMP, TIMESTAMP_MS, Type
from libs.times import parse_instant
from query.catalog import Field, SourceRef, Table
from query.expr import FALSE, And, Binary, Compare, Name, Not, Number, Or
from query.plan import (
    Ask,
    Bounds,
    Filter,
    Limit,
    Merge,
    Options,
    Order,
    Output,
    Project,
    Scan,
    Sort,
)
from query.schema import schema_of
from unittest_.asking import EVERY, LOGS, NOW, SOURCE, asked, chain, faults, fields, kinds, leaf, scan


def test_a_body_of_nothing_is_every_field_by_time() -> None:
    ask = asked({})
    assert kinds(ask.plan) == ["Scan", "Sort", "Limit", "Project"]
    assert scan(ask.plan) == Scan(SOURCE, EVERY)
    assert ask.plan == Project(
        Limit(Sort(Scan(SOURCE, EVERY), (Order("@timestamp"),)), 101), tuple(Output(name) for name in EVERY)
    )
    assert ask.limit == 100
    assert "body.keyword" not in EVERY


def test_rows() -> None:
    ask = asked(
        {
            "where": {"and": [leaf("status", "gte", 500), {"not": leaf("host", "eq", "a")}, {"or": [leaf("ms", "gt", 1)]}]},
            "time_range": {"from": "now-1h", "to": "now"},
            "select": ["ms", {"expr": "ms / status", "as": "r"}, "host"],
            "order_by": [{"field": "cached", "dir": "desc"}],
            "limit": 7,
            "options": {"exact": True},
        }
    )  # fmt: skip
    start, end = NOW // 10**6 - 3_600_000, NOW // 10**6
    assert ask == Ask(
        Project(
            Limit(
                Sort(
                    Filter(
                        Scan(
                            SOURCE,
                            ("ms", "host", "@timestamp", "status", "cached"),
                            bounds=Bounds("@timestamp", NOW - 3600 * 10**9, NOW),
                        ),
                        And(
                            (
                                Compare("@timestamp", "between", (start, end - 1), TIMESTAMP_MS),
                                Compare("status", "gte", 500, INT64),
                                Not(Compare("host", "eq", "a", STRING)),
                                Or((Compare("ms", "gt", 1.0, FLOAT64),)),
                            )
                        ),
                    ),
                    (Order("cached", True),),
                ),
                8,
            ),
            (Output("ms"), Output("r", Binary("/", Name("ms"), Name("status"))), Output("host")),
        ),
        7,
        Options(exact=True),
    )
    assert [(c.name, c.type) for c in schema_of(ask.plan)] == [("ms", FLOAT64), ("r", FLOAT64), ("host", STRING)]


def test_without_a_time_field_rows_come_as_they_are() -> None:
    plain = replace(LOGS, time_field=None)
    assert kinds(asked({}, plain).plan) == ["Scan", "Limit", "Project"]
    assert faults({"time_range": {"from": "now-1h"}}, plain) == [("FIELD_UNKNOWN", "/time_range")]


def test_a_named_time_field_orders_and_bounds() -> None:
    plan = asked({"time_range": {"from": "now-1h", "field": "seen"}}).plan
    assert scan(plan).bounds == Bounds("seen", NOW - 3600 * 10**9, None)
    assert chain(plan)[1] == Filter(scan(plan), Compare("seen", "gte", NOW - 3600 * 10**9, TIMESTAMP))
    assert chain(plan)[2] == Sort(chain(plan)[1], (Order("seen"),))


def where_of(body: Mapping[str, Any]) -> Any:
    found = [node for node in chain(asked(body).plan) if isinstance(node, Filter)]
    return found[0].where if found else None


def test_bounds_round_up_to_the_field_s_unit() -> None:
    at = "2026-11-22T09:00:00.000000001Z"
    ms = parse_instant(at) // 10**6
    assert where_of({"time_range": {"from": at}}) == Compare("@timestamp", "gte", ms + 1, TIMESTAMP_MS)
    assert where_of({"time_range": {"to": at}}) == Compare("@timestamp", "lt", ms + 1, TIMESTAMP_MS)
    until = "2026-11-22T09:00:00.001000001Z"
    assert where_of({"time_range": {"from": at, "to": until}}) == Compare(
        "@timestamp", "between", (ms + 1, ms + 1), TIMESTAMP_MS
    )
    inside = "2026-11-22T09:00:00.000000002Z"
    assert where_of({"time_range": {"from": at, "to": inside}}) == FALSE
    assert where_of({"time_range": {"from": "0000-01-01T00:00:00Z", "field": "seen"}}) == Compare(
        "seen", "exists", True, TIMESTAMP
    )
    assert where_of({"time_range": {"to": "1000-01-01T00:00:00Z", "field": "seen"}}) == FALSE
    both = {"from": "1000-01-01T00:00:00Z", "to": "9000-01-01T00:00:00Z", "field": "seen"}
    assert where_of({"time_range": both}) == Compare("seen", "between", (-(2**63), 2**63 - 1), TIMESTAMP)
    assert where_of({"time_range": {}}) is None


def test_empty_ranges_are_refused() -> None:
    assert faults({"time_range": {"from": "now", "to": "now-1h"}}) == [("RANGE_INVALID", "/time_range")]
    assert faults({"time_range": {"from": "now", "to": "now"}}) == [("RANGE_INVALID", "/time_range")]


def test_a_filter_that_is_true_is_none() -> None:
    assert where_of({"where": {"and": [{"and": [leaf("ms", "exists", True)]}]}}) == Compare(
        "ms", "exists", True, FLOAT64
    )
    assert where_of({"where": leaf("status", "eq", 0.5)}) == FALSE


def test_rows_ordered_by_an_expression_compute_it_first() -> None:
    plan = asked({"select": ["host", {"expr": "ms * 2", "as": "x"}], "order_by": ["x", "status"], "limit": 1}).plan
    double = Output("x", Binary("*", Name("ms"), Number(2.0)))
    inner = Project(Scan(SOURCE, ("host", "ms", "status")), (Output("host"), double, Output("status")))
    assert plan == Project(Limit(Sort(inner, (Order("x"), Order("status"))), 2), (Output("host"), Output("x")))
    hiding = asked({"select": [{"expr": "ms * 2", "as": "ms"}], "order_by": ["ms"]}).plan
    assert kinds(hiding) == ["Scan", "Project", "Sort", "Limit", "Project"]


def test_expressions_see_outputs_before_fields() -> None:
    asked({"select": [{"expr": "ms", "as": "host"}, {"expr": "host + 1", "as": "y"}]})
    assert faults({"select": [{"expr": "host + 1", "as": "y"}, {"expr": "ms", "as": "host"}]}) == [
        ("TYPE_MISMATCH", "/select/0/expr")
    ]
    assert faults({"select": [{"expr": "sizes + seen + tags + nope", "as": "y"}]}) == [
        ("TYPE_MISMATCH", "/select/0/expr"),
        ("TYPE_MISMATCH", "/select/0/expr"),
        ("TYPE_MISMATCH", "/select/0/expr"),
        ("FIELD_UNKNOWN", "/select/0/expr"),
    ]


def test_hints_name_the_nearest() -> None:
    for body, hint in (
        ({"select": ["hots"]}, "did you mean host?"),
        ({"select": ["Host"]}, "did you mean host?"),
        (
            {"group_by": ["host"], "select": [{"agg": "count", "as": "errors"}], "having": leaf("error", "gt", 1)},
            "did you mean errors?",
        ),
    ):
        with pytest.raises(RequestError) as caught:
            asked(body)
        assert caught.value.issues[0].hint == hint


def test_what_is_two_things_at_once_is_refused_where_it_is_used() -> None:
    odd = replace(LOGS, ambiguous=frozenset({"dc"}), conflicts={"code": ("int64", "string")})
    asked({"select": ["host"]}, odd)
    assert faults({"select": ["dc", "code"]}, odd) == [
        ("FIELD_AMBIGUOUS", "/select/0"),
        ("FIELD_TYPE_CONFLICT", "/select/1"),
    ]
    assert sorted(faults({}, odd)) == [("FIELD_AMBIGUOUS", ""), ("FIELD_TYPE_CONFLICT", "")]


def test_many_faults_over_many_fields_are_answered_in_short() -> None:
    wide = replace(
        LOGS, fields={**LOGS.fields, **{f"field_number_{i}": Field(f"field_number_{i}", INT64) for i in range(5_000)}}
    )
    body = {"where": {"or": [leaf(f"feld_number_{i}", "eq", 1) for i in range(500)]}}
    assert len(faults(body, wide)) == 100


def parts() -> Table:
    whole = {"@timestamp": TIMESTAMP, "ms": FLOAT64, "host": STRING, "late": INT64}
    first = {"@timestamp": TIMESTAMP_MS, "ms": INT64, "host": STRING}
    second = {"@timestamp": TIMESTAMP, "ms": FLOAT64, "host": STRING, "late": INT64}

    def table(name: str, types: dict[str, Type], inner: tuple[Table, ...] = ()) -> Table:
        members = fields(*(Field(each, kind) for each, kind in types.items()))
        return Table(SourceRef("es", (name,)), "documents", members, "@timestamp", inner)

    return table("logs-*", whole, (table("logs-1", first), table("logs-2", second)))


def test_parts_that_type_a_used_field_alike_are_one_scan() -> None:
    whole = parts()
    ask = asked({"select": ["host", "late"], "order_by": ["host"]}, whole)
    assert scan(ask.plan).source == whole.source


def test_parts_that_type_a_used_field_differently_are_merged() -> None:
    whole = parts()
    plan = asked({"select": ["ms", "late"], "order_by": ["ms"], "where": leaf("ms", "gt", 1.5)}, whole).plan
    (merge, filtered, *_) = chain(plan)
    assert isinstance(merge, Merge)
    assert merge.table is whole
    assert filtered == Filter(merge, Compare("ms", "gt", 1.5, FLOAT64))
    assert [one.source.target for one in merge.inputs if isinstance(one, Scan)] == [("logs-1",), ("logs-2",)]
    for one in merge.inputs:
        assert isinstance(one, Scan)
        assert one.columns == ("ms", "late")
        assert one.typed("late").type == INT64
    assert [one.typed("ms").type for one in merge.inputs if isinstance(one, Scan)] == [INT64, FLOAT64]
    assert [c.type for c in schema_of(plan)] == [FLOAT64, INT64]
