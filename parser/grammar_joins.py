"""Joins, unions, `then`, `over` and `top` as JSON Schema. A query inside a body has its own component, which may hold another."""

from __future__ import annotations

from parser.schema_parts import Schema, list_of, name, object_of, reference
from parser.words import (
    ASOF_DIRECTIONS,
    DIRECTIONS,
    HOWS,
    MOST_DEPTH,
    MOST_JOINS,
    MOST_KEYS,
    MOST_TOP,
    MOST_UNITED,
    MOST_WINDOW,
    NORMALIZATIONS,
    OVER_FUNCTIONS,
    THEN,
)


def join_parts() -> dict[str, Schema]:
    """The components; `clauses` of a body refer to them."""
    return {
        "QueryLookup": object_of(
            "A lookup table.", {"source": name("mix"), "lookup": name("its name")}, "source", "lookup"
        ),
        "QueryJoin": _join(),
        "QueryPair": object_of(
            "Two columns that are equal.", {"left": name("the left's"), "right": name("the right's")}, "left", "right"
        ),
        "QueryAsof": _asof(),
        "QueryOver": _over(),
        "QueryTop": _top(),
    }


def inner_parts(clauses: dict[str, Schema], left_out: tuple[str, ...]) -> dict[str, Schema]:
    """The components that are made of a body's own clauses."""
    inner = {word: schema for word, schema in clauses.items() if word not in left_out}
    described = f"A query inside a body, up to {MOST_DEPTH} deep. It has no limit unless it says one."
    then = {word: schema for word, schema in clauses.items() if word in THEN}
    return {
        "QueryInner": object_of(described, inner),
        "QueryThen": object_of("What is made of joined or united rows.", then),
    }


def join_clauses() -> dict[str, Schema]:
    """The members of a body."""
    queries: Schema = {"type": "array", "items": reference("QueryInner"), "minItems": 2, "maxItems": MOST_UNITED}
    return {
        "top": reference("QueryTop"),
        "join": list_of([reference("QueryJoin")], MOST_JOINS, "other sides, one after the other", least=1),
        "then": reference("QueryThen"),
        "union": queries | {"description": "rows of all the queries under one schema, with a column `source`"},
    }


def _join() -> Schema:
    key = [name("a column of both sides"), reference("QueryPair")]
    steps: Schema = {"type": "string", "enum": list(NORMALIZATIONS)}
    properties: dict[str, Schema] = {
        "how": {"type": "string", "enum": list(HOWS), "description": "`semi` and `anti` add no columns"},
        "as": name("the right side's columns are called <as>.<name>"),
        "with": reference("QueryInner"),
        "on": list_of(key, MOST_KEYS, "equal columns; an as-of join may do without"),
        "many": {"type": "boolean", "default": False, "description": "a left row may meet several right rows"},
        "normalize": list_of([steps], len(NORMALIZATIONS), "changes text keys before they are compared"),
        "asof": reference("QueryAsof"),
    }
    return object_of("One more side.", properties, "how", "with")


def _asof() -> Schema:
    properties: dict[str, Schema] = {
        "left": name("a timestamp of the left side"),
        "right": name("a timestamp of the right side"),
        "direction": {"type": "string", "enum": list(ASOF_DIRECTIONS), "description": "`nearest` prefers the earlier"},
        "tolerance": {"type": "string", "pattern": "^[0-9]{1,9}(ms|[smhdw])$", "examples": ["30s"]},
    }
    return object_of("The right row that is next in time.", properties, *properties)


def _over() -> Schema:
    properties: dict[str, Schema] = {
        "over": {"type": "string", "enum": list(OVER_FUNCTIONS), "description": "`rate` is per second"},
        "of": name("an aggregate before it"),
        "window": {"type": "integer", "minimum": 1, "maximum": MOST_WINDOW, "description": "buckets, of `moving_avg`"},
        "as": name("the output"),
    }
    return object_of("An output along the time bucket, in each series.", properties, "over", "of", "as")


def _top() -> Schema:
    properties: dict[str, Schema] = {
        "by": name("an output"),
        "n": {"type": "integer", "minimum": 1, "maximum": MOST_TOP},
        "per": list_of([name("a key")], MOST_KEYS, "the first n in each of these; of all without"),
        "dir": {"type": "string", "enum": list(DIRECTIONS), "default": "desc"},
    }
    return object_of("Keeps the first groups.", properties, "by", "n")
