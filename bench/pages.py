"""One page of documents through the service, against the same `_search` sent directly."""

from __future__ import annotations

import aiohttp

from bench import samples
from bench.rounds import Figure, bound, paired
from bench.running import Running, service
from bench.wrk import load

INDEX = "bench-pages"
DOCUMENTS = 200_000
BODY = {
    "where": {"and": [{"field": "status", "op": "gte", "value": 500}, {"field": "host", "op": "eq", "value": "web-3"}]},
    "order_by": [{"field": "@timestamp", "dir": "desc"}],
    "limit": 10,
}
DIRECT = {
    "query": {"bool": {"filter": [{"range": {"status": {"gte": 500}}}, {"term": {"host": "web-3"}}]}},
    "sort": [{"@timestamp": {"order": "desc", "missing": "_last"}}],
    "size": 10,
    "track_total_hits": False,
}


async def measure(es_url: str) -> list[Figure]:
    await fill(es_url)
    async with service(es_url=es_url) as running:
        ours, direct = f"{running.url}/es/{INDEX}/query", f"{es_url}/{INDEX}/_search"
        await _check(ours)

        async def rate(url: str, body: object, connections: int) -> float:
            return (await load(url, body, connections=connections)).per_second

        async def p50(url: str, body: object) -> float:
            return (await load(url, body, connections=1)).p50

        return [
            await paired(
                "one page of documents, 64 connections, against direct `_search`",
                lambda: rate(ours, BODY, 64),
                lambda: rate(direct, DIRECT, 64),
                at_least=0.70,
            ),
            await paired(
                "the same at one connection, p50",
                lambda: p50(ours, BODY),
                lambda: p50(direct, DIRECT),
                at_most=1.5,
                unit="s",
            ),
            await _cpu(running, ours),
        ]


async def _cpu(running: Running, url: str) -> Figure:
    before = running.cpu_seconds()
    loaded = await load(url, BODY, connections=64, seconds=6)
    spent = running.cpu_seconds() - before
    return bound("CPU of the service a page", spent / (loaded.per_second * 6) * 1e6, at_most=300, unit="µs")


async def fill(es_url: str) -> None:
    """The index, new, with all documents, one segment's worth of merging done."""
    async with aiohttp.ClientSession(es_url) as session:
        await (await session.delete(f"/{INDEX}")).read()
        settings = {"number_of_shards": 1, "number_of_replicas": 0}
        made = await session.put(f"/{INDEX}", json={"settings": settings, "mappings": samples.MAPPINGS})
        made.raise_for_status()
        batch: list[bytes] = []
        for document in samples.documents(DOCUMENTS):
            batch += (b'{"create":{}}', document)
            if len(batch) == 20_000:
                await _send(session, batch)
                batch = []
        if batch:
            await _send(session, batch)
        await (await session.post(f"/{INDEX}/_forcemerge?max_num_segments=1")).read()
        await (await session.post(f"/{INDEX}/_refresh")).read()


async def _send(session: aiohttp.ClientSession, batch: list[bytes]) -> None:
    headers = {"content-type": "application/x-ndjson"}
    answer = await session.post(f"/{INDEX}/_bulk", data=b"\n".join(batch) + b"\n", headers=headers)
    assert not (await answer.json())["errors"]


async def _check(url: str) -> None:
    async with aiohttp.ClientSession() as session, session.post(url, json=BODY) as answer:
        rows = (await answer.json())["data"]
        assert len(rows) == 10, rows
