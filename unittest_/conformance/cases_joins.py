# ruff: noqa: E501  one body a line
"""Named bodies over two sources, `$a` and `$b`: joins, unions, `then`, and `over` and `top` beside and after them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from unittest_.conformance.case import Body, agg, count, every, expr, leaf, negated, span

_HOUR = span("2026-11-22T08:00:00Z", "2026-11-22T09:00:00Z")
_DAY = span("2026-11-22T00:00:00Z", "2026-11-23T00:00:00Z")


@dataclass(frozen=True)
class MixCase:
    name: str
    body: Body
    sets: tuple[str, str] = ("access", "access")
    error: str | None = None


def bucket(side: str, width: str = "10m", **more: Any) -> Body:
    return {"time_bucket": width, "field": f"$time_{side}", "as": "t", **more}


def grouped(side: str, *select: Any, keys: tuple[Any, ...] = ("host",), width: str | None = "10m", **more: Any) -> Body:
    """Groups by the keys and, with a width, by time."""
    buckets = [bucket(side, width)] if width else []
    return {"from": f"${side}", "group_by": [*keys, *buckets], "select": list(select) or [count()], **more}


def joined(left: Body, *joins: Body, **more: Any) -> Body:
    return {**left, "join": list(joins), **more}


def side(how: str, right: Body, *on: Any, alias: str = "m", **more: Any) -> Body:
    return {"how": how, "as": alias, "with": right, "on": list(on), **more}


def asof(
    right: Body, direction: str, tolerance: str, *on: Any, left: str = "$time_a", time: str = "$time_b", **more: Any
) -> Body:
    clause = {"left": left, "right": time, "direction": direction, "tolerance": tolerance}
    return {"how": "asof", "as": "m", "with": right, "on": list(on), "asof": clause, **more}


def _kinds() -> list[MixCase]:
    errors = grouped("a", count("errors", where=leaf("status", "gte", 500)), agg("max", "bytes"), time_range=_DAY)
    cpu = grouped("b", agg("avg", "latency", "cpu"), count("rows"), where=leaf("host", "ne", "web-1"))
    found = [
        MixCase(f"groups: {how}", joined(errors, side(how, cpu, "host", "t")))
        for how in ("inner", "left", "semi", "anti")
    ]
    rows = {"from": "$a", "select": ["$time_a", "host", "status", "bytes"], "limit": 1000}
    states = grouped("b", count("n"), keys=("status",), width=None, where=leaf("status", "gte", 400))
    found += [
        MixCase(f"rows by groups: {how}", joined(rows, side(how, states, "status")))
        for how in ("inner", "left", "semi", "anti")
    ]
    few = {"from": "$b", "select": ["host", "status", "path"], "where": leaf("status", "gte", 500)}
    found += [
        MixCase(
            f"many: {how}",
            joined(
                {"from": "$a", "select": ["host", "bytes"], "where": leaf("bytes", "lt", 5000)},
                side(how, few, "host", many=True),
                order_by=["bytes", "m.path", "m.status"],
                limit=10_000,
            ),
        )
        for how in ("inner", "left")
    ]
    return found


def _shapes() -> list[MixCase]:
    by_host = grouped("a", count("n"), width=None)
    other = grouped("b", agg("max", "bytes", "most"), width=None)
    dcs = {"from": "$b", "group_by": ["dc", "host"], "select": [count("k")], "having": leaf("k", "gt", 1)}
    return [
        MixCase("renamed keys", joined(by_host, side("left", grouped("b", count("m"), keys=("dc",), width=None), {"left": "host", "right": "dc"}))),
        MixCase("two joins", joined(by_host, side("left", other, "host"), side("inner", other, "host", alias="x"))),
        MixCase("a join on a joined column", joined(by_host, side("inner", other, "host"), side("left", grouped("b", count("k"), keys=("bytes",), width=None), {"left": "m.most", "right": "bytes"}, alias="x"))),
        MixCase("a with that joins", joined(by_host, side("left", joined(other, side("inner", dcs, "host", alias="d", many=True), then={"group_by": ["host"], "select": [agg("sum", "d.k", "k"), agg("max", "most")]}), "host"))),
        MixCase("a with of a limit", joined({"from": "$a", "group_by": ["host"], "select": [count()]}, side("left", {**grouped("b", count("k"), width=None), "order_by": ["host"], "limit": 2}, "host"))),
        MixCase("order by the right side", joined(by_host, side("left", other, "host"), order_by=[{"field": "m.most", "dir": "desc"}, "host"])),
        MixCase("order by what is not selected", joined({"from": "$a", "select": ["host", "bytes"]}, side("left", other, "host"), order_by=["$time_a", "path", "bytes"], limit=20)),
        MixCase("null keys", joined({"from": "$a", "select": ["user", "bytes"]}, side("left", grouped("b", count("n"), keys=("user",), width=None), "user"), order_by=["bytes", "user"], limit=1000)),
        MixCase("null keys: anti", joined({"from": "$a", "select": ["user", "bytes"]}, side("anti", grouped("b", count("n"), keys=("user",), width=None), "user"), order_by=["bytes"], limit=1000)),
        MixCase("an empty right side", joined(by_host, side("left", {**other, "where": leaf("host", "eq", "nowhere")}, "host"))),
        MixCase("an empty left side", joined({**by_host, "where": leaf("host", "eq", "nowhere")}, side("left", other, "host"))),
        MixCase("an empty right side: inner", joined(by_host, side("inner", {**other, "where": leaf("host", "eq", "nowhere")}, "host"))),
        MixCase("an empty right side: anti", joined(by_host, side("anti", {**other, "where": leaf("host", "eq", "nowhere")}, "host"))),
        MixCase("lower", joined(by_host, side("left", other, "host", normalize=["lower"]))),
        MixCase("strip_domain", joined(by_host, side("left", other, "host", normalize=["strip_domain", "lower"]))),
        MixCase("text keys, lower", joined({"from": "$a", "group_by": ["text"], "select": [count()]}, side("inner", {"from": "$b", "group_by": ["text"], "select": [count("k")]}, "text", normalize=["lower"], many=True), order_by=["text", "m.k"], limit=1000), ("odd", "odd")),
        MixCase("text keys, strip_domain", joined({"from": "$a", "group_by": ["text"], "select": [count()]}, side("semi", {"from": "$b", "group_by": ["text"], "select": [count("k")]}, "text", normalize=["strip_domain"]), limit=1000), ("odd", "odd")),
        MixCase("booleans", joined({"from": "$a", "group_by": ["cached"], "select": [count()]}, side("left", {"from": "$b", "group_by": ["cached"], "select": [count("k")]}, "cached"))),
        MixCase("bounds are inherited", joined({**by_host, "time_range": _HOUR}, side("left", other, "host"))),
        MixCase("bounds of its own", joined({**by_host, "time_range": _HOUR}, side("left", {**other, "time_range": _DAY}, "host"))),
        MixCase("filled sides", joined(grouped("a", count("n"), time_range=_DAY, fill={"mode": "null"}, width="1h"), side("left", grouped("b", agg("avg", "latency", "cpu"), fill={"mode": "previous"}, width="1h"), "host", "t"), limit=1000)),
        MixCase("calendar buckets", joined({"from": "$a", "group_by": [bucket("a", "1d", tz="Europe/Berlin")], "select": [count()]}, side("inner", {"from": "$b", "group_by": [bucket("b", "1d", tz="Europe/Berlin")], "select": [agg("sum", "v", "v")]}, "t")), ("days", "days")),
    ]  # fmt: skip


def _numbers() -> list[MixCase]:
    ints = {"from": "$a", "group_by": ["big"], "select": [count()]}
    floats = {"from": "$b", "group_by": ["ratio"], "select": [count("k")]}
    scores = {"from": "$b", "group_by": ["score"], "select": [count("k")]}
    on, other = {"left": "big", "right": "ratio"}, {"left": "big", "right": "score"}
    found = [
        MixCase(
            f"int64 with {pair['right']}, a float64: {how}",
            joined(ints, side(how, right, pair), limit=1000),
            ("odd", "odd"),
        )
        for how in ("inner", "left", "anti")
        for right, pair in ((floats, on), (scores, other))
    ]
    found += [
        MixCase("float64 with int64", joined({**scores, "from": "$a"}, side("left", {**ints, "from": "$b"}, {"left": "score", "right": "big"}), limit=1000), ("odd", "odd")),
        MixCase("floats", joined({**floats, "from": "$a"}, side("inner", floats, "ratio"), limit=1000), ("odd", "odd")),
        MixCase("times of two units", joined({"from": "$a", "group_by": ["$time_a"], "select": [count()]}, side("left", {"from": "$b", "group_by": ["$time_b"], "select": [count("k")]}, {"left": "$time_a", "right": "$time_b"}), limit=1000)),
        MixCase("times of two units, turned", joined({"from": "$b", "group_by": ["$time_b"], "select": [count()]}, side("anti", {"from": "$a", "group_by": ["$time_a"], "select": [count("k")]}, {"left": "$time_b", "right": "$time_a"}), limit=1000)),
    ]  # fmt: skip
    return found


def _asofs() -> list[MixCase]:
    rows = {"from": "$a", "select": ["$time_a", "host", "bytes"], "where": leaf("status", "gte", 400)}
    right = {"from": "$b", "select": ["$time_b", "host", "status"], "where": leaf("status", "lt", 300)}
    order = {"order_by": ["$time_a", "bytes", "host", "m.$time_b", "m.status"], "limit": 1000}
    found = []
    for direction in ("backward", "forward", "nearest"):
        for tolerance in ("0s", "250ms", "2m", "3h"):
            name = f"asof {direction} within {tolerance}"
            found.append(MixCase(name, joined(rows, asof(right, direction, tolerance, "host", many=True), **order)))
    found += [
        MixCase("asof without keys", joined(rows, asof(right, "nearest", "5m", many=True), **order)),
        MixCase("asof inherits wider bounds", joined({**rows, "time_range": _HOUR}, asof(right, "nearest", "10m", "host", many=True), **order)),
        MixCase("asof inherits forward", joined({**rows, "time_range": _HOUR}, asof(right, "forward", "10m", "host", many=True), **order)),
        MixCase("asof of buckets", joined(grouped("a", count("n"), width="1h"), asof(grouped("b", agg("max", "bytes", "most"), width="1h", where=leaf("bytes", "gt", 3000)), "backward", "3h", "host", left="t", time="t"), order_by=["host", "t"], limit=1000)),
        MixCase("asof of nanoseconds", joined({"from": "$a", "select": ["$time_a", "host", "v"]}, asof({"from": "$b", "select": ["$time_b", "host", "v"], "where": leaf("v", "gt", 3)}, "nearest", "1h", "host", many=True), order_by=["$time_a", "host", "v", "m.$time_b", "m.v"], limit=1000), ("nanos", "nanos")),
        MixCase("asof fans out", joined({**rows, "select": ["$time_a"]}, asof({"union": [{"from": "$b", "select": ["$time_b"]}, {"from": "$b", "select": ["$time_b"]}]}, "nearest", "1h")), error="JOIN_FANOUT"),
    ]  # fmt: skip
    return found


def _fans() -> list[MixCase]:
    rows = {"from": "$a", "select": ["host", "status", "bytes"]}
    right = {"from": "$b", "select": ["host", "path"]}
    apart = {"where": leaf("m.path", "eq", "/nowhere")}
    return [
        MixCase("fans out", joined(rows, side("inner", right, "host")), error="JOIN_FANOUT"),
        MixCase("fans out: left", joined(rows, side("left", right, "host")), error="JOIN_FANOUT"),
        MixCase("fans out whatever is kept of it", joined(rows, side("left", right, "host"), then=apart), error="JOIN_FANOUT"),
        MixCase("fans out by normalising", joined({"from": "$a", "group_by": ["text"], "select": [count()]}, side("left", {"from": "$b", "group_by": ["text"], "select": [count("k")]}, "text", normalize=["strip_domain", "lower"])), ("odd", "odd")),
        MixCase("keys that no left row has", joined({**rows, "where": leaf("host", "eq", "nowhere")}, side("left", right, "host"))),
        MixCase("then keeps no such left row", joined(rows, side("left", right, "host"), then={"where": leaf("host", "eq", "nowhere")})),
        MixCase("null keys never fan out", joined({**rows, "where": leaf("host", "exists", False)}, side("left", right, "host"), order_by=["bytes", "status"], limit=1000)),
        MixCase("semi never fans out", joined(rows, side("semi", right, "host"), order_by=["bytes", "status", "host"], limit=1000)),
    ]  # fmt: skip


def _thens() -> list[MixCase]:
    left = grouped("a", count("n"), agg("sum", "bytes", "sent"), keys=("host", "dc"), width="1h", time_range=_DAY)
    right = grouped("b", agg("max", "bytes", "most"), keys=("host", "dc"), width="1h")
    both = side("left", right, "host", "dc", "t")
    fine = every(leaf("n", "gt", 1), leaf("m.most", "exists", True), negated(leaf("host", "eq", "web-2")))
    over = {
        "group_by": ["host", {"time_bucket": "1h", "field": "t", "as": "u"}],
        "select": [agg("sum", "n", "n"), {"over": "difference", "of": "n", "as": "d"}, expr("d * 2", "e")],
    }
    return [
        MixCase("then filters", joined(left, both, then={"where": fine}, limit=1000)),
        MixCase("then selects", joined(left, both, then={"select": ["host", "t", "m.most", expr("`m.most` / n", "x")]}, limit=1000)),
        MixCase("then groups", joined(left, both, then={"group_by": ["dc"], "select": [agg("sum", "n", "n"), agg("max", "m.most", "most"), count("rows", where=leaf("m.most", "gt", 3000))], "having": leaf("n", "gt", 3)})),
        MixCase("then orders", joined(left, both, then={"where": fine, "order_by": [{"field": "m.most", "dir": "desc"}, "t", "dc", "host"]}, limit=7)),
        MixCase("then and the outer order", joined(left, both, then={"group_by": ["host"], "select": [agg("sum", "sent", "s")]}, order_by=[{"field": "s", "dir": "desc"}, "host"], limit=2)),
        MixCase("then goes over", joined(left, both, then=over, limit=1000)),
        MixCase("then keeps the top", joined(left, both, then={"group_by": ["dc", "host"], "select": [agg("sum", "n", "n")], "top": {"by": "n", "n": 1, "per": ["dc"]}})),
        MixCase("then buckets anew", joined(left, both, then={"group_by": [{"time_bucket": "6h", "field": "t", "as": "u"}], "select": [agg("sum", "n", "n")]})),
    ]  # fmt: skip


def _grouped_after() -> list[MixCase]:
    """Rows that `then` groups: what may be grouped before it is joined."""
    rows = {"from": "$a", "select": ["$time_a", "host", "dc", "status", "bytes", "latency"], "time_range": _DAY}
    other = grouped("b", agg("max", "bytes", "most"), count("k"), width=None)
    states = grouped("b", count("k"), keys=("status",), width=None, where=leaf("status", "gte", 400))
    folds = [
        count("n"), count("named", field="host"), agg("sum", "bytes", "sent"), agg("avg", "bytes", "mean"),
        agg("min", "latency", "least"), agg("max", "bytes", "greatest"), count("bad", where=leaf("status", "gte", 500)),
    ]  # fmt: skip
    by_hour = {"time_bucket": "1h", "field": "$time_a", "as": "t"}
    some = leaf("m.most", "gt", 3000)
    found = [
        MixCase(
            f"then groups rows: {how}",
            joined(rows, side(how, other, "host"), then={"group_by": ["dc", "host"], "select": folds}),
        )
        for how in ("inner", "left", "semi", "anti")
    ]
    return [
        *found,
        MixCase("then groups rows by time", joined(rows, side("left", other, "host"), then={"group_by": [by_hour, "m.most"], "select": folds}, limit=1000)),
        MixCase("then groups rows of the right side", joined(rows, side("inner", other, "host"), then={"where": some, "group_by": ["m.k"], "select": [*folds, agg("max", "m.most", "most")]})),
        MixCase("then groups rows of two joins", joined(rows, side("left", other, "host"), side("inner", states, "status", alias="s"), then={"where": some, "group_by": ["s.k"], "select": folds})),
        MixCase("then groups rows by what is not exact", joined(rows, side("left", other, "host"), then={"group_by": ["dc"], "select": [agg("sum", "latency", "s"), agg("count_distinct", "host", "h")]})),
        MixCase("then groups rows that fan out", joined(rows, side("left", {"from": "$b", "select": ["host", "bytes"]}, "host"), then={"group_by": ["dc"], "select": folds}), error="JOIN_FANOUT"),
    ]  # fmt: skip


def _unions() -> list[MixCase]:
    a = {"from": "$a", "select": ["host", "status", "bytes"]}
    b = {"from": "$b", "select": ["status", "host", "latency"]}
    order = {"order_by": ["source", "host", "status", "bytes", "latency"], "limit": 1000}
    return [
        MixCase("union", {"union": [a, b], **order}),
        MixCase("union of groups", {"union": [grouped("a", count("n"), width=None), grouped("b", count("n"), agg("avg", "bytes", "mean"), width=None)], "order_by": ["host", "source"]}),
        MixCase("union widens", {"union": [{"from": "$a", "group_by": ["big"], "select": [count("x")]}, {"from": "$b", "group_by": ["name"], "select": [agg("max", "ratio", "x")]}], "order_by": ["source", "big", "name"], "limit": 1000}, ("odd", "odd")),
        MixCase("union of limits", {"union": [{**grouped("a", count("n"), width=None), "order_by": ["host"], "limit": 2}, {**grouped("b", count("n"), width=None), "order_by": [{"field": "host", "dir": "desc"}], "limit": 2}], "order_by": ["host", "source"]}),
        MixCase("union, then", {"union": [a, b], "then": {"group_by": ["host", "source"], "select": [count("n"), agg("sum", "bytes", "b")]}}),
        MixCase("union of times", {"union": [{"from": "$a", "group_by": [bucket("a", "1h")], "select": [count("n")]}, {"from": "$b", "group_by": [bucket("b", "1h")], "select": [count("n")]}], "order_by": ["t", "source"]}),
        MixCase("a join of a union", joined(grouped("a", count("n"), width=None), side("left", {"union": [grouped("a", count("k"), width=None), grouped("b", count("k"), width=None)], "then": {"group_by": ["host"], "select": [agg("sum", "k", "k")]}}, "host"))),
        MixCase("union of unlike types", {"union": [{"from": "$a", "select": ["host"]}, {"from": "$b", "group_by": ["dc"], "select": [count("host")]}]}, error="FIELD_TYPE_CONFLICT"),
    ]  # fmt: skip


def _windows() -> list[MixCase]:
    select = [agg("sum", "bytes", "b"), count("n")]
    over = [
        {"over": word, "of": of, "as": f"{word}_{of}"}
        for word in ("rate", "difference", "cumulative_sum")
        for of in ("b", "n")
    ]
    moving = [
        {"over": "moving_avg", "of": of, "window": width, "as": f"m{width}_{of}"}
        for width in (1, 3)
        for of in ("b", "n")
    ]
    return [
        MixCase("over", grouped("a", *select, *over, *moving, width="1h", limit=1000)),
        MixCase("over filled groups", grouped("a", *select, *over, *moving, width="30m", time_range=_DAY, fill={"mode": "null"}, limit=1000)),
        MixCase("over floats", grouped("a", agg("avg", "latency", "x"), {"over": "rate", "of": "x", "as": "r"}, {"over": "moving_avg", "of": "x", "window": 4, "as": "m"}, limit=1000)),
        MixCase("over, then an expression and having", grouped("a", count("n"), {"over": "difference", "of": "n", "as": "d"}, expr("abs(d)", "e"), width="1h", having=leaf("e", "gte", 1))),
        MixCase("top", grouped("a", count("n"), keys=("host", "dc"), width="1h", top={"by": "n", "n": 2, "per": ["host"]})),
        MixCase("top of all, ascending", grouped("a", count("n"), keys=("path",), width=None, top={"by": "n", "n": 3, "dir": "asc"})),
        MixCase("top with missing", grouped("a", agg("max", "bytes", "b"), keys=("user",), width="1h", top={"by": "b", "n": 2, "per": ["user"]}, order_by=["user", "t"], limit=1000)),
        MixCase("over and top on a side", joined(grouped("a", count("n"), {"over": "difference", "of": "n", "as": "d"}, width="1h", top={"by": "n", "n": 2, "per": ["host"]}), side("left", grouped("b", count("n"), {"over": "cumulative_sum", "of": "n", "as": "c"}, width="1h"), "host", "t"))),
    ]  # fmt: skip


@cache
def mix_cases() -> tuple[MixCase, ...]:
    """Every case, with a name of its own."""
    found = (
        *_kinds(),
        *_shapes(),
        *_numbers(),
        *_asofs(),
        *_fans(),
        *_thens(),
        *_grouped_after(),
        *_unions(),
        *_windows(),
    )
    assert len({case.name for case in found}) == len(found)
    return found
