"""Addresses of the service's own routes as clients reach them, behind a gateway too."""

from __future__ import annotations

from urllib.parse import urlencode

from sanic import HTTPResponse

from apps.pipeline import Services
from middlewares.format import Shape


def to(services: Services, path: str) -> str:
    """A path below the public address, or below the base path where no address is set: never what a header says."""
    return services.address + path


def add_next(
    response: HTTPResponse, services: Services, cursor: str | None, limit: int | None = None, shape: Shape = "objects"
) -> None:
    """The header Link (RFC 8288) of a page with more behind it: the next one, of the same size and shape."""
    if cursor is None:
        return
    asked = {} if limit is None else {"limit": str(limit)}
    if shape != "objects":
        asked["shape"] = shape
    query = f"?{urlencode(asked)}" if asked else ""
    response.headers["link"] = f'<{to(services, f"/mix/cursor/{cursor}")}{query}>; rel="next"'
