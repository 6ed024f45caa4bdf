"""What a usual body costs before anything is sent: parse, bind, optimize and compile, in this process."""

from __future__ import annotations

import json
import time

from bench.pages import BODY, INDEX
from bench.rounds import Figure, bound
from libs.context import Limits, RequestContext
from parser.json_body import parse_body
from query.backend import InstanceConfig
from query.bind import bind
from query.catalog import SourceRef
from query.factory import QueryFactory, open_backend
from query.optimizer import optimize

REPEATS = 2000


async def measure(es_url: str) -> list[Figure]:
    """Needs the index that bench.pages fills."""
    backend = open_backend("es", InstanceConfig("es", "documents", es_url, data_dir="."))
    factory = QueryFactory([backend])
    source = SourceRef("es", (INDEX,))
    catalog = {source: await backend.table(source, RequestContext())}
    capabilities = {"es": backend.capabilities}
    body, limits = json.dumps(BODY).encode(), Limits()

    def walk() -> None:
        ask = bind(parse_body(body, "es", (INDEX,)), catalog, 0, limits)
        factory.compile(optimize(ask.plan, capabilities))

    for _ in range(200):
        walk()
    best = min(_timed(walk) for _ in range(5))
    await factory.close()
    return [bound("parse, bind, optimize and compile a usual body", best * 1e6, at_most=150, unit="µs")]


def _timed(walk: object) -> float:
    assert callable(walk)
    started = time.perf_counter()
    for _ in range(REPEATS):
        walk()
    return (time.perf_counter() - started) / REPEATS
