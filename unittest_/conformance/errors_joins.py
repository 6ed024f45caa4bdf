# ruff: noqa: E501  one body a line
"""Bodies over several sources that are refused, each with every (code, JSON pointer) that the answer must name.

`docs` is an index with `@timestamp`, `host`, `status`, `tags` (several values), `body` (analysed text); `cpu` a measurement with `time`, `host`, `usage`,
`status` (text).
"""

from __future__ import annotations

from typing import Any

from unittest_.conformance.case import Body, agg, count, expr, leaf
from unittest_.conformance.errors import BadBody

DOCS = {"source": "es", "index": "docs"}
CPU = {"source": "influx", "db": "telegraf", "measurement": "cpu"}


def _bucket(field: str, width: str = "1m", **more: Any) -> Body:
    return {"time_bucket": width, "field": field, "as": "t", **more}


_LEFT: Body = {"from": DOCS, "select": ["@timestamp", "host", "status"]}
_RIGHT: Body = {"from": CPU, "select": ["time", "host", "usage"]}
_GROUPS: Body = {"from": DOCS, "group_by": ["host", _bucket("@timestamp")], "select": [count()]}


def join(*on: Any, how: str = "inner", right: Body = _RIGHT, **more: Any) -> Body:
    return {"how": how, "as": "m", "with": right, "on": list(on), **more}


def asof(**more: Any) -> Body:
    clause = {"left": "@timestamp", "right": "time", "direction": "backward", "tolerance": "30s", **more}
    clause = {name: value for name, value in clause.items() if value is not None}
    return {"how": "asof", "as": "m", "with": _RIGHT, "on": ["host"], "asof": clause}


def left(*joins: Body, **more: Any) -> Body:
    return {**_LEFT, "join": list(joins), **more}


def _without(body: Body, *names: str) -> Body:
    return {name: value for name, value in body.items() if name not in names}


def _nested(depth: int) -> Body:
    return _RIGHT if depth == 0 else {**_RIGHT, "join": [join("host", right=_nested(depth - 1))]}


def _united(depth: int) -> Body:
    return _RIGHT if depth == 0 else {"union": [_united(depth - 1), _RIGHT]}


def _by(*keys: Any, **more: Any) -> Body:
    return {"from": CPU, "group_by": list(keys), "select": [agg("avg", "usage", "cpu")], **more}


_ROWS = (
    # name, body, code, pointer
    ("keys of different types", left(join({"left": "status", "right": "host"})), "JOIN_INVALID", "/join/0/on/0"),
    ("a number with a text of one name", left(join("status", right={"from": CPU, "select": ["status"]})), "JOIN_INVALID", "/join/0/on/0"),
    ("a time with a text", left(join({"left": "@timestamp", "right": "host"})), "JOIN_INVALID", "/join/0/on/0"),
    ("a key of several values", left(join({"left": "tags", "right": "host"}), select=["tags"]), "TYPE_MISMATCH", "/join/0/on/0"),
    ("a key of analysed text", left(join({"left": "body", "right": "host"}), select=["body"]), "FIELD_NOT_FILTERABLE", "/join/0/on/0"),
    ("a key that the left does not answer", left(join({"left": "hst", "right": "host"})), "FIELD_UNKNOWN", "/join/0/on/0"),
    ("a key that the right does not answer", left(join({"left": "host", "right": "hostname"})), "FIELD_UNKNOWN", "/join/0/on/0"),
    ("buckets of two widths", {**_GROUPS, "join": [join("host", "t", right=_by("host", _bucket("time", "5m")))]}, "BUCKET_INVALID", "/join/0/on/1"),
    ("buckets of two zones", {"from": DOCS, "group_by": [_bucket("@timestamp", "1d", tz="Europe/Berlin")], "select": [count()], "join": [join("t", right=_by(_bucket("time", "1d")))]}, "BUCKET_INVALID", "/join/0/on/0"),
    ("a bucket with a time", {**_GROUPS, "join": [join({"left": "t", "right": "time"})]}, "BUCKET_INVALID", "/join/0/on/0"),
    ("no tolerance", left(asof(tolerance=None)), "JOIN_INVALID", "/join/0/asof/tolerance"),
    ("a tolerance that is none", left(asof(tolerance="soon")), "TIME_INVALID", "/join/0/asof/tolerance"),
    ("a tolerance of ages", left(asof(tolerance="99999w")), "TIME_INVALID", "/join/0/asof/tolerance"),
    ("a tolerance that is a number", left(asof(tolerance=30)), "BODY_INVALID", "/join/0/asof/tolerance"),
    ("no direction", left(asof(direction=None)), "BODY_INVALID", "/join/0/asof/direction"),
    ("an unknown direction", left(asof(direction="backwards")), "BODY_INVALID", "/join/0/asof/direction"),
    ("asof by a text", left(asof(left="host")), "TYPE_MISMATCH", "/join/0/asof/left"),
    ("asof by an unknown column", left(asof(right="@timestamp")), "FIELD_UNKNOWN", "/join/0/asof/right"),
    ("no asof", left(join("host", how="asof")), "JOIN_INVALID", "/join/0/asof"),
    ("asof of another kind", left({**asof(), "how": "left"}), "JOIN_INVALID", "/join/0/asof"),
    ("five joins", left(*[{**join("host"), "as": f"m{at}"} for at in range(5)]), "JOIN_INVALID", "/join"),
    ("joins too many inside", left(join("host", right=_nested(4))), "JOIN_INVALID", "/join/0/with/join/0/with/join/0/with/join/0/with/join"),
    ("an unknown kind", left(join("host", how="outer")), "BODY_INVALID", "/join/0/how"),
    ("no kind", left(_without(join("host"), "how")), "BODY_INVALID", "/join/0/how"),
    ("no with", left(_without(join("host"), "with")), "BODY_INVALID", "/join/0/with"),
    ("no name", left(_without(join("host"), "as")), "BODY_INVALID", "/join/0/as"),
    ("no on", left(_without(join("host"), "on")), "BODY_INVALID", "/join/0/on"),
    ("an empty on", left(join()), "JOIN_INVALID", "/join/0/on"),
    ("a pair with one side", left(join({"left": "host"})), "BODY_INVALID", "/join/0/on/0/right"),
    ("a member that is not known", left(join("host", using="host")), "BODY_INVALID", "/join/0/using"),
    ("an empty join", left(), "BODY_INVALID", "/join"),
    ("a join that is none", {**_LEFT, "join": "m"}, "BODY_INVALID", "/join"),
    ("a with that is none", left(join("host", right="cpu")), "BODY_INVALID", "/join/0/with"),  # type: ignore[arg-type]
    ("a with without from", left(join("host", right={"select": ["host"]})), "BODY_INVALID", "/join/0/with/from"),
    ("options inside", left(join("host", right={**_RIGHT, "options": {}})), "BODY_INVALID", "/join/0/with/options"),
    ("a cursor inside", left(join("host", right={**_RIGHT, "cursor": None})), "BODY_INVALID", "/join/0/with/cursor"),
    ("a limit inside", left(join("host", right={**_RIGHT, "limit": 0})), "LIMIT_INVALID", "/join/0/with/limit"),
    ("an unknown field inside", left(join("host", right={**_RIGHT, "where": leaf("usge", "gt", 1)})), "FIELD_UNKNOWN", "/join/0/with/where/field"),
    ("a wrong operand inside", left(join("host", right={**_RIGHT, "where": leaf("usage", "gt", "1")})), "TYPE_MISMATCH", "/join/0/with/where/value"),
    ("many that is none", left(join("host", many=1)), "BODY_INVALID", "/join/0/many"),
    ("an unknown step", left(join("host", normalize=["upper"])), "BODY_INVALID", "/join/0/normalize/0"),
    ("steps without a text", left(join({"left": "@timestamp", "right": "time"}, normalize=["lower"])), "JOIN_INVALID", "/join/0/normalize"),
    ("one name twice", left(join("host"), join("host")), "NAME_CLASH", "/join/1/as"),
    ("a clash with the left side", {"from": DOCS, "group_by": ["host"], "select": [count("m.usage")], "join": [join("host")]}, "NAME_CLASH", "/join/0/as"),
    ("an order by what is not there", left(join("host"), order_by=["m.usge"]), "FIELD_UNKNOWN", "/order_by/0"),
    ("an order by a semi join's side", left(join("host", how="semi"), order_by=["m.usage"]), "FIELD_UNKNOWN", "/order_by/0"),
    ("then without a join", {**_LEFT, "then": {}}, "BODY_INVALID", "/then"),
    ("two orders", left(join("host"), then={"order_by": ["host"]}, order_by=["host"]), "BODY_INVALID", "/order_by"),
    ("then over an unknown column", left(join("host"), then={"where": leaf("usage", "gt", 1)}), "FIELD_UNKNOWN", "/then/where/field"),
    ("then over a wrong type", left(join("host"), then={"where": leaf("m.usage", "eq", "x")}), "TYPE_MISMATCH", "/then/where/value"),
    ("then groups by nothing known", left(join("host"), then={"group_by": ["m.host"]}), "FIELD_UNKNOWN", "/then/group_by/0"),
    ("then with a limit", left(join("host"), then={"limit": 5}), "BODY_INVALID", "/then/limit"),
    ("then with having and no groups", left(join("host"), then={"having": leaf("host", "eq", "x")}), "BODY_INVALID", "/then/having"),
    ("an expression over a joined text", left(join("host", right={"from": CPU, "select": ["host", "status"]}), then={"select": [expr("`m.status` + 1", "x")]}), "TYPE_MISMATCH", "/then/select/0/expr"),
    ("a union of one", {"union": [_LEFT]}, "BODY_INVALID", "/union"),
    ("a union with a where", {"union": [_LEFT, _RIGHT], "where": leaf("host", "eq", "x")}, "BODY_INVALID", "/where"),
    ("a union with a from", {"from": DOCS, "union": [_LEFT, _RIGHT]}, "BODY_INVALID", "/from"),
    ("a union of unlike types", {"union": [_LEFT, {"from": CPU, "select": ["status"]}]}, "FIELD_TYPE_CONFLICT", "/union/1"),
    ("a union of unions", {"union": [{"union": [_LEFT, _RIGHT]}, _RIGHT]}, "NAME_CLASH", "/union/0"),
    ("a union ordered by nothing known", {"union": [_LEFT, _RIGHT], "order_by": ["nowhere"]}, "FIELD_UNKNOWN", "/order_by/0"),
    ("over in rows", {"from": CPU, "select": [{"over": "rate", "of": "usage", "as": "r"}]}, "BODY_INVALID", "/select/0/over"),
    ("over without a bucket", {"from": CPU, "group_by": ["host"], "select": [count(), {"over": "rate", "of": "n", "as": "r"}]}, "BUCKET_INVALID", "/select/1/over"),
    ("over an unknown output", _by("host", _bucket("time"), select=[{"over": "rate", "of": "n", "as": "r"}]), "FIELD_UNKNOWN", "/select/0/of"),
    ("over a text", _by("host", _bucket("time"), select=[count(), {"over": "rate", "of": "host", "as": "r"}]), "TYPE_MISMATCH", "/select/1/of"),
    ("over an expression", _by(_bucket("time"), select=[count(), expr("n + 1", "e"), {"over": "rate", "of": "e", "as": "r"}]), "BODY_INVALID", "/select/2/of"),
    ("an unknown over", _by(_bucket("time"), select=[count(), {"over": "speed", "of": "n", "as": "r"}]), "OPERATOR_UNKNOWN", "/select/1/over"),
    ("a moving average without a window", _by(_bucket("time"), select=[count(), {"over": "moving_avg", "of": "n", "as": "r"}]), "BODY_INVALID", "/select/1/window"),
    ("a window of nothing", _by(_bucket("time"), select=[count(), {"over": "moving_avg", "of": "n", "window": 0, "as": "r"}]), "LIMIT_INVALID", "/select/1/window"),
    ("a window of a rate", _by(_bucket("time"), select=[count(), {"over": "rate", "of": "n", "window": 3, "as": "r"}]), "BODY_INVALID", "/select/1/window"),
    ("over without a name", _by(_bucket("time"), select=[count(), {"over": "rate", "of": "n"}]), "BODY_INVALID", "/select/1/as"),
    ("over under a name that is taken", _by(_bucket("time"), select=[count(), {"over": "rate", "of": "n", "as": "n"}]), "NAME_CLASH", "/select/1/as"),
    ("top in rows", {**_RIGHT, "top": {"by": "usage", "n": 3}}, "BODY_INVALID", "/top"),
    ("top by an unknown output", _by("host", top={"by": "mem", "n": 3}), "FIELD_UNKNOWN", "/top/by"),
    ("top per an unknown key", _by("host", top={"by": "cpu", "n": 3, "per": ["cpu"]}), "NOT_A_KEY", "/top/per/0"),
    ("top of nothing", _by("host", top={"by": "cpu", "n": 0}), "LIMIT_INVALID", "/top/n"),
    ("top without n", _by("host", top={"by": "cpu"}), "BODY_INVALID", "/top/n"),
    ("top with a member that is not known", _by("host", top={"by": "cpu", "n": 1, "of": "x"}), "BODY_INVALID", "/top/of"),
)  # fmt: skip

_SEVERAL = (
    ("queries too deep", _united(5), (("JOIN_INVALID", "/union/0/union/0/union/0/union/0/union/0"), ("JOIN_INVALID", "/union/0/union/0/union/0/union/0/union/1"))),
    ("two sides of faults", left(join("hst", right={**_RIGHT, "where": leaf("usge", "gt", 1)}), where=leaf("sttus", "eq", 1), order_by=["m.x"]), (("FIELD_UNKNOWN", "/where/field"), ("FIELD_UNKNOWN", "/join/0/with/where/field"), ("FIELD_UNKNOWN", "/join/0/on/0"), ("FIELD_UNKNOWN", "/join/0/on/0"), ("FIELD_UNKNOWN", "/order_by/0"))),
    ("shapes of two joins", left(join("host", how="cross"), asof(tolerance=None, direction="up")), (("BODY_INVALID", "/join/0/how"), ("JOIN_INVALID", "/join/1/asof/tolerance"), ("BODY_INVALID", "/join/1/asof/direction"))),
    ("parts of a union", {"union": [{**_LEFT, "select": ["nope"]}, {**_RIGHT, "select": ["nothing"]}]}, (("FIELD_UNKNOWN", "/union/0/select/0"), ("FIELD_UNKNOWN", "/union/1/select/0"))),
)  # fmt: skip


def bad_joins() -> list[BadBody]:
    """All of them, with names of their own."""
    found = [BadBody(name, body, ((code, pointer),)) for name, body, code, pointer in _ROWS]
    found += [BadBody(name, body, issues) for name, body, issues in _SEVERAL]
    assert len({one.name for one in found}) == len(found)
    return found
