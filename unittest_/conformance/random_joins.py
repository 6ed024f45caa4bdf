"""A Hypothesis strategy of random bodies over two sources, `$a` and `$b`: each side a random query of its own, joined by columns
of one type, or united, and perhaps shaped further by `then`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from hypothesis import assume
from hypothesis import strategies as st

from unittest_.conformance.bodies import bodies
from unittest_.conformance.case import TIME, Body, leaf
from unittest_.conformance.data import NOW, DataSet, data_sets
from unittest_.conformance.random_filters import Strategy
from unittest_.reference.evaluate import shape
from unittest_.reference.tables import NUMBERS, FieldSpec

Draw = Callable[[Strategy], Any]
SETS = ("access", "odd", "nanos", "days", "lists", "coerced", "empty")
_KEYS = ("string", "int64", "boolean", "timestamp")
_WIDTHS = ("10m", "1h", "1d")


@st.composite
def mix_bodies(draw: Draw, kinds: tuple[str, str]) -> tuple[Body, tuple[str, str]]:
    """A body and the names of its data sets. `kinds` are those of the stores that it is meant for."""
    left_set = draw(st.sampled_from([name for name in SETS if kinds[0] in data_sets()[name].kinds]))
    others = [name for name in SETS if kinds[1] in data_sets()[name].kinds]
    right_set = (
        left_set if kinds[1] in data_sets()[left_set].kinds and draw(st.booleans()) else draw(st.sampled_from(others))
    )
    left, left_columns, exact_a = _side(draw, data_sets()[left_set], kinds[0], "a")
    right, right_columns, exact_b = _side(draw, data_sets()[right_set], kinds[1], "b")
    body: Body
    if (
        draw(st.integers(0, 7)) == 0
        and "source" not in left_columns | right_columns
        and _unite(left_columns, right_columns)
    ):
        body, columns = {"union": [left, right]}, {**left_columns, **right_columns, "source": FieldSpec("string")}
    else:
        clause, added = _join(draw, right, left_columns, right_columns)
        body, columns = {**left, "join": [clause]}, {**left_columns, **added}
    if draw(st.booleans()):
        body["then"] = _then(draw, columns)
    body["limit"] = 10_000
    return body | ({"options": {"exact": True}} if exact_a or exact_b else {}), (left_set, right_set)


def _side(draw: Draw, data: DataSet, kind: str, letter: str) -> tuple[Body, dict[str, FieldSpec], bool]:
    """One side without order and limit, its columns, and whether it needs `options.exact`."""
    usual = "host" in data.tables[kind].fields and draw(st.integers(0, 2)) == 0
    body = _by_host(draw) if usual else dict(draw(bodies(data)))
    exact = bool(body.pop("options", {}).get("exact"))
    for word in ("order_by", "limit"):
        body.pop(word, None)
    time = data.time_field(kind)
    table = data.tables[kind]
    shaped = shape(json.loads(json.dumps(body).replace(TIME, time)), table, NOW)
    columns = {(f"$time_{letter}" if name == time else name): shaped.scope.fields[name] for name in shaped.names}
    text = json.dumps({"from": f"${letter}", **body}).replace(TIME, f"$time_{letter}")
    return json.loads(text), columns, exact


def _by_host(draw: Draw) -> Body:
    """What joins are mostly made of: a count by host and time."""
    width = draw(st.sampled_from(_WIDTHS))
    keys = draw(st.sampled_from([["host"], ["host", {"time_bucket": width, "field": TIME, "as": "t"}]]))
    return {"group_by": keys, "select": [{"agg": "count", "as": "n"}]}


def _unite(a: Mapping[str, FieldSpec], b: Mapping[str, FieldSpec]) -> bool:
    return all(a[name].type == b[name].type or {a[name].type, b[name].type} <= set(NUMBERS) for name in a if name in b)


def _pairs(a: Mapping[str, FieldSpec], b: Mapping[str, FieldSpec]) -> list[tuple[str, str]]:
    """The columns that can be keys together; buckets (`t`) only of one name, whose widths are compared elsewhere."""
    fit = [
        (x, y)
        for x, one in a.items()
        for y, other in b.items()
        if one.type == other.type in _KEYS
        and not one.multi
        and not other.multi
        and "text" not in (one.role, other.role)
    ]
    return [(x, y) for x, y in fit if "t" not in (x, y)]


def _join(
    draw: Draw, right: Body, a: Mapping[str, FieldSpec], b: Mapping[str, FieldSpec]
) -> tuple[Body, dict[str, FieldSpec]]:
    pairs = _pairs(a, b)
    times = [
        (x, y)
        for x, one in a.items()
        for y, other in b.items()
        if one.type == other.type == "timestamp" and not one.multi and not other.multi
    ]
    hows = (["inner", "left", "semi", "anti"] if pairs else []) + (["asof", "asof"] if times else [])
    assume(hows)
    how = draw(st.sampled_from(hows))
    on = (
        draw(st.lists(st.sampled_from(pairs), min_size=0 if how == "asof" else 1, max_size=2, unique=True))
        if pairs
        else []
    )
    same = [(x, y) for x, y in pairs if x == y and x in ("host", "name", "status", "v")]
    if same and how != "asof" and draw(st.booleans()):
        on = same[:1]
    clause: Body = {"how": how, "as": "m", "with": right, "on": [_pair(draw, x, y) for x, y in on]}
    if draw(st.booleans()):
        clause["many"] = True
    if draw(st.booleans()) and any(a[x].type == "string" for x, _ in on):
        clause["normalize"] = draw(st.sampled_from([["lower"], ["strip_domain"], ["lower", "strip_domain"]]))
    if how == "asof":
        x, y = draw(st.sampled_from(times))
        direction = draw(st.sampled_from(["backward", "forward", "nearest"]))
        tolerance = draw(st.sampled_from(["0s", "500ms", "1m", "2h", "9d"]))
        clause["asof"] = {"left": x, "right": y, "direction": direction, "tolerance": tolerance}
    keys = {y for _, y in on}
    added = {} if how in ("semi", "anti") else {f"m.{name}": spec for name, spec in b.items() if name not in keys}
    return clause, added


def _pair(draw: Draw, x: str, y: str) -> Any:
    return x if x == y and draw(st.booleans()) else {"left": x, "right": y}


def _then(draw: Draw, columns: Mapping[str, FieldSpec]) -> Body:
    """A filter on whether columns are there, and groups of what is exact."""
    then: Body = {}
    names = sorted(columns)
    plain = [name for name in names if columns[name].type in _KEYS and columns[name].role != "text"]
    if draw(st.booleans()):
        present = st.builds(leaf, st.sampled_from(names), st.just("exists"), st.booleans())
        then["where"] = {"and": draw(st.lists(present, min_size=1, max_size=2))}
    if plain and draw(st.booleans()):
        keys = draw(st.lists(st.sampled_from(plain), min_size=1, max_size=2, unique=True))
        then["group_by"] = keys
        then["select"] = [{"agg": "count", "as": "rows"}]
        counted = draw(st.sampled_from(names))
        if columns[counted].role != "text":
            then["select"].append({"agg": "count", "field": counted, "as": "held"})
        whole = [name for name in names if columns[name].type == "int64" and not columns[name].multi]
        if whole and draw(st.booleans()):
            word = draw(st.sampled_from(["sum", "avg", "min", "max"]))
            then["select"].append({"agg": word, "field": draw(st.sampled_from(whole)), "as": "number"})
        if draw(st.booleans()):
            then["top"] = {"by": "rows", "n": draw(st.integers(1, 3)), "per": keys[:1] if len(keys) > 1 else []}
    return then
