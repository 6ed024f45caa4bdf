"""A body's bytes into a Question: shape and words, before names and types are known. Every fault at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from libs.issues import escape
from parser.clauses import read_cursor, read_fill, read_limit, read_options, read_source, read_time_range
from parser.decode import decode, decode_exact, find_duplicates, surely_unique
from parser.filter_body import read_filter
from parser.reading import JsonObject, Reading
from parser.select_body import read_group_by, read_order_by, read_select
from parser.words import BODY, LATER_BODY, NOT_YET
from query.catalog import SourceRef
from query.plan import Aggregation, FieldKey
from query.question import Question, SelectField

# What reads each clause, and the Question's member that takes what it read.
CLAUSES: dict[str, tuple[str, Callable[[Reading, Any, str], Any]]] = {
    "time_range": ("time_range", read_time_range),
    "where": ("where", read_filter),
    "group_by": ("group_by", read_group_by),
    "select": ("select", read_select),
    "having": ("having", read_filter),
    "fill": ("fill", read_fill),
    "order_by": ("order_by", read_order_by),
    "limit": ("limit", read_limit),
    "options": ("options", read_options),
}
_NOWHERE = SourceRef("", ())


def parse_body(body: bytes, instance: str | None = None, target: tuple[str, ...] | None = None) -> Question:
    """The question that a body asks. `instance` and `target` come from the path; without them the body's `from` tells.

    Raises RequestError with everything that is wrong, each at its JSON pointer.
    """
    path = SourceRef(instance, target) if instance is not None and target is not None else None
    value = decode(body)
    reading = Reading()
    question = _read(reading, value, path)
    if reading.wide:
        reading = Reading()
        question = _read(reading, decode_exact(body), path)
    if not surely_unique(body, reading.members):
        find_duplicates(body, reading.issues)
    if reading.issues.found:
        _find_clashes(reading, question)
        reading.issues.raise_any()
    return question


def _read(reading: Reading, value: Any, path: SourceRef | None) -> Question:
    if type(value) is not dict:
        reading.wrong(value, "a query, an object", "")
        return Question(path or _NOWHERE)
    reading.members += len(value)
    found: dict[str, Any] = {}
    for name, clause in value.items():
        reader = CLAUSES.get(name)
        if reader is not None:
            found[reader[0]] = reader[1](reading, clause, "/" + name)
        elif name == "cursor":
            read_cursor(reading, clause, "/cursor")
        elif name != "from":
            _refuse_member(reading, name)
    question = Question(_source(reading, value, path), **found)
    if not question.grouped:
        _check_rows(reading, question)
    return question


def _source(reading: Reading, value: JsonObject, path: SourceRef | None) -> SourceRef:
    if "from" not in value:
        if path is None:
            reading.issues.add(
                "BODY_INVALID", "The member 'from' is missing.", "/from", 'such as {"source": "es", "index": "logs"}'
            )
        return path or _NOWHERE
    named = read_source(reading, value["from"], "/from")
    if path is not None and named is not None and named != path:
        reading.issues.add(
            "BODY_INVALID", "The path names another source than `from`.", "/from", "leave `from` away here"
        )
    return path or named or _NOWHERE


def _refuse_member(reading: Reading, name: str) -> None:
    if reading.issues.full:
        reading.issues.dropped += 1
        return
    hint = f"{name}: {NOT_YET}" if name in LATER_BODY else reading.issues.nearest(name, sorted(BODY))
    reading.issues.add("BODY_INVALID", f"The member {name[:100]!r} is not known here.", "/" + escape(name), hint)


def _check_rows(reading: Reading, question: Question) -> None:
    """What groups alone can have."""
    if question.having is not None:
        reading.issues.add("BODY_INVALID", "`having` filters groups, and this answers rows.", "/having", "use `where`")
    if question.fill is not None and question.fill.mode != "none":
        message = "`fill` fills groups by time, and this answers rows."
        reading.issues.add("FILL_INVALID", message, "/fill", "add a time bucket to `group_by`")


def _find_clashes(reading: Reading, question: Question) -> None:
    """The clashes of names that the body alone shows, for a body that is refused anyway: binding finds them else."""
    grouped = question.grouped
    seen: set[str] = set()
    for key in question.group_by:
        at = key.at if isinstance(key, FieldKey) else key.at + "/as"
        _see(reading, key.name, at, seen)
    for item in question.select or ():
        if isinstance(item, SelectField):
            if not grouped:
                _see(reading, item.name, item.at, seen)
        elif isinstance(item, Aggregation) or item.name:
            _see(reading, item.name, item.at + "/as", seen)


def _see(reading: Reading, name: str, at: str, seen: set[str]) -> None:
    if name in seen and name:
        reading.issues.add("NAME_CLASH", f"Two outputs are called {name[:100]!r}.", at, "give one of them another name")
    seen.add(name)
