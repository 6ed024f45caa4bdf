"""The rows of several operators of one schema."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from libs.context import RequestContext
from libs.result import Batch, Schema
from operator_.base import Operator, close

_AT_ONCE = 4


class SeveralOperator:
    """All rows of the inputs, which are few: those of each are held until it is done. The first failure ends the others."""

    def __init__(self, inputs: Sequence[Operator]) -> None:
        self.inputs = inputs

    @property
    def schema(self) -> Schema:
        return self.inputs[0].schema

    async def execute(self, context: RequestContext) -> AsyncIterator[Batch]:
        turns = asyncio.Semaphore(_AT_ONCE)
        tasks = [asyncio.ensure_future(_all(operator, turns, context)) for operator in self.inputs]
        try:
            for task in tasks:
                for batch in await task:
                    yield batch
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _all(operator: Operator, turns: asyncio.Semaphore, context: RequestContext) -> list[Batch]:
    async with turns:
        stream = operator.execute(context)
        try:
            return [batch async for batch in stream]
        finally:
            await close(stream)
