"""How many queries of one caller run at a time: a place for each, a bounded queue for those beyond, and a refusal past it."""

from __future__ import annotations

import asyncio
from collections import deque
from types import TracebackType

from libs.context import RequestContext
from libs.errors import RequestError

RETRY_SECONDS = 1


class _Caller:
    """The queries of one caller; who waits has its turn in the order of arrival."""

    __slots__ = ("running", "waiting")

    def __init__(self) -> None:
        self.running = 0
        self.waiting: deque[asyncio.Future[None]] = deque()


class Places:
    """By the caller's name and the limits that its role has. Not for use by several threads."""

    def __init__(self) -> None:
        self._callers: dict[str, _Caller] = {}

    def held(self, context: RequestContext) -> Place:
        """`async with` it around a query. Raises RequestError (RATE_LIMITED) where as many wait as may, or where the query's
        time is over before its turn comes."""
        return Place(self, context)

    def counted(self, name: str) -> tuple[int, int]:
        """A caller's queries that run, and that wait."""
        caller = self._callers.get(name)
        return (0, 0) if caller is None else (caller.running, len(caller.waiting))

    def running(self) -> int:
        """The queries of all callers that run."""
        return sum(caller.running for caller in self._callers.values())

    def waiting(self) -> int:
        """Those that wait."""
        return sum(len(caller.waiting) for caller in self._callers.values())

    async def enter(self, context: RequestContext) -> None:
        name, limits = context.principal.name, context.limits
        caller = self._callers.get(name)
        if caller is None:
            caller = self._callers[name] = _Caller()
        if caller.running < limits.concurrent_queries and not caller.waiting:
            caller.running += 1
            return
        if len(caller.waiting) >= limits.waiting_queries:
            raise _refused(f"{caller.running} queries of this caller run, and {len(caller.waiting)} wait.")
        await self._wait(caller, context)

    def leave(self, context: RequestContext) -> None:
        """Hands the place to whoever has waited longest."""
        name = context.principal.name
        caller = self._callers[name]
        while caller.waiting:
            turn = caller.waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        caller.running -= 1
        if not caller.running:
            del self._callers[name]

    async def _wait(self, caller: _Caller, context: RequestContext) -> None:
        turn = asyncio.get_running_loop().create_future()
        caller.waiting.append(turn)
        come = False
        try:
            async with asyncio.timeout(context.remaining()):
                await turn
            come = True
        except TimeoutError:
            raise _refused("No other query of this caller ended before the time of this one was over.") from None
        finally:
            if not come:
                self._give_up(caller, turn, context)

    def _give_up(self, caller: _Caller, turn: asyncio.Future[None], context: RequestContext) -> None:
        if turn.done() and not turn.cancelled():
            self.leave(context)  # its turn came when nobody was there any more to take it
        else:
            caller.waiting.remove(turn)


class Place:
    """One query's."""

    __slots__ = ("_context", "_places")

    def __init__(self, places: Places, context: RequestContext) -> None:
        self._places, self._context = places, context

    async def __aenter__(self) -> None:
        await self._places.enter(self._context)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._places.leave(self._context)


def _refused(message: str) -> RequestError:
    return RequestError(
        message, code="RATE_LIMITED", hint="ask fewer queries at a time", pointer="", retry_after=RETRY_SECONDS
    )
