"""What /query, /query/explain and /query/validate do, the same for every kind of source."""

from __future__ import annotations

import time
from typing import Any, Literal

from pydantic import Field
from sanic import HTTPResponse, Request

from apps import following, links, streams
from apps.freshness import newest, total
from apps.jobs import results
from apps.pipeline import Services, Stage, explained, prepare, run
from apps.slow import SlowQuery
from libs.context import RequestContext
from libs.rest import QueryModel
from middlewares.format import page_response, server_timing
from parser.canonical import canonical
from parser.json_body import parse_body
from query.question import Question

Target = tuple[str, ...]


Shape = Literal["objects", "arrays"]


class ShapeQuery(QueryModel):
    shape: Shape = Field("objects", description="Rows as objects, or as arrays in the columns' order.")
    csv_guard: bool = Field(
        True, description="In CSV, put an apostrophe before texts that a spreadsheet would run as a formula."
    )


def _parse(
    request: Request, services: Services, instance: str | None, target: Target | None, context: RequestContext
) -> Question:
    body = request.body
    with Stage(context, "parse"):
        return services.plans.question(body, instance, target, lambda: parse_body(body, instance, target))


async def answer(
    request: Request, services: Services, instance: str | None, target: Target | None, query: ShapeQuery
) -> HTTPResponse | None:
    """One page of rows or groups, or all of them as a stream (None: it has gone out).

    `instance` and `target` are the path's; None where the body names the source.
    """
    followed = following.cursor_of(request.body)
    if followed is not None:
        return await following.answer_body(request, services, instance, target, followed, query.shape)
    started = time.perf_counter()
    context = services.new_context()
    question = _parse(request, services, instance, target, context)
    return await answer_as_asked(request, question, services, context, query, started)


async def answer_as_asked(
    request: Request,
    question: Question,
    services: Services,
    context: RequestContext,
    query: ShapeQuery,
    started: float,
) -> HTTPResponse | None:
    """What any parser has read, in the way that the request's `Prefer` and `Accept` ask for: a job, all of it as a stream
    (None: it has gone out), or one page; `started` is when, by time.perf_counter."""
    if "prefer" in request.headers:
        accepted = await results.accepted(request, question, services, context)
        if accepted is not None:
            return accepted
    media_type = streams.wanted(request)
    if media_type is None:
        return await answer_question(question, services, context, query.shape, started)
    with SlowQuery(question, services, context, started) as answered:
        await streams.answer(request, question, services, context, media_type, query.shape, query.csv_guard, answered)
    return None


async def answer_question(
    question: Question, services: Services, context: RequestContext, shape: Shape, started: float
) -> HTTPResponse:
    """One page of what any parser has read; `started` is when, by time.perf_counter. Raises RequestError (RATE_LIMITED)."""
    async with services.places.held(context):
        return await _page(question, services, context, shape, started)


async def _page(
    question: Question, services: Services, context: RequestContext, shape: Shape, started: float
) -> HTTPResponse:
    with SlowQuery(question, services, context, started) as answered:
        fresh = {} if question.options.require_fresh_ns is None else await newest(question, services, context)
        page, _ = await run(question, services, context)
        answered.rows = sum(batch.length for batch in page.batches)
        for report in context.sources if fresh else ():
            report.freshness_ns = fresh.get(report.source)
        if question.options.total:
            page.total = await total(question, services, context)
        if page.has_more and services.cursors is not None:
            page.cursor = services.cursors.remember(page, question, context)
        with Stage(context, "format"):
            response = page_response(page, context, (time.perf_counter() - started) * 1000, shape)
    response.headers["server-timing"] = server_timing(context)
    links.add_next(response, services, page.cursor, shape=shape)
    return response


async def explain(request: Request, services: Services, instance: str | None, target: Target | None) -> dict[str, Any]:
    """The plan as it would run; only the catalogue is read, and what estimates the cost."""
    context = services.new_context()
    question = _parse(request, services, instance, target, context)
    async with services.places.held(context):
        return await explained(question, services, context)


async def validate(request: Request, services: Services, instance: str | None, target: Target | None) -> dict[str, Any]:
    """The canonical body; names and types are checked as well."""
    context = services.new_context()
    question = _parse(request, services, instance, target, context)
    await prepare(question, services, context)
    return canonical(question)
