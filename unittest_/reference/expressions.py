"""Expressions over numbers: a small parser and an evaluator that carries the error each operand may have.

Decision: a bare name is a letter or `_`, then letters, digits, `_` and `.`; any other stands in backticks, a backtick in it doubled. A name
before `(` is a function. There is no unary plus. `round` takes one operand, `nullif` two, `coalesce` one or more.
Decision: null in, null out holds for `nullif` too (its second operand null gives null); only `coalesce` takes nulls.
Decision: what is not finite becomes null at each step, so `coalesce(1 / 0, 5)` is 5. An integer is made the nearest float64 first.
Decision: names of numbers alone; a string, a boolean, a time, or a multi-valued field is TYPE_MISMATCH.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from decimal import ROUND_HALF_UP, Decimal

from unittest_.reference.tables import NUMBERS, FieldSpec, Refused, Row

Inexact = tuple[float | None, float]  # a value and the absolute error that it may have
Node = Callable[[Row, Mapping[str, float]], Inexact]

_TOKEN = re.compile(
    r"\s*(?:([0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)|([A-Za-z_][A-Za-z0-9_.]*)|`((?:[^`]|``)+)`|([-+*/%(),]))",
    re.ASCII,
)
_FUNCTIONS = {"coalesce": (1, 1000), "abs": (1, 1), "round": (1, 1), "nullif": (2, 2)}
_ULP = 2.0**-52


def parse(text: str, fields: Mapping[str, FieldSpec]) -> Node:
    """The evaluator of an expression. Raises EXPRESSION_INVALID, FIELD_UNKNOWN, TYPE_MISMATCH."""
    reader = _Reader(text, fields)
    node = reader.sum()
    if reader.kind != "end":
        raise Refused("EXPRESSION_INVALID", f"{reader.token!r} in {text!r}")
    return node


class _Reader:
    def __init__(self, text: str, fields: Mapping[str, FieldSpec]) -> None:
        self.fields = fields
        self.tokens = _tokens(text)
        self.at = 0

    @property
    def kind(self) -> str:
        return self.tokens[self.at][0]

    @property
    def token(self) -> str:
        return self.tokens[self.at][1]

    def accept(self, *signs: str) -> str | None:
        if self.kind == "sign" and self.token in signs:
            self.at += 1
            return self.tokens[self.at - 1][1]
        return None

    def expect(self, sign: str) -> None:
        if self.accept(sign) is None:
            raise Refused("EXPRESSION_INVALID", f"{sign!r} is missing before {self.token!r}")

    def sum(self) -> Node:
        node = self.product()
        while sign := self.accept("+", "-"):
            node = _binary(sign, node, self.product())
        return node

    def product(self) -> Node:
        node = self.unary()
        while sign := self.accept("*", "/", "%"):
            node = _binary(sign, node, self.unary())
        return node

    def unary(self) -> Node:
        if self.accept("-"):
            return _apply(lambda a: -a, lambda a, e: e, self.unary())
        return self.primary()

    def primary(self) -> Node:
        kind, token = self.tokens[self.at]
        if kind == "number":
            self.at += 1
            number = float(token)
            return lambda row, slack: _finite(number, 0.0)
        if kind in ("name", "quoted"):
            self.at += 1
            if kind == "name" and self.accept("("):
                return self.call(token)
            return self.name(token)
        self.expect("(")
        node = self.sum()
        self.expect(")")
        return node

    def name(self, name: str) -> Node:
        spec = self.fields.get(name)
        if spec is None:
            raise Refused("FIELD_UNKNOWN", name)
        if spec.type not in NUMBERS or spec.multi:
            raise Refused("TYPE_MISMATCH", f"{name} is no single number")

        def read(row: Row, slack: Mapping[str, float]) -> Inexact:
            value = row.get(name)
            return (None, 0.0) if value is None else _finite(float(value), slack.get(name, 0.0))

        return read

    def call(self, function: str) -> Node:
        if function not in _FUNCTIONS:
            raise Refused("EXPRESSION_INVALID", f"no function {function!r}")
        operands = [self.sum()]
        while self.accept(","):
            operands.append(self.sum())
        self.expect(")")
        least, most = _FUNCTIONS[function]
        if not least <= len(operands) <= most:
            raise Refused("EXPRESSION_INVALID", f"{function} takes {least} operands")
        if function == "coalesce":
            return _coalesce(operands)
        if function == "nullif":
            return _nullif(*operands)
        if function == "abs":
            return _apply(abs, lambda a, e: e, operands[0])
        return _apply(
            half_away, lambda a, e: 0.0 if e == 0 or half_away(a - e) == half_away(a + e) else math.inf, operands[0]
        )


def half_away(value: float) -> float:
    """The nearest whole number, halves away from zero, exactly."""
    if abs(value) >= 2.0**52:
        return value
    return float(Decimal(value).quantize(Decimal(1), rounding=ROUND_HALF_UP))


def _tokens(text: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    at = 0
    stripped = text.rstrip()
    while at < len(stripped):
        match = _TOKEN.match(stripped, at)
        if match is None:
            raise Refused("EXPRESSION_INVALID", f"{text!r} at {at}")
        at = match.end()
        number, name, quoted, sign = match.groups()
        if number is not None:
            found.append(("number", number))
        elif name is not None:
            found.append(("name", name))
        elif quoted is not None:
            found.append(("quoted", quoted.replace("``", "`")))
        else:
            found.append(("sign", sign))
    return [*found, ("end", "")]


def _finite(value: float, error: float) -> Inexact:
    return (value + 0.0, error) if math.isfinite(value) else (None, error)


def _apply(function: Callable[[float], float], error: Callable[[float, float], float], operand: Node) -> Node:
    def evaluate(row: Row, slack: Mapping[str, float]) -> Inexact:
        a, e = operand(row, slack)
        return (None, e) if a is None else _finite(function(a), error(a, e))

    return evaluate


def _binary(sign: str, left: Node, right: Node) -> Node:
    def evaluate(row: Row, slack: Mapping[str, float]) -> Inexact:
        a, e = left(row, slack)
        b, f = right(row, slack)
        return (None, max(e, f)) if a is None or b is None else _compute(sign, a, e, b, f)

    return evaluate


def _compute(sign: str, a: float, e: float, b: float, f: float) -> Inexact:
    try:
        if sign == "+":
            return _finite(a + b, _rounded(e + f, a + b))
        if sign == "-":
            return _finite(a - b, _rounded(e + f, a - b))
        if sign == "*":
            return _finite(a * b, _rounded(abs(a) * f + abs(b) * e + e * f, a * b))
        if sign == "/":
            error = _quotient_error(a, e, b, f)
            return _finite(a / b, _rounded(error, a / b))
        return _finite(math.fmod(a, b), 0.0 if e == f == 0 else math.inf)
    except (ZeroDivisionError, OverflowError, ValueError):
        return None, 0.0 if f == 0 else math.inf


def _quotient_error(a: float, e: float, b: float, f: float) -> float:
    """Of exact operands none; else the furthest quotient's distance, without a product that underflows."""
    if e == f == 0:
        return 0.0
    return (abs(a) / abs(b) * f + e) / (abs(b) - f) if abs(b) > f else math.inf


def _rounded(error: float, value: float) -> float:
    """An operand's error, plus that of rounding once it is not exact."""
    return error + abs(value) * _ULP if error else 0.0


def _coalesce(operands: list[Node]) -> Node:
    def evaluate(row: Row, slack: Mapping[str, float]) -> Inexact:
        for operand in operands:
            value, error = operand(row, slack)
            if value is not None or math.isinf(error):
                return value, error
        return None, 0.0

    return evaluate


def _nullif(left: Node, right: Node) -> Node:
    def evaluate(row: Row, slack: Mapping[str, float]) -> Inexact:
        a, e = left(row, slack)
        b, f = right(row, slack)
        if a is None or b is None:
            return None, max(e, f)
        near = (e or f) and abs(a - b) <= e + f
        return (None if a == b else a), (math.inf if near else e)

    return evaluate
