"""How many documents or points there are that a filter matches, counted as a query counts them."""

from __future__ import annotations

import time

from pydantic import Field

from apps.pipeline import Services, run
from libs.context import RequestContext
from libs.errors import RequestError
from libs.rest import QueryModel
from libs.times import parse_duration
from query.by_filter import too_many
from query.catalog import SourceRef
from query.expr import Predicate
from query.plan import Aggregation
from query.question import Question, TimeRange

NAME = "affected"


class DryRunQuery(QueryModel):
    dry_run: bool = Field(False, description="Counts what would be affected, and changes nothing.")


class BoundedQuery(DryRunQuery):
    """What bounds a change by filter."""

    max_affected: int | None = Field(
        None, ge=0, le=2**53, description="Refuses, before anything changes, where more than so many match."
    )
    timeout: str | None = Field(
        None, max_length=20, description="Stops behind this time (`30s`, `5m`); a stream's is the most."
    )


def dry_run(affected: int) -> dict[str, object]:
    """The answer that has changed nothing."""
    return {"dry_run": True, "affected": affected}


DRY_RUN = dry_run(3)


def counting(source: SourceRef, where: Predicate | None, span: TimeRange | None = None) -> Question:
    """The question that counts."""
    return Question(source, span, where, select=(Aggregation("count", None, NAME),))


async def count(question: Question, services: Services) -> int:
    """Its one number. Only a number is kept of what is counted, so that the limits are those of a stream.

    Raises what a query raises, CostError among it."""
    context = services.new_context()
    context.limits = context.limits.flowing()
    page, _ = await run(question, services, context)
    cell = page.batches[0].columns[0][0]
    assert isinstance(cell, int)
    return cell


async def check_most(question: Question, services: Services, most: int | None) -> None:
    """Raises RequestError (TOO_MANY_AFFECTED)."""
    if most is not None:
        matched = await count(question, services)
        if matched > most:
            raise too_many(matched, most)


def patient(services: Services, timeout: str | None) -> RequestContext:
    """A context with as much time as a stream has, or what the caller gives. Raises RequestError (TIME_INVALID)."""
    context = services.new_context()
    seconds = context.limits.stream_seconds
    if timeout is not None:
        try:
            seconds = min(seconds, parse_duration(timeout) / 1e9)
        except ValueError as error:
            raise RequestError(
                f"{error}.", code="TIME_INVALID", pointer="query/timeout", hint="such as 30s or 5m"
            ) from None
    context.deadline = time.monotonic() + seconds
    return context
