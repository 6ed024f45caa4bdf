"""Bodies into questions: every fault at once, at its pointer."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from libs.error_codes import CODES
from libs.errors import RequestError
from parser.canonical import canonical
from parser.grammar import EXAMPLE, answer_schema, body_schema
from parser.json_body import parse_body
from parser.words import BODY
from query.catalog import SourceRef
from query.expr import And, Binary, Compare, Name, Not
from query.plan import Aggregation, BucketKey, FieldKey, Options, Order
from query.question import FillClause, Question, SelectExpression, SelectField, TimeRange
from unittest_.conformance.case import bound
from unittest_.conformance.cases import cases
from unittest_.conformance.errors import bad_bodies

LOGS = ("es", ("logs",))
LEAF = {"field": "a", "op": "eq", "value": 1}
SHAPE = ("JSON_INVALID", "DUPLICATE_KEY", "BODY_INVALID", "OPERATOR_UNKNOWN", "EMPTY_NODE", "TOO_DEEP")


def parsed(body: Any) -> Question:
    return parse_body(body if isinstance(body, bytes) else json.dumps(body).encode(), *LOGS)


def outcome(body: bytes) -> list[tuple[str, str]]:
    """The faults of a body, none when it is taken."""
    try:
        parsed(body)
    except RequestError as error:
        return [(issue.code if issue.hint else "no hint", issue.pointer) for issue in error.issues]
    return []


def faults(body: Any) -> list[tuple[str, str]]:
    with pytest.raises(RequestError) as caught:
        parsed(body)
    assert all(issue.message and issue.hint for issue in caught.value.issues)
    return [(issue.code, issue.pointer) for issue in caught.value.issues]


def test_a_whole_body() -> None:
    question = parsed(
        {
            "from": {"source": "es", "index": "logs"},
            "time_range": {"from": "now-1h", "to": "now", "field": "ts"},
            "where": {"and": [LEAF, {"not": {"field": "b", "op": "in", "value": ["x", "y"]}}]},
            "group_by": ["host", {"field": "dc"}, {"time_bucket": "1m", "field": "ts", "as": "t"}],
            "select": [
                {"agg": "count", "as": "n"},
                {"agg": "percentile", "field": "ms", "p": 95, "as": "p95", "where": LEAF},
                {"expr": "n / p95", "as": "r"},
                "host",
            ],
            "having": {"field": "n", "op": "between", "value": [1, 2.5]},
            "fill": {"mode": "value", "value": 0},
            "order_by": [{"field": "n", "dir": "desc"}, "host"],
            "limit": 500,
            "cursor": None,
            "options": {"partial": True, "timeout": "1500ms", "exact": False},
        }
    )
    assert question == Question(
        SourceRef("es", ("logs",)),
        TimeRange("now-1h", "now", "ts"),
        And((Compare("a", "eq", 1), Not(Compare("b", "in", ("x", "y"))))),
        (FieldKey("host"), FieldKey("dc"), BucketKey("ts", 60_000_000_000, "t")),
        (
            Aggregation("count", None, "n"),
            Aggregation("percentile", "ms", "p95", 95.0, Compare("a", "eq", 1)),
            SelectExpression("r", Binary("/", Name("n"), Name("p95")), "n / p95"),
            SelectField("host"),
        ),
        Compare("n", "between", (1, 2.5)),
        FillClause("value", 0),
        (Order("n", True), Order("host")),
        500,
        Options(partial=True, timeout=1.5),
    )
    assert question.grouped


def test_an_empty_body_asks_for_every_field() -> None:
    assert parsed(b"{}") == Question(SourceRef("es", ("logs",)))


def test_pointers_are_kept_for_binding() -> None:
    question = parsed({"where": {"or": [LEAF]}, "select": ["a", {"field": "b"}], "order_by": [{"field": "c"}]})
    assert isinstance(question.select, tuple)
    assert [item.at for item in question.select] == ["/select/0", "/select/1/field"]
    assert question.order_by[0].at == "/order_by/0/field"


@pytest.mark.parametrize("bad", bad_bodies(), ids=lambda bad: bad.name)
def test_bad_bodies_are_refused_here_or_left_to_binding(bad: Any) -> None:
    """What the body alone shows is refused with exactly those faults; nothing else is refused."""
    body = bad.body if isinstance(bad.body, bytes) else json.dumps(bound(bad.body, "@timestamp")).encode()
    found = outcome(body)
    if found:
        assert sorted(found) == sorted(bad.issues)
    else:
        assert bad.issues[0][0] not in SHAPE


def test_every_case_is_taken_and_survives_its_canonical_form() -> None:
    schema = Draft202012Validator(body_schema())
    for case in cases():
        body = bound(case.body, "@timestamp")
        schema.validate(body)
        question = parsed(body)
        written = canonical(question)
        schema.validate(written)
        again = parsed(written)
        assert canonical(again) == written, case.name


def test_the_schemas_are_schemas() -> None:
    for schema in (body_schema(), answer_schema()):
        Draft202012Validator.check_schema(schema)
    Draft202012Validator(body_schema()).validate(EXAMPLE)
    parsed(EXAMPLE)


def test_the_source_of_a_mix() -> None:
    assert parse_body(b'{"from":{"source":"es","index":"a-*"}}').source == SourceRef("es", ("a-*",))
    series = b'{"from":{"source":"influx","db":"d","measurement":"m"}}'
    assert parse_body(series).source == SourceRef("influx", ("d", "m"))
    for body, pointer in (
        ({}, "/from"),
        ({"from": "es"}, "/from"),
        ({"from": {"source": "es"}}, "/from/index"),
        ({"from": {"source": "influx", "db": "d"}}, "/from/measurement"),
        ({"from": {"source": 1, "index": "a"}}, "/from/source"),
        ({"from": {"source": "es", "index": "a", "type": "x"}}, "/from/type"),
    ):
        with pytest.raises(RequestError) as caught:
            parse_body(json.dumps(body).encode())
        assert [(i.code, i.pointer) for i in caught.value.issues] == [("BODY_INVALID", pointer)]


def test_the_path_and_the_body_name_one_source() -> None:
    assert faults({"from": {"source": "es", "index": "other"}}) == [("BODY_INVALID", "/from")]
    assert faults({"from": {"source": "influx", "db": "logs", "measurement": "m"}}) == [("BODY_INVALID", "/from")]


def test_a_cursor_is_no_clause_of_a_question() -> None:
    with pytest.raises(RequestError) as caught:
        parsed({"cursor": "abc"})
    (issue,) = caught.value.issues
    assert (issue.code, issue.pointer) == ("BODY_INVALID", "/cursor")


def test_hints_name_the_nearest() -> None:
    for body, hint in (
        ({"selct": []}, "did you mean select?"),
        ({"where": {"field": "a", "op": "betwen", "value": [1, 2]}}, "did you mean between?"),
        ({"where": {"field": "a", "op": "EQ", "value": 1}}, "did you mean eq?"),
        ({"select": [{"agg": "mean", "field": "a", "as": "b"}]}, "did you mean median?"),
        ({"select": [{"expr": "coalsce(a, 0)", "as": "b"}]}, "did you mean coalesce?"),
    ):
        with pytest.raises(RequestError) as caught:
            parsed(body)
        assert caught.value.issues[0].hint == hint


def test_clashes_are_told_beside_other_faults() -> None:
    assert faults({"limit": 0, "group_by": ["a"], "select": [{"agg": "count", "as": "a"}]}) == [
        ("LIMIT_INVALID", "/limit"),
        ("NAME_CLASH", "/select/0/as"),
    ]


def test_integers_past_64_bits_stay_exact() -> None:
    for number in (2**64 + 1, -(2**63) - 1, 10**300 + 7):
        question = parsed({"where": {"field": "a", "op": "in", "value": [1, number]}})
        assert question.where == Compare("a", "in", (1, number))


JUNK_NAMES = [
    "from",
    "to",
    "field",
    "op",
    "value",
    "and",
    "or",
    "not",
    "agg",
    "as",
    "p",
    "where",
    "expr",
    "tz",
    "mode",
    "dir",
    "x",
]
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(JUNK_NAMES), inner, max_size=5),
    max_leaves=20,
)
BODIES = st.dictionaries(st.sampled_from(sorted(BODY)), JUNK)


@given(BODIES)
def test_junk_is_a_question_or_a_refusal(body: Any) -> None:
    for code, pointer in outcome(json.dumps(body).encode()):
        assert CODES[code].status in (400, 422)
        assert pointer == "" or pointer.startswith("/")
