"""Steps that need no engine: the first rows, and some of the columns."""

from __future__ import annotations

from collections.abc import AsyncIterator

from libs.arrow_batch import ArrowBatch
from libs.context import RequestContext
from libs.result import Batch, Schema
from operator_.base import Operator, close


class LimitOperator:
    """The first `count` rows."""

    def __init__(self, input_: Operator, count: int) -> None:
        self.input, self.count = input_, count

    @property
    def schema(self) -> Schema:
        return self.input.schema

    async def execute(self, context: RequestContext) -> AsyncIterator[Batch]:
        left, stream = self.count, self.input.execute(context)
        try:
            async for batch in stream:
                part = batch if batch.length <= left else batch.slice(0, left)
                left -= part.length
                yield part
                if left <= 0:
                    return
        finally:
            await close(stream)


class PickOperator:
    """Some columns, by name, in that order."""

    def __init__(self, input_: Operator, names: tuple[str, ...]) -> None:
        self.input = input_
        places = {column.name: at for at, column in enumerate(input_.schema)}
        self._places = tuple(places[name] for name in names)
        self._schema = tuple(input_.schema[at] for at in self._places)

    @property
    def schema(self) -> Schema:
        return self._schema

    async def execute(self, context: RequestContext) -> AsyncIterator[Batch]:
        stream = self.input.execute(context)
        try:
            async for batch in stream:
                if isinstance(batch, ArrowBatch) and self._places:
                    yield batch.picked(self._schema, self._places)
                else:
                    yield Batch(self._schema, [batch.columns[at] for at in self._places], batch.length)
        finally:
            await close(stream)
