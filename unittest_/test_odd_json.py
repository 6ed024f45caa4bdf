"""T4: bodies too deep or too large are refused at once. T11: so is what is no JSON, and a member that stands twice."""

from __future__ import annotations

import json
import random
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.errors import RequestError
from libs.issues import Issues
from parser.decode import find_duplicates, surely_unique
from unittest_.conformance.cases import cases
from unittest_.test_parser import LEAF, faults, parsed


def nested(levels: int, wrap: str, end: str) -> bytes:
    return b'{"where":' + wrap.encode() * (levels - 1) + json.dumps(LEAF).encode() + end.encode() * (levels - 1) + b"}"


@pytest.mark.parametrize(("wrap", "end"), [('{"not":', "}"), ('{"and":[', "]}"), ('{"or":[', "]}")])
def test_filters_are_16_deep_at_the_most(wrap: str, end: str) -> None:
    parsed(nested(16, wrap, end))
    (fault,) = faults(nested(17, wrap, end))
    assert fault[0] == "TOO_DEEP"


@pytest.mark.parametrize(
    ("wrap", "end"), [('{"not":', "}"), ('{"and":[', "]}"), ("[", "]"), ('{"a":', "}"), ('{"select":[', "]}")]
)
@pytest.mark.parametrize("levels", [17, 100, 500, 900, 1_000, 5_000, 100_000])
@pytest.mark.parametrize("closed", [True, False])
def test_t4_depth_bombs_are_refused_at_once(levels: int, wrap: str, end: str, closed: bool) -> None:
    body = nested(levels, wrap, end)
    body = body if closed else body[: len(body) // 2]
    started = time.perf_counter()
    with pytest.raises(RequestError) as caught:
        parsed(body)
    assert time.perf_counter() - started < 0.5
    assert caught.value.status in (400, 422)
    assert len(caught.value.issues) <= 100


def test_filters_have_512_nodes_at_the_most() -> None:
    parsed({"where": {"or": [LEAF] * 511}})
    assert faults({"where": {"or": [LEAF] * 512}}) == [("TOO_MANY_NODES", "/where/or/511")]
    assert faults({"where": {"or": [LEAF] * 50_000}}) == [("TOO_MANY_NODES", "/where/or/511")]
    several = [{"agg": "count", "as": f"n{i}", "where": {"and": [LEAF] * 100}} for i in range(6)]
    assert [code for code, _ in faults({"select": several})] == ["TOO_MANY_NODES"]


def test_lists_are_bounded() -> None:
    parsed({"where": {"field": "a", "op": "in", "value": list(range(1000))}})
    assert faults({"where": {"field": "a", "op": "in", "value": list(range(1001))}}) == [
        ("TOO_MANY_VALUES", "/where/value")
    ]
    assert faults({"where": {"field": "a", "op": "in", "value": ["b" * 1001, "c"]}}) == [
        ("TOO_MANY_VALUES", "/where/value/0")
    ]
    parsed({"where": {"field": "a", "op": "eq", "value": "😀" * 1000}})
    assert faults({"select": ["a"] * 300}) == [("TOO_MANY_VALUES", "/select")]
    assert faults({"group_by": ["a"] * 33}) == [("TOO_MANY_VALUES", "/group_by")]
    assert faults({"order_by": ["a"] * 33}) == [("TOO_MANY_VALUES", "/order_by")]


@pytest.mark.parametrize(
    "body",
    [
        b"{" + b",".join(b'"k%d":1' % i for i in range(150_000)) + b"}",
        b'{"where":{"and":[' + b",".join(b'{"k%d":1}' % i for i in range(100_000)) + b"]}}",
        b'{"select":[' + b",".join(b'{"agg":"x","as":"%d"}' % i for i in range(60_000)) + b"]}",
        b'{"where":{"field":"a","op":"eq","value":"' + b"x" * 2_000_000 + b'"}}',
        b'{"' + b"k" * 2_000_000 + b'":1}',
        b'{"where":{"field":"' + b"k" * 2_000_000 + b'","op":"eq","value":1}}',
        b'{"limit":' + b"9" * 300 + b"}",
        b'{"limit":' + b"9" * 1_000_000 + b"}",
        b'{"options":' + b"[" * 900 + b"]" * 900 + b"}",
        b'{"select":[{"expr":"' + b"(" * 900 + b'","as":"x"}]}',
        b'{"select":[{"expr":"' + b"-" * 900 + b'a","as":"x"}]}',
        b'{"x":{' + b",".join(b'"k%d":{"a":1,"a":1}' % i for i in range(90_000)) + b"}}",
    ],
    ids=range(12),
)  # fmt: skip
def test_t11_large_nonsense_is_refused_in_short(body: bytes) -> None:
    started = time.perf_counter()
    with pytest.raises(RequestError) as caught:
        parsed(body)
    assert time.perf_counter() - started < 1.0
    assert len(caught.value.issues) <= 100
    assert sum(len(i.message) + len(i.pointer) for i in caught.value.issues if "/k" not in i.pointer) < 100_000


@pytest.mark.parametrize(
    "body",
    [
        b"", b" ", b"{", b'{"limit":1', b'{"limit":NaN}', b'{"limit":-Infinity}', b'{"limit":1e999}', b'{"a":"\\ud800"}', b"{'a':1}",
        b'\xef\xbb\xbf{}', "{}".encode("utf-16"), "{}".encode("utf-32"), b'{"a":"\xff"}', b'{"a":01}', b"{}{}", b"[1,]", b'{"a":"\n"}',
        b'{"a":1}//', b"\x00", b'{"a":+1}', b"nul",
    ],
)  # fmt: skip
def test_t11_what_is_no_json_is_refused(body: bytes) -> None:
    assert faults(body) == [("JSON_INVALID", "")]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (b'{"limit":1,"limit":1}', "/limit"),
        (b'{"limit" : 1,"limit":1}', "/limit"),
        (b'{"limit"\n:1,"limit":1,"where":{"field":"\\":","op":"eq","value":1}}', "/limit"),
        (b'{"limit":1,"limi\\u0074":1}', "/limit"),
        (b'{"where":{"field":"a","field":"a","op":"eq","value":1}}', "/where/field"),
        (b'{"options":{"exact":true,"exact":true}}', "/options/exact"),
        (b'{"select":["a",{"agg":"count","as":"b","as":"c"}]}', "/select/1/as"),
        (b'{"where":{"field":"a","op":"eq","value":":\\":"},"limit":3,"limit" : 3}', "/limit"),
    ],
)
def test_t11_a_member_twice_is_refused_where_it_stands(body: bytes, pointer: str) -> None:
    assert faults(body) == [("DUPLICATE_KEY", pointer)]


KEYS = st.sampled_from(["a", "b", "a:", '"', '":', "\\", "é", ""])
VALUES = st.recursive(
    st.one_of(st.integers(), KEYS),
    lambda inner: st.lists(inner, max_size=3) | st.lists(st.tuples(KEYS, inner), max_size=3).map(tuple),
    max_leaves=8,
)


def rendered(value: Any, dice: random.Random) -> str:
    """JSON text of a value in which tuples are objects, members repeated or not, with spaces here and there."""
    if isinstance(value, tuple):
        spaced = [
            json.dumps(k, ensure_ascii=dice.random() < 0.5)
            + dice.choice(["", "", " ", "\n", " \t"])
            + ":"
            + dice.choice(["", " "])
            for k, _ in value
        ]
        return (
            "{" + ",".join(name + rendered(member, dice) for name, (_, member) in zip(spaced, value, strict=True)) + "}"
        )
    if isinstance(value, list):
        return "[" + ",".join(rendered(item, dice) for item in value) + "]"
    return json.dumps(value)


def repeats(value: Any) -> bool:
    if isinstance(value, tuple):
        return len({name for name, _ in value}) < len(value) or any(repeats(member) for _, member in value)
    return isinstance(value, list) and any(map(repeats, value))


def members(value: Any) -> int:
    if isinstance(value, dict):
        return len(value) + sum(map(members, value.values()))
    return sum(map(members, value)) if isinstance(value, list) else 0


@given(VALUES, st.randoms(use_true_random=False))
def test_repeated_members_are_never_missed(value: Any, dice: random.Random) -> None:
    body = rendered(value, dice).encode()
    issues = Issues()
    if not surely_unique(body, members(json.loads(body))):
        find_duplicates(body, issues)
    assert bool(issues.found) == repeats(value)


def test_usual_bodies_take_no_second_look() -> None:
    bodies = [json.dumps(case.body, separators=(",", ":")).encode() for case in cases()]
    spared = [surely_unique(body, members(json.loads(body))) for body in bodies]
    assert sum(spared) > 0.98 * len(bodies)
