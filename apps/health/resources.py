"""The resources of health and metrics."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field
from sanic import HTTPResponse, Request

from apps.health.probes import Probes
from libs.observe import CONTENT_TYPE, Metrics
from libs.rest import PUBLIC, Namespace, Reply, Resource

health = Namespace(
    "health", "/health", "Whether the service runs, and which of its sources do", reserved=("live", "ready")
)
metrics = Namespace("metrics", "/metrics", "What the service counts of itself")


class SourceState(BaseModel):
    """How a source is."""

    state: Literal["up", "down"]
    kind: Literal["documents", "series"]
    took_ms: float = Field(description="Milliseconds until it answered, or was given up.")
    version: str | None = None
    code: str | None = Field(None, description="Why it is down: a code of docs/errors.md.")
    message: str | None = None


class Readiness(BaseModel):
    """Ready while any source is up, or while there is none to wait for."""

    status: Literal["ready", "unready"]
    sources: dict[str, SourceState]


class Liveness(BaseModel):
    """The process answers."""

    status: Literal["live"]


_UP: dict[str, Any] = {"state": "up", "version": "8.19.21", "kind": "documents", "took_ms": 2.1}
_DOWN: dict[str, Any] = {
    "state": "down",
    "code": "STORE_UNAVAILABLE",
    "message": "The store cannot be reached.",
    "kind": "series",
    "took_ms": 1.3,
}


@health.route("/live")
class Live(Resource):
    def __init__(self, probes: Probes) -> None:
        """The process lives whatever its sources do."""

    @health.doc("Whether the process answers", operation_id="live")
    @health.returns(200, Liveness, "It does", example={"status": "live"}, envelope=True)
    @health.allow(PUBLIC)
    async def get(self, request: Request) -> dict[str, str]:
        return {"status": "live"}


@health.route("/ready")
class Ready(Resource):
    def __init__(self, probes: Probes) -> None:
        self.probes = probes

    @health.doc("Whether any source answers, and how each is", operation_id="ready")
    @health.returns(
        200,
        Readiness,
        "At least one source is up",
        example={"status": "ready", "sources": {"es": _UP, "influx": _DOWN}},
        envelope=True,
    )
    @health.returns(
        503, Readiness, "No source is up", example={"status": "unready", "sources": {"influx": _DOWN}}, envelope=True
    )
    @health.allow(PUBLIC)
    async def get(self, request: Request) -> Reply:
        sources = await self.probes.states()
        ready = not sources or any(source["state"] == "up" for source in sources.values())
        return Reply({"status": "ready" if ready else "unready", "sources": sources}, 200 if ready else 503)


@metrics.route("")
class Exposition(Resource):
    def __init__(self, counters: Metrics) -> None:
        self.counters = counters

    @metrics.doc("What the service counts of itself, for Prometheus", operation_id="metrics")
    @metrics.returns(
        200,
        str,
        "Prometheus' text format",
        example='hostmonitor_requests_total{method="GET",route="health_live",status="200"} 1.0\n',
        content_types=("text/plain",),
    )
    @metrics.allow("read")
    async def get(self, request: Request) -> HTTPResponse:
        return HTTPResponse(self.counters.exposition(), 200, {"cache-control": "no-store"}, CONTENT_TYPE)
