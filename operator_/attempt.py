"""Asks the store first, and takes the longer way when its numbers prove nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

from libs.context import RequestContext
from libs.errors import RequestError
from libs.result import Batch, Schema
from libs.trial import Trial
from operator_.base import Operator, close
from query.backend import NotProven


class AttemptOperator:
    """`pushed`, unless it raises NotProven before its first batch: then `otherwise`, with a note in the context, and
    without what was noticed on the way (that a source answered in part, say). `within_limits`: so too where it passes a limit
    or makes a number that does not fit."""

    def __init__(self, pushed: Operator, otherwise: Operator, reason: str, within_limits: bool = False) -> None:
        self.pushed, self.otherwise, self.reason = pushed, otherwise, reason
        self.within_limits = within_limits

    @property
    def schema(self) -> Schema:
        """A column is approximate that either way answers so: which it will be shows only when it runs."""
        both = zip(self.otherwise.schema, self.pushed.schema, strict=True)
        return tuple(replace(one, approximate=one.approximate or other.approximate) for one, other in both)

    async def execute(self, context: RequestContext) -> AsyncIterator[Batch]:
        stream = self.pushed.execute(context)
        try:
            trial = Trial()
            try:
                with trial.underway():
                    first = await anext(stream, None)
                trial.take()
            except (NotProven, RequestError) as error:
                if not self._gives_up(error):
                    raise
                context.notes.append(f"{self.reason}: not proven ({error}), computed here")
                await close(stream)
                stream = self.otherwise.execute(context)
                first = await anext(stream, None)
            if first is None:
                return
            yield first
            async for batch in stream:
                yield batch
        finally:
            await close(stream)

    def _gives_up(self, error: NotProven | RequestError) -> bool:
        if isinstance(error, NotProven):
            return True
        return self.within_limits and error.code.name in ("COST_EXCEEDED", "NUMBER_OUT_OF_RANGE")
