"""The language as JSON Schema, for the OpenAPI document: made of the very tables that the parser and binding read.

Branches of a union are references to components called otherwise than their members, as generators of clients need.
"""

from __future__ import annotations

from typing import Any

from parser.answer_schema import answer_schema
from parser.grammar_joins import inner_parts, join_clauses, join_parts
from parser.schema_parts import Schema, list_of, name, object_of, reference
from parser.words import (
    CALENDAR_WIDTHS,
    DEFAULT_LIMIT,
    DIRECTIONS,
    FILL_MODES,
    LEAST_LIMIT,
    MOST_CHARACTERS,
    MOST_FILTER_DEPTH,
    MOST_FILTER_NODES,
    MOST_KEYS,
    MOST_LIMIT,
    MOST_SELECTED,
    MOST_VALUES,
)
from query.vocabulary import AGGREGATES, OPERATORS

EXAMPLE: Schema = {
    "time_range": {"from": "now-1h", "to": "now"},
    "where": {
        "and": [
            {"field": "status", "op": "gte", "value": 500},
            {"not": {"field": "host", "op": "in", "value": ["canary-1"]}},
        ]
    },
    "group_by": ["host"],
    "select": [{"agg": "count", "as": "errors"}],
    "order_by": [{"field": "errors", "dir": "desc"}, "host"],
    "limit": 20,
}

__all__ = ["EXAMPLE", "answer_schema", "body_schema"]


def body_schema() -> Schema:
    """A query's body; `$defs` holds its components."""
    clauses = _clauses()
    description = (
        "One query: with `group_by` or an aggregate in `select` it answers groups, else rows. `from` is needed at "
        "/mix/query alone; elsewhere the path names the source. With `join`, the steps shape the left side, and "
        "`order_by` and `limit` the joined rows."
    )
    return (
        object_of(description, clauses)
        | {"examples": [EXAMPLE]}
        | {
            "$defs": {
                **join_parts(),
                **inner_parts(clauses, ("cursor", "options")),
                "QueryDocuments": _documents(),
                "QuerySeries": _series(),
                "QueryTimeRange": _time_range(),
                "QueryFilter": _filter(),
                "QueryLeaf": _leaf(),
                "QueryAll": _node("and", "all of them hold"),
                "QueryAny": _node("or", "one of them holds"),
                "QueryNone": _negation(),
                "QueryField": object_of("A field.", {"field": name("its name")}, "field"),
                "QueryBucket": _bucket(),
                "QueryAggregate": _aggregate(),
                "QueryExpression": _expression(),
                "QueryOrder": _order(),
                "QueryFill": _fill(),
                "QueryOptions": _options(),
            }
        }
    )


def _words(words: dict[str, Any], heading: str) -> str:
    return heading + "\n" + "\n".join(f"- `{word}`: {row.says}" for word, row in words.items())


def _clauses() -> dict[str, Schema]:
    """The members of a body."""
    key = [name("a field"), reference("QueryField"), reference("QueryBucket")]
    item = [name("a field"), *map(reference, ("QueryField", "QueryAggregate", "QueryExpression", "QueryOver"))]
    return {
        "from": {"anyOf": [reference("QueryDocuments"), reference("QuerySeries"), reference("QueryLookup")]},
        "time_range": reference("QueryTimeRange"),
        "where": reference("QueryFilter"),
        "group_by": list_of(key, MOST_KEYS, "the keys of the groups"),
        "select": list_of(item, MOST_SELECTED, "what is answered; every field unless told", least=1),
        "having": reference("QueryFilter"),
        "fill": reference("QueryFill"),
        **join_clauses(),
        "order_by": list_of(
            [name("ascending"), reference("QueryOrder")], MOST_KEYS, "missing values sort last both ways"
        ),
        "limit": {"type": "integer", "minimum": LEAST_LIMIT, "maximum": MOST_LIMIT, "default": DEFAULT_LIMIT},
        "cursor": {"type": ["string", "null"], "description": "a page's, for the next one; needs no other clause"},
        "options": reference("QueryOptions"),
    }


def _documents() -> Schema:
    properties = {"source": name("the instance"), "index": name("the index, or a pattern such as access-*")}
    return object_of("An index of a documents instance.", properties, *properties)


def _series() -> Schema:
    properties = {
        "source": name("the instance"),
        "db": name("the database"),
        "measurement": name("the measurement"),
    }
    return object_of("A measurement of a series instance.", properties, *properties)


def _time_range() -> Schema:
    bound = (
        "RFC 3339 (up to nine digits of a second), or `now` with offsets and roundings in UTC: units ms s m h d w M y"
    )
    properties: dict[str, Schema] = {
        "from": {"type": "string", "description": f"included. {bound}", "examples": ["now-1h", "2026-11-22T10:00:00Z"]},
        "to": {"type": "string", "description": f"not included. {bound}", "examples": ["now", "now/h"]},
        "field": name("`@timestamp` (documents) or `time` (series) unless told"),
    }
    return object_of("Half open; either side may be left away.", properties)


def _filter() -> Schema:
    members = [reference("QueryLeaf"), reference("QueryAll"), reference("QueryAny"), reference("QueryNone")]
    description = f"At most {MOST_FILTER_DEPTH} deep, {MOST_FILTER_NODES} nodes in all."
    return {"anyOf": members, "description": description, "examples": [EXAMPLE["where"]]}


def _node(word: str, says: str) -> Schema:
    return object_of(
        f"True when {says}.", {word: {"type": "array", "minItems": 1, "items": reference("QueryFilter")}}, word
    )


def _negation() -> Schema:
    says = "True when it does not hold: `not` of an `eq` includes the missing."
    return object_of(says, {"not": reference("QueryFilter")}, "not")


def _leaf() -> Schema:
    scalar: list[Schema] = [{"type": "string", "maxLength": MOST_CHARACTERS}, {"type": "number"}, {"type": "boolean"}]
    many = {"type": "array", "minItems": 1, "maxItems": MOST_VALUES, "items": {"anyOf": scalar}}
    value = {
        "anyOf": [*scalar, many],
        "description": "`between` takes [low, high], `in` and `nin` an array, `exists` true or false, the others one value; "
        "times are strings",
    }
    op = {"type": "string", "enum": list(OPERATORS), "description": _words(OPERATORS, "How the field is compared:")}
    description = "A comparison: false where the field is missing, but for `exists: false`."
    properties = {"field": name("the field, or in `having` the output"), "op": op, "value": value}
    return object_of(description, properties, "field", "op", "value")


def _bucket() -> Schema:
    width = {
        "type": "string",
        "pattern": "^([1-9][0-9]{0,9}[smh]|1[dwMy])$",
        "description": f"whole seconds counted from 1970 UTC, or a calendar unit: {', '.join(CALENDAR_WIDTHS)}",
        "examples": ["30s", "5m", "1h", "1d"],
    }
    properties: dict[str, Schema] = {
        "time_bucket": width,
        "field": name("a timestamp"),
        "as": name("the output, the start of the bucket"),
        "tz": {"type": "string", "description": "a time zone, for calendar units", "default": "UTC"},
    }
    return object_of("A key of time buckets.", properties, "time_bucket", "field", "as")


def _aggregate() -> Schema:
    agg = {"type": "string", "enum": list(AGGREGATES), "description": _words(AGGREGATES, "Which aggregate:")}
    properties: dict[str, Schema] = {
        "agg": agg,
        "field": name("what it is taken over; `count` may do without"),
        "as": name("the output"),
        "p": {"type": "number", "minimum": 0, "maximum": 100, "description": "of `percentile`, which needs it"},
        "where": reference("QueryFilter"),
    }
    example = {"agg": "percentile", "field": "latency_ms", "p": 95, "as": "p95"}
    return object_of("An aggregate, of the rows that its `where` lets through.", properties, "agg", "as") | {
        "examples": [example]
    }


def _expression() -> Schema:
    text = {
        "type": "string",
        "minLength": 1,
        "maxLength": MOST_CHARACTERS,
        "description": "numbers, names (odd ones in backticks), + - * / % ( ), coalesce abs round nullif",
        "examples": ["hits / errors", "round(`disk used` / 1024, 1)"],
    }
    return object_of("Arithmetic in float64.", {"expr": text, "as": name("the output")}, "expr", "as")


def _order() -> Schema:
    direction = {"type": "string", "enum": list(DIRECTIONS), "default": "asc"}
    return object_of("One key of the order.", {"field": name("a field, or an output"), "dir": direction}, "field")


def _fill() -> Schema:
    mode = {"type": "string", "enum": list(FILL_MODES), "description": "what takes the place of null aggregates"}
    value = {"type": "number", "description": "of the mode `value`, which needs it"}
    return object_of(
        "Adds the absent time buckets; needs a bounded time range.", {"mode": mode, "value": value}, "mode"
    )


def _options() -> Schema:
    timeout = {"type": "string", "pattern": "^[0-9]{1,9}(ms|[smhdw])$", "examples": ["20s"]}
    properties: dict[str, Schema] = {
        "partial": {
            "type": "boolean",
            "default": False,
            "description": "take what there is when a store fails in part",
        },
        "timeout": timeout | {"description": "the deadline; the service's own is the most"},
        "exact": {"type": "boolean", "default": False, "description": "no approximation, or a refusal"},
        "total": {"type": "boolean", "default": False, "description": "count all rows or groups: `page.total`"},
        "require_fresh": timeout | {"description": "how old a source's newest row in the range may be"},
    }
    return object_of("How it is answered.", properties)
