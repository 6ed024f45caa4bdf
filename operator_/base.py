"""What every step that runs has: a schema, and batches that do their I/O when they are pulled."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from libs.context import RequestContext
from libs.result import Batch, Schema


class Operator(Protocol):
    """`execute` may be called once or many times; each call runs anew. Closing the iterator cancels what it started."""

    @property
    def schema(self) -> Schema: ...

    def execute(self, context: RequestContext) -> AsyncIterator[Batch]:
        """Raises what the stores and the local engine raise (StoreError, CostError, DeadlineError, RequestError)."""
        ...


async def close(stream: AsyncIterator[Batch]) -> None:
    """Ends a stream early, so that it gives back what it holds."""
    aclose = getattr(stream, "aclose", None)
    if aclose is not None:
        await aclose()
