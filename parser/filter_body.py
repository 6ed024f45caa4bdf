"""`where` and `having`: a leaf has exactly `field`, `op` and `value`, a node exactly one of `and`, `or`, `not`."""

from __future__ import annotations

from typing import Any, cast

from libs.issues import kind_of, nearest
from parser.reading import JsonObject, Reading
from parser.words import LEAF, MOST_CHARACTERS, MOST_FILTER_DEPTH, MOST_FILTER_NODES, MOST_VALUES, NODE
from query.expr import TRUE, And, Compare, Not, Op, Operand, Or, Predicate, Scalar
from query.vocabulary import OPERATORS

_OPERANDS = {name: word.operand for name, word in OPERATORS.items()}


def read_filter(reading: Reading, value: Any, at: str, depth: int = 1) -> Predicate:
    """The tree; what cannot be read is in the issues, and stands as true. It never goes deeper than filters may."""
    reading.nodes += 1
    if reading.nodes > MOST_FILTER_NODES or depth > MOST_FILTER_DEPTH:
        _refuse_size(reading, at, depth)
        return TRUE
    if type(value) is not dict:
        reading.wrong(value, "a filter, an object", at, 'use {"field": …, "op": …, "value": …}, or and, or, not')
        return TRUE
    reading.members += len(value)
    if len(value) == 1:
        if "and" in value:
            return And(_members(reading, value["and"], at + "/and", depth))
        if "or" in value:
            return Or(_members(reading, value["or"], at + "/or", depth))
        if "not" in value:
            return Not(read_filter(reading, value["not"], at + "/not", depth + 1))
    elif len(value) == 3 and "field" in value and "op" in value and "value" in value:
        return _leaf(reading, value, at)
    return _odd(reading, value, at, depth)


def _refuse_size(reading: Reading, at: str, depth: int) -> None:
    """Says once that the filters are too deep, and once that they have too many nodes."""
    if depth > MOST_FILTER_DEPTH:
        if not reading.deep:
            message = f"The filter nests more than {MOST_FILTER_DEPTH} deep."
            reading.issues.add("TOO_DEEP", message, at, "flatten it: `and` and `or` take many members")
        reading.deep = True
    elif reading.nodes == MOST_FILTER_NODES + 1:
        message = f"The filters have more than {MOST_FILTER_NODES} nodes."
        reading.issues.add("TOO_MANY_NODES", message, at, "`in` takes up to 1000 values in one node")


def _members(reading: Reading, value: Any, at: str, depth: int) -> tuple[Predicate, ...]:
    if type(value) is not list:
        reading.wrong(value, "an array of filters", at)
        return ()
    if not value:
        word = at.rsplit("/", 1)[1]
        reading.issues.add("EMPTY_NODE", f"`{word}` has no member.", at, "give it one at least, or leave it away")
    depth += 1
    found: list[Predicate] = []
    for index, item in enumerate(value):
        if reading.nodes > MOST_FILTER_NODES:
            break
        found.append(read_filter(reading, item, f"{at}/{index}", depth))
    return tuple(found)


def _leaf(reading: Reading, value: JsonObject, at: str) -> Predicate:
    name, op, operand = value["field"], value["op"], value["value"]
    if type(name) is not str or not 0 < len(name) <= MOST_CHARACTERS:
        reading.name(name, at + "/field", "a field's name")
    shape = _OPERANDS.get(op) if type(op) is str else None
    if shape is None:
        reading.word(op, OPERATORS, at + "/op", "an operator", "OPERATOR_UNKNOWN")
        return TRUE
    read = _read_operand(reading, shape, op, operand, at + "/value")
    if read is None or type(name) is not str:
        return TRUE
    return Compare(name, cast(Op, op), read, None, at)


def _read_operand(reading: Reading, shape: str, op: str, value: Any, at: str) -> Operand | None:
    match shape:
        case "one" | "text":
            return _scalar(reading, op, value, at)
        case "list":
            if type(value) is not list or not value:
                reading.wrong(value, f"an array of 1 to {MOST_VALUES} values", at)
                return None
            if len(value) > MOST_VALUES:
                message = f"`{op}` has {len(value)} values; it takes at most {MOST_VALUES}."
                reading.issues.add("TOO_MANY_VALUES", message, at, "split it, or compare another way")
                return None
            return _scalars(reading, op, value, at)
        case "pair":
            if type(value) is not list or len(value) != 2:
                reading.wrong(value, "an array of two values", at, "use [low, high], both included")
                return None
            return _scalars(reading, op, value, at)
        case _:
            if type(value) is not bool:
                message = f"`{op}` takes true or false, not {kind_of(value)}."
                reading.issues.add("TYPE_MISMATCH", message, at, "use true (has a value) or false (is missing)")
                return None
            return value


def _scalars(reading: Reading, op: str, values: list[Any], at: str) -> tuple[Scalar, ...] | None:
    read: list[Scalar] = []
    for index, value in enumerate(values):
        # The checks of `_scalar`, without a call for the usual ones.
        kind = type(value)
        if (kind is str and len(value) <= MOST_CHARACTERS) or kind is int:
            read.append(value)
        elif (scalar := _scalar(reading, op, value, f"{at}/{index}")) is not None:
            read.append(scalar)
    return tuple(read) if len(read) == len(values) else None


def _scalar(reading: Reading, op: str, value: Any, at: str) -> Scalar | None:
    if type(value) is str:
        if len(value) <= MOST_CHARACTERS:
            return value
        message = f"The text has {len(value)} characters; at most {MOST_CHARACTERS} are taken."
        reading.issues.add("TOO_MANY_VALUES", message, at, "compare with less")
        return None
    if type(value) is bool or reading.number(value):
        scalar: Scalar = value
        return scalar
    if value is None:
        hint = 'use {"op": "exists", "value": false} for what is missing'
        reading.issues.add("TYPE_MISMATCH", f"`{op}` takes no null.", at, hint)
    else:
        reading.wrong(value, "a string, a number, or true or false", at, "`in` takes an array")
    return None


def _odd(reading: Reading, value: JsonObject, at: str, depth: int) -> Predicate:
    """Says what is wrong with an object that is neither a leaf nor a node."""
    if LEAF & value.keys() and not NODE & value.keys():
        reading.members -= len(value)
        reading.object(value, at, LEAF, ("field", "op", "value"))
        if "op" in value:
            reading.word(value["op"], OPERATORS, at + "/op", "an operator", "OPERATOR_UNKNOWN")
        if "field" in value:
            reading.name(value["field"], at + "/field", "a field's name")
        return TRUE
    words = [word for word in value if word in NODE]
    if len(words) == 1 and len(value) > 1:
        reading.members -= len(value)
        reading.object(value, at, NODE)
        return read_filter(reading, {words[0]: value[words[0]]}, at, depth)
    hint = "a node has exactly one of and, or, not; a leaf exactly field, op, value"
    names = ", ".join(repr(name[:40]) for name in list(value)[:5])
    guess = nearest(next(iter(value)), sorted(NODE)) if len(value) == 1 else None
    message = f"This is no filter: it has {names}." if value else "This is no filter: it is empty."
    reading.issues.add("BODY_INVALID", message, at, guess or hint)
    for word in words:
        read_filter(reading, {word: value[word]}, at, depth)
    return TRUE
