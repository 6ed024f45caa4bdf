"""Makes Sanic's handlers from a resource's methods: read, call, reply. Some microseconds a request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import orjson
from pydantic import BaseModel
from sanic import HTTPResponse, Request

from libs.context import request_id_var
from libs.errors import RequestError
from libs.rest import envelope
from libs.rest.negotiate import JSON
from libs.rest.operation import Answer, Operation
from libs.rest.reading import BodyReader, QueryReader, check_accept

Handler = Callable[..., Coroutine[Any, Any, HTTPResponse | None]]


@dataclass(frozen=True, slots=True)
class Reply:
    """A payload with a status of its own among the declared ones, and headers."""

    payload: Any
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)


def make(method: Callable[..., Awaitable[Any]], operation: Operation) -> Handler:
    """The handler for one bound method of a resource.

    It raises RequestError with everything that is wrong with the request before the method is called.
    """
    offered = operation.offered() or (JSON,)
    body_reader = BodyReader(operation.body) if operation.body and not operation.dialect else None
    query_reader = QueryReader(operation.query)
    hands_over_query = operation.query is not None
    hands_over_body = operation.body is not None and operation.body.validated
    reply = Replier(operation)

    async def handle(request: Request, **arguments: Any) -> HTTPResponse | None:
        started = perf_counter()
        accept = None if operation.dialect else request.headers.get("accept")
        if accept is not None and accept != "*/*":
            check_accept(",".join(request.headers.getall("accept")), offered)
        query_string = request.query_string
        issues: list[Any] = []
        if query_string or hands_over_query:
            arguments["query"], issues = query_reader.read(query_string)
            if not hands_over_query:
                del arguments["query"]
        if body_reader is not None:
            body, body_issues = body_reader.read(request)
            if body_issues:
                issues = issues + body_issues
            if hands_over_body:
                arguments["body"] = body
        if issues:
            raise RequestError.of(issues)
        result = await method(request, **arguments)
        if result is None or isinstance(result, HTTPResponse):
            return result
        return reply.make(result, started)

    return handle


class Replier:
    """Turns what a method returned into a response as declared."""

    def __init__(self, operation: Operation) -> None:
        self._answers = operation.answers
        self._usual = min(operation.answers, default=200)

    def make(self, result: Any, started: float) -> HTTPResponse:
        """The response for a payload or Reply; `started` in seconds of perf_counter."""
        if not isinstance(result, Reply):
            result = Reply(result, self._usual)
        answer = self._answers.get(result.status)
        payload = result.payload
        if answer is not None and answer.envelope:
            took_ms = round((perf_counter() - started) * 1000, 3)
            payload = envelope.wrap(payload, request_id_var.get(), took_ms)
        return HTTPResponse(
            None if _is_bodiless(answer) else encode(payload), result.status, dict(result.headers), JSON
        )


def _is_bodiless(answer: Answer | None) -> bool:
    return answer is not None and not answer.contents and answer.status == 204


def encode(payload: Any) -> bytes:
    """JSON of a payload that may hold pydantic models; what is not finite becomes null."""
    return orjson.dumps(payload, default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True)
    raise TypeError(f"{type(value).__name__} has no JSON form")
