"""The words of the language and the types they take, as tables: binding, the parser, the docs and OpenAPI read them."""

from __future__ import annotations

from dataclasses import dataclass

from libs.result import TypeName

BOOLEAN, INT64, FLOAT64 = TypeName.BOOLEAN, TypeName.INT64, TypeName.FLOAT64
STRING, TIMESTAMP, JSON = TypeName.STRING, TypeName.TIMESTAMP, TypeName.JSON
NUMBERS = frozenset({INT64, FLOAT64})
ORDERED = frozenset({INT64, FLOAT64, TIMESTAMP, STRING})
COMPARABLE = ORDERED | {BOOLEAN}
TEXT = frozenset({STRING})
EVERY = COMPARABLE | {JSON}


@dataclass(frozen=True, slots=True)
class OperatorWord:
    """`operand` is one of `one`, `pair`, `list`, `flag`, `text`."""

    types: frozenset[TypeName]
    operand: str
    says: str


OPERATORS: dict[str, OperatorWord] = {
    "eq": OperatorWord(COMPARABLE, "one", "equal"),
    "ne": OperatorWord(COMPARABLE, "one", "has a value, and none is equal"),
    "lt": OperatorWord(ORDERED, "one", "less than"),
    "lte": OperatorWord(ORDERED, "one", "less than or equal"),
    "gt": OperatorWord(ORDERED, "one", "greater than"),
    "gte": OperatorWord(ORDERED, "one", "greater than or equal"),
    "in": OperatorWord(COMPARABLE, "list", "equal to one of the list"),
    "nin": OperatorWord(COMPARABLE, "list", "has a value, and none is in the list"),
    "between": OperatorWord(ORDERED, "pair", "from low to high, both included"),
    "exists": OperatorWord(EVERY, "flag", "has a value (true), or is missing (false)"),
    "like": OperatorWord(TEXT, "text", "the whole text fits a pattern of % and _"),
    "ilike": OperatorWord(TEXT, "text", "as like, each character lower-cased alone"),
    "starts_with": OperatorWord(TEXT, "text", "starts with the text"),
    "ends_with": OperatorWord(TEXT, "text", "ends with the text"),
    "contains": OperatorWord(TEXT, "text", "holds the text"),
    "regex": OperatorWord(TEXT, "text", "a regular expression matches anywhere"),
    "match": OperatorWord(TEXT, "text", "holds any of the words, by the store's analysis"),
    "match_phrase": OperatorWord(TEXT, "text", "holds the words in order, by the store's analysis"),
}

# What an analysed text without an exact form takes.
ANALYSED_OPERATORS = frozenset({"exists", "match", "match_phrase"})

OPERATORS_OF: dict[TypeName, tuple[str, ...]] = {
    kind: tuple(op for op, word in OPERATORS.items() if kind in word.types) for kind in TypeName
}


@dataclass(frozen=True, slots=True)
class AggregateWord:
    """`types` are those of its field. `result` is `int64`, `float64`, `same` (the field's), or `sum` (int64 of int64).
    `folds`: parts of it, made apart, can be put together."""

    types: frozenset[TypeName]
    result: str
    folds: bool
    says: str


AGGREGATES: dict[str, AggregateWord] = {
    "count": AggregateWord(EVERY, "int64", True, "rows; with a field, rows that have a value"),
    "count_distinct": AggregateWord(EVERY, "int64", False, "different values"),
    "sum": AggregateWord(NUMBERS, "sum", True, "the sum"),
    "avg": AggregateWord(NUMBERS, "float64", True, "the mean"),
    "min": AggregateWord(NUMBERS | {TIMESTAMP}, "same", True, "the least value"),
    "max": AggregateWord(NUMBERS | {TIMESTAMP}, "same", True, "the greatest value"),
    "median": AggregateWord(NUMBERS, "float64", False, "the percentile of 50"),
    "percentile": AggregateWord(NUMBERS, "float64", False, "interpolated linearly at p/100·(n-1)"),
    "stddev": AggregateWord(NUMBERS, "float64", True, "the standard deviation of the sample"),
    "first": AggregateWord(EVERY, "same", False, "the value at the least time"),
    "last": AggregateWord(EVERY, "same", False, "the value at the greatest time"),
}
