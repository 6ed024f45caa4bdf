"""The one place that turns an exception into an answer: an RFC 9457 problem with the four members of the earlier
public HostMonitor (`result`, `resultcode`, `message`, `data`). Nothing of an unexpected exception leaves the log."""

from __future__ import annotations

from typing import Any

import orjson
import structlog
from sanic import HTTPResponse, Request, Sanic, exceptions

from libs.context import request_id_var
from libs.error_codes import CODES
from libs.errors import HostMonitorError, Issue, NotFoundError, RequestError, StoreError, UnavailableError
from libs.observe import METRICS
from libs.rest.dialects import DIALECTS, Dialect
from middlewares.auth import challenge
from middlewares.refused_body import FEW_BYTES, MOST_BYTES, discard

PROBLEM_JSON = "application/problem+json"
_log = structlog.get_logger("errors")

# Sanic's own refusals, by status, as errors of the common tree.
_BY_STATUS = {
    400: "REQUEST_INVALID",
    401: "AUTHENTICATION_REQUIRED",
    403: "PERMISSION_DENIED",
    404: "ROUTE_UNKNOWN",
    405: "METHOD_NOT_ALLOWED",
    406: "NOT_ACCEPTABLE",
    408: "CLIENT_TIMEOUT",
    413: "BODY_TOO_LARGE",
    415: "MEDIA_TYPE_UNSUPPORTED",
    417: "EXPECTATION_FAILED",
    429: "RATE_LIMITED",
    503: "OVERLOADED",
}


def install(app: Sanic[Any, Any]) -> None:
    """Puts the handler on an app. It answers every exception, Sanic's own 404 and 405 among them."""
    app.exception(Exception)(handle)


async def handle(request: Request, exception: Exception) -> HTTPResponse:
    """The answer to an exception that left a handler or a middleware."""
    error = translate(request, exception)
    METRICS.error(error.code.name)
    if error.status >= 500 and not isinstance(exception, HostMonitorError):
        _log.error("request failed", exc_info=exception, path=request.path, method=request.method)
    if 400 <= error.status < 500 and error.code.name != "CLIENT_TIMEOUT":
        await discard(request, FEW_BYTES if error.status == 401 else MOST_BYTES)
    answer = respond(error, DIALECTS.get(getattr(request.route.ctx, "dialect", "")) if request.route else None)
    if error.code.name == "AUTHENTICATION_REQUIRED":
        answer.headers["www-authenticate"] = challenge(
            getattr(request.route.ctx, "policy", None) if request.route else None
        )
    return answer


def translate(request: Request, exception: BaseException) -> HostMonitorError:
    """Any exception as one of the tree; what is unexpected becomes INTERNAL and shows nothing of itself."""
    match exception:
        case HostMonitorError():
            return exception
        case exceptions.NotFound():
            return NotFoundError(f"There is no route {_shown(request.path)}.", pointer="path", hint="see the page at /")
        case exceptions.MethodNotAllowed():
            allowed = sorted(exception.headers.get("Allow", "").replace(" ", "").split(","))
            names = ", ".join(allowed)
            message = f"{_shown(request.method)} is not possible on {_shown(request.path)}."
            return RequestError(message, code="METHOD_NOT_ALLOWED", hint=f"use {names}", allow=allowed)
        case exceptions.SanicException():
            return _refusal(exception)
        case MemoryError():
            return UnavailableError("There is not enough memory for this now.", retry_after=5)
        case _:
            return HostMonitorError("The service failed. The log holds the cause under the request id.")


def _refusal(exception: exceptions.SanicException) -> HostMonitorError:
    status = exception.status_code or 500
    name = _BY_STATUS.get(status)
    if name is None:
        return HostMonitorError("The service failed. The log holds the cause under the request id.")
    kind = UnavailableError if status >= 500 else RequestError
    return kind(str(exception) or "The request was refused.", code=name)


def _shown(text: str) -> str:
    return repr(text if len(text) <= 200 else text[:200] + "…")


def problem(error: HostMonitorError) -> dict[str, Any]:
    """The body of an error's answer."""
    code = error.code
    body: dict[str, Any] = {
        "result": False,
        "resultcode": code.resultcode,
        "code": code.name,
        "message": error.message,
        "errors": [
            {
                "pointer": issue.pointer,
                "code": issue.code,
                "message": issue.message,
                "hint": issue.hint or CODES[issue.code].remedy,
            }
            for issue in _issues(error)
        ],
        "data": None,
        "request_id": request_id_var.get(),
        "type": f"urn:hostmonitor:error:{code.name}",
        "title": code.title,
        "status": code.status,
    }
    if error.source is not None:
        body["source"] = error.source
    return body


def _issues(error: HostMonitorError) -> tuple[Issue, ...]:
    """What is wrong with the request; a fault of the caller's is always told as one at least."""
    if error.issues or error.status >= 500:
        return error.issues
    return (Issue(error.code.name, error.message),)


def respond(error: HostMonitorError, dialect: Dialect | None = None) -> HTTPResponse:
    """The whole answer: body, and the headers that clients and gateways act on."""
    headers: dict[str, str] = {}
    if error.allow:
        headers["allow"] = ", ".join(error.allow)
    if error.retry_after is not None:
        headers["retry-after"] = str(error.retry_after)
    if isinstance(error, StoreError) and error.source is not None:
        # So that a gateway can tell a sick store from a sick service.
        headers["x-hm-store-fault"] = error.source
    body = problem(error)
    if dialect is None:
        return HTTPResponse(orjson.dumps(body), error.status, headers, PROBLEM_JSON)
    body[dialect.message] = error.message
    return HTTPResponse(orjson.dumps(body), error.status, {**headers, **dialect.headers}, dialect.media_type)
