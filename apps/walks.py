"""A result under way between two pages: run once, pulled as far as its pages have come, closed when done or given up.

The first page was answered by a plan of its own, with a limit that its store may have done. The walk runs the same
question without it and leaves out the rows of that page, each as often as it was there, whatever the order of ties.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import replace
from typing import Any

from apps.pipeline import Prepared, Services, changing, prepare
from libs.context import RequestContext, SourceReport
from libs.result import Batch, Cell, Column, TypeName
from middlewares.format import Page
from operator_.base import close
from query.backend import CatalogStale, NotProven
from query.question import Question

_SIGNIFICANT = 9


def identities(question: Question, batches: Sequence[Batch]) -> list[int]:
    """What tells each row from others, as a hash: its group's keys, or all of its cells."""
    found: list[int] = []
    joined = bool(question.joins or question.union)
    keys = 0 if joined else len(question.group_by)
    for batch in batches:
        width = keys or len(batch.schema)
        columns = [
            _hashing(column, cells, joined)
            for column, cells in zip(batch.schema[:width], batch.columns[:width], strict=True)
        ]
        found += map(hash, zip(*columns, strict=True)) if columns else [0] * batch.length
    return found


def _hashing(column: Column, cells: Sequence[Cell], joined: bool) -> Iterable[Any]:
    """Cells whose hashes are the same from run to run: of sums that are joined, the digits that are (their order is not)."""
    if column.type.multi:
        return [tuple(sorted(cell, key=repr)) if isinstance(cell, list) else cell for cell in cells]
    if column.type.name is not TypeName.FLOAT64:
        return cells
    if joined:
        return [cell if cell is None else f"{cell:.{_SIGNIFICANT}g}" for cell in cells]
    return [None if cell != cell else cell for cell in cells]  # NaN hashes by where it lies


class Walk:
    """One question's rows behind its first page. One page at a time."""

    def __init__(self, question: Question, context: RequestContext, first: Sequence[int]) -> None:
        """`context` is the first page's, whose instant is `now` for all; `first` are the identities of its rows."""
        self.question = question
        self.given = len(first)
        self.turn = asyncio.Lock()
        self._now_ns, self._principal = context.now_ns, context.principal
        self._left_out = Counter(first)
        self._context: RequestContext | None = None
        self._prepared: Prepared | None = None
        self._stream: AsyncIterator[Batch] | None = None
        self._waiting: list[Batch] = []

    @property
    def running(self) -> bool:
        """Whether a store may hold something for it."""
        return self._stream is not None

    async def page(self, size: int, services: Services, request: RequestContext, idle_seconds: float) -> Page:
        """The next rows; `has_more` tells whether there are others. Notes what it took in `request`."""
        context = await self._opened(services, request, idle_seconds)
        before = {report.source: (report.rows, report.took_ms) for report in context.sources}
        context.id, context.traceparent = request.id, request.traceparent
        context.deadline = request.deadline
        taken: list[Batch] = []
        rows = 0
        try:
            while rows <= size:
                batch = self._waiting.pop() if self._waiting else await self._next()
                if batch is None:
                    break
                room = size - rows
                if batch.length > room:
                    self._waiting.append(batch.slice(room, batch.length))
                    taken += [batch.slice(0, room)] if room else []
                    rows += room + 1
                else:
                    taken.append(batch)
                    rows += batch.length
        except (CatalogStale, NotProven) as error:
            raise changing(self.question) from error
        request.sources = [_since(report, before) for report in context.sources]
        request.warnings, request.partial_sources = context.warnings, context.partial_sources
        assert self._prepared is not None
        more = rows > size
        self.given += min(rows, size)
        return Page(self._prepared.operator.schema, taken, more)

    async def close(self) -> None:
        """Gives back what stores hold for it."""
        stream, self._stream, self._waiting = self._stream, None, []
        if stream is not None:
            await close(stream)

    async def _opened(self, services: Services, request: RequestContext, idle_seconds: float) -> RequestContext:
        if self._context is None:
            context = self._context = services.new_context(self._principal)
            context.now_ns = self._now_ns
            context.deadline, context.idle_seconds = request.deadline, idle_seconds
            self._prepared = await prepare(self.question, services, context, "walk")
            self._stream = self._prepared.operator.execute(context)
        return self._context

    async def _next(self) -> Batch | None:
        """The next batch that has rows besides those of the first page."""
        if self._stream is None:
            return None
        while (batch := await anext(self._stream, None)) is not None:
            batch = self._without_first(batch) if self._left_out else batch
            if batch.length:
                return batch
        return None

    def _without_first(self, batch: Batch) -> Batch:
        kept: list[int] = []
        for at, one in enumerate(identities(self.question, [batch])):
            if self._left_out.get(one):
                self._left_out[one] -= 1
                if not self._left_out[one]:
                    del self._left_out[one]
            else:
                kept.append(at)
        if len(kept) == batch.length:
            return batch
        return Batch(batch.schema, [[column[at] for at in kept] for column in batch.columns], len(kept))


def _since(report: SourceReport, before: dict[str, tuple[int, float]]) -> SourceReport:
    rows, took_ms = before.get(report.source, (0, 0.0))
    return replace(report, rows=report.rows - rows, took_ms=max(report.took_ms - took_ms, 0.0))
