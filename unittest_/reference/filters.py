"""The filter: a tree of `and`, `or`, `not` and leaves, turned into a test of a row.

Decision: `between` with its low above its high is RANGE_INVALID. Decision: an `ip` operand is one address in any spelling
(`2001:DB8::1`), never a network. Decision: an analysed text without a keyword sub-field takes `exists`, `match` and
`match_phrase` alone.
Decision: `match` and `match_phrase` are shown on lower-case ASCII words alone, where every analysis agrees.
"""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from unittest_.reference import patterns
from unittest_.reference.tables import NUMBERS, FieldSpec, Refused, Row, values_of
from unittest_.reference.times import instant

Test = Callable[[Row], bool]
ValueTest = Callable[[Any], bool]

COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "lt": lambda a, b: a < b,
    "lte": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "gte": lambda a, b: a >= b,
}
ORDERED = ("eq", "ne", "lt", "lte", "gt", "gte", "in", "nin", "between", "exists")
TEXT = ("like", "ilike", "starts_with", "ends_with", "contains", "regex", "match", "match_phrase")
EQUALITY = ("eq", "ne", "in", "nin", "exists")
OPERATORS = ORDERED + TEXT


def operators_of(spec: FieldSpec) -> tuple[str, ...]:
    """The operators that a field takes."""
    if spec.type == "json":
        return ("exists",)
    if spec.type == "boolean" or spec.role in ("ip", "id"):
        return EQUALITY
    if spec.role == "text":
        return ("exists", "match", "match_phrase")
    return OPERATORS if spec.type == "string" else ORDERED


def compile_filter(node: Mapping[str, Any], fields: Mapping[str, FieldSpec], now: int) -> Test:
    """The test that a filter makes. Raises Refused for what the language refuses."""
    if "field" in node:
        return _leaf(node, fields, now)
    ((word, inner),) = node.items()
    if word == "not":
        negated = compile_filter(inner, fields, now)
        return lambda row: not negated(row)
    tests = [compile_filter(child, fields, now) for child in inner]
    if not tests:
        raise Refused("EMPTY_NODE", word)
    return (
        (lambda row: all(test(row) for test in tests))
        if word == "and"
        else (lambda row: any(test(row) for test in tests))
    )


def time_filter(bounds: tuple[int | None, int | None], name: str) -> Test:
    """Rows with a value of the field in the half-open range."""
    low, high = bounds

    def test(row: Row) -> bool:
        return any((low is None or low <= v) and (high is None or v < high) for v in values_of(row, name))

    return test


def _leaf(leaf: Mapping[str, Any], fields: Mapping[str, FieldSpec], now: int) -> Test:
    name, op, raw = leaf["field"], leaf["op"], leaf["value"]
    spec = fields.get(name)
    if spec is None:
        raise Refused("FIELD_UNKNOWN", name)
    if op not in OPERATORS:
        raise Refused("OPERATOR_UNKNOWN", op)
    if op not in operators_of(spec):
        raise Refused("FIELD_NOT_FILTERABLE" if spec.role == "text" else "TYPE_MISMATCH", f"{op} on {name}")
    if op == "exists":
        if not isinstance(raw, bool):
            raise Refused("TYPE_MISMATCH", "exists takes true or false")
        return lambda row: (len(values_of(row, name)) > 0) is raw
    if op in ("ne", "nin"):
        matches = _value_test({"ne": "eq", "nin": "in"}[op], raw, spec, now)
        return lambda row: bool(values := values_of(row, name)) and not any(matches(v) for v in values)
    test = _value_test(op, raw, spec, now)
    return lambda row: any(test(v) for v in values_of(row, name))


def _value_test(op: str, raw: Any, spec: FieldSpec, now: int) -> ValueTest:
    if op == "in":
        if not isinstance(raw, list) or not 1 <= len(raw) <= 1000:
            raise Refused("TOO_MANY_VALUES", "in takes 1 to 1,000 values")
        wanted = [operand(value, spec, now) for value in raw]
        return lambda v: any(v == w for w in wanted)
    if op == "between":
        if not isinstance(raw, list) or len(raw) != 2:
            raise Refused("RANGE_INVALID", "between takes two values")
        low, high = (operand(value, spec, now) for value in raw)
        if low > high:
            raise Refused("RANGE_INVALID", "between has its low above its high")
        return lambda v: bool(low <= v <= high)
    wanted_one = operand(raw, spec, now)
    if op == "eq":
        return lambda v: bool(v == wanted_one)
    if op in COMPARE:
        compare = COMPARE[op]
        return lambda v: compare(v, wanted_one)
    return _text_test(op, wanted_one)


def _text_test(op: str, text: str) -> ValueTest:
    match op:
        case "like" | "ilike":
            return patterns.like(text, fold=op == "ilike")
        case "regex":
            return patterns.regex(text)
        case "starts_with":
            return lambda v: bool(v[: len(text)] == text)
        case "ends_with":
            return lambda v: len(v) >= len(text) and v[len(v) - len(text) :] == text
        case "contains":
            return lambda v: text in v
        case "match":
            words = set(_words(text))
            return lambda v: not words.isdisjoint(_words(v))
        case _:
            phrase = _words(text)
            return lambda v: any(
                _words(v)[i : i + len(phrase)] == phrase for i in range(len(_words(v)) - len(phrase) + 1)
            )


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", text.lower())


def operand(raw: Any, spec: FieldSpec, now: int) -> Any:
    """An operand as a value of the field's type. Raises TYPE_MISMATCH, TIME_INVALID."""
    if spec.type == "boolean" and isinstance(raw, bool):
        return raw
    if spec.type in NUMBERS and isinstance(raw, int | float) and not isinstance(raw, bool) and math.isfinite(raw):
        return raw
    if spec.type == "timestamp":
        return instant(raw, now)
    if spec.type == "string" and isinstance(raw, str):
        return address(raw) if spec.role == "ip" else raw
    raise Refused("TYPE_MISMATCH", f"{raw!r} for a field of {spec.type}")


def address(text: str) -> str:
    """An address in its canonical spelling; IPv4 inside IPv6 is IPv4."""
    try:
        parsed = ipaddress.ip_address(text)
    except ValueError:
        raise Refused("TYPE_MISMATCH", f"{text!r} is no address") from None
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return str(mapped or parsed)
