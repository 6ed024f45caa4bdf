"""What the conformance suite needs to know of the embedded store: it needs no server."""

from __future__ import annotations

from collections.abc import Mapping

from query.catalog import Kind

KINDS: tuple[Kind, ...] = ("documents", "series")
ADDRESS: str | None = None
KNOWN_LIMITS: Mapping[str, str] = {}
