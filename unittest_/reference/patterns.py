"""`like`, `ilike` and `regex`, each parsed and matched here, code point by code point.

A pattern is a tree of nodes; `ends(node, text, start)` is the set of all places where a match that starts there may end, so that nothing
depends on greed or order, and no pattern takes exponential time.
Decision: `%`, `_` and a negated class match a newline, `.` does not; `$` is the very end of the text, also after a newline.
Decision: `\\s` is space, tab, newline, carriage return and form feed; a backslash makes any ASCII punctuation literal.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from unittest_.reference.tables import Refused

Test = Callable[[str], bool]
_SPECIAL = set("\\^$.|?*+()[]{}")
_PUNCTUATION = set("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
_CLASSES: dict[str, Test] = {
    "d": lambda c: "0" <= c <= "9",
    "w": lambda c: c == "_" or (c.isascii() and c.isalnum()),
    "s": lambda c: c in " \t\n\r\f",
}
_MOST = 1000


@dataclass(frozen=True)
class One:
    """One code point that passes the test."""

    test: Test


@dataclass(frozen=True)
class Start:
    pass


@dataclass(frozen=True)
class End:
    pass


@dataclass(frozen=True)
class Sequence:
    parts: tuple[Node, ...]


@dataclass(frozen=True)
class Either:
    branches: tuple[Node, ...]


@dataclass(frozen=True)
class Repeat:
    part: Node
    low: int
    high: int | None


Node = One | Start | End | Sequence | Either | Repeat


def lower(text: str) -> str:
    """Each character lower-cased alone, where that yields one character."""
    return "".join(low if len(low := c.lower()) == 1 else c for c in text)


def like(pattern: str, *, fold: bool) -> Test:
    """The test of `like`, or of `ilike` when `fold`. Raises PATTERN_INVALID."""
    parts: list[Node] = []
    at = 0
    while at < len(pattern):
        c = pattern[at]
        if c == "%":
            parts.append(Repeat(One(lambda _: True), 0, None))
        elif c == "_":
            parts.append(One(lambda _: True))
        else:
            if c == "\\":
                at += 1
                if pattern[at : at + 1] not in ("%", "_", "\\"):
                    raise Refused("PATTERN_INVALID", f"stray backslash in {pattern!r}")
                c = pattern[at]
            parts.append(_literal(lower(c) if fold else c))
        at += 1
    tree = Sequence(tuple(parts))

    def test(text: str) -> bool:
        folded = lower(text) if fold else text
        return len(folded) in ends(tree, folded, 0)

    return test


def regex(pattern: str) -> Test:
    """The unanchored test of `regex`. Raises REGEX_UNSUPPORTED."""
    reader = _Reader(pattern)
    tree = reader.either()
    if reader.at != len(pattern):
        raise Refused("REGEX_UNSUPPORTED", f"{pattern!r} at {reader.at}")
    return lambda text: any(ends(tree, text, start) for start in range(len(text) + 1))


def ends(node: Node, text: str, start: int) -> set[int]:
    """All ends of matches of the node that start at `start`."""
    if isinstance(node, One):
        return {start + 1} if start < len(text) and node.test(text[start]) else set()
    if isinstance(node, Start):
        return {start} if start == 0 else set()
    if isinstance(node, End):
        return {start} if start == len(text) else set()
    if isinstance(node, Either):
        return {end for branch in node.branches for end in ends(branch, text, start)}
    if isinstance(node, Sequence):
        at = {start}
        for part in node.parts:
            at = {end for place in at for end in ends(part, text, place)}
        return at
    at = {start}
    for _ in range(node.low):
        at = {end for place in at for end in ends(node.part, text, place)}
    found, count = set(at), node.low
    while at and (node.high is None or count < node.high):
        at = {end for place in at for end in ends(node.part, text, place)} - found
        found |= at
        count += 1
    return found


def _literal(char: str) -> One:
    return One(lambda c: c == char)


class _Reader:
    """Reads the regular expressions of the language: a branch is pieces, a piece is an atom and at most one quantifier."""

    def __init__(self, pattern: str) -> None:
        self.pattern, self.at = pattern, 0

    def peek(self) -> str:
        return self.pattern[self.at : self.at + 1]

    def take(self) -> str:
        c = self.peek()
        if not c:
            raise self.unsupported()
        self.at += 1
        return c

    def unsupported(self) -> Refused:
        return Refused("REGEX_UNSUPPORTED", f"{self.pattern!r} at {self.at}")

    def either(self) -> Node:
        branches = [self.branch()]
        while self.peek() == "|":
            self.at += 1
            branches.append(self.branch())
        return Either(tuple(branches))

    def branch(self) -> Node:
        parts: list[Node] = []
        if self.peek() == "^":
            self.at += 1
            parts.append(Start())
        while self.peek() and self.peek() not in "|)":
            if self.peek() == "$":
                self.at += 1
                if self.peek() and self.peek() not in "|)":
                    raise self.unsupported()
                parts.append(End())
                break
            parts.append(self.piece())
        return Sequence(tuple(parts))

    def piece(self) -> Node:
        atom = self.atom()
        quantifier = self.peek()
        if quantifier not in ("*", "+", "?", "{"):
            return atom
        self.at += 1
        low, high = {"*": (0, None), "+": (1, None), "?": (0, 1)}.get(quantifier) or self.counts()
        if self.peek() and self.peek() in "*+?{":
            raise self.unsupported()
        return Repeat(atom, low, high)

    def counts(self) -> tuple[int, int | None]:
        low = self.number()
        high: int | None = low
        if self.peek() == ",":
            self.at += 1
            high = None if self.peek() == "}" else self.number()
        if self.take() != "}" or low > _MOST or (high is not None and not low <= high <= _MOST):
            raise self.unsupported()
        return low, high

    def number(self) -> int:
        digits = ""
        while self.peek() and self.peek() in "0123456789":
            digits += self.take()
        if not digits or len(digits) > 4:
            raise self.unsupported()
        return int(digits)

    def atom(self) -> Node:
        c = self.take()
        if c == "(":
            if self.peek() == "?":
                raise self.unsupported()
            inner = self.either()
            if self.take() != ")":
                raise self.unsupported()
            return inner
        if c == "[":
            return One(self.char_class())
        if c == ".":
            return One(lambda x: x != "\n")
        if c == "\\":
            return One(self.escape())
        if c in _SPECIAL:
            raise self.unsupported()
        return _literal(c)

    def escape(self) -> Test:
        c = self.take()
        if c in _CLASSES:
            return _CLASSES[c]
        if c not in _PUNCTUATION:
            raise self.unsupported()
        return lambda x: x == c

    def char_class(self) -> Test:
        negated = self.peek() == "^"
        if negated:
            self.at += 1
        tests: list[Test] = []
        while self.peek() != "]":
            tests.append(self.class_item())
        self.at += 1
        if not tests:
            raise self.unsupported()
        return lambda x: any(test(x) for test in tests) is not negated

    def class_item(self) -> Test:
        low = self.class_char()
        if not isinstance(low, str):
            return low
        if self.peek() != "-" or self.pattern[self.at + 1 : self.at + 2] in ("]", ""):
            return lambda x: x == low
        self.at += 1
        high = self.class_char()
        if not isinstance(high, str) or high < low:
            raise self.unsupported()
        return lambda x: low <= x <= high

    def class_char(self) -> str | Test:
        c = self.take()
        if c == "[":
            raise self.unsupported()
        if c != "\\":
            return c
        c = self.take()
        if c in _CLASSES:
            return _CLASSES[c]
        if c not in _PUNCTUATION:
            raise self.unsupported()
        return c
