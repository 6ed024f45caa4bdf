"""The whole result of a query, as a stream: which form the caller wants, and the pulling of it."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from sanic import Request

from apps.catalogs import forget_catalog
from apps.freshness import newest
from apps.pipeline import Prepared, Services, Stage, changing, prepare
from apps.slow import SlowQuery
from libs.context import RequestContext
from libs.errors import RequestError
from libs.rest.negotiate import JSON, preferred
from libs.result import Batch
from middlewares.format import Shape
from middlewares.stream import send_stream
from middlewares.stream_formats import STREAMED, stream_format
from operator_.base import close
from query.backend import CatalogStale, NotProven
from query.question import Question

_OFFERED = (JSON, *STREAMED)


def wanted(request: Request) -> str | None:
    """The media type to stream in; None where a page is wanted."""
    accept = request.headers.get("accept")
    if accept is None or accept in ("*/*", JSON):
        return None
    chosen = preferred(",".join(request.headers.getall("accept")), _OFFERED)
    return None if chosen == JSON else chosen


async def answer(
    request: Request,
    question: Question,
    services: Services,
    context: RequestContext,
    media_type: str,
    shape: Shape,
    csv_guard: bool,
    answered: SlowQuery,
) -> None:
    """Streams the whole result, its rows counted in `answered`. What fails before the first batch is raised, and chooses
    the status."""
    if question.options.partial:
        raise RequestError(
            "A stream cannot say of what has gone out already that it is partial.",
            code="BODY_INVALID",
            pointer="/options/partial",
            hint="leave it away, or ask for pages of JSON",
        )
    async with services.places.held(context):
        if question.options.require_fresh_ns is not None:
            await newest(question, services, context)
        prepared, batches = await begin(question, services, context)
        schema = prepared.operator.schema
        form = stream_format(media_type, schema, context, shape, csv_guard)
        async with aclosing(batches):
            await send_stream(request, schema, _counted(batches, answered), form, context)


async def _counted(batches: AsyncIterator[Batch], answered: SlowQuery) -> AsyncIterator[Batch]:
    async for batch in batches:
        answered.rows += batch.length
        yield batch


async def begin(
    question: Question, services: Services, context: RequestContext
) -> tuple[Prepared, AsyncGenerator[Batch]]:
    """The whole result, its first batch pulled. A catalogue that proves stale is read anew, once."""
    limits = context.limits
    try:
        return await _first(question, services, context)
    except CatalogStale:
        forget_catalog(question, services.factory)
        context.begin_anew()
        context.limits = limits
    try:
        return await _first(question, services, context)
    except CatalogStale as error:
        raise changing(question) from error


async def _first(
    question: Question, services: Services, context: RequestContext
) -> tuple[Prepared, AsyncGenerator[Batch]]:
    started = time.monotonic()
    prepared = await prepare(question, services, context, "stream")
    limits = context.limits
    until = context.deadline if question.options.timeout is not None else started + limits.stream_seconds
    stream = prepared.operator.execute(context)
    with Stage(context, "first"):
        batch = await anext(stream, None)
    return prepared, _all(batch, stream, question, context, until)


async def _all(
    batch: Batch | None, stream: AsyncIterator[Batch], question: Question, context: RequestContext, until: float
) -> AsyncGenerator[Batch]:
    """Each further batch has the time that a page has, within that of the stream."""
    try:
        while batch is not None:
            yield batch
            context.deadline = min(until, time.monotonic() + context.limits.timeout_seconds)
            batch = await anext(stream, None)
    except (CatalogStale, NotProven) as error:
        raise changing(question) from error
    finally:
        await close(stream)
