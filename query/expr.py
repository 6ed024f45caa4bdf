"""Predicates and arithmetic: frozen data without logic, handled by `match` with `assert_never`.

As parsed, a leaf holds the body's own operand and no type. After binding it holds the field's type and an operand of
exactly that type (timestamps as integers in the field's unit), so that nobody behind `query.bind` converts anything:
an operand that no value of the type can equal is gone (`Or(())` is false, `And(())` is true).
"""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field as member
from typing import Literal

from libs.result import Type

Op = Literal[
    "eq", "ne", "lt", "lte", "gt", "gte", "in", "nin", "between", "exists",
    "like", "ilike", "starts_with", "ends_with", "contains", "regex", "match", "match_phrase",
]  # fmt: skip


class Untyped(str):
    """An operand as text of no type yet, which binding reads as its field's (query/text_operands.py).

    It equals no string: a body's "500" asks something else, also where questions are compared or remembered.
    """

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Untyped) and str.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash((Untyped, str(self)))


Scalar = bool | int | float | str
Operand = Scalar | tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Compare:
    """A leaf. `between` holds (low, high), both included; `in` and `nin` a tuple; `exists` a bool.

    Two-valued: false on a missing value, but `exists: false`. A multi-valued field matches when any value does,
    with `ne` and `nin` when it has values and none equals. `at` is the leaf's JSON pointer.
    """

    field: str
    op: Op
    value: Operand
    type: Type | None = None
    at: str = member(default="", compare=False)


@dataclass(frozen=True, slots=True)
class And:
    items: tuple[Predicate, ...]


@dataclass(frozen=True, slots=True)
class Or:
    items: tuple[Predicate, ...]


@dataclass(frozen=True, slots=True)
class Not:
    item: Predicate


Predicate = Compare | And | Or | Not

TRUE = And(())
FALSE = Or(())


def conjuncts(predicate: Predicate | None) -> tuple[Predicate, ...]:
    """The members of the topmost `and`s, flattened; none for None and for true."""
    match predicate:
        case None:
            return ()
        case And(items):
            return tuple(part for item in items for part in conjuncts(item))
        case _:
            return (predicate,)


def conjunction(items: tuple[Predicate, ...]) -> Predicate | None:
    """The `and` of the items, as short as it can be; None when there are none."""
    if not items:
        return None
    return items[0] if len(items) == 1 else And(items)


def leaves(predicate: Predicate | None) -> tuple[Compare, ...]:
    """All leaves, from the left. Depth is bounded by the parser (16), so recursion is safe."""
    match predicate:
        case None:
            return ()
        case Compare():
            return (predicate,)
        case Not(item):
            return leaves(item)
        case And(items) | Or(items):
            return tuple(leaf for item in items for leaf in leaves(item))


# Arithmetic: float64 throughout; null in, null out; a result that is not finite is null.


@dataclass(frozen=True, slots=True)
class Number:
    value: float


@dataclass(frozen=True, slots=True)
class Name:
    """A field (in rows), a key or an earlier output (in groups)."""

    name: str


@dataclass(frozen=True, slots=True)
class Negate:
    item: Arithmetic


@dataclass(frozen=True, slots=True)
class Binary:
    op: Literal["+", "-", "*", "/", "%"]
    left: Arithmetic
    right: Arithmetic


@dataclass(frozen=True, slots=True)
class Call:
    """`coalesce` takes one or more arguments, `abs` one, `round` one or two (digits, a literal), `nullif` two."""

    function: Literal["coalesce", "abs", "round", "nullif"]
    args: tuple[Arithmetic, ...]


Arithmetic = Number | Name | Negate | Binary | Call


def names(expression: Arithmetic) -> tuple[str, ...]:
    """The names an expression reads, from the left."""
    match expression:
        case Number():
            return ()
        case Name(name):
            return (name,)
        case Negate(item):
            return names(item)
        case Binary(_, left, right):
            return names(left) + names(right)
        case Call(_, args):
            return tuple(name for arg in args for name in names(arg))
