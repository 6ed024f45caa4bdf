"""Log documents and points of the sizes that performance goals speak of, the same at every run."""

from __future__ import annotations

import random
from collections.abc import Iterator

import orjson

START_MS = 1_795_000_000_000
MAPPINGS = {
    "properties": {
        "@timestamp": {"type": "date"},
        "host": {"type": "keyword"},
        "method": {"type": "keyword"},
        "path": {"type": "keyword"},
        "status": {"type": "integer"},
        "bytes": {"type": "long"},
        "latency_ms": {"type": "double"},
        "agent": {"type": "keyword"},
    }
}
_AGENT = "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/128.0"


def documents(count: int, seed: int = 7) -> Iterator[bytes]:
    """NDJSON lines of some 215 bytes, a document a second."""
    rng = random.Random(seed)
    for number in range(count):
        yield orjson.dumps(
            {
                "@timestamp": START_MS + number * 1000,
                "host": f"web-{rng.randrange(20)}",
                "method": rng.choice(("GET", "POST")),
                "path": f"/api/v1/items/{rng.randrange(1000)}",
                "status": rng.choice((200, 200, 200, 200, 304, 404, 500, 503)),
                "bytes": rng.randrange(100, 100_000),
                "latency_ms": round(rng.expovariate(0.02), 3),
                "agent": _AGENT,
            }
        )


def points(count: int, seed: int = 7, step_ms: int = 1000) -> Iterator[dict[str, object]]:
    """Points of 20 hosts, one a step and host: {"time", "tags", "fields"}."""
    rng = random.Random(seed)
    for number in range(count):
        yield {
            "time": (START_MS + number // 20 * step_ms) * 1_000_000,
            "tags": {"host": f"web-{number % 20}", "dc": "a" if number % 2 else "b"},
            "fields": {"usage": round(rng.uniform(0, 100), 3), "load": round(rng.uniform(0, 8), 2)},
        }


def lines(count: int, measurement: str, seed: int = 7, step_ms: int = 1000) -> Iterator[bytes]:
    """The same points as line protocol."""
    for point in points(count, seed, step_ms):
        tags: object = point["tags"]
        fields: object = point["fields"]
        assert isinstance(tags, dict)
        assert isinstance(fields, dict)
        told = f"{measurement},dc={tags['dc']},host={tags['host']} load={fields['load']},usage={fields['usage']} {point['time']}"
        yield told.encode()
