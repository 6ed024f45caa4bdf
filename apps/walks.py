"""A result under way between two pages: run once, pulled as far as its pages have come, closed when done or given up.

The first page was answered by a plan of its own, with a limit that its store may have done. The walk runs the same
question without it and leaves out the rows of that page, each as often as it was there, whatever the order of ties.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

from apps.given import Given, LeavingOut
from apps.pipeline import Prepared, Services, changing, prepare
from libs.context import RequestContext, SourceReport
from libs.errors import RequestError
from libs.result import Batch
from middlewares.format import Page
from operator_.base import close
from query.backend import CatalogStale, NotProven
from query.question import Question


class Walk:
    """One question's rows behind its first page. One page at a time."""

    def __init__(self, question: Question, context: RequestContext, first: Given) -> None:
        """`context` is the first page's, whose instant is `now` for all; `first` are its rows."""
        self.question = question
        self.given = len(first)
        self.turn = asyncio.Lock()
        self._now_ns, self._principal = context.now_ns, context.principal
        self._leaving_out = LeavingOut(first)
        self._first: frozenset[str] | None = frozenset(context.partial_sources)
        self._context: RequestContext | None = None
        self._prepared: Prepared | None = None
        self._stream: AsyncIterator[Batch] | None = None
        self._waiting: list[Batch] = []

    @property
    def running(self) -> bool:
        """Whether a store may hold something for it."""
        return self._stream is not None

    async def page(self, size: int, services: Services, request: RequestContext, idle_seconds: float) -> Page:
        """The next rows; `has_more` tells whether there are others. Notes what it took in `request`. Raises RequestError
        (CURSOR_EXPIRED) where other sources answered in part than for the first page, whose rows are no longer known."""
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
        if self._first is not None:
            self._compare(context)
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
            batch = batch if self._leaving_out.done else self._leaving_out.rest(batch)
            if batch.length:
                return batch
        if not self._leaving_out.done:
            assert self._context is not None
            self._context.warn(
                "RESULT_CHANGED",
                "Rows of the first page are not in the result any more: of what has changed since, something may stand "
                "on two pages or on none.",
            )
        return None

    def _compare(self, context: RequestContext) -> None:
        """Once: whether all rows are of the sources that the first page was of."""
        other, self._first = context.partial_sources ^ (self._first or frozenset()), None
        if other:
            names = ", ".join(map(repr, sorted(other)))
            message = f"Of {names} the first page held other rows than this would: a source was down, and is no more."
            raise RequestError(message, code="CURSOR_EXPIRED", pointer="/cursor")


def _since(report: SourceReport, before: dict[str, tuple[int, float]]) -> SourceReport:
    rows, took_ms = before.get(report.source, (0, 0.0))
    return replace(report, rows=report.rows - rows, took_ms=max(report.took_ms - took_ms, 0.0))
