"""The error shape as the document describes it: an RFC 9457 problem with four members of the earlier HostMonitor."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from pydantic import BaseModel, Field

from libs.error_codes import CODES, Code

# What every route can answer, by what it has; a route declares others by `fails`.
MEDIA_TYPE = "application/problem+json"
_ALWAYS = (
    "REQUEST_INVALID",
    "PERMISSION_DENIED",
    "ROUTE_UNKNOWN",
    "METHOD_NOT_ALLOWED",
    "NOT_ACCEPTABLE",
    "INTERNAL",
    "OVERLOADED",
)
_WITH_KEY = ("AUTHENTICATION_REQUIRED", "RATE_LIMITED")
_WITH_BODY = ("JSON_INVALID", "BODY_INVALID", "BODY_TOO_LARGE", "MEDIA_TYPE_UNSUPPORTED")


class ProblemIssue(BaseModel):
    """One thing wrong with the request."""

    pointer: str = Field(
        description="A JSON pointer into the body; `path/<name>`, `query/<name>` or `header/<name>` for other parts."
    )
    code: str
    message: str
    hint: str | None = Field(description="What to do about it, where that is known.")


class Problem(BaseModel):
    """An error. `code` is stable; `errors` lists all that is wrong with the request at once."""

    result: Literal[False]
    resultcode: int = Field(description="The number of `code`.")
    code: str = Field(description="Stable; docs/errors.md lists all.")
    message: str
    errors: list[ProblemIssue]
    data: None
    request_id: str
    type: str = Field(description="A URI reference that identifies the kind of problem.")
    title: str
    status: int


def usual(has_body: bool, is_public: bool = False) -> tuple[str, ...]:
    """The error codes that every route can answer, or every route with a body, or that asks for a key."""
    return (*_ALWAYS, *(() if is_public else _WITH_KEY), *(_WITH_BODY if has_body else ()))


def example(code: Code) -> dict[str, Any]:
    """An error of this code as a client sees it."""
    issue = {"pointer": "", "code": code.name, "message": code.title, "hint": code.remedy}
    return {
        "result": False,
        "resultcode": code.resultcode,
        "code": code.name,
        "message": code.title,
        "errors": [issue] if code.status < 500 else [],
        "data": None,
        "request_id": "0b6e7d9c-3f5a-4c1e-9d43-8a2f6f1f0f11",
        "type": f"urn:hostmonitor:error:{code.name}",
        "title": code.title,
        "status": code.status,
    }


def by_status(names: Iterable[str]) -> dict[int, list[Code]]:
    """Error codes under their HTTP status, both in order."""
    found: dict[int, list[Code]] = {}
    for code in sorted({CODES[name] for name in names}, key=lambda code: code.resultcode):
        found.setdefault(code.status, []).append(code)
    return dict(sorted(found.items()))
