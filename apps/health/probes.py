"""Asks every source how it is, all at once, each within its time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any, Protocol

from libs.context import RequestContext, request_id_var, traceparent_var
from libs.errors import HostMonitorError

PROBE_SECONDS = 2.0
KEPT_SECONDS = 1.0


class Source(Protocol):
    """What is asked: an opened backend has it."""

    @property
    def kind(self) -> str: ...

    async def ping(self, context: RequestContext) -> Mapping[str, Any]:
        """What the store says of itself. Raises HostMonitorError where it does not answer."""
        ...


class Probes:
    """The states of the sources, kept for a moment: however often it is asked, a store is pinged once a second."""

    def __init__(self, sources: Mapping[str, Source]) -> None:
        self._sources = sources
        self._lock = asyncio.Lock()
        self._states: dict[str, dict[str, Any]] = {}
        self._taken = -KEPT_SECONDS

    async def states(self) -> dict[str, dict[str, Any]]:
        """`{"es": {"state": "up", "kind": "documents", "took_ms": 1.2, …}}`; a source that fails is `down`, with code."""
        async with self._lock:
            if time.monotonic() - self._taken >= KEPT_SECONDS:
                found = await asyncio.gather(*(_state(source) for source in self._sources.values()))
                self._states = dict(zip(self._sources, found, strict=True))
                self._taken = time.monotonic()
            return self._states


async def _state(source: Source) -> dict[str, Any]:
    started = time.perf_counter()
    context = RequestContext(
        id=request_id_var.get(), traceparent=traceparent_var.get(), deadline=time.monotonic() + PROBE_SECONDS
    )
    try:
        # The ping keeps to its deadline; the little more is for one that does not.
        said = await asyncio.wait_for(source.ping(context), PROBE_SECONDS + 0.5)
    except HostMonitorError as error:
        outcome: dict[str, Any] = {"state": "down", "code": error.code.name, "message": error.message}
    except TimeoutError:
        outcome = {"state": "down", "code": "DEADLINE_EXCEEDED", "message": "no answer in time"}
    else:
        outcome = {"state": "up", **({"version": said["version"]} if "version" in said else {})}
    return {**outcome, "kind": source.kind, "took_ms": round((time.perf_counter() - started) * 1000, 3)}
