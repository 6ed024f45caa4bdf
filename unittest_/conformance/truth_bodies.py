"""Bodies that ask for one part each: every operator, aggregate, key and order that the language has for a data set's fields."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, cast

from libs.result import Type, TypeName
from query.backend import Ordering
from query.expr import Compare, Op
from query.plan import Order
from query.vocabulary import AGGREGATES
from unittest_.conformance.case import Body, agg, count, either, every, leaf, negated
from unittest_.reference.filters import OPERATORS, operators_of
from unittest_.reference.tables import FieldSpec, Table, values_of
from unittest_.reference.times import written

ALL = 1000  # more than any of the sets has
MOST = 10_000
_BUCKETS: tuple[Body, ...] = (
    {"time_bucket": "7m"},
    {"time_bucket": "5h"},
    {"time_bucket": "1d"},
    {"time_bucket": "1w"},
    {"time_bucket": "1M"},
    {"time_bucket": "1y"},
    {"time_bucket": "1d", "tz": "Europe/Berlin"},
)
_REFUSED_OPERANDS: dict[str, bool | int | float | str] = {
    "boolean": True,
    "int64": 1,
    "float64": 1.5,
    "string": "a",
    "timestamp": 1,
    "json": "{}",
}
_PLAIN = {"select": [count("rows")]}
Named = tuple[str, Body]


def filters(table: Table, analysed: Sequence[str]) -> Iterator[Named]:
    """Each operator on each field that takes it; the analysed fields are those that `match` is meant for."""
    for field, spec in table.fields.items():
        values = sorted({one for row in table.rows for one in values_of(row, field)}) if spec.type != "json" else []
        for op in operators_of(spec):
            if op not in ("match", "match_phrase") or field in analysed:
                for at, operand in enumerate(_operands(op, spec, values)):
                    yield f"{field} {op} {at}", leaf(field, op, operand)


def _operands(op: str, spec: FieldSpec, values: Sequence[Any]) -> list[Any]:
    if op == "exists":
        return [True, False]
    first, middle, last = (_operand(spec, values[len(values) * part // 4]) for part in (1, 2, 3))
    match op:
        case "in" | "nin":
            return [[first, last], [middle]]
        case "between":
            return [[first, last]]
        case "match" | "match_phrase":
            return ["quick"]
        case "like":
            return [re.sub(r"([%_\\])", r"\\\1", middle[:1]) + "%", "%_"]
        case "ilike":
            return [re.sub(r"([%_\\])", r"\\\1", middle[:2].lower()) + "%"]
        case "regex":
            return ["^" + re.sub(r"([!-/:-@\[-^`{-~])", r"\\\1", middle[:2]), "(a|b){2,40}[^x]*\\d?"]
        case "starts_with":
            return [middle[:2]]
        case "ends_with":
            return [middle[-2:], "a" * 70]
        case "contains":
            return [middle[1:3] or middle, "a" * 70]
        case _:
            return [middle]


def _operand(spec: FieldSpec, value: Any) -> Any:
    return written(value) if spec.type == "timestamp" else value


def refused(table: Table) -> Iterator[Compare]:
    """Leaves that the language refuses: each operator on each field that does not take it."""
    for field, spec in table.fields.items():
        kind = Type(TypeName(spec.type), spec.multi, "ms" if spec.unit == "ms" else "ns")
        for op in OPERATORS:
            if op not in operators_of(spec):
                one = _REFUSED_OPERANDS[spec.type]
                operand = (one, one) if op in ("in", "nin", "between") else one
                yield Compare(field, cast("Op", op), operand, kind)


def compositions(leaves: Sequence[Named]) -> Iterator[Named]:
    """Leaves under `or`, `not` and both, each with its neighbour some way on."""
    for at, (name, one) in enumerate(leaves):
        other_name, other = leaves[(at * 7 + 3) % len(leaves)]
        names = f"({name}), ({other_name})"
        yield f"not ({name})", negated(one)
        yield f"or {names}", either(one, other)
        yield f"not or {names}", negated(either(one, other))
        yield f"not and {names}", negated(every(one, other))
        yield f"or not {names}", either(negated(one), other)
        yield f"or and not {names}", either(every(one, negated(other)), other)


def groups(table: Table, span: Body) -> Iterator[Named]:
    """Each aggregate of each field under each kind of key, over all times and within a range."""
    time = table.time_field
    keys: list[Body | str | None] = [None]
    keys += [field for field, spec in table.fields.items() if spec.type != "json" and spec.role != "text"]
    keys += [{**bucket, "field": time, "as": "t"} for bucket in _BUCKETS]
    for key in keys:
        for item in _aggregates(table):
            for ranged in (False, True) if key is None or isinstance(key, dict) else (False,):
                body: Body = {"select": [item], "limit": ALL}
                if key is not None:
                    body["group_by"] = [key]
                if ranged:
                    body["time_range"] = span
                yield f"{item} by {key}{' within' if ranged else ''}", body


def _aggregates(table: Table) -> Iterator[Body]:
    yield count("a")
    for field, spec in table.fields.items():
        yield agg("count", field, "a")
        for name, word in AGGREGATES.items():
            if name == "count" or spec.role == "text" or spec.type not in word.types:
                continue
            yield agg(name, field, "a", **({"p": 90} if name == "percentile" else {}))
    a_string = next(field for field, spec in table.fields.items() if spec.type == "string" and spec.role != "text")
    yield count("a", where=leaf(a_string, "exists", True))
    yield agg("count", a_string, "a", where=leaf(a_string, "ne", "no such value"))


def orders(table: Table) -> Iterator[Named]:
    """Each field both ways with few rows and with all, alone and before the time; and the first rows without an order."""
    for field, spec in table.fields.items():
        if spec.type == "json" or spec.role == "text":
            continue
        for way in ("asc", "desc"):
            first = {"field": field, "dir": way}
            for limit in (5, MOST):
                yield f"{field} {way} {limit}", {"order_by": [first], "limit": limit}
            if field != table.time_field:
                yield f"{field} {way}, time", {"order_by": [first, table.time_field], "limit": 7}
                yield f"groups by {field} {way}", {**_PLAIN, "group_by": [field], "order_by": [first], "limit": 3}


def unbounded(table: Table) -> Iterator[Ordering]:
    """An order of all rows by each field, both ways, and a limit of any rows."""
    yield Ordering((), 5)
    for field, spec in table.fields.items():
        if spec.type != "json" and spec.role != "text":
            yield from (Ordering((Order(field, descending),), None) for descending in (False, True))
