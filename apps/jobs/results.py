"""Jobs as clients see them: taken on by a 202, their state, and their results as pages and streams."""

from __future__ import annotations

import struct
import time
from contextlib import aclosing
from typing import Any

import orjson
from sanic import HTTPResponse, Request

from apps import links, streams
from apps.jobs.records import Job
from apps.jobs.runner import Jobs
from apps.pipeline import Services, Stage
from libs.context import RequestContext
from libs.errors import ConflictError, NotFoundError, RequestError
from libs.rest import envelope
from libs.rest.prefer import RESPOND_ASYNC, prefers
from libs.signing import BadToken
from libs.times import NS_PER_SECOND, parse_instant
from middlewares.format import Page, Shape, page_response, server_timing
from middlewares.stream import send_stream
from middlewares.stream_formats import stream_format
from query.question import Question

DEFAULT_ROWS = 100
_TOKEN = struct.Struct(">3s12sQI")  # a mark, the job, the rows given before, the rows of the first page
_MARK = b"job"
_LONGEST_WAIT = 30


async def accepted(
    request: Request, question: Question, services: Services, context: RequestContext
) -> HTTPResponse | None:
    """The 202 where the client prefers one, else None. Raises what Jobs.start raises."""
    if services.jobs is None or not prefers(request, RESPOND_ASYNC):
        return None
    started = time.perf_counter()
    job = await services.jobs.start(question, services, context)
    body = envelope.wrap(shown(job, services), context.id, round((time.perf_counter() - started) * 1000, 3))
    headers = {
        "location": links.to(services, f"/mix/job/{job.id}"),
        "preference-applied": RESPOND_ASYNC,
        "retry-after": str(wait_seconds(job)),
        "cache-control": "no-store",
    }
    return HTTPResponse(orjson.dumps(body), 202, headers, "application/json")


def shown(job: Job, services: Services) -> dict[str, Any]:
    """A job as the API shows it; `result` is where its rows are, once it is done."""
    return {
        "id": job.id,
        "state": job.state,
        "created_at": job.created_at,
        "started_at": job.started_at,
        "ended_at": job.ended_at,
        "expires_at": job.expires_at,
        "rows": job.rows,
        "bytes": job.bytes,
        "plan": job.plan,
        "sources": job.sources,
        "result": links.to(services, f"/mix/job/{job.id}/result") if job.state == "done" else None,
        "error": job.error,
    }


def wait_seconds(job: Job) -> int:
    """When to ask again: soon for a young job, seldom for an old one."""
    age = (time.time_ns() - parse_instant(job.created_at)) // NS_PER_SECOND
    return max(1, min(_LONGEST_WAIT, age // 4))


async def answer(
    request: Request, services: Services, job: Job, limit: int | None, shape: Shape, csv_guard: bool
) -> HTTPResponse | None:
    """The first page of a result, or all of it as a stream (None: it has gone out).

    Raises ConflictError (JOB_NOT_DONE), StoreError."""
    media_type = streams.wanted(request)
    if media_type is None:
        return await page(services, job, 0, limit, limit or DEFAULT_ROWS, shape)
    check_done(job)
    context = _context(services, job)
    with Stage(context, "first"):
        reader = await _jobs(services).spools.read(job.id, job.schema)
    form = stream_format(media_type, job.schema, context, shape, csv_guard)
    async with aclosing(reader.batches()) as batches:
        await send_stream(request, job.schema, batches, form, context)
    return None


async def follow(services: Services, token: str, caller: str, limit: int | None, shape: Shape) -> HTTPResponse | None:
    """The page of a result that a cursor names; None for a cursor of something else. Raises RequestError
    (CURSOR_EXPIRED), StoreError."""
    if services.jobs is None:
        return None
    try:
        mark, identity, given, first = _TOKEN.unpack(_jobs(services).signer.read(token, caller))
    except (BadToken, struct.error):
        return None
    if mark != _MARK:
        return None
    try:
        job = await _jobs(services).get(identity.hex(), caller)
    except RequestError:
        message = "The job of this cursor is deleted, or has expired."
        raise RequestError(message, code="CURSOR_EXPIRED", pointer="/cursor") from None
    return await page(services, job, given, limit, first, shape)


async def page(services: Services, job: Job, given: int, limit: int | None, first: int, shape: Shape) -> HTTPResponse:
    """The rows behind those that were `given`, with a cursor to the next; as many as of the first page without a limit.

    Raises ConflictError (JOB_NOT_DONE), StoreError."""
    started = time.perf_counter()
    check_done(job)
    context = _context(services, job)
    with Stage(context, "execute"):
        reader = await _jobs(services).spools.read(job.id, job.schema)
        async with aclosing(reader.batches(given, limit or first)) as stream:
            batches = [batch async for batch in stream]
    end = given + sum(batch.length for batch in batches)
    more = end < job.rows
    cursor = _cursor(services, job, end, first) if more else None
    found = Page(job.schema, batches, more, cursor, {"value": job.rows, "relation": "eq"})
    with Stage(context, "format"):
        response = page_response(found, context, (time.perf_counter() - started) * 1000, shape)
    response.headers["server-timing"] = server_timing(context)
    links.add_next(response, services, cursor, limit, shape)
    return response


def check_done(job: Job) -> None:
    """Raises ConflictError (JOB_NOT_DONE)."""
    if job.state == "done":
        return
    if not job.finished:
        message = f"The job is {job.state}."
        raise ConflictError(message, code="JOB_NOT_DONE", retry_after=wait_seconds(job))
    why = job.error["code"] if job.error else "failed"
    raise ConflictError(f"The job has failed: {why}.", code="JOB_NOT_DONE", hint="GET /mix/job/<id> has the error")


def _context(services: Services, job: Job) -> RequestContext:
    """What goes with the answer, and knows what was noticed while the job ran."""
    context = services.new_context()
    context.sources, context.warnings = list(job.noticed.sources), list(job.noticed.warnings)
    context.partial_sources = set(job.noticed.partial)
    return context


def _cursor(services: Services, job: Job, given: int, first: int) -> str:
    """The name of the next page, for the job's caller; its time is over with the job's."""
    return _jobs(services).signer.sign(_TOKEN.pack(_MARK, bytes.fromhex(job.id), given, first), job.caller)


def _jobs(services: Services) -> Jobs:
    if services.jobs is None:
        raise NotFoundError("This service runs no jobs.", code="JOB_UNKNOWN")
    return services.jobs
