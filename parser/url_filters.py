"""A second language over the same plan: rows by a URL's parameters, in PostgREST's way.

`status=gte.500&host=in.(a,b)&select=host,bytes&order=bytes.desc&limit=10`. It makes the Question that a body would
make, and nothing behind it knows the difference (docs/custom-language.md).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sized
from dataclasses import replace
from typing import Any, cast
from urllib.parse import parse_qsl

from libs.errors import Issue, RequestError
from libs.issues import escape
from parser.clauses import read_limit, read_options
from parser.reading import Reading
from parser.url_groups import GroupText, UnreadableText
from parser.words import MOST_FILTER_NODES, MOST_KEYS, MOST_SELECTED
from query.catalog import SourceRef
from query.expr import Compare, Not, Op, Predicate, conjunction
from query.plan import Options, Order
from query.question import Question, SelectField, TimeRange
from query.vocabulary import OPERATORS

GROUPS = ("and", "or", "not.and", "not.or")
_FLAGS = ("partial", "exact", "total")
_OPTIONS = (*_FLAGS, "timeout", "require_fresh")
# Parameters that are no filters, each given once; a field of such a name is filtered within a group.
WORDS = ("select", "order", "limit", "from", "to", "time_field", *_OPTIONS)
_CONDITION = re.compile(r"(not\.)?([a-z_]+)\.(.*)", re.DOTALL)
_WHOLE = re.compile(r"[0-9]{1,9}")


def parse_url(query: str, source: SourceRef, others: tuple[str, ...] = ()) -> Question:
    """The question that a query string asks of `source`. `others` are parameters that somebody else reads.

    Raises RequestError with everything that is wrong, each at `query/<name>`.
    """
    reading = Reading()
    given: dict[str, str] = {}
    filters: list[Predicate] = []
    nodes = MOST_FILTER_NODES - 1
    for name, text in parse_qsl(query, keep_blank_values=True):
        if name in others:
            continue
        at = pointer(name)
        if name in WORDS:
            if name in given:
                reading.issues.add("REQUEST_INVALID", "This parameter is given twice.", at, "give it once")
            given[name] = text
            continue
        found = GroupText(text, at, nodes)
        try:
            filters.append(_group(name, found) if name in GROUPS else _condition(reading, name, found))
        except UnreadableText as error:
            reading.issues.add(error.code, error.message, at, error.hint)
        nodes = found.nodes
    question = Question(
        source,
        _time_range(given),
        conjunction(tuple(filters)),
        select=_read(reading, given, "select", _select),
        order_by=_read(reading, given, "order", _order) or (),
        limit=_limit(reading, given),
        options=_options(reading, given),
    )
    reading.issues.raise_any()
    return question


def pointer(name: str) -> str:
    return "query/" + escape(name)


def at_parameters(error: RequestError) -> RequestError:
    """The error with each pointer at a whole parameter: binding points into a condition, and to members of a body."""
    members = {"query": "query/from", "query/field": "query/time_field", "/options/partial": "query/partial"}
    issues: list[Issue] = []
    for issue in error.issues:
        at = members.get(issue.pointer, issue.pointer)
        if at.startswith("query/"):
            at = "/".join(at.split("/")[:2])
        issues.append(replace(issue, pointer=at))
    error.issues = tuple(issues)
    return error


def _group(name: str, text: GroupText) -> Predicate:
    word = name.removeprefix("not.")
    group = text.group(word)
    text.end()
    return group if word == name else Not(group)


def _condition(reading: Reading, name: str, text: GroupText) -> Predicate:
    match = _CONDITION.fullmatch(text.text)
    if match is None or not name:
        hint = reading.issues.nearest(name, (*WORDS, *GROUPS)) or ""
        guess = hint + "; " if hint.startswith("did") else ""
        raise UnreadableText(
            "REQUEST_INVALID",
            f"{name[:100]!r} is no parameter, and its value no condition.",
            f"{guess}a condition is <field>=<operator>.<value>, such as status=gte.500",
        )
    negated, op, operand = match.groups()
    if op not in OPERATORS:
        hint = reading.issues.nearest(op, OPERATORS) or ""
        raise UnreadableText("OPERATOR_UNKNOWN", f"{op[:100]!r} is no operator.", hint)
    inner = GroupText(operand, text.pointer)
    leaf = Compare(name, cast(Op, op), inner.operand(op, alone=True), None, text.pointer)
    inner.end()
    text.nodes -= 1
    return Not(leaf) if negated else leaf


def _time_range(given: dict[str, str]) -> TimeRange | None:
    if not given.keys() & {"from", "to", "time_field"}:
        return None
    return TimeRange(given.get("from"), given.get("to"), given.get("time_field"), at="query")


def _read(reading: Reading, given: dict[str, str], name: str, read: Callable[[str, str], Any]) -> Any:
    if name not in given:
        return None
    try:
        return read(given[name], pointer(name))
    except UnreadableText as error:
        reading.issues.add(error.code, error.message, pointer(name), error.hint)
        return None


def _select(text: str, at: str) -> tuple[SelectField, ...]:
    names = GroupText(text, at).names()
    _check_count(names, MOST_SELECTED)
    return tuple(SelectField(name, at) for name in names)


def _order(text: str, at: str) -> tuple[Order, ...]:
    orders = GroupText(text, at).orders()
    _check_count(orders, MOST_KEYS)
    return tuple(Order(name, descending, at) for name, descending in orders)


def _check_count(items: Sized, most: int) -> None:
    if len(items) > most:
        why = f"This holds {len(items)} items; at most {most} are taken."
        raise UnreadableText("TOO_MANY_VALUES", why, "ask for less at once")


def _limit(reading: Reading, given: dict[str, str]) -> int | None:
    if "limit" not in given:
        return None
    text = given["limit"]
    return read_limit(reading, int(text) if _WHOLE.fullmatch(text) else text, pointer("limit"))


def _options(reading: Reading, given: dict[str, str]) -> Options:
    words: dict[str, Any] = {"true": True, "false": False}
    options = {name: given[name] for name in _OPTIONS if name in given}
    return read_options(
        reading, {name: words.get(text, text) if name in _FLAGS else text for name, text in options.items()}, "query"
    )
