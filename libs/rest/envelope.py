"""The common envelope of answers that are not in a store's own form: `{"result": true, "data": …, "meta": …}`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

META_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "request_id": {"type": "string"},
        "took_ms": {"type": "number", "description": "Milliseconds that the service took."},
    },
    "required": ["request_id", "took_ms"],
    "additionalProperties": True,
}
_EXAMPLE_META = {"request_id": "0b6e7d9c-3f5a-4c1e-9d43-8a2f6f1f0f11", "took_ms": 1.7}


def wrap(payload: Any, request_id: str, took_ms: float) -> dict[str, Any]:
    """A payload in the envelope."""
    return {"result": True, "data": payload, "meta": {"request_id": request_id, "took_ms": took_ms}}


def schema(data: Mapping[str, Any], meta: Mapping[str, Any]) -> dict[str, Any]:
    """The envelope's schema around that of its data; `meta` is the schema of, or reference to, META_SCHEMA."""
    return {
        "type": "object",
        "properties": {"result": {"type": "boolean", "const": True}, "data": dict(data), "meta": dict(meta)},
        "required": ["result", "data", "meta"],
    }


def example(payload: Any) -> dict[str, Any]:
    """An example of a payload as it is answered."""
    return {"result": True, "data": payload, "meta": _EXAMPLE_META}
