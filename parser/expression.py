"""Arithmetic as text into a tree: unary minus, then `* / %`, then `+ -`, each from the left.

Names are a letter, `_` or `@`, then letters, digits, `_`, `.` and `@`; any other stands in backticks, a backtick doubled.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from math import isfinite
from typing import Literal, NoReturn, cast

from libs.errors import RequestError
from libs.issues import nearest
from query.expr import Arithmetic, Binary, Call, Name, Negate, Number

MOST_CHARACTERS = 1000
MOST_DEEP = 64
# Least and most operands of each function.
FUNCTIONS: dict[str, tuple[int, int]] = {"coalesce": (1, 50), "abs": (1, 1), "round": (1, 2), "nullif": (2, 2)}
MOST_DIGITS = 15
_TOKEN = re.compile(
    r"[ \t\r\n]*(?:([0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?(?![A-Za-z0-9_.@]))|([A-Za-z_@][A-Za-z0-9_.@]*)|`((?:[^`]|``)+)`"
    r"|([-+*/%(),])|($))"
)
_Operation = Literal["+", "-", "*", "/", "%"]
_Function = Literal["coalesce", "abs", "round", "nullif"]


@dataclass(frozen=True, slots=True)
class _Token:
    """`kind` is `number`, `name`, `quoted`, `sign` or `end`."""

    kind: str
    text: str
    at: int


# A tree and how deep it is.
_Deep = tuple[Arithmetic, int]


@lru_cache(maxsize=512)
def parse_expression(text: str) -> Arithmetic:
    """The tree. Raises RequestError: EXPRESSION_INVALID with the position, OPERATOR_UNKNOWN for a function."""
    if len(text) > MOST_CHARACTERS:
        _refuse(f"is longer than {MOST_CHARACTERS} characters", 0)
    return _Reader(text).whole()


def _refuse(what: str, at: int, hint: str = "numbers, names, + - * / % ( ), coalesce abs round nullif") -> NoReturn:
    raise RequestError(f"The expression {what} (at character {at}).", code="EXPRESSION_INVALID", hint=hint)


def _tokens(text: str) -> list[_Token]:
    found: list[_Token] = []
    at = 0
    while True:
        match = _TOKEN.match(text, at)
        if match is None:
            at += len(text[at:]) - len(text[at:].lstrip())
            _refuse(f"holds {text[at]!r} where it means nothing", at, "names with odd characters go in backticks")
        kind = ("number", "name", "quoted", "sign", "end")[(match.lastindex or 5) - 1]
        start = match.start(match.lastindex or 5)
        found.append(_Token(kind, match[match.lastindex or 5], start))
        if kind == "end":
            return found
        at = match.end()


class _Reader:
    def __init__(self, text: str) -> None:
        self.tokens = _tokens(text)
        self.next = 0
        self.nested = 0

    def whole(self) -> Arithmetic:
        tree, _ = self.sum()
        token = self.token
        if token.kind != "end":
            _refuse(f"goes on with {token.text!r} where it should end", token.at)
        return tree

    @property
    def token(self) -> _Token:
        return self.tokens[self.next]

    def accept(self, signs: str) -> _Token | None:
        token = self.token
        if token.kind == "sign" and token.text in signs:
            self.next += 1
            return token
        return None

    def deeper(self, tree: Arithmetic, depth: int, at: int) -> _Deep:
        if depth >= MOST_DEEP:
            _refuse(f"has more than {MOST_DEEP} operations one in the other or in a row", at)
        return tree, depth + 1

    def sum(self) -> _Deep:
        left, depth = self.product()
        while sign := self.accept("+-"):
            right, other = self.product()
            left, depth = self.deeper(Binary(cast(_Operation, sign.text), left, right), max(depth, other), sign.at)
        return left, depth

    def product(self) -> _Deep:
        left, depth = self.unary()
        while sign := self.accept("*/%"):
            right, other = self.unary()
            left, depth = self.deeper(Binary(cast(_Operation, sign.text), left, right), max(depth, other), sign.at)
        return left, depth

    def unary(self) -> _Deep:
        signs: list[_Token] = []
        while sign := self.accept("-"):
            signs.append(sign)
        tree, depth = self.primary()
        for sign in reversed(signs):
            tree, depth = self.deeper(Negate(tree), depth, sign.at)
        return tree, depth

    def primary(self) -> _Deep:
        token = self.token
        self.next += token.kind != "end"
        if token.kind == "number":
            value = float(token.text)
            if not isfinite(value):
                _refuse("holds a number too large for float64", token.at)
            return Number(value), 1
        if token.kind == "quoted":
            return Name(token.text.replace("``", "`")), 1
        if token.kind == "name":
            return self.call(token) if self.accept("(") else (Name(token.text), 1)
        if token.kind == "sign" and token.text == "(":
            return self.inner(token)
        what = "ends where an operand should be" if token.kind == "end" else f"has {token.text!r} for an operand"
        _refuse(what, token.at)

    def inner(self, opening: _Token) -> _Deep:
        self.enter(opening)
        found = self.sum()
        self.close(opening)
        return found

    def enter(self, opening: _Token) -> None:
        self.nested += 1
        if self.nested > MOST_DEEP:
            _refuse(f"nests more than {MOST_DEEP} deep", opening.at)

    def close(self, opening: _Token) -> None:
        if self.accept(")") is None:
            _refuse(f"has no closing bracket for {opening.text!r}", self.token.at)
        self.nested -= 1

    def call(self, name: _Token) -> _Deep:
        if name.text not in FUNCTIONS:
            raise RequestError(
                f"The expression calls {name.text!r}, which is no function (at character {name.at}).",
                code="OPERATOR_UNKNOWN",
                hint=nearest(name.text, FUNCTIONS),
            )
        self.enter(name)
        args = [self.sum()]
        while self.accept(","):
            args.append(self.sum())
        self.close(name)
        least, most = FUNCTIONS[name.text]
        if not least <= len(args) <= most:
            wanted = str(least) if least == most else f"{least} to {most}"
            _refuse(f"gives {name.text} {len(args)} operands, and it takes {wanted}", name.at)
        if name.text == "round" and len(args) == 2:
            _check_digits(args[1][0], name.at)
        call = Call(cast(_Function, name.text), tuple(arg for arg, _ in args))
        return self.deeper(call, max(depth for _, depth in args), name.at)


def _check_digits(tree: Arithmetic, at: int) -> None:
    if not isinstance(tree, Number) or tree.value not in range(MOST_DIGITS + 1):
        _refuse(f"rounds to digits that are no whole number from 0 to {MOST_DIGITS}", at)
