"""Rows by a URL's parameters: what every kind of source answers to GET …/rows, and how the document shows it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ConfigDict, Field
from sanic import HTTPResponse, Request

from apps.jobs.docs import takes_jobs
from apps.pipeline import Services, Stage
from apps.queries import ShapeQuery, answer_as_asked
from apps.query_docs import FAILURES, QUERY_ANSWER, stack
from apps.query_docs import streams as streams_declared
from libs.errors import RequestError
from libs.rest import Namespace
from parser.url_filters import at_parameters, parse_url
from query.catalog import SourceRef

_OTHERS = tuple(ShapeQuery.model_fields)


class RowsQuery(ShapeQuery):
    """Filters: `<field>=<operator>.<value>`, or `not.<operator>.<value>`; lists are `in.(a,"b,c")`."""

    model_config = ConfigDict(
        extra="allow", frozen=True, json_schema_extra={"examples": [{"status": "gte.500", "host": "in.(web-1,web-2)"}]}
    )

    select: str | None = Field(None, description="Fields, with commas between; every field without it.")
    order: str | None = Field(None, description="Fields, each with `.desc` or `.asc` behind it or not.")
    limit: str | None = Field(None, description="Rows at most, 1 to 10000; 100 without it.", examples=["10"])
    from_: str | None = Field(
        None, alias="from", description="The first instant: RFC 3339, or `now-1h/h`.", examples=["now-24h"]
    )
    to: str | None = Field(None, description="The instant behind the last one.")
    time_field: str | None = Field(None, description="The field of `from` and `to`, if not the usual one.")
    partial: str | None = Field(None, description="`true` takes a partial answer.")
    timeout: str | None = Field(None, description="A shorter deadline, such as `5s`.")
    exact: str | None = Field(None, description="`true` refuses approximations.")
    total: str | None = Field(None, description="`true` counts all rows, whatever the limit.")
    require_fresh: str | None = Field(
        None, description="Refuses rows where the newest one is older than this.", examples=["5m"]
    )


async def answer(
    request: Request, services: Services, instance: str, target: tuple[str, ...], query: RowsQuery
) -> HTTPResponse | None:
    """One page of rows, or all of them as a stream (None: it has gone out). Raises RequestError, its pointers at
    `query/<name>`."""
    started = time.perf_counter()
    context = services.new_context()
    try:
        with Stage(context, "parse"):
            question = parse_url(request.query_string, SourceRef(instance, target), _OTHERS)
        return await answer_as_asked(request, question, services, context, query, started)
    except RequestError as error:
        raise at_parameters(error) from None


def answers(namespace: Namespace, unknown: str, answer: Mapping[str, Any]) -> Callable[[Any], Any]:
    """Declares a /rows: `unknown` is the code for a source that is not there."""
    return stack(
        namespace.doc(
            "Ask for rows by the URL",
            operation_id="rows",
            description="The operators are those of docs/query-language.md; docs/custom-language.md has the form. "
            "Groups: `and=(status.gte.500,or(host.eq.web-1,ms.gt.2.5))`, `or=(…)`, `not.and=(…)`.",
        ),
        namespace.query(RowsQuery),
        namespace.allow("read"),
        namespace.returns(200, QUERY_ANSWER, "The rows", example=dict(answer)),
        streams_declared(namespace),
        takes_jobs(namespace),
        *(namespace.fails(code) for code in (unknown, *FAILURES)),
    )
