"""The bodies of changes by filter: `where`, and beside it `set` or `time_range`, or `"all": true` in the place of a filter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from libs.issues import escape
from parser.clauses import read_time_range
from parser.decode import check_depth, decode, decode_exact, find_duplicates
from parser.filter_body import read_filter
from parser.grammar import body_schema
from parser.reading import JsonObject, Reading
from parser.schema_parts import Schema, object_of, reference
from query.expr import Predicate
from query.question import TimeRange
from query.typed_settings import Given

MOST_SET = 100
DELETE = frozenset({"where", "all"})
UPDATE = DELETE | {"set"}
POINTS = DELETE | {"time_range"}
_FILTER_PARTS = ("QueryFilter", "QueryLeaf", "QueryAll", "QueryAny", "QueryNone", "QueryTimeRange")


@dataclass(frozen=True, slots=True)
class ChangeBody:
    """`where` and `time_range` are None where the body says `"all": true`."""

    where: Predicate | None = None
    time_range: TimeRange | None = None
    given: tuple[Given, ...] = ()


def parse_change(body: bytes, members: frozenset[str]) -> ChangeBody:
    """The body of a change that takes these members. Raises RequestError with everything that is wrong."""
    value = decode(body)
    check_depth(value)
    value = decode_exact(body)
    reading = Reading()
    found = reading.object(value, "", members, required=("set",) if "set" in members else ()) or {}
    where = read_filter(reading, found["where"], "/where") if found.get("where") not in (None, {}) else None
    if "where" in found and found["where"] is None:
        reading.wrong(None, "a filter, an object", "/where")
    span = read_time_range(reading, found["time_range"], "/time_range") if "time_range" in found else None
    if span is not None and span.start is None and span.end is None:
        span = None
    _check_all(reading, found, where is not None or span is not None)
    given = _given(reading, found["set"]) if "set" in found else ()
    find_duplicates(body, reading.issues)
    reading.issues.raise_any()
    return ChangeBody(where, span, given)


def _check_all(reading: Reading, found: JsonObject, filtered: bool) -> None:
    everything = reading.flag(found["all"], "/all") if "all" in found else False
    if everything and filtered:
        message = "The body has a filter, and says that all are meant."
        reading.issues.add("BODY_INVALID", message, "/all", "keep one of them")
    elif not everything and not filtered and not reading.issues.found:
        message = "There is no filter, so that everything would be changed."
        reading.issues.add("FILTER_REQUIRED", message, "/where", 'send a filter, or {"all": true}')


def _given(reading: Reading, value: Any) -> tuple[Given, ...]:
    if type(value) is not dict:
        reading.wrong(value, "an object of fields and their values", "/set")
        return ()
    if not 0 < len(value) <= MOST_SET:
        message = f"`set` has {len(value)} fields; it takes 1 to {MOST_SET}."
        reading.issues.add("TOO_MANY_VALUES" if value else "BODY_INVALID", message, "/set", "name what is to be set")
        return ()
    return tuple(Given(name, member, f"/set/{escape(name)}") for name, member in value.items())


def change_schema(members: frozenset[str]) -> Schema:
    """Such a body as JSON Schema; `$defs` holds the components of its filter."""
    parts = body_schema()["$defs"]
    filtered = "which are meant, in the words of a query's `where`"
    known: dict[str, Schema] = {
        "where": reference("QueryFilter"),
        "time_range": reference("QueryTimeRange"),
        "set": {
            "type": "object",
            "minProperties": 1,
            "maxProperties": MOST_SET,
            "additionalProperties": True,
            "description": "the fields by their dotted names, each with its new value; null makes it missing",
        },
        "all": {"type": "boolean", "default": False, "description": "every one is meant; there is no filter then"},
    }
    required = ("set",) if "set" in members else ()
    schema = object_of(
        f"A change by filter: `where` says {filtered}.",
        {name: schema for name, schema in known.items() if name in members},
        *required,
    )
    used = _FILTER_PARTS if "time_range" in members else _FILTER_PARTS[:-1]
    return schema | {"$defs": {name: parts[name] for name in used}}
