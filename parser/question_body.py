"""A query's object into a Question: the body itself, or one that stands inside it (`with`, `union`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from libs.issues import escape
from parser.clauses import read_cursor, read_fill, read_limit, read_options, read_source, read_time_range, read_top
from parser.filter_body import read_filter
from parser.join_body import read_deeper, read_joins
from parser.reading import JsonObject, Reading
from parser.select_body import read_group_by, read_order_by, read_select
from parser.words import BODY, MOST_UNITED, NESTED, OF_UNION, THEN
from query.catalog import SourceRef
from query.plan import Aggregation
from query.question import Question, SelectOver, Then

NOWHERE = SourceRef("", ())


def read_question(reading: Reading, value: Any, at: str, path: SourceRef | None = None) -> Question:
    """The query at a pointer. `path` is the source that the request's path names."""
    if type(value) is not dict:
        reading.wrong(value, "a query, an object", at)
        return Question(path or NOWHERE, at=at)
    reading.members += len(value)
    found: dict[str, Any] = {}
    known = BODY if reading.depth == 0 else NESTED
    for name, clause in value.items():
        reader = CLAUSES.get(name) if name in known else None
        if reader is not None:
            found[reader[0]] = reader[1](reading, clause, f"{at}/{name}")
        elif name == "cursor" and name in known:
            read_cursor(reading, clause, at + "/cursor")
        elif name != "from":
            _refuse_member(reading, name, at, known)
    source = NOWHERE if "union" in value else _source(reading, value, path, at)
    question = Question(source, at=at, **found)
    if "union" in value:
        _check_union(reading, value, path, at)
    elif not question.grouped:
        _check_rows(reading, question, at)
    _check_then(reading, value, question, at)
    return question


def _source(reading: Reading, value: JsonObject, path: SourceRef | None, at: str) -> SourceRef:
    if "from" not in value:
        if path is None:
            hint = 'such as {"source": "es", "index": "logs"}'
            reading.issues.add("BODY_INVALID", "The member 'from' is missing.", at + "/from", hint)
        return path or NOWHERE
    named = read_source(reading, value["from"], at + "/from")
    if path is not None and named is not None and named != path:
        reading.issues.add(
            "BODY_INVALID", "The path names another source than `from`.", at + "/from", "leave `from` away here"
        )
    return path or named or NOWHERE


def _refuse_member(reading: Reading, name: str, at: str, known: frozenset[str]) -> None:
    if reading.issues.full:
        reading.issues.dropped += 1
        return
    hint = reading.issues.nearest(name, sorted(known))
    if name in BODY and name not in known:
        hint = f"{name}: say it once, for the whole body"
    reading.issues.add("BODY_INVALID", f"The member {name[:100]!r} is not known here.", f"{at}/{escape(name)}", hint)


def _read_joins(reading: Reading, value: Any, at: str) -> Any:
    return read_joins(reading, value, at, read_question)


def _read_union(reading: Reading, value: Any, at: str) -> tuple[Question, ...]:
    items = reading.items(value, at, MOST_UNITED)
    if type(value) is list and len(value) < 2:
        reading.issues.add("BODY_INVALID", "`union` puts two queries or more together.", at, "add another query")
    return tuple([read_deeper(reading, item, f"{at}/{index}", read_question) for index, item in enumerate(items)])


def _read_then(reading: Reading, value: Any, at: str) -> Then:
    item = reading.object(value, at, THEN) or {}
    found = {name: CLAUSES[name][1](reading, clause, f"{at}/{name}") for name, clause in item.items() if name in THEN}
    then = Then(at=at, **found)
    if not then.group_by and not any(isinstance(one, Aggregation) for one in then.select or ()):
        _check_rows(reading, then, at)
    return then


def _check_union(reading: Reading, value: JsonObject, path: SourceRef | None, at: str) -> None:
    if path is not None:
        message = "The path names one source, and a union has several."
        reading.issues.add("BODY_INVALID", message, at + "/union", "send it to /mix/query")
    for name in value:
        if name in BODY and name not in OF_UNION:
            message = f"A union has no `{name}` of its own."
            reading.issues.add("BODY_INVALID", message, f"{at}/{name}", "put it into its queries, or into `then`")


def _check_then(reading: Reading, value: JsonObject, question: Question, at: str) -> None:
    if question.then is None:
        return
    if "join" not in value and "union" not in value:
        message = "`then` shapes the rows of a join or a union, and there is none."
        reading.issues.add("BODY_INVALID", message, at + "/then", "leave it away")
    if question.then.order_by and question.order_by:
        message = "The order stands here and in `then`."
        reading.issues.add("BODY_INVALID", message, at + "/order_by", "keep one of them")


def _check_rows(reading: Reading, question: Question | Then, at: str) -> None:
    """What groups alone can have."""
    if question.having is not None:
        message = "`having` filters groups, and this answers rows."
        reading.issues.add("BODY_INVALID", message, at + "/having", "use `where`")
    if isinstance(question, Question) and question.fill is not None and question.fill.mode != "none":
        message = "`fill` fills groups by time, and this answers rows."
        reading.issues.add("FILL_INVALID", message, at + "/fill", "add a time bucket to `group_by`")
    if question.top is not None:
        message = "`top` keeps the first groups, and this answers rows."
        reading.issues.add("BODY_INVALID", message, at + "/top", "use `order_by` and `limit`, or group")
    for item in question.select or ():
        if isinstance(item, SelectOver):
            message = "`over` goes along the buckets of groups, and this answers rows."
            reading.issues.add("BODY_INVALID", message, item.at + "/over", "add a time bucket to `group_by`")


# What reads each clause, and the Question's member that takes what it read.
CLAUSES: dict[str, tuple[str, Callable[[Reading, Any, str], Any]]] = {
    "time_range": ("time_range", read_time_range),
    "where": ("where", read_filter),
    "group_by": ("group_by", read_group_by),
    "select": ("select", read_select),
    "having": ("having", read_filter),
    "fill": ("fill", read_fill),
    "top": ("top", read_top),
    "join": ("joins", _read_joins),
    "then": ("then", _read_then),
    "union": ("union", _read_union),
    "order_by": ("order_by", read_order_by),
    "limit": ("limit", read_limit),
    "options": ("options", read_options),
}
