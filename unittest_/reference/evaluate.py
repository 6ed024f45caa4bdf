"""`answer`: a body over tables, step by step: where, group, fill, over, expressions, having, top, order, limit.

`shape` does all but order and limit, for one side; a join or a union would combine shapes, and `then` would shape the joined rows
once more, before `ranked` orders and cuts.
Decision: without `select` every field is answered: `_id`, the time, tags by name, then the others by name; a multi-valued
cell lists its values as they were sent, without nulls. Decision: rows are ordered by the range's field where one is named, else by
`@timestamp` or `time`. Decision: `order_by` in rows may also name an output, and an output wins over a field of its name;
addresses are ordered as text.
Decision: in rows an expression sees earlier outputs too. Decision: a time range that holds no instant (`from` at or after
`to`) is RANGE_INVALID.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from unittest_.reference.aggregates import aggregate
from unittest_.reference.expressions import parse
from unittest_.reference.filters import compile_filter, time_filter
from unittest_.reference.groups import Fill, GroupKey, filled, group_key, grouped
from unittest_.reference.ordering import ranked
from unittest_.reference.tables import Answer, Column, FieldSpec, Refused, Row, Scope, Table, source_key
from unittest_.reference.times import instant
from unittest_.reference.windows import over, top

Bounds = tuple[int | None, int | None]
STEPS = {
    "from",
    "time_range",
    "where",
    "group_by",
    "select",
    "having",
    "fill",
    "top",
    "order_by",
    "limit",
    "cursor",
    "options",
}


@dataclass
class Shaped:
    """Rows of one side before order and limit: its outputs in order, and what an order may name."""

    names: list[str]
    scope: Scope
    default_order: list[str]


def answer(body: Mapping[str, Any], tables: Mapping[str, Table], now_ns: int) -> Answer:
    """The rows that every store must answer. `tables` maps `source_key(from)` to the table; without `from` there is one table.

    Raises Refused with the language's code for a body that is an error.
    """
    if unknown := set(body) - STEPS:
        raise Refused("BODY_INVALID", f"{sorted(unknown)}")
    table = tables[source_key(body["from"])] if "from" in body else next(iter(tables.values()))
    shaped = shape(body, table, now_ns)
    return ranked(
        [Column(name, spec.type, spec.multi) for name, spec in _specs(shaped)],
        shaped.scope,
        body.get("order_by") or [{"field": name} for name in shaped.default_order],
        body.get("limit", 100),
    )


def _specs(shaped: Shaped) -> list[tuple[str, FieldSpec]]:
    return [(name, shaped.scope.fields[name]) for name in shaped.names]


def shape(body: Mapping[str, Any], table: Table, now: int) -> Shaped:
    """All steps of one side but order and limit."""
    span = body.get("time_range") or {}
    time = span.get("field", table.time_field)
    rows = table.rows
    bounds: Bounds = (None, None)
    if span:
        if table.fields.get(time, FieldSpec("json")).type != "timestamp":
            raise Refused("FIELD_UNKNOWN" if time not in table.fields else "TYPE_MISMATCH", time)
        bounds = _bounds(span, now)
        test = time_filter(bounds, time)
        rows = [row for row in rows if test(row)]
    if "where" in body:
        test = compile_filter(body["where"], table.fields, now)
        rows = [row for row in rows if test(row)]
    select = [{"field": item} if isinstance(item, str) else item for item in body.get("select") or ()]
    if "group_by" in body or any("agg" in item for item in select):
        return _groups(body, select, table, rows, time, bounds, now)
    return _rows(select or [{"field": name} for name in table.every_field], table, rows, time)


def _bounds(span: Mapping[str, Any], now: int) -> Bounds:
    low = instant(span["from"], now) if "from" in span else None
    high = instant(span["to"], now) if "to" in span else None
    if low is not None and high is not None and low >= high:
        raise Refused("RANGE_INVALID", "from is not before to")
    return low, high


def _rows(select: Sequence[Mapping[str, Any]], table: Table, rows: Sequence[Row], time: str) -> Shaped:
    scope = Scope(dict(table.fields), [dict(row) for row in rows], [{} for _ in rows])
    names: list[str] = []
    for item in select:
        if "expr" in item:
            _express(scope, item)
        else:
            _rename(scope, table, rows, item)
        _name(names, item.get("as", item.get("field")))
    return Shaped(names, scope, [time] if time in table.fields else [])


def _rename(scope: Scope, table: Table, rows: Sequence[Row], item: Mapping[str, Any]) -> None:
    field, name = item["field"], item.get("as", item["field"])
    if field not in table.fields:
        raise Refused("FIELD_UNKNOWN", field)
    scope.fields[name] = table.fields[field]
    for row, target in zip(rows, scope.rows, strict=True):
        _put(target, name, row.get(field))


def _groups(
    body: Mapping[str, Any],
    select: Sequence[Mapping[str, Any]],
    table: Table,
    rows: Sequence[Row],
    time: str,
    bounds: Bounds,
    now: int,
) -> Shaped:
    keys = [group_key(item, table.fields, time) for item in body.get("group_by") or ()]
    names: list[str] = []
    for key in keys:
        _name(names, key.name)
    for item in select:
        if "field" in item and "agg" not in item:
            if item["field"] not in names:
                raise Refused("NOT_A_KEY", item["field"])
        else:
            _name(names, item["as"])
    aggregates = {item["as"]: aggregate(item, table.fields, time, now) for item in select if "agg" in item}
    scope = grouped(rows, keys, aggregates)
    fill = body.get("fill") or {"mode": "none"}
    if fill["mode"] != "none":
        scope = filled(scope, keys, aggregates, _fill(fill, keys, time, bounds))
    for item in select:
        if "over" in item:
            over(scope, item, keys)
    _express_groups(scope, select, keys)
    if "having" in body:
        _keep(scope, body["having"], now)
    if "top" in body:
        top(scope, body["top"], keys)
    return Shaped(names, scope, [key.name for key in keys])


def _fill(fill: Mapping[str, Any], keys: Sequence[GroupKey], time: str, bounds: Bounds) -> Fill:
    low, high = bounds
    if low is None or high is None or any(key.width and key.field != time for key in keys):
        raise Refused("FILL_INVALID", "fill needs both bounds of the time range, on the bucket's field")
    return Fill(fill["mode"], fill.get("value"), (low, high))


def _express_groups(scope: Scope, select: Sequence[Mapping[str, Any]], keys: Sequence[GroupKey]) -> None:
    """Computes the expressions in order; each sees the keys and the outputs before it."""
    later = [item["as"] for item in select if "as" in item]
    hidden = {name: scope.fields.pop(name) for name in later if name in scope.fields}
    for item in select:
        if "expr" in item:
            _express(scope, item)
        elif "as" in item and item["as"] in hidden:
            scope.fields[item["as"]] = hidden[item["as"]]


def _express(scope: Scope, item: Mapping[str, Any]) -> None:
    node, name = parse(item["expr"], scope.fields), item["as"]
    scope.fields[name] = FieldSpec("float64")
    for row, slack in zip(scope.rows, scope.slack, strict=True):
        value, slack[name] = node(row, slack)
        _put(row, name, value)


def _keep(scope: Scope, having: Mapping[str, Any], now: int) -> None:
    test = compile_filter(having, scope.fields, now)
    kept = [(row, slack) for row, slack in zip(scope.rows, scope.slack, strict=True) if test(row)]
    scope.rows, scope.slack = [row for row, _ in kept], [slack for _, slack in kept]


def _put(row: Row, name: str, value: Any) -> None:
    if value is None:
        row.pop(name, None)
    else:
        row[name] = value


def _name(names: list[str], name: Any) -> None:
    if name in names:
        raise Refused("NAME_CLASH", str(name))
    names.append(name)
