"""Expressions as SQL over doubles: null in, null out, and at each step null for what is not finite."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import assert_never

from query.expr import Arithmetic, Binary, Call, Name, Negate, Number
from query.sql.statement import Build, Cell

_SHORT = 300  # characters; the text of a longer operand is not repeated, so that nesting stays linear


def expression(build: Build, tree: Arithmetic, cells: Mapping[str, Cell]) -> str:
    """The expression over the cells, DOUBLE, never −0."""
    return f"({_node(build, tree, cells)} + 0.0)"


def _node(build: Build, tree: Arithmetic, cells: Mapping[str, Cell]) -> str:
    match tree:
        case Number(value):
            return f"{build.bind(float(value))}::DOUBLE"
        case Name(name):
            return f"{cells[name].sql}::DOUBLE"
        case Negate(item):
            return f"(-({_node(build, item, cells)}))"
        case Binary(op, left, right):
            return finite(f"({_node(build, left, cells)} {op} {_node(build, right, cells)})")
        case Call(function, args):
            return FUNCTIONS[function]([_node(build, arg, cells) for arg in args])
        case _:
            assert_never(tree)


def finite(sql: str) -> str:
    """The double, or NULL when it is not finite."""
    if len(sql) <= _SHORT:
        return f"(CASE WHEN isfinite({sql}) THEN {sql} END)"
    return f"list_filter([{sql}], lambda x: isfinite(x))[1]"


def _coalesce(args: list[str]) -> str:
    return f"coalesce({', '.join(args)})"


def _abs(args: list[str]) -> str:
    return f"abs({args[0]})"


def _round(args: list[str]) -> str:
    """Halves away from zero. A double of 2^52 or more is whole, and scaling it by powers of ten could only harm."""
    if len(args) == 1:
        return f"round({args[0]})"
    return f"list_transform([{args[0]}], lambda x: CASE WHEN abs(x) < 1e15 THEN round(x, {args[1]}::INTEGER) ELSE x END)[1]"


def _nullif(args: list[str]) -> str:
    left, right = args
    return (
        f"list_transform([{{'a': {left}, 'b': {right}}}], "
        "lambda x: CASE WHEN x.a = x.b OR x.b IS NULL THEN NULL ELSE x.a END)[1]"
    )


FUNCTIONS: dict[str, Callable[[list[str]], str]] = {
    "coalesce": _coalesce,
    "abs": _abs,
    "round": _round,
    "nullif": _nullif,
}
