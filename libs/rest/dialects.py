"""Protocols of others that some operations speak, so that the others' clients understand its errors.

An error stays the one error that it is, with every member of its problem: a dialect adds what its clients look for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

# What clients of InfluxDB look for before they believe that an answer is one of its protocol.
INFLUXDB_VERSION = "1.8-hostmonitor"


@dataclass(frozen=True, slots=True)
class Dialect:
    """`message` is the member of an error that repeats its message."""

    media_type: str
    message: str
    headers: Mapping[str, str]


DIALECTS: Mapping[str, Dialect] = MappingProxyType(
    {"influxdb": Dialect("application/json", "error", MappingProxyType({"x-influxdb-version": INFLUXDB_VERSION}))}
)
