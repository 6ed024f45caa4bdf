"""A body's bytes into a Question: shape and words, before names and types are known. Every fault at once."""

from __future__ import annotations

from parser.decode import decode, decode_exact, find_duplicates, surely_unique
from parser.question_body import read_question
from parser.reading import Reading
from query.catalog import SourceRef
from query.plan import Aggregation, FieldKey
from query.question import Question, SelectField


def parse_body(body: bytes, instance: str | None = None, target: tuple[str, ...] | None = None) -> Question:
    """The question that a body asks. `instance` and `target` come from the path; without them the body's `from` tells.

    Raises RequestError with everything that is wrong, each at its JSON pointer.
    """
    path = SourceRef(instance, target) if instance is not None and target is not None else None
    value = decode(body)
    reading = Reading()
    question = read_question(reading, value, "", path)
    if reading.wide:
        reading = Reading()
        question = read_question(reading, decode_exact(body), "", path)
    if not surely_unique(body, reading.members):
        find_duplicates(body, reading.issues)
    if reading.issues.found:
        _find_clashes(reading, question)
        reading.issues.raise_any()
    return question


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
    for part in (*question.union, *(clause.right for clause in question.joins)):
        _find_clashes(reading, part)


def _see(reading: Reading, name: str, at: str, seen: set[str]) -> None:
    if name in seen and name:
        reading.issues.add("NAME_CLASH", f"Two outputs are called {name[:100]!r}.", at, "give one of them another name")
    seen.add(name)
