"""Reads the large bodies of ingest from the connection, piece by piece, within caps; gzip too (T12)."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from sanic import Request

from libs.errors import RequestError
from libs.rest import pieces

_Parsed = TypeVar("_Parsed")
MAX_RATIO = 100
MAX_MEMBERS = 16
RATIO_FREE_BYTES = 1 << 20  # small bodies may compress better than the ratio allows
_STEP_BYTES = 1 << 18
_GZIP = 16 + zlib.MAX_WBITS
# Below this the work takes less time than handing it to a thread.
_THREAD_BYTES = 1 << 12
_PARSED_APART_BYTES = 1 << 20


async def read_body(request: Request, cap: int) -> bytes:
    """The whole body, decompressed, of at most `cap` bytes. Raises RequestError (BODY_TOO_LARGE, BODY_INVALID)."""
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > cap:
        raise _too_large(cap)
    if request.headers.get("content-encoding", "identity").strip().lower() == "gzip":
        return await _inflated(request, cap)
    parts: list[bytes] = []
    size = 0
    async for piece in pieces(request):
        size += len(piece)
        if size > cap:
            raise _too_large(cap)
        parts.append(piece)
    return b"".join(parts)


async def apart(size: int, parse: Callable[..., _Parsed], *arguments: Any) -> _Parsed:
    """What `parse` makes of a body of `size` bytes: in a thread where that takes so long that others would wait."""
    if size < _PARSED_APART_BYTES:
        return parse(*arguments)
    return await asyncio.to_thread(parse, *arguments)


async def _inflated(request: Request, cap: int) -> bytes:
    """Inflates while it arrives: a bomb is refused before it has grown."""
    inflater = Inflater(cap)
    async for piece in pieces(request):
        if len(piece) > _THREAD_BYTES:
            # Inflating holds the processor for long; the event loop stays free.
            await asyncio.to_thread(inflater.feed, piece)
        else:
            inflater.feed(piece)
    return inflater.finish()


class Inflater:
    """The members of a gzip body in a row. Raises RequestError: broken or truncated, over `cap` bytes, over a ratio of
    100 to 1, over 16 members."""

    def __init__(self, cap: int) -> None:
        self._cap = cap
        self._parts: list[bytes] = []
        self._taken = 0
        self._made = 0
        self._members = 0
        self._member: zlib._Decompress | None = None

    def feed(self, piece: bytes) -> None:
        self._taken += len(piece)
        room = min(self._cap, max(RATIO_FREE_BYTES, MAX_RATIO * self._taken))
        for part in self._inflate(piece):
            self._made += len(part)
            if self._made > room:
                self._parts.clear()
                raise _too_large(self._cap)
            self._parts.append(part)

    def finish(self) -> bytes:
        if self._member is not None or not self._members:
            raise _broken("it ends before its end mark")
        return b"".join(self._parts)

    def _inflate(self, rest: bytes) -> Iterator[bytes]:
        """What a piece holds, in steps of bounded size."""
        while rest:
            member = self._member or self._next()
            try:
                yield member.decompress(rest, _STEP_BYTES)
            except zlib.error as error:
                raise _broken(str(error)) from error
            rest = member.unused_data if member.eof else member.unconsumed_tail
            if member.eof:
                self._member = None

    def _next(self) -> zlib._Decompress:
        self._members += 1
        if self._members > MAX_MEMBERS:
            raise _broken(f"it has more than {MAX_MEMBERS} members")
        self._member = zlib.decompressobj(_GZIP)
        return self._member


def _too_large(cap: int) -> RequestError:
    hint = f"at most {cap} bytes after decompression, and at most {MAX_RATIO} times the compressed size"
    return RequestError("The body is too large.", code="BODY_TOO_LARGE", pointer="", hint=hint)


def _broken(why: str) -> RequestError:
    return RequestError(
        f"The body is not gzip: {why}.", code="BODY_INVALID", pointer="", hint="compress it again, whole"
    )
