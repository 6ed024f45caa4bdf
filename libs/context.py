"""What travels with one request: who asks, until when, within which limits, and what was noticed on the way."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any

from libs.actions import ACTIONS, ALL_ACTIONS
from libs.errors import CostError, DeadlineError, RequestError
from libs.trial import Trial

request_id_var: ContextVar[str] = ContextVar("request_id", default="-")
traceparent_var: ContextVar[str] = ContextVar("traceparent", default="")


DEFAULT_ROLE = "default"


@dataclass(frozen=True, slots=True)
class Limits:
    """What one query may cost at the most, and how many queries a caller may ask at a time. `memory_mb` bounds the local
    engine (DuckDB), which all share.

    A stream whose rows only pass through holds one page at a time, so it has limits of its own: `stream_rows` and
    `stream_bytes` in the place of `rows_fetched` and `bytes_fetched`, and `stream_seconds` for all of it, while
    `timeout_seconds` bounds the wait for each page. `joined_rows` bounds each join that says `many`: any other has no more
    rows than its left side.
    """

    timeout_seconds: float = 30.0
    rows_fetched: int = 1_000_000
    groups: int = 100_000
    memory_mb: int = 256
    stream_rows: int = 100_000_000
    stream_seconds: float = 3600.0
    joined_rows: int = 1_000_000
    bytes_fetched: int = 2**30
    stream_bytes: int = 100 * 2**30
    concurrent_queries: int = 200
    waiting_queries: int = 200

    def flowing(self) -> Limits:
        """For rows that only pass through."""
        return replace(self, rows_fetched=self.stream_rows, bytes_fetched=self.stream_bytes)


@dataclass(frozen=True, slots=True)
class RowFilter:
    """The rows of an instance (`source`) that a caller may see: `where` as a body writes it. A filter holds for a whole
    instance, since patterns and names of its parts overlap."""

    source: str
    where: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is calling; `name` is what the logs show. Every scan of a query is given the `row_filter` of its instance; the
    `role` tells the limits, `actions` of libs/actions what may be done at all."""

    name: str = "anonymous"
    row_filter: tuple[RowFilter, ...] = ()
    role: str = DEFAULT_ROLE
    actions: frozenset[str] = frozenset()


# Who asks a service that has no keys: only its own machine can reach it.
ANYBODY = Principal(actions=ALL_ACTIONS)
# The caller of the request that is being answered; set before anything of it is done.
principal_var: ContextVar[Principal] = ContextVar("principal", default=ANYBODY)


def require(principal: Principal, *actions: str) -> None:
    """Raises RequestError (PERMISSION_DENIED), which names what is missing, unless the caller may do all `actions`."""
    missing = [action for action in ACTIONS if action in actions and action not in principal.actions]
    if missing:
        raise RequestError(
            f"{principal.name!r} may not do this: its key does not allow {' and '.join(missing)}.",
            code="PERMISSION_DENIED",
            pointer="header/authorization",
            hint=f"send a key that allows {', '.join(action for action in ACTIONS if action in actions)}",
        )


@dataclass(frozen=True, slots=True)
class Notice:
    """Something the caller should know about an answer that is right all the same."""

    code: str
    message: str
    source: str | None = None


@dataclass(slots=True)
class SourceReport:
    """One row of `meta.sources`; `freshness_ns` is its newest time in the range, where that was asked for."""

    source: str
    took_ms: float = 0.0
    rows: int = 0
    status: str = "ok"
    freshness_ns: int | None = None


@dataclass(slots=True)
class RequestContext:
    """Made once a request by the HTTP side, handed down the whole walk.

    `deadline` is in seconds of `time.monotonic()`; `now_ns` the one instant that `now` means, in nanoseconds since 1970.
    `idle_seconds` is how long the answer may lie between two of its batches, so that a store keeps what it holds for it.
    `notes` say how the answer was come by where that was decided while it ran (for logs and explain, not for callers).
    """

    id: str = "-"
    traceparent: str = ""
    principal: Principal = field(default_factory=Principal)
    limits: Limits = field(default_factory=Limits)
    deadline: float = field(default_factory=lambda: time.monotonic() + 30.0)
    now_ns: int = field(default_factory=time.time_ns)
    partial_allowed: bool = False
    exact: bool = False
    idle_seconds: float = 0.0
    warnings: list[Notice] = field(default_factory=list)
    sources: list[SourceReport] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    partial_sources: set[str] = field(default_factory=set)
    timings: dict[str, float] = field(default_factory=dict)
    fetched_bytes: int = 0

    def remaining(self, source: str | None = None) -> float:
        """Seconds left, more than 0. Raises DeadlineError when there are none."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            where = f" of {source!r}" if source else ""
            raise DeadlineError(f"The deadline passed before the answer{where} was there.", source=source)
        return left

    @property
    def bytes_left(self) -> int:
        """Bytes that may still be fetched; 0 or more."""
        return max(self.limits.bytes_fetched - self.fetched_bytes, 0)

    def fetched(self, source: str, size: int) -> None:
        """Counts bytes of a store's answers. Raises CostError past the limit, all sources together."""
        self.fetched_bytes += size
        if self.fetched_bytes > self.limits.bytes_fetched:
            raise self.too_many_bytes(source)

    def too_many_bytes(self, source: str) -> CostError:
        return CostError(
            f"The query fetches more than {self.limits.bytes_fetched} bytes, the last of them from {source!r}.",
            hint="select fewer fields, or narrow the time range or the filter",
            source=source,
        )

    @property
    def partial(self) -> bool:
        """Whether any source answered in part."""
        return bool(self.partial_sources)

    def mark_partial(self, source: str, why: str) -> None:
        """Flags the answer and the source's row of `sources` as partial; the warning says why."""
        if Trial.hold(lambda: self.mark_partial(source, why)):
            return
        self.partial_sources.add(source)
        for report in self.sources:
            if report.source == source and report.status == "ok":
                report.status = "partial"
        self.warn("STORE_PARTIAL", why, source)

    def begin_anew(self) -> None:
        """Drops what was noticed of an answer that is not given."""
        for noticed in (self.warnings, self.sources, self.notes, self.partial_sources):
            noticed.clear()
        self.fetched_bytes = 0

    def warn(self, code: str, message: str, source: str | None = None) -> None:
        """Adds a warning to the answer, once."""
        if Trial.hold(lambda: self.warn(code, message, source)):
            return
        warning = Notice(code, message, source)
        if warning not in self.warnings:
            self.warnings.append(warning)
