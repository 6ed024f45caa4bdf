"""Pages behind the first: the cursor in a body, or as a link."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import orjson
from pydantic import Field
from sanic import HTTPResponse, Request

from apps import links, streams
from apps.cursors import Belongs
from apps.jobs import results
from apps.pipeline import Services, Stage
from apps.slow import SlowQuery
from libs.errors import NotFoundError, RequestError
from libs.issues import Issues
from libs.rest import QueryModel
from middlewares.format import Shape, page_response, server_timing
from parser.decode import find_duplicates
from parser.json_body import parse_body
from parser.words import LEAST_LIMIT, MOST_LIMIT
from query.catalog import SourceRef

Target = tuple[str, ...]


class CursorQuery(QueryModel):
    limit: int | None = Field(
        None, ge=LEAST_LIMIT, le=MOST_LIMIT, description="Rows of this page; as many as of the first without it."
    )
    shape: Shape = Field("objects", description="Rows as objects, or as arrays in the columns' order.")


def cursor_of(body: bytes) -> dict[str, Any] | None:
    """A body's members when it names a cursor."""
    if b'"cursor"' not in body:
        return None
    try:
        members = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return members if isinstance(members, dict) and isinstance(members.get("cursor"), str) else None


async def answer_body(
    request: Request,
    services: Services,
    instance: str | None,
    target: Target | None,
    members: dict[str, Any],
    shape: Shape,
) -> HTTPResponse:
    """The page that a body's cursor names. Whatever else the body holds must be the first page's, but for `limit`."""
    if streams.wanted(request) is not None:
        raise RequestError(
            "The pages of a cursor are JSON.",
            code="NOT_ACCEPTABLE",
            pointer="header/Accept",
            hint="stream the query without a cursor: it is whole",
        )
    issues = Issues()
    find_duplicates(request.body, issues)
    issues.raise_any()
    token = members.pop("cursor")
    limit = members.pop("limit", None)
    if limit is not None and (type(limit) is not int or not LEAST_LIMIT <= limit <= MOST_LIMIT):
        message = f"The limit must be a whole number from {LEAST_LIMIT} to {MOST_LIMIT}."
        raise RequestError(message, code="LIMIT_INVALID", pointer="/limit")
    return await answer(services, token, limit, shape, _belongs(members, instance, target))


async def answer_link(services: Services, token: str, limit: int | None, shape: Shape) -> HTTPResponse:
    """The page that a cursor names, of a query's rows or of a job's result. Raises RequestError (CURSOR_INVALID,
    CURSOR_EXPIRED)."""
    caller = services.new_context().principal.name
    of_result = await results.follow(services, token, caller, limit, shape)
    return of_result or await answer(services, token, limit, shape)


async def answer(
    services: Services, token: str, limit: int | None, shape: Shape, belongs: Belongs | None = None
) -> HTTPResponse:
    """The page that a query's cursor names. Raises RequestError (CURSOR_INVALID, CURSOR_EXPIRED)."""
    started = time.perf_counter()
    context = services.new_context()
    if services.cursors is None:
        raise NotFoundError("This service keeps no cursors.", code="CURSOR_EXPIRED")
    question = services.cursors.question(token, context)
    with SlowQuery(question, services, context, started) as answered:
        with Stage(context, "execute"):
            page, cursor = await services.cursors.follow(token, limit, services, context, belongs)
        answered.rows = sum(batch.length for batch in page.batches)
        with Stage(context, "format"):
            took_ms = (time.perf_counter() - started) * 1000
            response = page_response(replace(page, cursor=cursor), context, took_ms, shape)
    response.headers["server-timing"] = server_timing(context)
    links.add_next(response, services, cursor, limit, shape)
    return response


def _belongs(members: dict[str, Any], instance: str | None, target: Target | None) -> Belongs:
    """Whether a question is the one of this path and body."""
    path = SourceRef(instance, target) if instance is not None and target is not None else None
    if members:
        asked = replace(parse_body(orjson.dumps(members), instance, target), limit=None)
        return lambda question: replace(question, limit=None) == asked
    return lambda question: path is None or question.source == path
