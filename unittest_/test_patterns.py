"""Patterns: what RE2 makes of the trees is what plain Python says of the texts. T10: no pattern takes for ever."""

from __future__ import annotations

import sys
import time

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.errors import RequestError
from query.char_sets import complement, either_case, fold, union
from query.pattern import ANY, Pattern, to_re2
from query.pattern_syntax import parse_ilike, parse_like, parse_regex
from unittest_.reference import patterns as reference

TRICKY = (
    "aAbBkK\u212asSßẞİiıσςΣéÉe\u0301%_\\.*+?()[]{}|^$-\n\r\t 0\u00e5\u212b😀\U00010400\U00010428\ufffd\U0010ffff\x00"
)
TEXTS = st.text(st.sampled_from(TRICKY), max_size=8)
CONNECTION = duckdb.connect()


def found(pattern: Pattern, text: str) -> bool:
    """Whether DuckDB, which is RE2, finds the pattern."""
    row = CONNECTION.cursor().execute("SELECT regexp_matches(?, ?)", [text, to_re2(pattern)]).fetchone()
    assert row is not None
    return bool(row[0])


@st.composite
def likes(draw: st.DrawFn) -> str:
    pieces = st.sampled_from(["%", "_", "\\%", "\\_", "\\\\"]) | st.sampled_from(
        TRICKY.replace("\\", "").replace("%", "").replace("_", "")
    )
    return "".join(draw(st.lists(pieces, max_size=7)))


@settings(max_examples=400, deadline=None)
@given(likes(), TEXTS)
def test_like_is_what_plain_python_says(pattern: str, text: str) -> None:
    assert found(parse_like(pattern), text) == reference.like(pattern, fold=False)(text)


@settings(max_examples=400, deadline=None)
@given(likes(), TEXTS)
def test_ilike_is_what_plain_python_says(pattern: str, text: str) -> None:
    assert found(parse_ilike(pattern), text) == reference.like(pattern, fold=True)(text)


@st.composite
def regexes(draw: st.DrawFn, depth: int = 2) -> str:
    literal = st.sampled_from(["a", "b", "A", "é", "😀", "\\.", "\\\\", "\\-", " ", "-", "\n", ":", "<", "&"])
    klass = st.sampled_from(
        ["[ab]", "[^a]", "[a-k]", "[\\d_]", "[^\\s\\w]", "[-a]", "[a-]", "[\\]\\[]", "[é-😀]", "[^^]", "[.]"]
    )
    atoms = literal | klass | st.sampled_from([".", "\\d", "\\w", "\\s"])
    if depth:
        atoms |= st.lists(regexes(depth - 1), min_size=1, max_size=3).map(lambda parts: "(" + "|".join(parts) + ")")
    repeats = st.sampled_from(["", "", "", "*", "+", "?", "{2}", "{0,1}", "{1,}", "{0}", "{1,3}"])
    return "".join(draw(st.lists(st.tuples(atoms, repeats).map("".join), max_size=4)))


@settings(max_examples=600, deadline=None)
@given(st.lists(st.tuples(st.booleans(), regexes(), st.booleans()), min_size=1, max_size=3), TEXTS)
def test_regex_is_what_plain_python_says(branches: list[tuple[bool, str, bool]], text: str) -> None:
    pattern = "|".join("^" * start + body + "$" * end for start, body, end in branches)
    assert found(parse_regex(pattern), text) == reference.regex(pattern)(text)


def test_case_sets_hold_exactly_what_folds_alike() -> None:
    members: dict[str, list[int]] = {}
    for code in range(sys.maxunicode + 1):
        if not 0xD800 <= code <= 0xDFFF:
            members.setdefault(fold(chr(code)), []).append(code)
    for codes in members.values():
        if len(codes) > 1:
            for code in codes:
                assert list(expand(either_case(chr(code)).ranges)) == codes
    assert either_case("ß").ranges == union([(0xDF, 0xDF), (0x1E9E, 0x1E9E)]).ranges


def expand(ranges: tuple[tuple[int, int], ...]) -> list[int]:
    return [code for low, high in ranges for code in range(low, high + 1)]


def test_surrogates_are_never_in_a_set() -> None:
    assert union([(0, sys.maxunicode)]) == ANY
    assert complement(union([(0xD000, 0xE000)])).ranges == ((0, 0xCFFF), (0xE001, 0x10FFFF))
    assert complement(ANY).ranges == ()
    assert not found(parse_regex("[^\x00-\U0010ffff]"), "a")


@pytest.mark.parametrize(("text", "at"), [("a\\b", 1), ("\\", 0), ("%%\\", 2), ("\\\\\\n", 2)])
def test_like_refuses_stray_backslashes_with_their_place(text: str, at: int) -> None:
    for parse in (parse_like, parse_ilike):
        with pytest.raises(RequestError, match=f"at character {at}") as caught:
            parse(text)
        assert caught.value.code.name == "PATTERN_INVALID"


@pytest.mark.parametrize(
    "text",
    [
        "(?i)a", "(?:a)", "(?P<n>a)", "(?=a)", "a*?", "a+?", "a??", "a++", "a**", "a{2}{3}", "\\bx", "\\1", "\\p{L}", "\\D", "\\n", "\\x41",
        "(", ")", "a)", "(a", "[a", "[", "[]", "[^]", "[[:alpha:]]", "[z-a]", "[a-\\d]", "a{2,1}", "a{1001}", "a{,3}", "a{", "a{x}", "{2}",
        "*", "+a", "|*", "a\\", "[\\", "a^b", "a$b", "(^a)", "(a$)", "x(^|b)", "]", "}", "a{10000}", "((a{100}){10}){2}", "(a{40}){40}",
        "(" * 41 + ")" * 41, "(abcdefgh){1000}[a-z]{1000}.{1000}.{1000}.{1000}.{1000}.{1000}",
    ],
)  # fmt: skip
def test_regex_refuses_what_not_every_store_can_do(text: str) -> None:
    with pytest.raises(RequestError, match="at character") as caught:
        parse_regex(text)
    assert caught.value.code.name == "REGEX_UNSUPPORTED"
    assert caught.value.issues[0].hint


@pytest.mark.parametrize(
    "text",
    [
        ".{1000}", ".{1000}.{1000}.{1000}.{1000}.{1000}", "[^a]{1000}", "(.{100}){10}", "(abc.){900}", "([^aé]{30}|.{30}){33}",
        "(" * 40 + "a" + ")" * 40, "(a*){1000}", "[^abcdeéж]{1000}[^b]{900}", "é" * 1000, "|" * 999,
    ],
)  # fmt: skip
def test_what_is_taken_compiles_in_re2(text: str) -> None:
    found(parse_regex(text), "a" * 100)


def test_long_likes_compile_in_re2() -> None:
    for text in ("k%" * 500, "_" * 1000, "%_" * 500, "ß" * 1000):
        found(parse_like(text), "a" * 2000)
        found(parse_ilike(text), "a" * 2000)


@pytest.mark.parametrize("text", ["(a+)+$", "^(a|a)*b$", "(a*)*b", "(.*)*x", "^(a?){200}a{200}b"])
def test_t10_patterns_that_explode_elsewhere_answer_at_once(text: str) -> None:
    pattern = parse_regex(text)
    found(pattern, "a")
    started = time.perf_counter()
    found(pattern, "a" * 50_000 + "!")
    assert time.perf_counter() - started < 2.0
