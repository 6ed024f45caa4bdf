"""Sets of code points: one character, all that fold to the same one, unions and complements."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from query.pattern import ANY, CharSet

# Above this no character has a case; a test holds it against the whole of Unicode.
_CASED_BELOW = 0x20000


def fold(char: str) -> str:
    """A character lower-cased alone where that yields one character, else itself."""
    low = char.lower()
    return low if len(low) == 1 else char


def one(char: str) -> CharSet:
    return CharSet(((ord(char), ord(char)),))


def either_case(char: str) -> CharSet:
    """All characters that fold to the same one as `char`."""
    members = _case_variants().get(fold(char))
    return union((ord(member), ord(member)) for member in members) if members else one(char)


@cache
def _case_variants() -> dict[str, tuple[str, ...]]:
    """Folded characters with all that fold to them, where there is more than the one."""
    variants: dict[str, list[str]] = {}
    for code in range(_CASED_BELOW):
        char = chr(code)
        if (low := fold(char)) != char:
            variants.setdefault(low, [low] if fold(low) == low else []).append(char)
    return {low: tuple(members) for low, members in variants.items()}


def union(ranges: Iterable[tuple[int, int]]) -> CharSet:
    """The set of all code points in the ranges; surrogates are none."""
    joined: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if joined and low <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(joined[-1][1], high))
        else:
            joined.append((low, high))
    return (
        complement(complement(CharSet(tuple(joined))))
        if any(_holds_surrogates(*each) for each in joined)
        else CharSet(tuple(joined))
    )


def _holds_surrogates(low: int, high: int) -> bool:
    return low <= 0xDFFF and high >= 0xD800


def complement(chars: CharSet) -> CharSet:
    """Every code point that is not in the set."""
    ranges: list[tuple[int, int]] = []
    for low, high in ANY.ranges:
        for taken_low, taken_high in chars.ranges:
            if taken_low > high or taken_high < low:
                continue
            if taken_low > low:
                ranges.append((low, taken_low - 1))
            low = taken_high + 1
        if low <= high:
            ranges.append((low, high))
    return CharSet(tuple(ranges))
