"""What is asked of an answer beside its rows: how many there are in all, and how new its sources are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from apps.pipeline import Services, prepare, run
from libs.context import RequestContext
from libs.errors import RequestError, StoreError
from libs.result import NS_PER
from libs.times import format_instant, parse_time
from operator_.base import close
from query.catalog import SourceRef
from query.plan import Aggregation, Options
from query.question import Question, TimeRange

_TIME_FIELDS = {"documents": "@timestamp", "series": "time"}


async def total(question: Question, services: Services, context: RequestContext) -> dict[str, Any]:
    """`page.total`: the rows or groups there are, whatever the limit. One source's rows are counted by it, as far as it can;
    what is grouped or joined is run whole, within the limits. A source that `options.partial` does without marks the answer."""
    beside = _beside(context)
    if question.grouped or question.joins or question.union:
        stream = (await prepare(question, services, beside, "walk")).operator.execute(beside)
        try:
            count = sum([batch.length async for batch in stream])
        finally:
            await close(stream)
        _tell(beside, context)
        return {"value": count, "relation": "eq"}
    counting = Aggregation("count", None, "total", at="/select")
    asked = Question(question.source, question.time_range, question.where, select=(counting,), options=_plain(question))
    page, _ = await run(asked, services, beside)
    _tell(beside, context)
    return {"value": page.batches[0].columns[0][0], "relation": "eq"}


async def newest(question: Question, services: Services, context: RequestContext) -> dict[str, int | None]:
    """The newest time in the range by instance, in nanoseconds since 1970 (of several sources of one, the oldest of them);
    None where the range is empty. Raises StoreError (STALE_SOURCE) past `options.require_fresh`."""
    most_ns = question.options.require_fresh_ns
    assert most_ns is not None
    found: dict[str, int | None] = {}
    for source, span in dict.fromkeys(_parts(question, None)):
        instant = await _newest_of(source, span, services, context)
        end = context.now_ns
        if span is not None and span.end is not None:
            end = min(end, parse_time(span.end, context.now_ns))
        if instant is None or end - instant > most_ns:
            raise _stale(source, instant)
        known = found.get(source.instance)
        found[source.instance] = instant if known is None else min(known, instant)
    return found


def _parts(question: Question, inherited: TimeRange | None) -> Iterator[tuple[SourceRef, TimeRange | None]]:
    span = question.time_range or inherited
    if not question.union:
        yield question.source, span
    for part in (*question.union, *(clause.right for clause in question.joins)):
        # Bounds are inherited, the field they are on is not.
        yield from _parts(part, replace(span, field=None) if span is not None else None)


async def _newest_of(
    source: SourceRef, span: TimeRange | None, services: Services, context: RequestContext
) -> int | None:
    kind = services.factory.backend(source.instance).kind
    field = (span.field if span is not None else None) or _TIME_FIELDS[kind]
    latest = Aggregation("max", field, "newest", at="/options/require_fresh")
    page, prepared = await run(Question(source, span, select=(latest,)), services, _beside(context))
    column = prepared.operator.schema[0]
    cell = page.batches[0].columns[0][0]
    if cell is None:
        return None
    if not isinstance(cell, int) or column.type.name.value != "timestamp":
        raise RequestError(
            f"{field!r} is no time.", code="TYPE_MISMATCH", pointer="/options/require_fresh", source=source.instance
        )
    return cell * NS_PER[column.type.unit]


def _stale(source: SourceRef, instant: int | None) -> StoreError:
    name = "/".join((source.instance, *source.target))
    told = "nothing in the range" if instant is None else f"nothing newer than {format_instant(instant)}"
    return StoreError(f"{name} has {told}.", code="STALE_SOURCE", source=source.instance)


def _plain(question: Question) -> Options:
    return replace(question.options, total=False, require_fresh_ns=None)


def _tell(beside: RequestContext, context: RequestContext) -> None:
    """A source that answered in part when it was counted makes the answer one, and what is to be known of the count is to
    be known of it."""
    for notice in beside.warnings:
        if notice.code == "STORE_PARTIAL" and notice.source is not None:
            context.mark_partial(notice.source, notice.message)
        else:
            context.warn(notice.code, notice.message, notice.source)


def _beside(context: RequestContext) -> RequestContext:
    """For what is asked beside the query: the same request, reports of its own."""
    return replace(context, warnings=[], sources=[], notes=[], partial_sources=set(), timings={}, limits=context.limits)
