"""Reads the large bodies of ingest from the connection, piece by piece, within caps; gzip too (T12).

A body is checked whole before any of it is written, so one that is cut off or wrong writes nothing. What memory should not
hold meanwhile waits in a file (libs/overflow.py).
"""

from __future__ import annotations

import asyncio
import time
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from sanic import Request

from libs.context import RequestContext
from libs.errors import RequestError
from libs.overflow import Overflow
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
    return b"".join([part async for part in _arriving(request, cap)])


@asynccontextmanager
async def received(request: Request, cap: int, folder: Path) -> AsyncIterator[Overflow]:
    """As `read_body`; past some megabytes it is in a file in `folder`. Raises also UnavailableError (SPOOL_FULL)."""
    with closing(Overflow(folder)) as body:
        async for part in _arriving(request, cap):
            await body.write(part)
        yield body


@asynccontextmanager
async def received_as_sent(request: Request, cap: int, folder: Path) -> AsyncIterator[Overflow]:
    """As `received`, but gzip stays gzip: it is inflated to be checked alone."""
    if request.headers.get("content-encoding", "identity").strip().lower() != "gzip":
        async with received(request, cap, folder) as body:
            yield body
        return
    inflater = Inflater(cap)
    with closing(Overflow(folder)) as body:
        async for piece in pieces(request):
            if len(piece) > _THREAD_BYTES:
                await asyncio.to_thread(_exhaust, inflater.feed(piece))
            else:
                _exhaust(inflater.feed(piece))
            await body.write(piece)
        inflater.finish()
        yield body


def _exhaust(steps: Iterator[bytes]) -> None:
    for _ in steps:
        pass


def begin_piece(request: Request, context: RequestContext) -> None:
    """Each piece of a long body has the whole time of a request, as each page of a stream has."""
    context.deadline = time.monotonic() + context.limits.timeout_seconds
    stream: Any = request.stream
    stream.protocol.goes_on()


async def apart(size: int, parse: Callable[..., _Parsed], *arguments: Any) -> _Parsed:
    """What `parse` makes of a body of `size` bytes: in a thread where that takes so long that others would wait."""
    if size < _PARSED_APART_BYTES:
        return parse(*arguments)
    return await asyncio.to_thread(parse, *arguments)


async def _arriving(request: Request, cap: int) -> AsyncIterator[bytes]:
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > cap:
        raise _too_large(cap)
    if request.headers.get("content-encoding", "identity").strip().lower() == "gzip":
        async for part in _inflated(request, cap):
            yield part
        return
    size = 0
    async for piece in pieces(request):
        size += len(piece)
        if size > cap:
            raise _too_large(cap)
        yield piece


async def _inflated(request: Request, cap: int) -> AsyncIterator[bytes]:
    """Inflates while it arrives: a bomb is refused before it has grown."""
    inflater = Inflater(cap)
    async for piece in pieces(request):
        steps = inflater.feed(piece)
        # Inflating holds the processor for long; the event loop stays free.
        step = partial(next, steps, None)
        while (part := await asyncio.to_thread(step) if len(piece) > _THREAD_BYTES else step()) is not None:
            yield part
    inflater.finish()


class Inflater:
    """The members of a gzip body in a row. Raises RequestError: broken or truncated, over `cap` bytes, over a ratio of
    100 to 1, over 16 members."""

    def __init__(self, cap: int) -> None:
        self._cap = cap
        self._taken = 0
        self._made = 0
        self._members = 0
        self._member: zlib._Decompress | None = None

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """What a piece holds, in steps of bounded size."""
        self._taken += len(piece)
        room = min(self._cap, max(RATIO_FREE_BYTES, MAX_RATIO * self._taken))
        for part in self._inflate(piece):
            self._made += len(part)
            if self._made > room:
                raise _too_large(self._cap)
            yield part

    def finish(self) -> None:
        """Raises RequestError where there is no end, or nothing at all."""
        if self._member is not None or not self._members:
            raise _broken("it ends before its end mark")

    def _inflate(self, rest: bytes) -> Iterator[bytes]:
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
