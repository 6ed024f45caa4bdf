"""What it costs to know the caller of a request: one key among a thousand, in this process."""

from __future__ import annotations

import time
from types import SimpleNamespace

from sanic.compat import Header

from bench.rounds import Figure, bound
from libs.context import Principal
from libs.keys import Key, KeyRing, digest_of, new_key
from libs.rest.policy import Policy
from middlewares.auth import Gate
from middlewares.hosts import Hosts

KEYS = 1_000
REPEATS = 20_000
ROUNDS = 5


def measure() -> list[Figure]:
    made = [new_key() for _ in range(KEYS)]
    ring = KeyRing()
    ring.replace(Key(key_id, digest_of(text), Principal(key_id, actions=frozenset({"read"}))) for key_id, text in made)
    gate, policy = Gate(ring, Hosts()), Policy(frozenset({"read"}))
    request = SimpleNamespace(headers=_headers(made[KEYS // 2][1]), method="POST", query_string="", ip="127.0.0.1")
    best = min(_timed(gate, request, policy) for _ in range(ROUNDS))
    return [bound(f"who calls, by one of {KEYS:,} keys", best * 1e6, at_most=20, unit="µs")]


def _headers(key: str) -> Header:
    return Header(
        [("host", "127.0.0.1:8000"), ("content-type", "application/json"), ("authorization", f"Bearer {key}")]
    )


def _timed(gate: Gate, request: object, policy: Policy) -> float:
    """Seconds of CPU for one request."""
    started = time.process_time()
    for _ in range(REPEATS):
        gate.admit(request, policy)
    return (time.process_time() - started) / REPEATS
