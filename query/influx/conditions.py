"""Predicates as InfluxQL conditions that mean the same, or not at all.

InfluxDB takes a missing tag for '' and has no word for a missing field: so a tag's leaf and its negation are both said,
a field's leaf only as it stands. Times are bounds of the whole statement, never part of an OR.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import assert_never

from query.backend import UnsupportedPart
from query.expr import And, Compare, Not, Or, Predicate, Scalar, conjuncts
from query.influx.quote import number, quotable, regex, string, verbatim
from query.influx.table import MAX_TIME, MIN_TIME, TIME, tag, typed
from query.pattern import to_re2
from query.pattern_syntax import parse_ilike, parse_like, parse_regex
from query.plan import Scan

MAX_FIELD_VALUES = 100
TIME_OPS = frozenset({"eq", "lt", "lte", "gt", "gte", "between", "exists"})
PATTERN_OPS = frozenset({"like", "ilike", "starts_with", "ends_with", "contains", "regex"})
_SIGNS = {"eq": "=", "ne": "!=", "lt": "<", "lte": "<=", "gt": ">", "gte": ">="}


def split_time(where: Predicate | None) -> tuple[int, int, tuple[Predicate, ...]]:
    """(first instant, last instant, what is left) of a filter; an empty range has the first after the last.
    Instants are nanoseconds since 1970, clamped to what InfluxDB can hold."""
    first, last = MIN_TIME, MAX_TIME
    rest: list[Predicate] = []
    for part in conjuncts(where):
        if not isinstance(part, Compare) or part.field != TIME:
            rest.append(part)
            continue
        low, high = _range(part)
        first, last = max(first, low), min(last, high)
    return first, last, tuple(rest)


def _range(leaf: Compare) -> tuple[int, int]:
    match leaf.op, leaf.value:
        case "exists", bool() as wanted:
            return (MIN_TIME, MAX_TIME) if wanted else (1, 0)
        case "eq", int() as instant:
            return instant, instant
        case "lt", int() as instant:
            return MIN_TIME, instant - 1
        case "lte", int() as instant:
            return MIN_TIME, instant
        case "gt", int() as instant:
            return instant + 1, MAX_TIME
        case "gte", int() as instant:
            return instant, MAX_TIME
        case "between", (int() as low, int() as high):
            return low, high
        case _:
            raise UnsupportedPart(f"{leaf.op} on the time")


def condition(parts: tuple[Predicate, ...], scan: Scan) -> str | None:
    """The conjunction as one condition; None when it is true, "false" when it is false. Raises UnsupportedPart."""
    said = _said(And(parts), scan, negated=False)
    return None if said == "true" else said


def _said(predicate: Predicate, scan: Scan, negated: bool) -> str:
    match predicate:
        case Not(item):
            return _said(item, scan, not negated)
        case And(items):
            return _joined(items, scan, negated, all_of=not negated)
        case Or(items):
            return _joined(items, scan, negated, all_of=negated)
        case Compare():
            member = scan.typed(predicate.field)
            if member.role == "tag":
                return _tag_leaf(predicate, negated)
            if member.role == "field" and not negated:
                return _field_leaf(predicate, typed(member.name, str(member.native)))
            raise UnsupportedPart(f"{predicate.op} on {predicate.field!r} inside of or, or not")
        case _:
            assert_never(predicate)


def _joined(items: Iterable[Predicate], scan: Scan, negated: bool, all_of: bool) -> str:
    """The items joined by AND or OR; "true" and "false" never stand inside of a longer condition."""
    neutral, final = ("true", "false") if all_of else ("false", "true")
    said = []
    for item in items:
        text = _said(item, scan, negated)
        if text == final:
            return final
        if text != neutral:
            said.append(text)
    if not said:
        return neutral
    return said[0] if len(said) == 1 else "(" + (" AND " if all_of else " OR ").join(said) + ")"


def _tag_leaf(leaf: Compare, negated: bool) -> str:
    name = tag(leaf.field)
    match leaf.op:
        case "exists":
            return f"{name} {'=' if bool(leaf.value) == negated else '!='} ''"
        case "eq":
            return _equal(name, _text(leaf.value), negated) if leaf.value else _truth(negated)
        case "ne":
            return _with_value(name, _equal(name, _text(leaf.value), not negated) if leaf.value else None, negated)
        case "in":
            values = [value for value in _texts(leaf.value) if value]
            return _any_of(name, values, negated) if values else _truth(negated)
        case "nin":
            values = [value for value in _texts(leaf.value) if value]
            return _with_value(name, _any_of(name, values, not negated) if values else None, negated)
        case op if op in PATTERN_OPS:
            return _with_value(name, f"{name} {'!~' if negated else '=~'} {regex(pattern(leaf))}", negated)
        case _:
            raise UnsupportedPart(f"{leaf.op} on a tag")


def _with_value(name: str, said: str | None, negated: bool) -> str:
    """`said`, but false where the tag is missing (its negation: but true)."""
    present = f"{name} {'=' if negated else '!='} ''"
    if said is None:
        return present
    return f"({said} {'OR' if negated else 'AND'} {present})"


def _truth(value: bool) -> str:
    return "true" if value else "false"


def _equal(name: str, text: str, negated: bool) -> str:
    if quotable(text):
        return f"{name} {'!=' if negated else '='} {string(text)}"
    return f"{name} {'!~' if negated else '=~'} {_exactly(text)}"


def _exactly(*texts: str) -> str:
    choice = "|".join(map(verbatim, texts))
    return regex(rf"\A(?:{choice})\z")


def _any_of(name: str, values: list[str], negated: bool) -> str:
    if len(values) == 1:
        return _equal(name, values[0], negated)
    return f"{name} {'!~' if negated else '=~'} {_exactly(*values)}"


def _field_leaf(leaf: Compare, name: str) -> str:
    match leaf.op, leaf.value:
        case "exists", True:
            return present(name)
        case "exists", _:
            raise UnsupportedPart("InfluxQL cannot ask for points without a field")
        case ("eq" | "ne") as op, str() as text:
            return _equal(name, text, op == "ne")
        case ("eq" | "ne" | "lt" | "lte" | "gt" | "gte") as op, (bool() | int() | float()) as value:
            return f"{name} {_SIGNS[op]} {_literal(value)}"
        case "between", (low, high):
            return f"({name} >= {_literal(low)} AND {name} <= {_literal(high)})"
        case ("in" | "nin") as op, tuple(values):
            return _field_list(name, values, op == "nin")
        case op, _ if op in PATTERN_OPS:
            return f"{name} =~ {regex(pattern(leaf))}"
        case _:
            raise UnsupportedPart(f"{leaf.op} on a field")


def present(name: str) -> str:
    """A typed field has a value: what compares equal, or does not, is there."""
    same = {"string": "''", "boolean": "true"}.get(name.rpartition("::")[2], "0")
    return f"({name} = {same} OR {name} != {same})"


def _field_list(name: str, values: tuple[Scalar, ...], negated: bool) -> str:
    if not values:
        return present(name) if negated else "false"
    if len(values) > MAX_FIELD_VALUES:
        raise UnsupportedPart(f"more than {MAX_FIELD_VALUES} values on a field")
    sign = "!=" if negated else "="
    said = [
        _equal(name, value, negated) if isinstance(value, str) else f"{name} {sign} {_literal(value)}"
        for value in values
    ]
    return said[0] if len(said) == 1 else "(" + (" AND " if negated else " OR ").join(said) + ")"


def _literal(value: Scalar) -> str:
    if isinstance(value, str):
        raise UnsupportedPart("InfluxQL does not order strings")
    return _truth(value) if isinstance(value, bool) else number(value)


def _text(value: object) -> str:
    assert isinstance(value, str)
    return value


def _texts(values: object) -> list[str]:
    assert isinstance(values, tuple)
    return [_text(value) for value in values]


def pattern(leaf: Compare) -> str:
    """The leaf's pattern in RE2's syntax."""
    text = _text(leaf.value)
    return _PATTERNS[leaf.op](text)


_PATTERNS: dict[str, Callable[[str], str]] = {
    "like": lambda text: to_re2(parse_like(text)),
    "ilike": lambda text: to_re2(parse_ilike(text)),
    "regex": lambda text: to_re2(parse_regex(text)),
    "starts_with": lambda text: rf"\A{verbatim(text)}",
    "ends_with": lambda text: rf"{verbatim(text)}\z",
    "contains": verbatim,
}
