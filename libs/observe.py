"""What the service counts of itself, in Prometheus' form, under /metrics.

The labels are bounded: route names, instances, known methods, statuses, error codes. Nothing a caller sends becomes one.
"""

from __future__ import annotations

import asyncio
import time
from functools import cache
from types import TracebackType

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from libs.errors import HostMonitorError
from libs.tallies import CountedBy, TimedBy

CONTENT_TYPE = "text/plain; version=1.0.0; charset=utf-8"
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"))
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_LAG_SECONDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0)
_LAG_INTERVAL = 0.5

# A gauge for the birth of each counter doubles the answer, and nobody asks for it.
disable_created_metrics()  # type: ignore[no-untyped-call]


class Metrics:
    """The counters of one process, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        requests = CountedBy("hostmonitor_requests", "Answered requests.", ("route", "method", "status"), self.registry)
        request_seconds = TimedBy(
            "hostmonitor_request_seconds",
            "Time from a request's head to the end of its answer.",
            ("route",),
            _SECONDS,
            self.registry,
        )
        response_bytes = CountedBy("hostmonitor_response_bytes", "Bytes of answers' bodies.", ("route",), self.registry)
        self._callers = cache(
            CountedBy(
                "hostmonitor_caller_requests", "Answered requests by their caller.", ("caller",), self.registry
            ).child
        )
        self._answers = cache(
            lambda route, method, status: (
                requests.child(route, method, str(status)),
                request_seconds.child(route),
                response_bytes.child(route),
            )
        )
        self._errors = Counter(
            "hostmonitor_errors", "Answered errors by their code.", ("code",), registry=self.registry
        )
        calls = CountedBy(
            "hostmonitor_store_calls",
            "Calls to a store, by how they ended: ok, or an error's code.",
            ("instance", "outcome"),
            self.registry,
        )
        seconds = TimedBy(
            "hostmonitor_store_seconds", "Time of calls to a store.", ("instance",), _SECONDS, self.registry
        )
        exchanged = CountedBy(
            "hostmonitor_store_bytes", "Bytes exchanged with a store.", ("instance", "direction"), self.registry
        )
        self._calls = cache(lambda instance, outcome: (calls.child(instance, outcome), seconds.child(instance)))
        self._exchanged = cache(exchanged.child)
        self._lag = Histogram(
            "hostmonitor_event_loop_lag_seconds",
            "How much later than asked the event loop woke a sleeper.",
            buckets=_LAG_SECONDS,
            registry=self.registry,
        )
        self.jobs = Gauge(
            "hostmonitor_jobs",
            "Jobs under way, and those that wait for their turn.",
            ("state",),
            registry=self.registry,
        )
        self.job_bytes = Gauge("hostmonitor_job_bytes", "Results of jobs on disk.", registry=self.registry)
        self.queries = Gauge(
            "hostmonitor_queries",
            "Queries under way, and those that wait for a place.",
            ("state",),
            registry=self.registry,
        )
        self.log_lines_lost = Gauge(
            "hostmonitor_log_lines_lost", "Log lines that a file or standard output refused.", registry=self.registry
        )

    def request(self, route: str, method: str, status: int, seconds: float, size: int) -> None:
        """Count an answered request: its route's name, its time and the bytes of its body."""
        known = method if method in _METHODS else "other"
        count, times, bytes_sent = self._answers(route, known, status)
        count.value += 1
        times.observe(seconds)
        bytes_sent.value += size

    def caller(self, name: str) -> None:
        """Count an answered request of a key's name; `-` where none was shown, or needed one that was not."""
        self._callers(name).value += 1

    def error(self, code: str) -> None:
        """Count an answered error."""
        self._errors.labels(code).inc()

    def store_call(self, instance: str, sent: int) -> StoreCall:
        """Count the call to a store made within, which sends `sent` bytes: its time, and how it ends."""
        self._exchanged(instance, "sent").value += sent
        return StoreCall(self, instance)

    def store_received(self, instance: str, size: int) -> None:
        """Count the bytes of a store's answer, or of a part of it."""
        self._exchanged(instance, "received").value += size

    def store_called(self, instance: str, outcome: str, seconds: float) -> None:
        """Count a call that has ended: `outcome` is ok, cancelled, failed, or an error's code."""
        count, times = self._calls(instance, outcome)
        count.value += 1
        times.observe(seconds)

    async def watch_loop(self) -> None:
        """Measure the event loop's lag until cancelled."""
        while True:
            before = time.perf_counter()
            await asyncio.sleep(_LAG_INTERVAL)
            self._lag.observe(max(time.perf_counter() - before - _LAG_INTERVAL, 0.0))

    def exposition(self) -> bytes:
        """All of it in the text format."""
        return generate_latest(self.registry)


class StoreCall:
    """A call to a store while it lasts."""

    __slots__ = ("_instance", "_metrics", "_started")

    def __init__(self, metrics: Metrics, instance: str) -> None:
        self._metrics = metrics
        self._instance = instance

    def __enter__(self) -> None:
        self._started = time.perf_counter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            outcome = "ok"
        elif isinstance(error, HostMonitorError):
            outcome = error.code.name
        else:
            outcome = "cancelled" if isinstance(error, asyncio.CancelledError) else "failed"
        self._metrics.store_called(self._instance, outcome, time.perf_counter() - self._started)


# One process, one set of counters: the stores' clients reach it without being handed it.
METRICS = Metrics()
