"""Remembers what was read and planned for bodies that come again, as dashboards and scripts send them.

A question is the same for the same bytes. Its plan is the same too while its tables are equal (a cached catalogue gives
the very same ones, which costs nothing to compare), for the same caller's row filter, and where no time is told by `now`.
Plans, queries and operators hold no state of a request, so one may run many times at once.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from query.catalog import Catalog, Table
from query.question import Question

MOST_ENTRIES = 256
MOST_BYTES = 4096  # of a body that is remembered
P = TypeVar("P")
Key = tuple[bytes, str | None, tuple[str, ...] | None]


@dataclass(slots=True)
class _Entry(Generic[P]):
    question: Question
    timeless: bool
    tables: tuple[Table, ...] = ()
    caller: Hashable = None
    planned: P | None = None


class PlanCache(Generic[P]):
    """Bounded by entries and by the bodies' size; the least recently used go first."""

    def __init__(self) -> None:
        self._entries: OrderedDict[Key, _Entry[P]] = OrderedDict()
        self._by_question: dict[int, _Entry[P]] = {}

    def question(
        self, body: bytes, instance: str | None, target: tuple[str, ...] | None, read: Callable[[], Question]
    ) -> Question:
        """The question of a body, by `read` the first time. Raises what `read` raises, and remembers nothing then."""
        if len(body) > MOST_BYTES:
            return read()
        key = (body, instance, target)
        entry = self._entries.get(key)
        if entry is not None:
            self._entries.move_to_end(key)
            return entry.question
        entry = self._entries[key] = _Entry(read(), b"now" not in body)
        self._by_question[id(entry.question)] = entry
        if len(self._entries) > MOST_ENTRIES:
            _, oldest = self._entries.popitem(last=False)
            del self._by_question[id(oldest.question)]
        return entry.question

    def planned(self, question: Question, catalog: Catalog, caller: Hashable, plan: Callable[[], P]) -> P:
        """What `plan` makes of a question, or made of it before."""
        entry = self._by_question.get(id(question))
        if entry is None or not entry.timeless:
            return plan()
        tables = tuple(catalog.values())
        if entry.planned is None or entry.tables != tables or entry.caller != caller:
            entry.planned = plan()
            entry.tables, entry.caller = tables, caller
        return entry.planned
