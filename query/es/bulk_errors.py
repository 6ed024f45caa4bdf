"""Errors of single documents in an answer of `_bulk` or `_mget`. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from libs.errors import ConflictError, HostMonitorError, NotFoundError, RequestError, StoreError

_REASON_CHARACTERS = 500


def item_error(item: Mapping[str, Any], source: str) -> HostMonitorError:
    """The error of a document that the store `source` did not take, by the item that tells it."""
    status = item.get("status", 500)
    kind, reason = item["error"].get("type"), str(item["error"].get("reason", ""))[:_REASON_CHARACTERS]
    if kind == "index_not_found_exception":
        return NotFoundError(f"There is no such index: {reason}.", code="INDEX_UNKNOWN", source=source)
    if kind == "index_closed_exception":
        return ConflictError(f"The index is closed: {reason}.", code="CONFLICT", hint="open it first", source=source)
    if status == 409:
        return ConflictError(f"There is such a document already: {reason}.", code="ALREADY_EXISTS", source=source)
    if status == 404:
        return NotFoundError(f"There is no such index: {reason}.", code="INDEX_UNKNOWN", source=source)
    if status == 400:
        return RequestError(f"The document does not fit: {reason}.", code="VALUE_INVALID", source=source)
    if "disk usage" in reason or "read-only-allow-delete" in reason:
        return StoreError(f"{source!r} has no room: {reason}.", code="STORE_FULL", source=source)
    if kind == "cluster_block_exception" and status == 403:
        return ConflictError(f"The index takes no writes: {reason}.", code="CONFLICT", source=source)
    if status in (429, 503):
        return StoreError(f"{source!r} is too busy: {reason}.", code="STORE_BUSY", source=source, retry_after=1)
    return StoreError(f"{source!r} did not store it ({status}): {reason}.", source=source)
