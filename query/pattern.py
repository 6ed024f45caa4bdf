"""Patterns as trees over code points: what `like`, `ilike` and `regex` mean, before a store's own dialect.

Every character class, dot and literal is resolved to a `CharSet` of code point ranges, so that no store folds cases,
negates or escapes by itself: an emitter writes ranges and repeats, nothing else. `parse_regex`, `parse_like`, `parse_ilike`
read text (query/pattern_syntax.py); `to_re2` serves DuckDB and InfluxDB (both RE2); Elasticsearch has its own emitter.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CharSet:
    """One code point out of the ranges (both ends included, sorted, disjoint, surrogates never inside)."""

    ranges: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """`item` from `low` to `high` times; None is without end."""

    item: Node
    low: int
    high: int | None


@dataclass(frozen=True, slots=True)
class Group:
    """One of the alternatives, each a sequence."""

    alternatives: tuple[tuple[Node, ...], ...]


Node = CharSet | Repeat | Group


@dataclass(frozen=True, slots=True)
class Branch:
    """A top alternative: found anywhere, unless `start` or `end` anchors it to the text's own start or end."""

    items: tuple[Node, ...]
    start: bool = False
    end: bool = False


@dataclass(frozen=True, slots=True)
class Pattern:
    branches: tuple[Branch, ...]


ANY = CharSet(((0x0, 0xD7FF), (0xE000, 0x10FFFF)))
NOT_NEWLINE = CharSet(((0x0, 0x9), (0xB, 0xD7FF), (0xE000, 0x10FFFF)))


def to_re2(pattern: Pattern) -> str:
    """The pattern in RE2's syntax, for a search anywhere in the text (flags off: `^` and `$` are the text's ends)."""
    return "|".join(_branch(branch) for branch in pattern.branches)


def _branch(branch: Branch) -> str:
    return ("\\A" if branch.start else "") + "".join(map(_node, branch.items)) + ("\\z" if branch.end else "")


def _node(node: Node) -> str:
    match node:
        case CharSet(ranges):
            return "[" + "".join(_range(low, high) for low, high in ranges) + "]" if ranges else "[^\\x{0}-\\x{10FFFF}]"
        case Group(alternatives):
            return "(?:" + "|".join("".join(map(_node, items)) for items in alternatives) + ")"
        case Repeat(item, low, high):
            inner = _node(item) if not isinstance(item, Repeat) else f"(?:{_node(item)})"
            return inner + _times(low, high)


def _times(low: int, high: int | None) -> str:
    simple = {(0, None): "*", (1, None): "+", (0, 1): "?"}.get((low, high))
    if simple:
        return simple
    if high is None:
        return f"{{{low},}}"
    return f"{{{low}}}" if low == high else f"{{{low},{high}}}"


def _range(low: int, high: int) -> str:
    return f"\\x{{{low:X}}}" if low == high else f"\\x{{{low:X}}}-\\x{{{high:X}}}"
