"""Predicates and expressions as text for people: explain and logs. Nothing reads it back."""

from __future__ import annotations

from typing import assert_never

from libs.result import TypeName
from libs.times import format_instant
from query.expr import And, Arithmetic, Binary, Call, Compare, Name, Negate, Not, Number, Or, Predicate, Scalar

_SHOWN = 10  # values of a list


def predicate_text(predicate: Predicate) -> str:
    """`status gte 500 and not (host in ["a", "b"])`"""
    match predicate:
        case Compare(field, op, value):
            return f"{field} {op} {_operand(predicate, value)}"
        case Not(item):
            return f"not ({predicate_text(item)})"
        case And(items):
            return " and ".join(_member(item) for item in items) or "true"
        case Or(items):
            return " or ".join(_member(item) for item in items) or "false"
        case _:
            assert_never(predicate)


def _member(predicate: Predicate) -> str:
    text = predicate_text(predicate)
    return f"({text})" if isinstance(predicate, And | Or) else text


def _operand(leaf: Compare, value: object) -> str:
    if isinstance(value, tuple):
        shown = [_scalar(leaf, one) for one in value[:_SHOWN]]
        more = [f"… {len(value) - _SHOWN} more"] if len(value) > _SHOWN else []
        return f"[{', '.join(shown + more)}]"
    assert isinstance(value, bool | int | float | str)
    return _scalar(leaf, value)


def _scalar(leaf: Compare, value: Scalar) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if leaf.type is not None and leaf.type.name is TypeName.TIMESTAMP and isinstance(value, int):
        return format_instant(value, leaf.type.unit)
    return f'"{value}"' if isinstance(value, str) else str(value)


def arithmetic_text(tree: Arithmetic) -> str:
    """`hits / (errors + 1.0)`, wholly in parentheses inside."""
    match tree:
        case Number(value):
            return f"{value:g}"
        case Name(name):
            return name if name.isidentifier() else f"`{name}`"
        case Negate(item):
            return f"-{_inner(item)}"
        case Binary(op, left, right):
            return f"{_inner(left)} {op} {_inner(right)}"
        case Call(function, args):
            return f"{function}({', '.join(arithmetic_text(arg) for arg in args)})"
        case _:
            assert_never(tree)


def _inner(tree: Arithmetic) -> str:
    return f"({arithmetic_text(tree)})" if isinstance(tree, Binary | Negate) else arithmetic_text(tree)
