"""The page at `/`: Swagger UI, vendored, and the document it shows. Nothing of it comes from another host."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sanic import HTTPResponse, Request, Sanic
from sanic.models.handler_types import RouteHandler

from libs.rest import document
from libs.rest.api import Api
from libs.rest.policy import OPEN_TO_ALL

_FOLDER = Path(__file__).parent / "swagger"
# No instance's name starts with an underscore, so the files can't stand in one's way.
_FILES_PATH = "/_swagger"
_MEDIA_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".png": "image/png"}
_FILES = ("swagger-ui.css", "swagger-ui-bundle.js", "favicon-16x16.png", "favicon-32x32.png", "page.css", "page.js")


@dataclass(frozen=True, slots=True)
class _File:
    """Bytes to serve, with their headers; the entity tag is among them."""

    content: bytes
    media_type: str
    headers: dict[str, str]


# Answers further paths of the document by those that it has: of things that come and go while the service runs.
Describe = Callable[[Mapping[str, Any]], Awaitable[Mapping[str, Any]]]


def serve(app: Sanic[Any, Any], api: Api, describe: Describe | None = None) -> None:
    """Serves the page, its files and `openapi.json` of a complete Api below its base path; `/` leads there."""
    policy = _policy(api.public_url)
    _serve_document(app, f"{api.base_path}/openapi.json", document.build(api), policy, describe)
    for name in _FILES:
        path = _FOLDER / name
        file = _file(path.read_bytes(), _MEDIA_TYPES[path.suffix], policy)
        _serve_file(app, f"{api.base_path}{_FILES_PATH}/{name}", file)
    page = (_FOLDER / "page.html").read_bytes()
    _serve_file(app, f"{api.base_path}/", _file(page, "text/html; charset=utf-8", policy))
    if api.base_path:
        for address in ("/", api.base_path):
            _serve_redirect(app, address, f"{api.base_path}/")


def _policy(public_url: str | None) -> str:
    """The page's Content-Security-Policy. `connect-src` also holds the public address, where "Try it out" sends to."""
    parts = urlsplit(public_url or "")
    public_origin = f" {parts.scheme}://{parts.netloc}" if parts.netloc else ""
    return "; ".join(
        (
            "default-src 'self'",
            "img-src 'self' data:",
            f"connect-src 'self'{public_origin}",
            "object-src 'none'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )


def _file(content: bytes, media_type: str, policy: str) -> _File:
    return _File(
        content,
        media_type,
        {
            "etag": document.etag(content),
            "cache-control": "no-cache",
            "content-security-policy": policy,
            "referrer-policy": "no-referrer",
        },
    )


def _serve_file(app: Sanic[Any, Any], path: str, file: _File) -> None:
    async def get(request: Request) -> HTTPResponse:
        return _answer(request, file)

    _route(app, path, get)


def _serve_document(
    app: Sanic[Any, Any], path: str, built: dict[str, Any], policy: str, describe: Describe | None
) -> None:
    """The document; put together anew when the paths have changed that `describe` tells of."""
    fixed = _file(document.to_bytes(built), "application/json", policy)
    held: tuple[Mapping[str, Any], _File] = ({}, fixed)

    async def get(request: Request) -> HTTPResponse:
        nonlocal held
        further = await describe(built["paths"]) if describe is not None else {}
        if further != held[0]:
            whole = built | {"paths": {**built["paths"], **further}}
            held = (further, _file(document.to_bytes(whole), "application/json", policy) if further else fixed)
        return _answer(request, held[1])

    _route(app, path, get)


def _answer(request: Request, file: _File) -> HTTPResponse:
    if _is_known(request.headers.get("if-none-match", ""), file.headers["etag"]):
        return HTTPResponse(status=304, headers=file.headers)
    return HTTPResponse(file.content, 200, file.headers, file.media_type)


def _is_known(if_none_match: str, etag: str) -> bool:
    """Whether the client holds what an entity tag names already (a gateway that packs makes the tag a weak one)."""
    tags = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    return etag in tags or "*" in tags


def _serve_redirect(app: Sanic[Any, Any], path: str, target: str) -> None:
    async def get(request: Request) -> HTTPResponse:
        return HTTPResponse(status=307, headers={"location": target})

    _route(app, path, get)


def _route(app: Sanic[Any, Any], path: str, handler: RouteHandler) -> None:
    name = "page" + "".join(letter if letter.isalnum() else "_" for letter in path)
    app.add_route(handler, path, methods=["GET"], name=name, strict_slashes=True, ctx_policy=OPEN_TO_ALL)
