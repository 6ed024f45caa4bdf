"""Queries that one answer ends: the usual page, for which batches, timers and iterators are a third of the service's work."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from libs.context import RequestContext
from libs.result import Batch
from query.backend import Query


@runtime_checkable
class QueryAtOnce(Query, Protocol):
    """A query whose rows may come in one answer."""

    @property
    def at_once(self) -> bool:
        """Whether one answer holds them all."""
        ...

    async def whole(self, context: RequestContext) -> Batch:
        """All rows, perhaps none, by the context's deadline. Raises what `stream` raises, and DeadlineError."""
        ...
