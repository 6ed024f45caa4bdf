"""A question as its canonical body: every short form written out, so that two bodies that ask the same look the same."""

from __future__ import annotations

from typing import Any, assert_never

from query.expr import And, Arithmetic, Binary, Call, Compare, Name, Negate, Not, Number, Or, Predicate
from query.plan import Aggregation, BucketKey, FieldKey, Key, Order
from query.question import JoinClause, Question, SelectExpression, SelectField, SelectItem, SelectOver, Then

_PER_SECOND = 1_000_000_000
_DEFAULT_LIMIT = 100


def canonical(question: Question) -> dict[str, Any]:
    """The body, in the order that the language's page shows its members. Parsed again it gives an equal question."""
    body = _query(question)
    body["limit"] = question.limit if question.limit is not None else _DEFAULT_LIMIT
    options = question.options
    body["options"] = {"partial": options.partial, "exact": options.exact}
    if options.total:
        body["options"]["total"] = True
    if options.require_fresh_ns is not None:
        body["options"]["require_fresh"] = f"{options.require_fresh_ns // 1_000_000}ms"
    if options.timeout is not None:
        body["options"]["timeout"] = f"{round(options.timeout * 1000)}ms"
    return body


def _query(question: Question) -> dict[str, Any]:
    """A query without what only a body has; a limit where it says one."""
    body: dict[str, Any] = {} if question.union else {"from": source_json(question)}
    if (time_range := question.time_range) is not None:
        members = {"from": time_range.start, "to": time_range.end, "field": time_range.field}
        body["time_range"] = {name: value for name, value in members.items() if value is not None}
    body |= _steps(question)
    if (fill := question.fill) is not None:
        body["fill"] = {"mode": fill.mode} | ({"value": fill.value} if fill.value is not None else {})
    if question.union:
        body["union"] = [_query(part) for part in question.union]
    if question.joins:
        body["join"] = [_join(clause) for clause in question.joins]
    if question.then is not None:
        body["then"] = _steps(question.then) | _ordered(question.then.order_by)
    body |= _ordered(question.order_by)
    if question.limit is not None:
        body["limit"] = question.limit
    return body


def _steps(question: Question | Then) -> dict[str, Any]:
    body: dict[str, Any] = {}
    if question.where is not None:
        body["where"] = predicate_json(question.where)
    if question.group_by:
        body["group_by"] = [_key(key) for key in question.group_by]
    if question.select is not None:
        body["select"] = [_item(item) for item in question.select]
    if question.having is not None:
        body["having"] = predicate_json(question.having)
    if (top := question.top) is not None:
        direction = "desc" if top.descending else "asc"
        body["top"] = {"by": top.by, "n": top.n, "per": list(top.per), "dir": direction}
    return body


def _ordered(order_by: tuple[Order, ...]) -> dict[str, Any]:
    return {"order_by": [_order(order) for order in order_by]} if order_by else {}


def _join(clause: JoinClause) -> dict[str, Any]:
    body: dict[str, Any] = {"how": clause.how}
    if clause.alias:
        body["as"] = clause.alias
    body["with"] = _query(clause.right)
    body["on"] = [{"left": pair.left, "right": pair.right} for pair in clause.on]
    if (asof := clause.asof) is not None:
        tolerance = f"{asof.tolerance_ns // 1_000_000}ms"
        body["asof"] = {"left": asof.left, "right": asof.right, "direction": asof.direction, "tolerance": tolerance}
    if clause.normalize:
        body["normalize"] = list(clause.normalize)
    return body | {"many": clause.many}


def source_json(question: Question) -> dict[str, str]:
    source = question.source
    if source.instance == "mix":
        return {"source": source.instance, "lookup": source.target[0]}
    if len(source.target) == 1:
        return {"source": source.instance, "index": source.target[0]}
    return {"source": source.instance, "db": source.target[0], "measurement": source.target[1]}


def predicate_json(predicate: Predicate) -> dict[str, Any]:
    match predicate:
        case Compare(name, op, value):
            return {"field": name, "op": op, "value": list(value) if isinstance(value, tuple) else value}
        case And(items):
            return {"and": [predicate_json(item) for item in items]}
        case Or(items):
            return {"or": [predicate_json(item) for item in items]}
        case Not(item):
            return {"not": predicate_json(item)}
        case _:
            assert_never(predicate)


def _key(key: Key) -> Any:
    match key:
        case FieldKey(name):
            return {"field": name}
        case BucketKey(name, width, alias, tz):
            text = f"{width // _PER_SECOND}s" if isinstance(width, int) else width
            bucket = {"time_bucket": text, "field": name, "as": alias}
            return bucket | ({"tz": tz} if isinstance(width, str) else {})
        case _:
            assert_never(key)


def _item(item: SelectItem) -> dict[str, Any]:
    match item:
        case SelectField(name):
            return {"field": name}
        case SelectExpression(name, expression):
            return {"expr": expression_text(expression), "as": name}
        case Aggregation():
            members: dict[str, Any] = {"agg": item.function, "field": item.field, "p": item.p}
            if item.where is not None:
                members["where"] = predicate_json(item.where)
            members["as"] = item.name
            return {name: value for name, value in members.items() if value is not None}
        case SelectOver():
            window = {"window": item.window} if item.window is not None else {}
            return {"over": item.function, "of": item.of, **window, "as": item.name}
        case _:
            assert_never(item)


def _order(order: Order) -> dict[str, str]:
    return {"field": order.field, "dir": "desc" if order.descending else "asc"}


def expression_text(expression: Arithmetic) -> str:
    """The expression with every operation in parentheses and every name in backticks."""
    match expression:
        case Number(value):
            return repr(value)
        case Name(name):
            return "`" + name.replace("`", "``") + "`"
        case Negate(item):
            return f"-({expression_text(item)})"
        case Binary(op, left, right):
            return f"({expression_text(left)} {op} {expression_text(right)})"
        case Call(function, args):
            return f"{function}({', '.join(map(expression_text, args))})"
        case _:
            assert_never(expression)
