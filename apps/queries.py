"""What /query, /query/explain and /query/validate do, the same for every kind of source."""

from __future__ import annotations

import hashlib
import time
from dataclasses import replace
from typing import Any, Literal

import orjson
import structlog
from pydantic import Field
from sanic import HTTPResponse, Request

from apps import following, streams
from apps.freshness import newest, total
from apps.pipeline import Services, explained, prepare, run, stage
from libs.context import RequestContext
from libs.rest import QueryModel
from middlewares.format import page_response, server_timing
from parser.canonical import canonical
from parser.json_body import parse_body
from query.plan import scans
from query.question import Question

_log = structlog.get_logger("queries")
Target = tuple[str, ...]


Shape = Literal["objects", "arrays"]


class ShapeQuery(QueryModel):
    shape: Shape = Field("objects", description="Rows as objects, or as arrays in the columns' order.")
    csv_guard: bool = Field(
        True, description="In CSV, put an apostrophe before texts that a spreadsheet would run as a formula."
    )


def _parse(request: Request, instance: str | None, target: Target | None, context: RequestContext) -> Question:
    with stage(context, "parse"):
        return parse_body(request.body, instance, target)


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
    question = _parse(request, instance, target, context)
    media_type = streams.wanted(request)
    if media_type is not None:
        await streams.answer(request, question, services, context, media_type, query.shape, query.csv_guard)
        return None
    return await answer_question(question, services, context, query.shape, started)


async def answer_question(
    question: Question, services: Services, context: RequestContext, shape: Shape, started: float
) -> HTTPResponse:
    """One page of what any parser has read; `started` is when, by time.perf_counter."""
    fresh = {} if question.options.require_fresh_ns is None else await newest(question, services, context)
    page, prepared = await run(question, services, context)
    for report in context.sources if fresh else ():
        report.freshness_ns = fresh.get(report.source)
    if question.options.total:
        page = replace(page, total=await total(question, services, context))
    if page.has_more and services.cursors is not None:
        page = replace(page, cursor=services.cursors.remember(page, question, context))
    with stage(context, "format"):
        response = page_response(page, context, (time.perf_counter() - started) * 1000, shape)
    response.headers["server-timing"] = server_timing(context)
    took = time.perf_counter() - started
    if took > services.slow_query_seconds:
        _log.warning(
            "slow query",
            seconds=round(took, 3),
            plan=question_hash(question),
            sources=sorted({"/".join((scan.source.instance, *scan.source.target)) for scan in scans(prepared.plan)}),
            rows=sum(batch.length for batch in page.batches),
        )
    return response


async def explain(request: Request, services: Services, instance: str | None, target: Target | None) -> dict[str, Any]:
    """The plan as it would run; only the catalogue is read."""
    context = services.new_context()
    question = _parse(request, instance, target, context)
    return await explained(question, services, context)


async def validate(request: Request, services: Services, instance: str | None, target: Target | None) -> dict[str, Any]:
    """The canonical body; names and types are checked as well."""
    context = services.new_context()
    question = _parse(request, instance, target, context)
    await prepare(question, services, context)
    return canonical(question)


def question_hash(question: Question) -> str:
    """Twelve hex digits that are the same for bodies that ask the same; what the logs call the plan's hash."""
    return hashlib.sha256(orjson.dumps(canonical(question))).hexdigest()[:12]
