"""An operator that is made when it is first asked for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from functools import cached_property

from libs.context import RequestContext
from libs.result import Batch, Schema
from operator_.base import Operator


class LazyOperator:
    """For a way that is seldom taken: what `make` answers."""

    def __init__(self, make: Callable[[], Operator]) -> None:
        self._make = make

    @cached_property
    def made(self) -> Operator:
        return self._make()

    @property
    def schema(self) -> Schema:
        return self.made.schema

    def execute(self, context: RequestContext) -> AsyncIterator[Batch]:
        return self.made.execute(context)
