"""What the service counts of itself, in Prometheus' form, under /metrics.

The labels are bounded: route names, instances, known methods, statuses, error codes. Nothing a caller sends becomes one.
"""

from __future__ import annotations

import asyncio
import time

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
        self._requests = Counter(
            "hostmonitor_requests",
            "Answered requests.",
            ("route", "method", "status"),
            registry=self.registry,
        )
        self._request_seconds = Histogram(
            "hostmonitor_request_seconds",
            "Time from a request's head to the end of its answer.",
            ("route",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._response_bytes = Counter(
            "hostmonitor_response_bytes", "Bytes of answers' bodies.", ("route",), registry=self.registry
        )
        self._errors = Counter(
            "hostmonitor_errors", "Answered errors by their code.", ("code",), registry=self.registry
        )
        self._store_calls = Counter(
            "hostmonitor_store_calls",
            "Calls to a store, by how they ended: ok, or an error's code.",
            ("instance", "outcome"),
            registry=self.registry,
        )
        self._store_seconds = Histogram(
            "hostmonitor_store_seconds",
            "Time of calls to a store.",
            ("instance",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._store_bytes = Counter(
            "hostmonitor_store_bytes",
            "Bytes exchanged with a store.",
            ("instance", "direction"),
            registry=self.registry,
        )
        self._lag = Histogram(
            "hostmonitor_event_loop_lag_seconds",
            "How much later than asked the event loop woke a sleeper.",
            buckets=_LAG_SECONDS,
            registry=self.registry,
        )
        self.log_lines_lost = Gauge(
            "hostmonitor_log_lines_lost", "Log lines that a file or standard output refused.", registry=self.registry
        )

    def request(self, route: str, method: str, status: int, seconds: float, size: int) -> None:
        """Count an answered request: its route's name, its time and the bytes of its body."""
        known = method if method in _METHODS else "other"
        self._requests.labels(route, known, status).inc()
        self._request_seconds.labels(route).observe(seconds)
        self._response_bytes.labels(route).inc(size)

    def error(self, code: str) -> None:
        """Count an answered error."""
        self._errors.labels(code).inc()

    def store_call(self, instance: str, outcome: str, seconds: float, sent: int = 0, received: int = 0) -> None:
        """Count a call to a store: `outcome` is `ok` or an error's code, `sent` and `received` are bytes."""
        self._store_calls.labels(instance, outcome).inc()
        self._store_seconds.labels(instance).observe(seconds)
        if sent:
            self._store_bytes.labels(instance, "sent").inc(sent)
        if received:
            self._store_bytes.labels(instance, "received").inc(received)

    async def watch_loop(self) -> None:
        """Measure the event loop's lag until cancelled."""
        while True:
            before = time.perf_counter()
            await asyncio.sleep(_LAG_INTERVAL)
            self._lag.observe(max(time.perf_counter() - before - _LAG_INTERVAL, 0.0))

    def exposition(self) -> bytes:
        """All of it in the text format."""
        return generate_latest(self.registry)


# One process, one set of counters: the stores' clients reach it without being handed it.
METRICS = Metrics()
