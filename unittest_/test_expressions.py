"""Arithmetic as text into trees."""

from __future__ import annotations

import pytest

from libs.errors import RequestError
from parser.expression import parse_expression
from query.expr import Binary, Call, Name, Negate, Number


def test_expressions() -> None:
    a, b, c = Name("a"), Name("b"), Name("c")
    for text, tree in (
        ("a", a),
        (" a+b * c ", Binary("+", a, Binary("*", b, c))),
        ("a - b - c", Binary("-", Binary("-", a, b), c)),
        ("a / b % c", Binary("%", Binary("/", a, b), c)),
        ("-a * b", Binary("*", Negate(a), b)),
        ("a - -b", Binary("-", a, Negate(b))),
        ("(a + b) * c", Binary("*", Binary("+", a, b), c)),
        ("1.5e3", Number(1500.0)),
        ("`a b``c`", Name("a b`c")),
        ("@timestamp", Name("@timestamp")),
        ("geo.lat_1@x", Name("geo.lat_1@x")),
        ("abs(a)", Call("abs", (a,))),
        ("abs", Name("abs")),
        ("round(a, 2)", Call("round", (a, Number(2.0)))),
        ("coalesce(a, b, 0)", Call("coalesce", (a, b, Number(0.0)))),
        ("nullif(a,b)", Call("nullif", (a, b))),
    ):
        assert parse_expression(text) == tree, text


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("", 0), ("a +", 3), ("a b", 2), ("(a", 2), ("a)", 1), ("1x", 0), ("a $ b", 2), ("a + é", 4), ("round(a, b)", 0),
        ("round(a, 1.5)", 0),
        ("1e999", 0), ("``", 0), ("`a", 0), ("abs(a,)", 6), ("* a", 0), ("a ** b", 3), ("'a'", 0), ("a; b", 1), (".5", 0), ("a,b", 1),
    ],
)  # fmt: skip
def test_broken_expressions_are_refused_with_their_place(text: str, at: int) -> None:
    with pytest.raises(RequestError, match=rf"at character {at}\)") as caught:
        parse_expression(text)
    assert caught.value.code.name == "EXPRESSION_INVALID"


def test_expressions_are_bounded() -> None:
    parse_expression("+".join(["a"] * 60))
    for text in (
        "+".join(["a"] * 200),
        "(" * 100 + "a" + ")" * 100,
        "-" * 500 + "a",
        "a" * 1001,
        "abs(" * 100 + "a" + ")" * 100,
    ):
        with pytest.raises(RequestError) as caught:
            parse_expression(text)
        assert caught.value.code.name == "EXPRESSION_INVALID"
