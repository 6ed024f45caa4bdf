"""What is to be said of an answer before it is made."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence

from libs.context import RequestContext
from libs.result import Batch, Schema
from operator_.base import Operator
from query.approximations import Use, approximate_uses
from query.backend import Query
from query.plan import Plan, Scan


class ApproximateOperator:
    """The input's rows, with a warning for each use of an approximate column."""

    def __init__(self, input_: Operator, uses: Sequence[Use]) -> None:
        self.input, self.uses = input_, uses

    @property
    def schema(self) -> Schema:
        return self.input.schema

    def execute(self, context: RequestContext) -> AsyncIterator[Batch]:
        for use in self.uses:
            context.warn("APPROXIMATE_USED", use.message, use.source)
        return self.input.execute(context)


def with_notices(operator: Operator, plan: Plan, queries: Mapping[Scan, Query]) -> Operator:
    """The plan's operator, which warns where the plan decides by what a store only estimates."""
    uses = approximate_uses(plan, queries)
    return ApproximateOperator(operator, uses) if uses else operator
