"""Operands in their bound form mean exactly what the body's operand meant, whatever the field's type can hold."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.issues import Issues
from libs.result import BOOLEAN, FLOAT64, INT64, JSON, NS_PER, STRING, TIMESTAMP, TIMESTAMP_MS, Type
from libs.times import format_instant
from query.catalog import Field
from query.expr import FALSE, TRUE, And, Compare, Not, Op, Or, Predicate
from query.operands import bind_again, bind_leaf, narrow
from query.vocabulary import OPERATORS

NOW = 1_700_000_000_123_456_789
LOWEST, HIGHEST = -(2**63), 2**63 - 1
EDGES = [
    0,
    1,
    -1,
    2**53,
    2**53 + 1,
    -(2**53) - 1,
    HIGHEST,
    LOWEST,
    HIGHEST + 1,
    LOWEST - 1,
    2**64 + 1,
    10**400,
    -(10**400),
]
FLOAT_EDGES = [0.0, -0.0, 0.5, -0.5, 2.5, 1e18, 2.0**63, -(2.0**63), 9.5e18, 1e308, -1e308, 5e-324, 2.0**53]
NUMBERS = st.one_of(
    st.sampled_from([*EDGES, *FLOAT_EDGES]),
    st.integers(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
)
INT_CELLS = st.one_of(st.sampled_from([e for e in EDGES if LOWEST <= e <= HIGHEST]), st.integers(LOWEST, HIGHEST))
FLOAT_CELLS = st.one_of(st.sampled_from(FLOAT_EDGES), st.floats(allow_nan=False, allow_infinity=False))
SINGLE: list[Op] = ["eq", "ne", "lt", "lte", "gt", "gte"]


def bound(op: Op, value: Any, kind: Type, **more: Any) -> Predicate:
    issues = Issues()
    predicate = bind_leaf(Compare("f", op, value, at="/where"), Field("f", kind, **more), NOW, issues)
    issues.raise_any()
    return predicate


def faults(op: Op, value: Any, kind: Type, **more: Any) -> list[tuple[str, str]]:
    issues = Issues()
    bind_leaf(Compare("f", op, value, at="/where"), Field("f", kind, **more), NOW, issues)
    assert all(issue.hint for issue in issues.found)
    return [(issue.code, issue.pointer) for issue in issues.found]


def compare(op: str, cell: Any, value: Any) -> bool:
    """What an operator says of a present cell, in exact arithmetic."""
    match op:
        case "eq":
            return bool(cell == value)
        case "ne":
            return bool(cell != value)
        case "lt":
            return bool(cell < value)
        case "lte":
            return bool(cell <= value)
        case "gt":
            return bool(cell > value)
        case "gte":
            return bool(cell >= value)
        case "in":
            return cell in value
        case "nin":
            return cell not in value
        case "between":
            return bool(value[0] <= cell <= value[1])
        case _:
            return value is True


def holds(predicate: Predicate, cell: Any, exact: bool = True) -> bool:
    """The bound predicate on a present cell; its operands are of the cell's own type."""
    if predicate == FALSE:
        return False
    assert isinstance(predicate, Compare)
    operands = predicate.value if isinstance(predicate.value, tuple) else (predicate.value,)
    if predicate.op != "exists":
        assert all(type(operand) is type(cell) for operand in operands)
        assert not any(isinstance(operand, float) and not math.isfinite(operand) for operand in operands)
    return compare(predicate.op, cell, predicate.value)


@given(st.sampled_from(SINGLE), NUMBERS, INT_CELLS)
def test_int64_compares_exactly(op: Op, value: float, cell: int) -> None:
    predicate = bound(op, value, INT64)
    assert holds(predicate, cell) == compare(op, Fraction(cell), Fraction(value))
    for operand in [predicate.value] if isinstance(predicate, Compare) and predicate.op != "exists" else []:
        assert isinstance(operand, int)
        assert LOWEST <= operand <= HIGHEST


@given(st.sampled_from(SINGLE), NUMBERS, FLOAT_CELLS)
def test_float64_compares_exactly(op: Op, value: float, cell: float) -> None:
    predicate = bound(op, value, FLOAT64)
    assert holds(predicate, cell) == compare(op, Fraction(cell), Fraction(value))
    if isinstance(predicate, Compare) and isinstance(predicate.value, float):
        assert math.copysign(1, predicate.value) == 1 or predicate.value != 0


@given(NUMBERS, NUMBERS, INT_CELLS, FLOAT_CELLS)
def test_between_compares_exactly(low: float, high: float, cell: int, real: float) -> None:
    if Fraction(low) > Fraction(high):
        assert faults("between", (low, high), INT64) == [("RANGE_INVALID", "/where/value")]
        return
    wanted = (Fraction(low), Fraction(high))
    assert holds(bound("between", (low, high), INT64), cell) == compare("between", Fraction(cell), wanted)
    assert holds(bound("between", (low, high), FLOAT64), real) == compare("between", Fraction(real), wanted)


@given(st.sampled_from(["in", "nin"]), st.lists(NUMBERS, min_size=1, max_size=5), INT_CELLS, FLOAT_CELLS)
def test_lists_compare_exactly(op: Op, values: list[float], cell: int, real: float) -> None:
    exact = [Fraction(value) for value in values]
    for one in (cell, *(int(v) for v in values if v == int(v) and LOWEST <= v <= HIGHEST)):
        assert holds(bound(op, tuple(values), INT64), one) == compare(op, Fraction(one), exact)
    for each in (real, *(float(v) for v in values if abs(v) < 2**1000)):
        assert holds(bound(op, tuple(values), FLOAT64), each) == compare(op, Fraction(each), exact)


YEARS = st.integers(-62_167_219_200 * 10**9, 253_402_300_799 * 10**9)


@given(st.sampled_from(SINGLE), YEARS, st.integers(-(2**53), 2**53))
def test_milliseconds_compare_exactly_with_finer_operands(op: Op, ns: int, cell: int) -> None:
    predicate = bound(op, format_instant(ns), TIMESTAMP_MS)
    for one in (cell, ns // 10**6, ns // 10**6 + 1):
        assert holds(predicate, one) == compare(op, one * 10**6, ns)


@given(st.sampled_from(SINGLE), YEARS, st.integers(LOWEST, HIGHEST))
def test_nanoseconds_beyond_int64_compare_exactly(op: Op, ns: int, cell: int) -> None:
    assert holds(bound(op, format_instant(ns), TIMESTAMP), cell) == compare(op, cell, ns)


def test_now_is_an_operand() -> None:
    assert bound("gte", "now-1h/h", TIMESTAMP_MS) == Compare(
        "f", "gte", (NOW // 10**9 // 3600 - 1) * 3_600_000, TIMESTAMP_MS
    )


def test_what_every_present_value_passes_is_exists() -> None:
    assert bound("lt", 2**63, INT64) == Compare("f", "exists", True, INT64)
    assert bound("ne", 0.5, INT64) == Compare("f", "exists", True, INT64)
    assert bound("nin", (0.5,), INT64) == Compare("f", "exists", True, INT64)
    assert bound("eq", 0.5, INT64) == FALSE
    assert bound("in", (0.5, 2**63), INT64) == FALSE
    assert bound("lte", 10**400, FLOAT64) == Compare("f", "exists", True, FLOAT64)
    assert bound("gt", 10**400, FLOAT64) == FALSE


def test_negative_zero_is_zero() -> None:
    assert repr(bound("eq", -0.0, FLOAT64)) == repr(bound("eq", 0.0, FLOAT64))
    assert bound("eq", -0.0, INT64) == Compare("f", "eq", 0, INT64)


def test_strings_and_booleans_stay_as_they_are() -> None:
    assert bound("in", ("b", "a", "b"), STRING) == Compare("f", "in", ("b", "a"), STRING)
    assert bound("between", ("", "\U0001f600"), STRING) == Compare("f", "between", ("", "\U0001f600"), STRING)
    assert bound("between", ("\uffff", "\U00010000"), STRING) == Compare(
        "f", "between", ("\uffff", "\U00010000"), STRING
    )
    assert faults("between", ("\U00010000", "\uffff"), STRING) == [("RANGE_INVALID", "/where/value")]
    assert bound("ne", True, BOOLEAN) == Compare("f", "ne", True, BOOLEAN)
    assert bound("exists", False, JSON) == Compare("f", "exists", False, JSON)


WRONG: list[tuple[Op, Any, Type, str]] = [
    ("eq", "200", INT64, "/value"),
    ("eq", True, INT64, "/value"),
    ("eq", True, FLOAT64, "/value"),
    ("eq", 1, BOOLEAN, "/value"),
    ("eq", "true", BOOLEAN, "/value"),
    ("eq", 1, STRING, "/value"),
    ("like", 1, STRING, "/value"),
    ("gt", 1_700_000_000, TIMESTAMP, "/value"),
    ("in", (1, "2", True), INT64, "/value/1"),
    ("exists", "true", STRING, "/value"),
    ("exists", 1, INT64, "/value"),
    ("lt", True, BOOLEAN, "/op"),
    ("like", "a%", INT64, "/op"),
    ("contains", "2026", TIMESTAMP, "/op"),
    ("eq", "{}", JSON, "/op"),
]


@pytest.mark.parametrize(("op", "value", "kind", "at"), WRONG)
def test_wrong_types_are_refused_where_they_stand(op: Op, value: Any, kind: Type, at: str) -> None:
    assert faults(op, value, kind)[0] == ("TYPE_MISMATCH", "/where" + at)


def test_every_operator_is_bound_on_every_type_or_refused() -> None:
    operands: dict[str, Any] = {"one": 1, "pair": (1, 2), "list": (1,), "flag": True, "text": "a"}
    for op, word in OPERATORS.items():
        for kind in (BOOLEAN, INT64, FLOAT64, STRING, TIMESTAMP, JSON):
            found = faults(op, operands[word.operand], kind)  # type: ignore[arg-type]
            assert (("TYPE_MISMATCH", "/where/op") in found) == (kind.name not in word.types)


def test_bad_times_and_patterns() -> None:
    assert faults("in", ("now", "yesterday", "2026-02-30T00:00:00Z"), TIMESTAMP) == [
        ("TIME_INVALID", "/where/value/1"),
        ("TIME_INVALID", "/where/value/2"),
    ]
    assert faults("like", "a\\b", STRING) == [("PATTERN_INVALID", "/where/value")]
    assert faults("regex", "(?i)a", STRING) == [("REGEX_UNSUPPORTED", "/where/value")]
    assert faults("between", ("now", "now-1h"), TIMESTAMP) == [("RANGE_INVALID", "/where/value")]


def test_analysed_text_takes_its_own_operators_alone() -> None:
    for op in ("exists", "match", "match_phrase"):
        assert faults(op, True if op == "exists" else "a", STRING, exact=False, analysed=True) == []
    for op in ("eq", "like", "gt", "starts_with"):
        assert faults(op, "a", STRING, exact=False, analysed=True) == [("FIELD_NOT_FILTERABLE", "/where/field")]  # type: ignore[arg-type]


def test_fields_may_take_fewer_operators() -> None:
    few = frozenset({"eq", "ne", "in", "nin", "exists"})
    assert faults("like", "a%", STRING, ops=few) == [("TYPE_MISMATCH", "/where/op")]
    assert bound("eq", "a", STRING, ops=few) == Compare("f", "eq", "a", STRING)


def test_addresses_are_compared_in_their_canonical_spelling() -> None:
    assert bound("eq", "2001:DB8:0::1", STRING, address=True) == Compare("f", "eq", "2001:db8::1", STRING)
    assert bound("in", ("::ffff:192.0.2.1", "192.0.2.1"), STRING, address=True) == Compare(
        "f", "in", ("192.0.2.1",), STRING
    )
    assert faults("eq", "10.0.0.0/8", STRING, address=True) == [("TYPE_MISMATCH", "/where/value")]


@given(st.sampled_from(SINGLE), NUMBERS, st.integers(-(2**53), 2**53))
def test_a_part_of_another_type_compares_exactly_as_well(op: Op, value: float, cell: int) -> None:
    """A pattern widened int64 and float64 to float64: a part of int64 is asked in its own type."""
    wide = bound(op, value, FLOAT64)
    part = bind_again(wide, Field("f", INT64)) if isinstance(wide, Compare) else wide
    assert holds(part, cell) == compare(op, Fraction(cell), Fraction(value))


@given(st.sampled_from(SINGLE), st.integers(LOWEST, HIGHEST), st.integers(LOWEST // 10**6 + 1, HIGHEST // 10**6))
def test_a_part_of_milliseconds_compares_exactly_with_nanoseconds(op: Op, ns: int, cell: int) -> None:
    wide = bound(op, format_instant(ns), TIMESTAMP)
    if isinstance(wide, Compare):
        part = bind_again(wide, Field("f", TIMESTAMP_MS))
        for one in (cell, max(ns // NS_PER["ms"], LOWEST // 10**6 + 1)):
            assert holds(part, one) == compare(op, one * 10**6, ns)


def test_a_field_that_a_part_lacks_is_missing_there() -> None:
    gone = Compare("g", "eq", 1, INT64)
    absent = Compare("g", "exists", False, INT64)
    here = Compare("f", "eq", 1.0, FLOAT64)
    fields = {"f": Field("f", INT64)}
    assert narrow(And((gone, Not(absent), Or((absent, here)))), fields) == And(
        (FALSE, Not(TRUE), Or((TRUE, Compare("f", "eq", 1, INT64))))
    )
