"""InfluxDB over its v1 HTTP API."""

from __future__ import annotations

from query.backend import InstanceConfig, SeriesStore
from query.influx.v1 import InfluxV1Store


def open_backend(config: InstanceConfig) -> SeriesStore:
    """Opens an instance; nothing is sent before it is used. Raises ConfigError."""
    return InfluxV1Store(config)
