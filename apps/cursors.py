"""Cursors: which results are under way, and the signed names that their next pages go by.

A page with more behind it is remembered by little: its question, and eight bytes a row. A store holds something only
from the second page on. Each follow-up names the next page anew; the last one can be asked for again.
"""

from __future__ import annotations

import asyncio
import struct
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from apps.given import Given
from apps.pipeline import Services
from apps.walks import Walk
from libs.context import RequestContext
from libs.errors import HostMonitorError, RequestError
from libs.replicas import ALONE, Replicas
from libs.signing import BadToken, Signer
from middlewares.format import Page
from query.question import Question

Belongs = Callable[[Question], bool]

DEFAULT_ROWS = 100
_TOKEN = struct.Struct(">12sQd")  # the result, the rows given before, the end of its time (seconds since 1970)
_REMEMBERED_ROWS = 2_000_000
_REMEMBERED = 50_000
_RUNNING = 16


@dataclass(slots=True)
class _Kept:
    """A result: its first page's rows, or the walk behind it, and the page that was given last."""

    caller: str
    question: Question
    context: RequestContext
    first: Given
    until: float
    walk: Walk | None = None
    last: tuple[int, int, Page, RequestContext] | None = None
    timer: asyncio.TimerHandle | None = field(default=None, compare=False)


class Cursors:
    """`seconds` is how long a result waits for its next page; `running` how many results of one caller stores hold
    something for at a time: the one that has waited longest makes way."""

    def __init__(
        self, signer: Signer, seconds: float = 120.0, running: int = _RUNNING, replicas: Replicas = ALONE
    ) -> None:
        self._signer, self._seconds, self._running, self._replicas = signer, seconds, running, replicas
        self._kept: OrderedDict[bytes, _Kept] = OrderedDict()
        self._rows = 0
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def open(self) -> int:
        """Results that a store may hold something for."""
        return sum(kept.walk is not None and kept.walk.running for kept in self._kept.values())

    def remember(self, page: Page, question: Question, context: RequestContext) -> str | None:
        """The cursor behind a first page; None when there is nothing."""
        if not page.has_more:
            return None
        name = self._replicas.name(12)
        first = Given(question, page.schema, page.batches)
        caller = context.principal.name
        kept = _Kept(caller, question, context, first, time.monotonic() + self._seconds)
        self._kept[name] = kept
        self._rows += first.weight
        self._forget_old()
        return self._token(name, len(first), caller)

    def question(self, token: str, context: RequestContext) -> Question:
        """What the result of a cursor was asked by. Raises RequestError (CURSOR_INVALID, CURSOR_EXPIRED), OnReplica."""
        name, _ = self._read(token, context)
        kept = self._kept.get(name)
        if kept is None:
            raise _expired()
        return kept.question

    async def follow(
        self, token: str, size: int | None, services: Services, context: RequestContext, belongs: Belongs | None = None
    ) -> tuple[Page, str | None]:
        """The page that a cursor names, and the next one's cursor. `belongs`: whether a question is the one it may be.

        Raises RequestError (CURSOR_INVALID, CURSOR_EXPIRED), OnReplica, and what running a question raises."""
        name, given = self._read(token, context)
        kept = self._kept.get(name)
        if kept is None:
            raise _expired()
        if belongs is not None and not belongs(kept.question):
            raise _invalid("The cursor belongs to another query.")
        walk = kept.walk
        if walk is None:
            walk = kept.walk = Walk(kept.question, kept.context, kept.first)
            self._make_room(kept)
        size = size or kept.question.limit or DEFAULT_ROWS
        async with services.places.held(context), walk.turn:
            if kept.walk is walk:
                return await self._page(name, kept, walk, given, size, services, context)
        # It failed before its first page while this one waited for its turn.
        return await self.follow(token, size, services, context, belongs)

    async def close(self) -> None:
        """Ends everything that is under way."""
        for name in list(self._kept):
            self._drop(name)
        await asyncio.gather(*self._closing, return_exceptions=True)

    async def _page(
        self,
        name: bytes,
        kept: _Kept,
        walk: Walk,
        given: int,
        size: int,
        services: Services,
        context: RequestContext,
    ) -> tuple[Page, str | None]:
        page = self._again(kept, given, size, context)
        if page is None:
            if given != walk.given or name not in self._kept:
                raise _expired()
            page = await self._next(name, kept, walk, size, services, context)
            kept.last = (given, size, page, context)
            if not page.has_more:
                await walk.close()
        if name not in self._kept:
            raise _expired()  # it made way for another meanwhile
        self._wait(name, kept)
        following = given + sum(batch.length for batch in page.batches)
        return page, self._token(name, following, kept.caller) if page.has_more else None

    async def _next(
        self, name: bytes, kept: _Kept, walk: Walk, size: int, services: Services, context: RequestContext
    ) -> Page:
        """What fails before the walk's first page can be asked for again, as the first page is still known; later not."""
        whole = again = False
        try:
            page = await walk.page(size, services, context, self._seconds)
            whole = True
            return page
        except RequestError:
            raise  # it would fail again
        except (HostMonitorError, asyncio.CancelledError):
            again = walk.given == len(kept.first)
            raise
        finally:
            if not whole and again and name in self._kept:
                kept.walk = None
                self._end(walk)
                self._wait(name, kept)
            elif not whole:
                self._drop(name)

    def _again(self, kept: _Kept, given: int, size: int, context: RequestContext) -> Page | None:
        """The page that was given last, for a caller to whom it did not arrive."""
        if kept.last is None or kept.last[:2] != (given, size):
            return None
        _, _, page, before = kept.last
        context.sources, context.warnings = before.sources, before.warnings
        context.partial_sources = before.partial_sources
        return page

    def _token(self, name: bytes, given: int, caller: str) -> str:
        return self._signer.sign(_TOKEN.pack(name, given, time.time() + self._seconds), caller)

    def _read(self, token: str, context: RequestContext) -> tuple[bytes, int]:
        try:
            name, given, until = _TOKEN.unpack(self._signer.read(token, context.principal.name))
        except (BadToken, struct.error):
            raise _invalid("The cursor is none of this service's for this caller.") from None
        if until < time.time():
            raise _expired()
        self._replicas.check(name)
        return name, given

    def _wait(self, name: bytes, kept: _Kept) -> None:
        """Its time begins again."""
        kept.until = time.monotonic() + self._seconds
        self._kept.move_to_end(name)
        if kept.timer is not None:
            kept.timer.cancel()
        kept.timer = asyncio.get_running_loop().call_later(self._seconds, self._drop, name)

    def _make_room(self, newest: _Kept) -> None:
        running = [name for name, kept in self._kept.items() if kept.caller == newest.caller and kept.walk is not None]
        for name in running[: max(len(running) - self._running, 0)]:
            if self._kept[name] is not newest:
                self._drop(name)

    def _forget_old(self) -> None:
        """First pages that nobody has followed in time, and the oldest where there are too many."""
        now = time.monotonic()
        while self._kept:
            name, kept = next(iter(self._kept.items()))
            if kept.until > now and self._rows <= _REMEMBERED_ROWS and len(self._kept) <= _REMEMBERED:
                return
            self._drop(name)

    def _drop(self, name: bytes) -> None:
        kept = self._kept.pop(name, None)
        if kept is None:
            return
        self._rows -= kept.first.weight
        if kept.timer is not None:
            kept.timer.cancel()
        if kept.walk is not None:
            self._end(kept.walk)

    def _end(self, walk: Walk) -> None:
        task = asyncio.get_running_loop().create_task(_end(walk))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


async def _end(walk: Walk) -> None:
    """Once no page of it is being made."""
    async with walk.turn:
        await walk.close()


def _invalid(message: str) -> RequestError:
    return RequestError(message, code="CURSOR_INVALID", pointer="/cursor")


def _expired() -> RequestError:
    return RequestError("The cursor's time is over.", code="CURSOR_EXPIRED", pointer="/cursor")
