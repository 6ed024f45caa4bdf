"""What the conformance suite needs from this backend."""

from __future__ import annotations

from collections.abc import Mapping

from query.catalog import Kind

KINDS: tuple[Kind, ...] = ("documents",)
ADDRESS: str | None = "HOSTMONITOR_TEST_ES_URL"
KNOWN_LIMITS: Mapping[str, str] = {}
