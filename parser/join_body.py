"""`join`: the kind, the other side's query, the keys, and the times of an as-of join."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from libs.times import parse_duration
from parser.reading import JsonObject, Reading
from parser.words import (
    ASOF,
    ASOF_DIRECTIONS,
    HOWS,
    JOIN_ITEM,
    MOST_DEPTH,
    MOST_JOINS,
    MOST_KEYS,
    MOST_TOLERANCE,
    NORMALIZATIONS,
    ON_ITEM,
)
from query.catalog import SourceRef
from query.plan_joins import Direction, How, Normalization
from query.question import AsofClause, JoinClause, JoinOn, Question

ReadNested = Callable[[Reading, Any, str], Question]


def read_joins(reading: Reading, value: Any, at: str, read_nested: ReadNested) -> tuple[JoinClause, ...]:
    """`read_nested` reads the query of `with`."""
    items = reading.items(value, at, MOST_KEYS)
    if value == []:
        reading.issues.add("BODY_INVALID", "`join` joins nothing.", at, "leave it away")
    if reading.joins <= MOST_JOINS < reading.joins + len(items):
        message = f"The body has more than {MOST_JOINS} joins."
        reading.issues.add("JOIN_INVALID", message, at, "ask for less at once")
    reading.joins += len(items)
    if reading.joins > MOST_JOINS:
        return ()
    return tuple([_join(reading, item, f"{at}/{index}", read_nested) for index, item in enumerate(items)])


def read_deeper(reading: Reading, value: Any, at: str, read: ReadNested) -> Question:
    """A query inside another one, unless it is too deep for that."""
    if reading.depth >= MOST_DEPTH:
        message = f"Queries stand more than {MOST_DEPTH} deep in one another."
        reading.issues.add("JOIN_INVALID", message, at, "flatten it, or ask for less at once")
        return Question(SourceRef("", ()), at=at)
    reading.depth += 1
    question = read(reading, value, at)
    reading.depth -= 1
    return question


def _join(reading: Reading, value: Any, at: str, read_nested: ReadNested) -> JoinClause:
    item = reading.object(value, at, JOIN_ITEM, ("how", "with")) or {}
    how = reading.word(item["how"], HOWS, at + "/how", "a kind of join") if "how" in item else None
    if item and how not in ("semi", "anti", None) and "as" not in item:
        reading.missing("as", at)
    right = Question(SourceRef("", ()), at=at)
    if "with" in item:
        right = read_deeper(reading, item["with"], at + "/with", read_nested)
    return JoinClause(
        cast(How, how or "inner"),
        reading.output(item, at),
        right,
        _keys(reading, item, how, at),
        "many" in item and reading.flag(item["many"], at + "/many"),
        _normalize(reading, item["normalize"], at + "/normalize") if "normalize" in item else (),
        _asof(reading, item, how, at),
        at,
    )


def _keys(reading: Reading, item: JsonObject, how: str | None, at: str) -> tuple[JoinOn, ...]:
    if "on" not in item:
        if item and how not in ("asof", None):
            reading.missing("on", at)
        return ()
    items = reading.items(item["on"], at + "/on", MOST_KEYS)
    if item["on"] == [] and how != "asof":
        message = "The join has no key, and would pair every row with every other."
        reading.issues.add("JOIN_INVALID", message, at + "/on", "name the columns that are equal")
    return tuple([_key(reading, one, f"{at}/on/{index}") for index, one in enumerate(items)])


def _key(reading: Reading, value: Any, at: str) -> JoinOn:
    if type(value) is str:
        name = reading.name(value, at, "a column's name")
        return JoinOn(name, name, at)
    item = reading.object(value, at, ON_ITEM, ("left", "right")) or {}
    left, right = (
        reading.name(item[side], f"{at}/{side}", "a column's name") if side in item else ""
        for side in ("left", "right")
    )
    return JoinOn(left, right, at)


def _normalize(reading: Reading, value: Any, at: str) -> tuple[Normalization, ...]:
    items = reading.items(value, at, len(NORMALIZATIONS))
    words = [reading.word(item, NORMALIZATIONS, f"{at}/{index}", "a step") for index, item in enumerate(items)]
    return tuple(cast(Normalization, word) for word in words if word is not None)


def _asof(reading: Reading, item: JsonObject, how: str | None, at: str) -> AsofClause | None:
    if "asof" not in item:
        if how == "asof":
            message = "An as-of join needs its times and its tolerance."
            hint = 'add "asof": {"left": …, "right": …, "direction": "backward", "tolerance": "30s"}'
            reading.issues.add("JOIN_INVALID", message, at + "/asof", hint)
        return None
    if how not in ("asof", None):
        reading.issues.add(
            "JOIN_INVALID", f"A join of the kind {how!r} has no `asof`.", at + "/asof", 'use "how": "asof"'
        )
    at += "/asof"
    asof = reading.object(item["asof"], at, ASOF, ("left", "right", "direction"))
    if asof is None:
        return None
    left, right = (
        reading.name(asof[side], f"{at}/{side}", "a column's name") if side in asof else ""
        for side in ("left", "right")
    )
    direction = None
    if "direction" in asof:
        direction = reading.word(asof["direction"], ASOF_DIRECTIONS, at + "/direction", "a direction")
    return AsofClause(left, right, cast(Direction, direction or "backward"), _tolerance(reading, asof, at), at)


def _tolerance(reading: Reading, asof: JsonObject, at: str) -> int:
    at += "/tolerance"
    if "tolerance" not in asof:
        message = "The tolerance is missing: how far apart may the times be?"
        reading.issues.add("JOIN_INVALID", message, at, "add a duration such as 30s")
        return 0
    value = asof["tolerance"]
    if type(value) is not str:
        reading.wrong(value, "a duration, a string", at, "such as 30s")
        return 0
    try:
        found = parse_duration(value)
    except ValueError as error:
        reading.issues.add("TIME_INVALID", f"{error}.", at, "use a duration such as 500ms, 30s, 5m")
        return 0
    if found > MOST_TOLERANCE:
        reading.issues.add("TIME_INVALID", "The tolerance is more than a hundred years.", at, "use less")
        return 0
    return found
