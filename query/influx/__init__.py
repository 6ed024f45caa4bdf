"""InfluxDB over its v1 HTTP API."""

from __future__ import annotations

from query.backend import InstanceConfig, SeriesStore
from query.influx.store import InfluxStore


def open_backend(config: InstanceConfig) -> SeriesStore:
    """Opens an instance; nothing is sent before it is used. Raises ConfigError."""
    return InfluxStore(config)
