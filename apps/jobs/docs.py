"""How jobs look in the document."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from libs.rest import Namespace, RawSchema

_TIME = {"type": ["string", "null"], "format": "date-time"}
JOB = RawSchema(
    "Job",
    {
        "type": "object",
        "properties": {
            "id": {"type": "string"},
            "state": {"type": "string", "enum": ["queued", "running", "done", "failed"]},
            "created_at": {"type": "string", "format": "date-time"},
            "started_at": _TIME,
            "ended_at": _TIME,
            "expires_at": _TIME | {"description": "When it is deleted; null while it is under way."},
            "rows": {"type": "integer", "description": "Rows so far, or of the result."},
            "bytes": {"type": "integer", "description": "Bytes on disk."},
            "plan": {"type": "string", "description": "The plan's hash, as in the logs."},
            "sources": {"type": "array", "items": {"type": "string"}},
            "result": {"type": ["string", "null"], "description": "Where its rows are, once it is done."},
            "error": {"type": ["object", "null"], "description": "Why it failed, in the common shape."},
        },
        "required": ["id", "state", "created_at", "rows", "bytes", "plan", "sources", "result", "error"],
    },
)
QUEUED: dict[str, Any] = {
    "id": "8d9e2f6a40b1c7d355e0f1a2",
    "state": "queued",
    "created_at": "2026-11-22T10:00:00.000Z",
    "started_at": None,
    "ended_at": None,
    "expires_at": None,
    "rows": 0,
    "bytes": 0,
    "plan": "5f2a90c41d7e",
    "sources": ["es/access"],
    "result": None,
    "error": None,
}
DONE = QUEUED | {
    "state": "done",
    "started_at": "2026-11-22T10:00:00.002Z",
    "ended_at": "2026-11-22T10:03:07.250Z",
    "expires_at": "2026-11-23T10:03:07.250Z",
    "rows": 4_210_000,
    "bytes": 151_306_240,
    "result": "/mix/job/8d9e2f6a40b1c7d355e0f1a2/result",
}


def takes_jobs(namespace: Namespace) -> Callable[[Any], Any]:
    """Declares that an operation may answer with a job."""
    prefer = namespace.header("Prefer", "`respond-async` runs the query behind the request, as a job (RFC 7240).")
    returns = namespace.returns(
        202, JOB, "It is taken on (with Prefer: respond-async); Location is the job", example=QUEUED, envelope=True
    )
    fails = namespace.fails("TOO_MANY_JOBS", "SPOOL_FULL")
    return lambda function: prefer(returns(fails(function)))
