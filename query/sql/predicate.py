"""Filters as SQL conditions that are true exactly where the two-valued rule says so, and else false or NULL.

Without negation NULL behaves as false under AND and OR; `Not` asks IS NOT TRUE, so that no leaf needs a COALESCE,
and a store's zone maps stay usable.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import assert_never

from query.expr import And, Compare, Not, Or, Predicate
from query.pattern import to_re2
from query.pattern_syntax import parse_ilike, parse_like, parse_regex
from query.sql.quote import column_type
from query.sql.statement import Build, Cell

_WORD_GAP = r"[^\p{L}\p{M}\p{N}_]+"


def condition(build: Build, predicate: Predicate, cells: Mapping[str, Cell]) -> str:
    """The predicate over the cells."""
    match predicate:
        case Compare(field):
            return leaf(build, predicate, cells[field])
        case And(items):
            return _joined([condition(build, item, cells) for item in items], " AND ", "TRUE")
        case Or(items):
            return _joined([condition(build, item, cells) for item in items], " OR ", "FALSE")
        case Not(item):
            return f"(({condition(build, item, cells)}) IS NOT TRUE)"
        case _:
            assert_never(predicate)


def _joined(parts: list[str], word: str, empty: str) -> str:
    return f"({word.join(parts)})" if parts else empty


def leaf(build: Build, compare: Compare, cell: Cell) -> str:
    """One comparison; a multi-valued field matches when any value does, `ne` and `nin` when none is equal."""
    if compare.op == "exists":
        return f"({cell.sql} IS {'NOT ' if compare.value else ''}NULL)"
    if not cell.type.multi:
        return VALUE_TESTS[compare.op](build, compare, cell.sql, column_type(cell.type))
    return _any(build, compare, cell)


def _any(build: Build, compare: Compare, cell: Cell) -> str:
    single = column_type(cell.type.single())
    match compare.op:
        case "eq":
            return f"list_contains({cell.sql}, {_one(build, compare, single)})"
        case "ne":
            return f"(NOT list_contains({cell.sql}, {_one(build, compare, single)}))"
        case "in":
            return f"list_has_any({cell.sql}, {_many(build, compare, single)})"
        case "nin":
            return f"(NOT list_has_any({cell.sql}, {_many(build, compare, single)}))"
        case _:
            inner = VALUE_TESTS[compare.op](build, compare, "v", single)
            return f"(len(list_filter({cell.sql}, lambda v: {inner})) > 0)"


def _one(build: Build, compare: Compare, kind: str) -> str:
    return f"{build.bind(compare.value)}::{kind}"


def _many(build: Build, compare: Compare, kind: str) -> str:
    assert isinstance(compare.value, tuple)
    return f"{build.bind(list(compare.value))}::{kind}[]"


ValueTest = Callable[[Build, Compare, str, str], str]


def _sign(sign: str) -> ValueTest:
    return lambda build, compare, sql, kind: f"({sql} {sign} {_one(build, compare, kind)})"


def _call(function: str) -> ValueTest:
    return lambda build, compare, sql, kind: f"{function}({sql}, {_one(build, compare, kind)})"


def _in(build: Build, compare: Compare, sql: str, kind: str) -> str:
    return f"list_contains({_many(build, compare, kind)}, {sql})"


def _not_in(build: Build, compare: Compare, sql: str, kind: str) -> str:
    return f"(NOT list_contains({_many(build, compare, kind)}, {sql}))"


def _between(build: Build, compare: Compare, sql: str, kind: str) -> str:
    assert isinstance(compare.value, tuple)
    low, high = compare.value
    return f"({sql} BETWEEN {build.bind(low)}::{kind} AND {build.bind(high)}::{kind})"


def _pattern(build: Build, compare: Compare, sql: str, kind: str) -> str:
    parse = {"like": parse_like, "ilike": parse_ilike, "regex": parse_regex}[compare.op]
    assert isinstance(compare.value, str)
    return f"regexp_matches({sql}, {build.bind(to_re2(parse(compare.value)))}::VARCHAR)"


def _words(build: Build, sql: str) -> str:
    """The lower-cased words of a text, each between two spaces, in one text."""
    return f"(' ' || trim(regexp_replace(lower({sql}), {build.bind(_WORD_GAP)}::VARCHAR, '  ', 'g'), ' ') || ' ')"


def _match(build: Build, compare: Compare, sql: str, kind: str) -> str:
    return f"list_has_any({_split(build, sql)}, {_split(build, _one(build, compare, kind))})"


def _split(build: Build, sql: str) -> str:
    """The words of a text; without any, an empty list."""
    parts = f"regexp_split_to_array(lower({sql}), {build.bind(_WORD_GAP)}::VARCHAR)"
    return f"list_filter({parts}, lambda w: w <> '')"


def _match_phrase(build: Build, compare: Compare, sql: str, kind: str) -> str:
    phrase = _words(build, _one(build, compare, kind))
    return f"(contains({_words(build, sql)}, {phrase}) AND trim({phrase}, ' ') <> '')"


VALUE_TESTS: dict[str, ValueTest] = {
    "eq": _sign("="),
    "ne": _sign("<>"),
    "lt": _sign("<"),
    "lte": _sign("<="),
    "gt": _sign(">"),
    "gte": _sign(">="),
    "in": _in,
    "nin": _not_in,
    "between": _between,
    "like": _pattern,
    "ilike": _pattern,
    "regex": _pattern,
    "starts_with": _call("starts_with"),
    "ends_with": _call("suffix"),
    "contains": _call("contains"),
    "match": _match,
    "match_phrase": _match_phrase,
}
