"""`mixed`: a body over several tables: joins, unions and `then`, in plain Python.

Decision: `then`'s filter is taken conjunct by conjunct, each as soon as all columns that it names are there, so that keys fan
out among the left rows that it keeps. Decision: with `then`, the order is its own or the body's, and the limit is the body's.
Decision: the default order of joined rows is the left side's; of a union, what all its parts share of theirs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from unittest_.reference.evaluate import shape
from unittest_.reference.filters import compile_filter
from unittest_.reference.ordering import ranked
from unittest_.reference.tables import NUMBERS, Answer, Column, FieldSpec, Refused, Row, Scope, Table, source_key
from unittest_.reference.times import WIDTHS, instant, written

Tables = Mapping[str, Table]
Bounds = tuple[int | None, int | None] | None
Body = Mapping[str, Any]
# Where a row keeps the errors of its float cells while `then` makes new rows of it.
_SLACK = "\0slack"
_OURS = ("join", "union", "then", "order_by", "limit", "options", "cursor", "from")


@dataclass
class Rows:
    """Rows between the steps: the columns in order, what an order may name beside them, the default order."""

    names: list[str]
    scope: Scope
    order: list[str]
    bounds: Bounds = None
    label: str = ""


def mixed(body: Body, tables: Tables, now: int) -> Answer:
    """The rows that every pair of stores must answer. Raises Refused with the language's code for a body that is an error."""
    rows = _query(body, tables, now, None)
    columns = [Column(name, rows.scope.fields[name].type, rows.scope.fields[name].multi) for name in rows.names]
    order = (body.get("then") or {}).get("order_by") or body.get("order_by") or [{"field": name} for name in rows.order]
    return ranked(columns, rows.scope, order, body.get("limit", 100))


def _query(body: Body, tables: Tables, now: int, inherited: Bounds) -> Rows:
    """All of a query but its last order and limit."""
    if "union" in body:
        rows = _union([_limited(part, tables, now, inherited) for part in body["union"]])
    else:
        rows = _single(body, tables, now, inherited)
    waiting = _conjuncts((body.get("then") or {}).get("where"))
    for clause in body.get("join", ()):
        waiting = _filtered(rows, waiting, now)
        rows = _joined(rows, clause, tables, now)
    return _again(rows, body["then"], waiting, now) if "then" in body else rows


def _limited(body: Body, tables: Tables, now: int, inherited: Bounds) -> Rows:
    """A query inside a body, which has a limit only where it says one."""
    rows = _query(body, tables, now, inherited)
    if "limit" not in body:
        return rows
    places = list(range(len(rows.scope.rows)))
    order = (body.get("then") or {}).get("order_by") or body.get("order_by") or [{"field": name} for name in rows.order]
    for item in reversed(order):
        name, down = (item, False) if isinstance(item, str) else (item["field"], item.get("dir") == "desc")
        present = [at for at in places if rows.scope.rows[at].get(name) is not None]
        present.sort(key=lambda at, name=name: rows.scope.rows[at][name], reverse=down)
        places = present + [at for at in places if rows.scope.rows[at].get(name) is None]
    kept = places[: body["limit"]]
    scope = Scope(rows.scope.fields, [rows.scope.rows[at] for at in kept], [rows.scope.slack[at] for at in kept])
    return Rows(rows.names, scope, rows.order, rows.bounds, rows.label)


def _single(body: Body, tables: Tables, now: int, inherited: Bounds) -> Rows:
    label = source_key(body["from"])
    table = tables[label]
    own = {name: clause for name, clause in body.items() if name not in _OURS}
    if "time_range" not in own and inherited is not None and table.time_field in table.fields:
        low, high = inherited
        bounds = {"from": low, "to": high}
        own["time_range"] = {name: written(at) for name, at in bounds.items() if at is not None}
    span = own.get("time_range")
    found: Bounds = None
    if span:
        found = tuple(instant(span[name], now) if name in span else None for name in ("from", "to"))  # type: ignore[assignment]
    shaped = shape(own, table, now)
    return Rows(shaped.names, shaped.scope, shaped.default_order, found, label)


def _conjuncts(where: Body | None) -> list[Body]:
    if where is None:
        return []
    return [part for node in where["and"] for part in _conjuncts(node)] if "and" in where else [where]


def _named(node: Body) -> set[str]:
    if "field" in node:
        return {node["field"]}
    inner = node["not"] if "not" in node else node.get("and", node.get("or"))
    return set().union(*map(_named, [inner] if isinstance(inner, dict) else inner))


def _filtered(rows: Rows, waiting: list[Body], now: int) -> list[Body]:
    """Takes the conjuncts over the columns there are; answers the others."""
    taken = [part for part in waiting if _named(part) <= set(rows.names)]
    for part in taken:
        test = compile_filter(part, {name: rows.scope.fields[name] for name in rows.names}, now)
        kept = [at for at, row in enumerate(rows.scope.rows) if test(row)]
        rows.scope.rows, rows.scope.slack = (
            [rows.scope.rows[at] for at in kept],
            [rows.scope.slack[at] for at in kept],
        )
    return [part for part in waiting if part not in taken]


def _joined(left: Rows, clause: Body, tables: Tables, now: int) -> Rows:
    asof, how = clause.get("asof"), clause["how"]
    right = _limited(clause["with"], tables, now, _widened(left.bounds, asof))
    pairs = [(one, one) if isinstance(one, str) else (one["left"], one["right"]) for one in clause.get("on", ())]
    for a, b in pairs:
        _check_types(left.scope.fields[a], right.scope.fields[b])
    held: dict[tuple[Any, ...], list[int]] = {}
    for at, row in enumerate(right.scope.rows):
        if (key := _key(row, [b for _, b in pairs], clause)) is not None:
            held.setdefault(key, []).append(at)
    added = [name for name in right.names if name not in {b for _, b in pairs}] if how not in ("semi", "anti") else []
    names = {name: f"{clause.get('as')}.{name}" for name in added}
    if clash := set(names.values()) & set(left.names):
        raise Refused("NAME_CLASH", str(clash))
    fields = {**left.scope.fields, **{new: right.scope.fields[old] for old, new in names.items()}}
    scope = Scope(fields, [], [])
    for row, slack in zip(left.scope.rows, left.scope.slack, strict=True):
        key = _key(row, [a for a, _ in pairs], clause)
        found = held.get(key, []) if key is not None else []
        if asof is not None:
            found = _nearest(row.get(asof["left"]), found, right.scope.rows, asof)
        if len(found) > 1 and how not in ("semi", "anti") and not clause.get("many"):
            raise Refused("JOIN_FANOUT", str(key))
        if how in ("semi", "anti"):
            if bool(found) == (how == "semi"):
                scope.rows.append(row)
                scope.slack.append(slack)
            continue
        matches = [(right.scope.rows[at], right.scope.slack[at]) for at in found]
        for other, more in matches or ([({}, {})] if how != "inner" else []):
            scope.rows.append({**row, **{new: other[old] for old, new in names.items() if old in other}})
            scope.slack.append({**slack, **{new: more[old] for old, new in names.items() if old in more}})
    return Rows([*left.names, *names.values()], scope, left.order, left.bounds, left.label)


def _check_types(a: FieldSpec, b: FieldSpec) -> None:
    if a.multi or b.multi:
        raise Refused("TYPE_MISMATCH", "a key holds one value")
    if a.type != b.type and not (a.type in NUMBERS and b.type in NUMBERS):
        raise Refused("JOIN_INVALID", f"{a.type} and {b.type}")


def _key(row: Row, names: Sequence[str], clause: Body) -> tuple[Any, ...] | None:
    """The key, normalised; None when a part of it is missing. Python compares integers with floats exactly."""
    if any(row.get(name) is None for name in names):
        return None
    return tuple(_normal(row[name], clause.get("normalize", ())) for name in names)


def _normal(value: Any, steps: Sequence[str]) -> Any:
    if not isinstance(value, str):
        return (type(value) is bool, value)
    for step in steps:
        if step == "lower":
            value = "".join(low if len(low := char.lower()) == 1 else char for char in value)
        elif not _address(value):
            value = value.split(".")[0]
    return value


def _address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _tolerance(asof: Body) -> int:
    text = asof["tolerance"]
    unit = text.lstrip("0123456789")
    return int(text[: len(text) - len(unit)]) * WIDTHS[unit]


def _nearest(time: int | None, places: Sequence[int], rows: Sequence[Row], asof: Body) -> list[int]:
    """The rows at the chosen time."""
    if time is None:
        return []
    direction, distance = asof["direction"], {}
    for at in places:
        other = rows[at].get(asof["right"])
        if other is None or (direction == "backward" and other > time) or (direction == "forward" and other < time):
            continue
        if abs(time - other) <= _tolerance(asof):
            distance[at] = (abs(time - other), other)
    best = min(distance.values(), default=None)
    return [at for at, how_far in distance.items() if how_far == best]


def _widened(bounds: Bounds, asof: Body | None) -> Bounds:
    if bounds is None or asof is None:
        return bounds
    low, high = bounds
    if low is not None and asof["direction"] != "forward":
        low -= _tolerance(asof)
    if high is not None and asof["direction"] != "backward":
        high += _tolerance(asof)
    return low, high


def _union(parts: list[Rows]) -> Rows:
    fields: dict[str, FieldSpec] = {}
    for part in parts:
        for name in part.names:
            spec = part.scope.fields[name]
            fields[name] = _both(fields[name], spec, name) if name in fields else spec
    scope = Scope({**fields, "source": FieldSpec("string")}, [], [])
    for part in parts:
        for row, slack in zip(part.scope.rows, part.scope.slack, strict=True):
            cells = {name: _wider(row[name], fields[name]) for name in part.names if name in row}
            scope.rows.append({**cells, "source": part.label})
            scope.slack.append({name: error for name, error in slack.items() if name in cells})
    order = [name for name in parts[0].order if all(name in part.order and name in part.names for part in parts)]
    return Rows([*fields, "source"], scope, order, None, parts[0].label)


def _both(a: FieldSpec, b: FieldSpec, name: str) -> FieldSpec:
    if a.type != b.type and not (a.type in NUMBERS and b.type in NUMBERS):
        raise Refused("FIELD_TYPE_CONFLICT", name)
    kind = a.type if a.type == b.type else "float64"
    return FieldSpec(
        kind, a.multi or b.multi, a.unit if a.unit == b.unit else "ns", a.role if a.role == b.role else "plain"
    )


def _wider(value: Any, spec: FieldSpec) -> Any:
    if isinstance(value, list):
        return [_wider(one, FieldSpec(spec.type)) for one in value]
    value = float(value) if spec.type == "float64" else value
    return [value] if spec.multi else value


def _again(rows: Rows, then: Body, waiting: list[Body], now: int) -> Rows:
    """The steps of `then` over the rows there are."""
    waiting = _filtered(rows, waiting, now)
    if waiting:
        raise Refused("FIELD_UNKNOWN", str(waiting))
    held = [
        {**{name: row[name] for name in rows.names if name in row}, _SLACK: slack}
        for row, slack in zip(rows.scope.rows, rows.scope.slack, strict=True)
    ]
    table = _Joined("documents", {name: rows.scope.fields[name] for name in rows.names}, held)
    own = {name: clause for name, clause in then.items() if name not in ("where", "order_by")}
    shaped = shape(own, table, now)
    for row, slack in zip(shaped.scope.rows, shaped.scope.slack, strict=True):
        slack.update(row.pop(_SLACK, {}))
    grouped = "group_by" in then or any("agg" in item for item in then.get("select", ()) if isinstance(item, dict))
    order = shaped.default_order if grouped else [name for name in rows.order if name in rows.names]
    return Rows(shaped.names, shaped.scope, order, rows.bounds, rows.label)


class _Joined(Table):
    """Joined rows: every field is a column, in order."""

    @property
    def every_field(self) -> list[str]:
        return list(self.fields)
