"""Hypothesis strategies of operands, leaves and filters over a table, weighted to values that occur in it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from unittest_.conformance.case import leaf
from unittest_.reference.filters import TEXT, operators_of
from unittest_.reference.tables import FieldSpec, Table, values_of
from unittest_.reference.times import written

Strategy = st.SearchStrategy[Any]
_TEXTS = tuple(op for op in TEXT if op not in ("match", "match_phrase"))
_STRANGERS: dict[str, Strategy] = {
    "boolean": st.booleans(),
    "int64": st.sampled_from([0, -1, 1, 0.5, -0.5, 2.0, 2**53, 2**53 + 1, 2**63 - 1, -(2**63), 1e19, -1e300]),
    "float64": st.sampled_from([0, -0.0, 1, 0.1, 1e-300, 2**53 + 1, -1e300, 1e308]),
    "string": st.one_of(
        st.sampled_from(["", " ", "%", "_", "\\", "'", '"', "\n", "\u0000x", "é", "😀", "\uffff"]), st.text(max_size=4)
    ),
    "timestamp": st.sampled_from(
        ["1970-01-01T00:00:00Z", "1969-12-31T23:59:59.999999999Z", "2026-11-22T10:00:00+05:30", "0001-01-01T00:00:00Z",
         "9999-12-31T23:59:59Z", "now", "now-1h/h", "now-2d", "now/d", "now-1M/M", "now-1y"]
    ),
}  # fmt: skip
_ADDRESSES = ("10.0.0.1", "::1", "2001:db8::1", "192.0.2.1", "fe80::2")


@dataclass
class Named:
    """What a filter or an order may name: types, and values that occur."""

    fields: dict[str, FieldSpec] = field(default_factory=dict)
    values: dict[str, list[Any]] = field(default_factory=dict)

    def add(self, name: str, spec: FieldSpec, values: Sequence[Any]) -> None:
        self.fields[name], self.values[name] = spec, list(values)


def named(table: Table, rename: Mapping[str, str]) -> Named:
    """The fields of a table with the distinct values of each, under new names where `rename` has one."""
    found = Named()
    for name, spec in table.fields.items():
        values: list[Any] = []
        if spec.type != "json":
            values = sorted({value for row in table.rows for value in values_of(row, name)})
        found.add(rename.get(name, name), spec, values)
    return found


def filters(names: Named, depth: int = 3) -> Strategy:
    """A filter of leaves under at most `depth` nodes one in the other."""
    leaves = leaves_of(names)
    if depth == 0:
        return leaves
    inner = filters(names, depth - 1)
    nodes = st.one_of(
        st.builds(lambda node: {"not": node}, inner),
        st.builds(
            lambda word, nodes: {word: nodes}, st.sampled_from(["and", "or"]), st.lists(inner, min_size=1, max_size=3)
        ),
    )
    return st.one_of(leaves, nodes)


def leaves_of(names: Named) -> Strategy:
    """One leaf: a field, an operator that it takes, an operand near its values."""
    return st.sampled_from(sorted(names.fields)).flatmap(
        lambda name: _leaf(name, names.fields[name], names.values[name])
    )


def _leaf(name: str, spec: FieldSpec, values: list[Any]) -> Strategy:
    operators = [op for op in operators_of(spec) if op not in ("match", "match_phrase")]
    return st.sampled_from(operators).flatmap(
        lambda op: st.builds(leaf, st.just(name), st.just(op), _operand(op, spec, values))
    )


def _operand(op: str, spec: FieldSpec, values: list[Any]) -> Strategy:
    if op == "exists":
        return st.booleans()
    if op in _TEXTS:
        return _text_operand(op, values)
    one = operands(spec, values)
    if op in ("in", "nin"):
        return st.lists(one, min_size=1, max_size=6)
    if op == "between":
        return _pair(spec, values)
    return one


def operands(spec: FieldSpec, values: list[Any]) -> Strategy:
    """An operand of the field's type: mostly a value that occurs, or its neighbour."""
    if spec.role == "ip":
        return st.sampled_from([*values, *_ADDRESSES])
    stranger = _STRANGERS[spec.type]
    if not values:
        return stranger
    occurring = st.sampled_from(values)
    if spec.type == "timestamp":
        near = st.builds(
            lambda v, d: written(v + d), occurring, st.sampled_from([0, 0, 0, 1, -1, 1_000_000, -1_000_000, 500_000])
        )
        return st.one_of(near, near, near, stranger)
    if spec.type == "int64":
        near = st.builds(lambda v, d: v + d if d else v, occurring, st.sampled_from([0, 0, 0, 1, -1]))
        return st.one_of(near, near, st.builds(lambda v: v + 0.5 if abs(v) < 2**50 else v, occurring), stranger)
    return st.one_of(occurring, occurring, occurring, stranger)


def _pair(spec: FieldSpec, values: list[Any]) -> Strategy:
    """Two operands, the lower first."""
    if spec.type == "timestamp":
        instants = st.sampled_from(values or [0, 1])
        return st.tuples(instants, instants).map(lambda pair: [written(one) for one in sorted(pair)])
    return st.tuples(operands(spec, values), operands(spec, values)).map(sorted)


def _text_operand(op: str, values: list[str]) -> Strategy:
    base = st.one_of(st.sampled_from(values or ["a"]), st.text(max_size=3))
    if op in ("starts_with", "ends_with", "contains"):
        return st.builds(_cut, base, st.integers(0, 4), st.integers(1, 5), st.just(op))
    marks = st.lists(st.integers(0, 20), max_size=3)
    if op == "regex":
        return st.builds(
            _regex,
            base,
            marks,
            st.booleans(),
            st.booleans(),
            st.sampled_from([".", ".*", "[^x]", "\\w+", "\\d?", "(a|b|)", ".{1,2}"]),
        )
    swap = st.booleans() if op == "ilike" else st.just(False)
    return st.builds(_like, base, marks, st.sampled_from(["%", "_", "%%"]), swap)


def _cut(text: str, start: int, length: int, op: str) -> str:
    if op == "starts_with":
        return text[:length]
    return text[max(0, len(text) - length) :] if op == "ends_with" else text[start : start + length]


def _like(text: str, marks: list[int], wild: str, swap: bool) -> str:
    parts = ["\\" + c if c in "%_\\" else c.swapcase() if swap and len(c.swapcase()) == 1 else c for c in text]
    for mark in marks:
        if mark < len(parts):
            parts[mark] = wild
    return "".join(parts)


def _regex(text: str, marks: list[int], start: bool, end: bool, wild: str) -> str:
    parts = [re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", c) if c != "_" else c for c in text[:12]]
    for mark in marks:
        if mark < len(parts):
            parts[mark] = wild
    return ("^" if start else "") + "".join(parts) + ("$" if end and (start or len(text) <= 12) else "")
