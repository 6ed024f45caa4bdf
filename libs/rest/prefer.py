"""What a client would rather have: the Prefer header (RFC 7240). A preference that is not known is passed over."""

from __future__ import annotations

from sanic import Request

RESPOND_ASYNC = "respond-async"


def prefers(request: Request, preference: str) -> bool:
    """Whether a preference that takes no value is given."""
    if "prefer" not in request.headers:
        return False
    given = ",".join(request.headers.getall("prefer")).split(",")
    return any(one.partition(";")[0].strip().lower() == preference for one in given)
