"""Health and metrics of the service: /health/live, /health/ready, /metrics."""

from __future__ import annotations

from collections.abc import Mapping

from apps.health.probes import Probes, Source
from apps.health.resources import health, metrics
from libs.observe import Metrics
from libs.rest import Api

__all__ = ["Source", "add_health"]


def add_health(api: Api, sources: Mapping[str, Source], counters: Metrics) -> None:
    """Put the routes of health and metrics on the api; `sources` are the open backends by instance."""
    api.add(health, args=(Probes(sources),))
    api.add(metrics, args=(counters,))
