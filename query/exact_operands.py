"""Numbers and instants compared exactly with what a field's type can hold: a leaf in its normal form.

An operand between two values of the type moves to the neighbour that keeps the meaning; one beyond them all makes the
leaf false, or true wherever there is a value.
"""

from __future__ import annotations

from math import inf, nextafter

from libs.result import Type
from query.expr import FALSE, Compare, Op, Operand, Predicate

LOWEST, HIGHEST = -(2**63), 2**63 - 1
# An integer rounded down, and whether that is exact.
Floor = tuple[int, bool]


def floor_of(value: int | float) -> Floor:
    """Of a finite number."""
    if isinstance(value, int):
        return value, True
    whole = int(value // 1)
    return whole, whole == value


def integer_leaf(leaf: Compare, kind: Type, floors: list[Floor]) -> Predicate:
    """The leaf over a field of 64 bit integers; `floors` are its operands."""
    match leaf.op:
        case "eq":
            ((value, exact),) = floors
            return _with(leaf, kind, "eq", value) if exact and LOWEST <= value <= HIGHEST else FALSE
        case "ne":
            ((value, exact),) = floors
            return _with(leaf, kind, "ne", value) if exact and LOWEST <= value <= HIGHEST else present(leaf, kind)
        case "in" | "nin":
            kept = tuple(dict.fromkeys(v for v, exact in floors if exact and LOWEST <= v <= HIGHEST))
            return _listed(leaf, kind, kept)
        case "between":
            (low, low_exact), (high, _) = floors
            low, high = max(low if low_exact else low + 1, LOWEST), min(high, HIGHEST)
            return _with(leaf, kind, "between", (low, high)) if low <= high else FALSE
        case "lt" | "lte":
            ((value, exact),) = floors
            op: Op = leaf.op if exact else "lte"
            if value > HIGHEST or (op == "lte" and value == HIGHEST):
                return present(leaf, kind)
            return FALSE if value < LOWEST or (op == "lt" and value == LOWEST) else _with(leaf, kind, op, value)
        case _:
            ((value, exact),) = floors
            op, value = (leaf.op, value) if exact else ("gte", value + 1)
            if value < LOWEST or (op == "gte" and value == LOWEST):
                return present(leaf, kind)
            return FALSE if value > HIGHEST or (op == "gt" and value == HIGHEST) else _with(leaf, kind, op, value)


def float_leaf(leaf: Compare, kind: Type, values: list[int | float]) -> Predicate:
    """The leaf over a field of float64, whose values are finite."""
    nearest = [_nearest(value) for value in values]
    match leaf.op:
        case "eq":
            return _with(leaf, kind, "eq", nearest[0]) if nearest[0] == values[0] else FALSE
        case "ne":
            return _with(leaf, kind, "ne", nearest[0]) if nearest[0] == values[0] else present(leaf, kind)
        case "in" | "nin":
            kept = tuple(dict.fromkeys(near for near, value in zip(nearest, values, strict=True) if near == value))
            return _listed(leaf, kind, kept)
        case "between":
            low = nearest[0] if nearest[0] >= values[0] else nextafter(nearest[0], inf)
            high = nearest[1] if nearest[1] <= values[1] else nextafter(nearest[1], -inf)
            if low > high or low == inf or high == -inf:
                return FALSE
            if low == -inf or high == inf:
                return _half_open(leaf, kind, low, high)
            return _with(leaf, kind, "between", (low, high))
        case op:
            return _float_bound(leaf, kind, op, nearest[0], values[0])


def _float_bound(leaf: Compare, kind: Type, op: Op, near: float, value: int | float) -> Predicate:
    below = op in ("lt", "lte")
    if near in (inf, -inf):
        return present(leaf, kind) if below == (near == inf) else FALSE
    if near < value:
        op = "lte" if below else "gt"
    elif near > value:
        op = "lt" if below else "gte"
    return _with(leaf, kind, op, near)


def _half_open(leaf: Compare, kind: Type, low: float, high: float) -> Predicate:
    if low == -inf and high == inf:
        return present(leaf, kind)
    return _with(leaf, kind, "lte", high) if low == -inf else _with(leaf, kind, "gte", low)


def _nearest(value: int | float) -> float:
    """The nearest float64, without a negative zero; an integer beyond them all is infinite."""
    try:
        return float(value) + 0.0
    except OverflowError:
        return inf if value > 0 else -inf


def _listed(leaf: Compare, kind: Type, kept: tuple[int, ...] | tuple[float, ...]) -> Predicate:
    if leaf.op == "in":
        return _with(leaf, kind, "in", kept) if kept else FALSE
    return _with(leaf, kind, "nin", kept) if kept else present(leaf, kind)


def present(leaf: Compare, kind: Type) -> Compare:
    """True wherever the leaf's field has a value."""
    return Compare(leaf.field, "exists", True, kind, leaf.at)


def _with(leaf: Compare, kind: Type, op: Op, value: Operand) -> Compare:
    return Compare(leaf.field, op, value, kind, leaf.at)
