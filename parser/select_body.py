"""`select`, `group_by`, `order_by`: what is answered, by which keys, in which order."""

from __future__ import annotations

from typing import Any, cast

from libs.errors import RequestError
from parser.bucket_body import read_bucket
from parser.expression import parse_expression
from parser.filter_body import read_filter
from parser.reading import JsonObject, Reading
from parser.words import (
    AGGREGATE_ITEM,
    DIRECTIONS,
    EXPRESSION_ITEM,
    FIELD_ITEM,
    MOST_KEYS,
    MOST_SELECTED,
    MOST_WINDOW,
    ORDER_ITEM,
    OVER_FUNCTIONS,
    OVER_ITEM,
)
from query.expr import Number
from query.plan import AggregateName, Aggregation, FieldKey, Key, Order
from query.plan_joins import OverFunction
from query.question import SelectExpression, SelectField, SelectItem, SelectOver
from query.vocabulary import AGGREGATES


def read_select(reading: Reading, value: Any, at: str) -> tuple[SelectItem, ...]:
    items = reading.items(value, at, MOST_SELECTED)
    if value == []:
        reading.issues.add("BODY_INVALID", "`select` names nothing.", at, "leave it away for every field")
    return tuple([_select_item(reading, item, f"{at}/{index}") for index, item in enumerate(items)])


def _select_item(reading: Reading, value: Any, at: str) -> SelectItem:
    if type(value) is str:
        return SelectField(reading.name(value, at, "a field's name"), at)
    if type(value) is dict:
        if "agg" in value:
            return _aggregate(reading, value, at)
        if "expr" in value:
            return _expression(reading, value, at)
        if "over" in value:
            return _over(reading, value, at)
    item = reading.object(value, at, FIELD_ITEM, FIELD_ITEM)
    return SelectField(
        reading.name(item["field"], at + "/field", "a field's name") if item and "field" in item else "", at + "/field"
    )


def _aggregate(reading: Reading, value: JsonObject, at: str) -> Aggregation:
    reading.object(value, at, AGGREGATE_ITEM, ("as",))
    function = reading.word(value["agg"], AGGREGATES, at + "/agg", "an aggregate", "OPERATOR_UNKNOWN")
    field = None
    if "field" in value:
        field = reading.name(value["field"], at + "/field", "a field's name")
    elif function not in (None, "count"):
        reading.missing("field", at)
    where = read_filter(reading, value["where"], at + "/where") if "where" in value else None
    p = None
    if function == "percentile":
        p = _percent(reading, value, at)
    elif "p" in value and function is not None:
        reading.issues.add("BODY_INVALID", f"`{function}` takes no `p`.", at + "/p", "`percentile` does")
    return Aggregation(cast(AggregateName, function), field, reading.output(value, at), p, where, at=at)


def _percent(reading: Reading, value: JsonObject, at: str) -> float | None:
    if "p" not in value:
        reading.missing("p", at)
        return None
    p = value["p"]
    if type(p) not in (int, float):
        reading.wrong(p, "a number from 0 to 100", at + "/p")
        return None
    if not 0 <= p <= 100:
        reading.issues.add("RANGE_INVALID", f"The percentile {p} is outside of 0 to 100.", at + "/p", "use 0 to 100")
        return None
    return float(p)


def _expression(reading: Reading, value: JsonObject, at: str) -> SelectExpression:
    reading.object(value, at, EXPRESSION_ITEM, ("as",))
    name, text = reading.output(value, at), value["expr"]
    if type(text) is not str:
        reading.wrong(text, "an expression, a string", at + "/expr")
        return SelectExpression(name, Number(0.0), at=at)
    try:
        return SelectExpression(name, parse_expression(text), text, at)
    except RequestError as error:
        reading.issues.add(error.code.name, error.message, at + "/expr", error.hint)
        return SelectExpression(name, Number(0.0), at=at)


def _over(reading: Reading, value: JsonObject, at: str) -> SelectOver:
    reading.object(value, at, OVER_ITEM, ("of", "as"))
    function = reading.word(
        value["over"], OVER_FUNCTIONS, at + "/over", "a way to go along buckets", "OPERATOR_UNKNOWN"
    )
    of = reading.name(value["of"], at + "/of", "an output's name") if "of" in value else ""
    window = value.get("window")
    if function == "moving_avg" and "window" not in value:
        reading.missing("window", at)
    elif "window" in value and function not in ("moving_avg", None):
        reading.issues.add("BODY_INVALID", f"`{function}` takes no `window`.", at + "/window", "`moving_avg` does")
    elif "window" in value and (type(window) is not int or not 1 <= window <= MOST_WINDOW):
        message = f"The window must be a whole number of buckets from 1 to {MOST_WINDOW}."
        reading.issues.add("LIMIT_INVALID", message, at + "/window", "such as 5")
        window = None
    return SelectOver(cast(OverFunction, function), of, window, reading.output(value, at), at)


def read_group_by(reading: Reading, value: Any, at: str) -> tuple[Key, ...]:
    items = reading.items(value, at, MOST_KEYS)
    return tuple([_key(reading, item, f"{at}/{index}") for index, item in enumerate(items)])


def _key(reading: Reading, value: Any, at: str) -> Key:
    if type(value) is str:
        return FieldKey(reading.name(value, at, "a field's name"), at)
    if type(value) is dict and "time_bucket" in value:
        return read_bucket(reading, value, at)
    item = reading.object(value, at, FIELD_ITEM, FIELD_ITEM)
    return FieldKey(
        reading.name(item["field"], at + "/field", "a field's name") if item and "field" in item else "", at + "/field"
    )


def read_order_by(reading: Reading, value: Any, at: str) -> tuple[Order, ...]:
    items = reading.items(value, at, MOST_KEYS)
    return tuple([_order(reading, item, f"{at}/{index}") for index, item in enumerate(items)])


def _order(reading: Reading, value: Any, at: str) -> Order:
    if type(value) is str:
        return Order(reading.name(value, at, "a field's name"), False, at)
    item = reading.object(value, at, ORDER_ITEM, FIELD_ITEM)
    if item is None or "field" not in item:
        return Order("", False, at)
    field = reading.name(item["field"], at + "/field", "a field's name")
    direction = reading.word(item.get("dir", "asc"), DIRECTIONS, at + "/dir", "a direction")
    return Order(field, direction == "desc", at + "/field")
