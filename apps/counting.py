"""How many documents or points there are that a filter matches, counted as a query counts them."""

from __future__ import annotations

import time

from pydantic import Field

from apps.pipeline import Services, run
from libs.context import RequestContext
from libs.errors import RequestError
from libs.rest.dry_run import DryRunQuery
from libs.times import parse_duration
from query.by_filter import too_many
from query.catalog import SourceRef
from query.expr import Predicate
from query.plan import Aggregation
from query.question import Question, TimeRange

NAME = "affected"


class BoundedQuery(DryRunQuery):
    """What bounds a change by filter."""

    max_affected: int | None = Field(
        None, ge=0, le=2**53, description="Refuses, before anything changes, where more than so many match."
    )
    timeout: str | None = Field(
        None, max_length=20, description="Stops behind this time (`5s`); the caller's own deadline is the most."
    )


def counting(source: SourceRef, where: Predicate | None, span: TimeRange | None = None) -> Question:
    """The question that counts."""
    return Question(source, span, where, select=(Aggregation("count", None, NAME),))


async def count(question: Question, services: Services, context: RequestContext) -> int:
    """Its one number, at the same `now`. Only a number is kept of what is counted, so that the limits are those of a stream.

    Raises what a query raises, CostError among it."""
    beside = services.new_context(context.principal)
    beside.limits, beside.now_ns = beside.limits.flowing(), context.now_ns
    page, _ = await run(question, services, beside)
    cell = page.batches[0].columns[0][0]
    assert isinstance(cell, int)
    return cell


async def check_most(question: Question, services: Services, most: int | None, context: RequestContext) -> None:
    """Raises RequestError (TOO_MANY_AFFECTED)."""
    if most is not None:
        matched = await count(question, services, context)
        if matched > most:
            raise too_many(matched, most)


def bounded(services: Services, timeout: str | None) -> RequestContext:
    """A context with the caller's deadline, or the one that the request gives where that is sooner. Raises RequestError
    (TIME_INVALID)."""
    context = services.new_context()
    if timeout is not None:
        try:
            seconds = parse_duration(timeout) / 1e9
        except ValueError as error:
            raise RequestError(
                f"{error}.", code="TIME_INVALID", pointer="query/timeout", hint="such as 30s or 5m"
            ) from None
        context.deadline = min(context.deadline, time.monotonic() + seconds)
    return context
