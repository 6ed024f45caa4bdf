"""Conditional requests (RFC 9110, 13): entity tags that a client holds, against the one that is there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sanic import HTTPResponse, Request

from libs.errors import ConflictError


def quoted(tag: str) -> str:
    """A tag as the header ETag writes it."""
    return f'"{tag}"'


def check_write(request: Request) -> Callable[[str | None], None]:
    """What looks at the tag of the thing that a write would change (None: there is none), by If-Match and If-None-Match.

    It raises ConflictError (PRECONDITION_FAILED).
    """
    wanted = _tags(request.headers.get("if-match"))
    unwanted = _tags(request.headers.get("if-none-match"))

    def check(tag: str | None) -> None:
        if wanted is not None and (tag is None or not wanted & {quoted(tag), "*"}):
            raise _failed("header/If-Match", "It is not what the client has read.")
        if unwanted is not None and tag is not None and unwanted & {quoted(tag), "*"}:
            raise _failed("header/If-None-Match", "It is there already.")

    return check


def not_modified(request: Request, tag: str, headers: dict[str, str]) -> HTTPResponse | None:
    """The 304 for a client that holds this tag already; None for others."""
    known = _tags(request.headers.get("if-none-match"))
    if known is None or not known & {quoted(tag), "*"}:
        return None
    return HTTPResponse(status=304, headers=headers)


def _tags(header: Any) -> set[str] | None:
    """A header's tags; a gateway that packs makes them weak ones."""
    if header is None:
        return None
    return {tag.strip().removeprefix("W/") for tag in str(header).split(",")}


def _failed(pointer: str, message: str) -> ConflictError:
    return ConflictError(message, code="PRECONDITION_FAILED", pointer=pointer, hint="read it again, then repeat")
