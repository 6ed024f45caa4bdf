"""Reads the large bodies of ingest from the connection, piece by piece, within caps; gzip too (T12)."""

from __future__ import annotations

import asyncio
import zlib

from sanic import Request

from libs.errors import RequestError
from libs.rest import pieces

_MAX_RATIO = 100
_MAX_MEMBERS = 16
_RATIO_FREE_BYTES = 1 << 20  # small bodies may compress better than the ratio allows
_GZIP = 16 + zlib.MAX_WBITS


async def read_body(request: Request, cap: int) -> bytes:
    """The whole body, decompressed, of at most `cap` bytes. Raises RequestError (BODY_TOO_LARGE, BODY_INVALID)."""
    parts: list[bytes] = []
    size = 0
    async for piece in pieces(request):
        size += len(piece)
        if size > cap:
            raise _too_large(cap)
        parts.append(piece)
    body = b"".join(parts)
    if request.headers.get("content-encoding", "identity").strip().lower() == "gzip":
        # Inflating holds the processor for long; the event loop stays free.
        return await asyncio.to_thread(gunzip, body, cap)
    return body


def gunzip(body: bytes, cap: int) -> bytes:
    """The members of a gzip body in a row. Raises RequestError: broken or truncated, over `cap` bytes, over a ratio of
    100 to 1, over 16 members."""
    out: list[bytes] = []
    room = min(cap, max(_RATIO_FREE_BYTES, _MAX_RATIO * len(body)))
    rest = body
    for _ in range(_MAX_MEMBERS):
        inflate = zlib.decompressobj(_GZIP)
        try:
            piece = inflate.decompress(rest, room + 1)
        except zlib.error as error:
            raise _broken(str(error)) from error
        room -= len(piece)
        if room < 0:
            raise _too_large(cap)
        out.append(piece)
        if not inflate.eof:
            raise _broken("it ends before its end mark")
        rest = inflate.unused_data
        if not rest:
            return b"".join(out)
    raise _broken(f"it has more than {_MAX_MEMBERS} members")


def _too_large(cap: int) -> RequestError:
    hint = f"at most {cap} bytes after decompression, and at most {_MAX_RATIO} times the compressed size"
    return RequestError("The body is too large.", code="BODY_TOO_LARGE", pointer="", hint=hint)


def _broken(why: str) -> RequestError:
    return RequestError(
        f"The body is not gzip: {why}.", code="BODY_INVALID", pointer="", hint="compress it again, whole"
    )
