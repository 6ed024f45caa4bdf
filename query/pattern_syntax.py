"""Reads `like`, `ilike` and `regex` into pattern trees. Pure; every character, class and dot becomes a set of code points.

The bounds on nesting and repeats keep each pattern within what RE2 compiles, so no store refuses here what was taken.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NoReturn

from libs.errors import RequestError
from query.char_sets import complement, either_case, one, union
from query.pattern import ANY, NOT_NEWLINE, Branch, CharSet, Group, Node, Pattern, Repeat

MOST_REPEATS = 1000
MOST_NESTED = 40
# The steps of a matcher once repeats are written out, roughly: RE2 refuses some four times as many.
MOST_EXPANDED = 40_000
_PUNCTUATION = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
_SPECIAL = frozenset("\\^$.|?*+()[]{}")
_CLASSES: dict[str, tuple[tuple[int, int], ...]] = {
    "d": ((0x30, 0x39),),
    "w": ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A)),
    "s": ((0x9, 0xA), (0xC, 0xD), (0x20, 0x20)),
}
_ANYTHING = Repeat(ANY, 0, None)


@lru_cache(maxsize=512)
def parse_like(text: str) -> Pattern:
    """`%` any text, `_` one code point, a backslash only before `%`, `_` or itself. Raises RequestError (PATTERN_INVALID)."""
    return _like(text, one)


@lru_cache(maxsize=512)
def parse_ilike(text: str) -> Pattern:
    """As `like`, blind to case: a character stands for all that lower-case to the same one."""
    return _like(text, either_case)


def _like(text: str, literal: Callable[[str], CharSet]) -> Pattern:
    items: list[Node] = []
    at = 0
    while at < len(text):
        char = text[at]
        if char == "%":
            if not items or items[-1] is not _ANYTHING:
                items.append(_ANYTHING)
        elif char == "_":
            items.append(ANY)
        else:
            if char == "\\":
                at += 1
                if at == len(text) or text[at] not in "%_\\":
                    raise RequestError(
                        f"The pattern holds a stray backslash at character {at - 1}.",
                        code="PATTERN_INVALID",
                        hint="a backslash stands only before %, _ or another backslash; double it to mean itself",
                    )
                char = text[at]
            items.append(literal(char))
        at += 1
    return Pattern((Branch(tuple(items), start=True, end=True),))


@lru_cache(maxsize=512)
def parse_regex(text: str) -> Pattern:
    """A regular expression of the documented subset, found anywhere. Raises RequestError (REGEX_UNSUPPORTED)."""
    reader = _Reader(text)
    branches = [reader.branch()]
    while reader.peek() == "|":
        reader.at += 1
        branches.append(reader.branch())
    if reader.at < len(text):
        reader.refuse("a closing bracket without its opening one")
    pattern = Pattern(tuple(branches))
    if sum(_expanded(branch.items, MOST_REPEATS, reader) for branch in branches) > MOST_EXPANDED:
        reader.refuse("repeats that make it too large", 0)
    return pattern


class _Reader:
    """A branch is pieces; a piece is an atom and at most one repeat."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.nested = 0

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def take(self, of: str) -> str:
        char = self.peek()
        if not char:
            self.refuse(f"{of} that does not end")
        self.at += 1
        return char

    def refuse(self, what: str, at: int | None = None) -> NoReturn:
        raise RequestError(
            f"The regular expression holds {what} (at character {self.at if at is None else at}).",
            code="REGEX_UNSUPPORTED",
            hint=r"literals, ., [classes], \d \w \s, groups, |, * + ? {n,m}, and ^ $ at the ends of an alternative",
        )

    def branch(self) -> Branch:
        start = self.peek() == "^"
        self.at += start
        items = self.pieces()
        end = self.peek() == "$"
        self.at += end
        if self.peek() not in ("", "|", ")"):
            self.refuse("a $ that is not at an alternative's end", self.at - 1)
        return Branch(items, start, end)

    def pieces(self) -> tuple[Node, ...]:
        items: list[Node] = []
        while self.peek() not in ("", "|", ")", "$"):
            items.append(self.piece())
        return tuple(items)

    def piece(self) -> Node:
        atom = self.atom()
        char = self.peek()
        if char not in ("*", "+", "?", "{"):
            return atom
        start = self.at
        self.at += 1
        if char == "{":
            low, high = self.counts(start)
        else:
            low, high = int(char == "+"), 1 if char == "?" else None
        if self.peek() in ("*", "+", "?", "{"):
            self.refuse("a repeat of a repeat; lazy and possessive repeats are not known")
        return Repeat(atom, low, high)

    def counts(self, start: int) -> tuple[int, int | None]:
        low = self.number(start)
        high: int | None = low
        if self.peek() == ",":
            self.at += 1
            high = None if self.peek() == "}" else self.number(start)
        if self.peek() != "}":
            self.refuse("a brace that is no {n}, {n,} or {n,m}", start)
        self.at += 1
        if low > MOST_REPEATS or (high is not None and not low <= high <= MOST_REPEATS):
            self.refuse(f"a repeat out of order or of more than {MOST_REPEATS}", start)
        return low, high

    def number(self, start: int) -> int:
        first = self.at
        while "0" <= self.peek() <= "9":
            self.at += 1
        digits = self.text[first : self.at]
        if not digits or len(digits) > 4:
            self.refuse("a brace that is no {n}, {n,} or {n,m}, n at most 1000", start)
        return int(digits)

    def atom(self) -> Node:
        start = self.at
        char = self.take("something")
        if char == "(":
            return self.group(start)
        if char == "[":
            return self.char_class(start)
        if char == ".":
            return NOT_NEWLINE
        if char == "\\":
            return CharSet(self.escaped())
        if char in _SPECIAL:
            self.refuse(f"{char!r} where it means nothing; escape it to mean itself", start)
        return one(char)

    def group(self, start: int) -> Group:
        if self.peek() == "?":
            self.refuse("a (? group: only plain groups are known", start)
        self.nested += 1
        if self.nested > MOST_NESTED:
            self.refuse(f"groups nested more than {MOST_NESTED} deep", start)
        alternatives = [self.alternative()]
        while self.peek() == "|":
            self.at += 1
            alternatives.append(self.alternative())
        if self.peek() != ")":
            self.refuse("a group that does not end", start)
        self.at += 1
        self.nested -= 1
        return Group(tuple(alternatives))

    def alternative(self) -> tuple[Node, ...]:
        items = self.pieces() if self.peek() != "^" else ()
        if self.peek() in ("^", "$"):
            self.refuse(f"{self.peek()} within a group; put it at an end of the whole alternative")
        return items

    def escaped(self) -> tuple[tuple[int, int], ...]:
        char = self.take("an escape")
        if char in _CLASSES:
            return _CLASSES[char]
        if char not in _PUNCTUATION:
            self.refuse(f"the escape \\{char}; known are \\d \\w \\s and a backslash before punctuation", self.at - 2)
        return ((ord(char), ord(char)),)

    def char_class(self, start: int) -> CharSet:
        negated = self.peek() == "^"
        self.at += negated
        ranges: list[tuple[int, int]] = []
        while self.peek() != "]":
            ranges.extend(self.class_item())
        if not ranges:
            self.refuse("a class of nothing", start)
        self.at += 1
        found = union(ranges)
        return complement(found) if negated else found

    def class_item(self) -> tuple[tuple[int, int], ...]:
        start = self.at
        low = self.class_char()
        if self.peek() != "-" or self.text[self.at + 1 : self.at + 2] in ("]", "") or self.is_class(start):
            return low
        self.at += 1
        second = self.at
        high = self.class_char()
        if self.is_class(second) or high[0][0] < low[0][0]:
            self.refuse("a range that is upside down", start)
        return ((low[0][0], high[0][0]),)

    def is_class(self, at: int) -> bool:
        return self.text[at] == "\\" and self.text[at + 1] in _CLASSES

    def class_char(self) -> tuple[tuple[int, int], ...]:
        char = self.take("a class")
        if char == "\\":
            return self.escaped()
        if char == "[":
            self.refuse("a bracket within a class; escape it to mean itself", self.at - 1)
        return ((ord(char), ord(char)),)


def _expanded(items: tuple[Node, ...], repeats_left: int, reader: _Reader) -> int:
    """How many sets there are once repeats are written out. Refuses repeats within repeats of more than 1000 in all."""
    size = 0
    for item in items:
        match item:
            case CharSet(ranges):
                size += 1 if len(ranges) == 1 and ranges[0][1] < 0x80 else 3 + len(ranges)
            case Group(alternatives):
                size += sum(_expanded(each, repeats_left, reader) + 1 for each in alternatives)
            case Repeat(inner, low, high):
                times = max(1, low if high is None else high)
                if repeats_left // times == 0:
                    reader.refuse(f"repeats within repeats of more than {MOST_REPEATS} in all", 0)
                size += times * (_expanded((inner,), repeats_left // times, reader) + 1)
    return size
