"""Heads of requests and answers in one pass each: strict, and in a fraction of the time that Sanic takes for them.

What is not usual (a chunked body, `Expect`, an upgrade, HTTP/1.0, a head in pieces, an answer without a body) goes
Sanic's own way, behind the same check.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from sanic import HTTPResponse
from sanic.compat import Header
from sanic.exceptions import BadRequest
from sanic.helpers import STATUS_CODES

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_HEAD = re.compile(
    _TOKEN + rb" [\x21-\x7e]+ HTTP/1\.(?P<minor>[01])(?P<fields>(?:\r\n" + _TOKEN + rb":[\t\x20-\x7e\x80-\xff]*)*)"
)
_FRAMING = re.compile(rb"\r\n(host|content-length|transfer-encoding):[ \t]*([^\r]*)", re.IGNORECASE)
_UNUSUAL = re.compile(rb"\r\n(?:connection|expect|upgrade|transfer-encoding):", re.IGNORECASE)
DECIMAL = re.compile(r"[0-9]{1,18}", re.ASCII)
# A client that keeps its connection sends the same head again and again.
_KNOWN = 512


@dataclass(frozen=True, slots=True)
class UsualHead:
    """An HTTP/1.1 request's head as it is read: `length` is its body's in bytes, None without one."""

    method: str
    target: bytes
    headers: Header
    length: int | None


@lru_cache(maxsize=_KNOWN)
def check_head(head: bytes) -> None:
    """Raises BadRequest for a head that two readers could take for different requests (RFC 9112, 3 to 7)."""
    match = _HEAD.fullmatch(head)
    if match is None:
        raise BadRequest("The request's head is malformed.")
    found: dict[bytes, bytes] = {}
    for name, value in _FRAMING.findall(match["fields"]):
        name = name.lower()
        if name in found:
            raise BadRequest(f"The header {name.decode()} is there twice.")
        found[name] = value.strip()
    if match["minor"] == b"1" and not found.get(b"host"):
        raise BadRequest("The header host is missing.")
    if b"transfer-encoding" in found:
        if b"content-length" in found or match["minor"] == b"0":
            raise BadRequest("The body's length is told in two ways.")
        if found[b"transfer-encoding"].lower() != b"chunked":
            raise BadRequest("The only transfer-encoding taken is chunked.")


@lru_cache(maxsize=_KNOWN)
def usual_head(head: bytes) -> UsualHead | None:
    """The head, or None where Sanic has to read it. Raises BadRequest as check_head does."""
    check_head(head)
    line, *fields = head.decode("utf-8", "surrogateescape").split("\r\n")
    method, target, version = line.split(" ")
    if method == "HEAD" or version != "HTTP/1.1" or _UNUSUAL.search(head):
        return None
    headers = Header([(name.lower(), value.lstrip()) for name, value in (field.split(":", 1) for field in fields)])
    length = headers.getone("content-length", None)
    if length is not None and not DECIMAL.fullmatch(length):
        return None
    return UsualHead(method, target.encode(), headers, None if length is None else int(length))


def answer_head(answer: HTTPResponse, size: int) -> bytes | None:
    """The head of a whole answer of `size` bytes on a connection that stays; None where Sanic has to write it."""
    status = answer.status
    if status < 200 or status in (204, 304):
        return None
    lines = [f"{name}: {value}\r\n" for name, value in answer.headers.items()]
    text = (
        f"{''.join(lines)}content-length: {size}\r\nconnection: keep-alive\r\ncontent-type: {answer.content_type}\r\n"
    )
    # A header that holds a line's end would be another one behind it.
    if text.count("\n") != len(lines) + 3 or text.count("\r") != len(lines) + 3 or "\0" in text or not text.isascii():
        return None
    return b"HTTP/1.1 %d %b\r\n%b\r\n" % (status, STATUS_CODES.get(status, b"UNKNOWN"), text.encode("ascii"))
