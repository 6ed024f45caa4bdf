"""Counters and histograms of one thread, for what is counted several times a request: no locks, no look-ups.

They come out of a registry as prometheus-client's own do (its Counter.inc and Histogram.observe take some ten times as long).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry
from prometheus_client.utils import floatToGoString


class Count:
    """One label set's sum; add to `value`."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0


class CountedBy(Collector):
    """A counter by labels."""

    def __init__(self, name: str, help: str, labels: Sequence[str], registry: CollectorRegistry) -> None:
        self._name, self._help, self._labels = name, help, labels
        self._children: dict[tuple[str, ...], Count] = {}
        registry.register(self)

    def child(self, *labels: str) -> Count:
        """What is counted under these labels; keep it."""
        return self._children.setdefault(labels, Count())

    def collect(self) -> Iterable[Metric]:
        family = CounterMetricFamily(self._name, self._help, labels=self._labels)
        for labels, count in self._children.items():
            family.add_metric(labels, count.value)
        yield family


class Times:
    """One label set's histogram of seconds."""

    __slots__ = ("_bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, seconds: float) -> None:
        self.counts[bisect_left(self._bounds, seconds)] += 1
        self.sum += seconds


class TimedBy(Collector):
    """A histogram of seconds by labels."""

    def __init__(
        self, name: str, help: str, labels: Sequence[str], bounds: Sequence[float], registry: CollectorRegistry
    ) -> None:
        self._name, self._help, self._labels, self._bounds = name, help, labels, bounds
        self._children: dict[tuple[str, ...], Times] = {}
        registry.register(self)

    def child(self, *labels: str) -> Times:
        """What is timed under these labels; keep it."""
        return self._children.setdefault(labels, Times(self._bounds))

    def collect(self) -> Iterable[Metric]:
        family = HistogramMetricFamily(self._name, self._help, labels=self._labels)
        names = [floatToGoString(bound) for bound in (*self._bounds, float("inf"))]  # type: ignore[no-untyped-call]
        for labels, times in self._children.items():
            below, buckets = 0, []
            for name, count in zip(names, times.counts, strict=True):
                below += count
                buckets.append((name, below))
            family.add_metric(labels, buckets, times.sum)
        yield family
