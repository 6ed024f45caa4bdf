"""A side that an answer may do without."""

from __future__ import annotations

from collections.abc import AsyncIterator

from libs.context import RequestContext
from libs.errors import DeadlineError, StoreError
from libs.result import Batch, Schema
from operator_.base import Operator, close


class TolerantOperator:
    """The input's rows; where the request takes partial answers, none instead of the failure of a store that gave none yet,
    and the answer is marked. A store that fails later is a failure: a part of a side would be taken for the whole."""

    def __init__(self, input_: Operator) -> None:
        self.input = input_

    @property
    def schema(self) -> Schema:
        return self.input.schema

    async def execute(self, context: RequestContext) -> AsyncIterator[Batch]:
        stream, begun = self.input.execute(context), False
        try:
            async for batch in stream:
                begun = True
                yield batch
        except DeadlineError:
            raise
        except StoreError as error:
            if begun or not context.partial_allowed or error.source is None:
                raise
            context.mark_partial(error.source, f"{error.source!r} failed, and its rows are missing: {error.message}")
        finally:
            await close(stream)
