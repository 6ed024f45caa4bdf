"""Documents and points written through the service, against the same bytes sent to the store directly."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator

import aiohttp
import orjson

from bench import samples
from bench.rounds import Figure, bound, paired
from bench.running import Running, service

DOCUMENTS = 40_000
POINTS = 200_000
BATCH = 5_000
LARGEST = 64 * 2**20
MOST_MEMORY = 32 * 2**20
NDJSON = {"content-type": "application/x-ndjson"}
PLAIN = {"content-type": "text/plain"}
BINARY = {"content-type": "application/octet-stream"}
JSON = {"content-type": "application/json"}


async def measure(es_url: str, influx_url: str) -> list[Figure]:
    async with (
        service(es_url=es_url, influx_url=influx_url) as running,
        aiohttp.ClientSession(running.url) as ours,
        aiohttp.ClientSession() as direct,
    ):
        speeds = [await _documents(ours, direct, es_url), *await _points(ours, direct, influx_url)]
        return [*speeds, *await _memory(running, ours)]


async def _documents(ours: aiohttp.ClientSession, direct: aiohttp.ClientSession, es_url: str) -> Figure:
    documents = list(samples.documents(DOCUMENTS))
    chunks = [documents[at : at + BATCH] for at in range(0, DOCUMENTS, BATCH)]
    bodies = [b"\n".join(chunk) + b"\n" for chunk in chunks]
    raw = [b"".join(b'{"create":{}}\n' + document + b"\n" for document in chunk) for chunk in chunks]

    async def make() -> str:
        name = f"bench-ingest-{uuid.uuid4().hex}"
        settings = {"number_of_shards": 1, "number_of_replicas": 0, "refresh_interval": "-1"}
        made = await direct.put(f"{es_url}/{name}", json={"settings": settings, "mappings": samples.MAPPINGS})
        made.raise_for_status()
        return name

    async def through() -> float:
        name = await make()
        started = time.perf_counter()
        for body in bodies:
            async with ours.post(f"/es/{name}/docs", data=body, headers=NDJSON) as answer:
                assert answer.status == 200, await answer.text()
                assert len((await answer.json())["items"]) == BATCH
        rate = DOCUMENTS / (time.perf_counter() - started)
        await (await direct.delete(f"{es_url}/{name}")).read()
        return rate

    async def straight() -> float:
        name = await make()
        started = time.perf_counter()
        for body in raw:
            async with direct.post(f"{es_url}/{name}/_bulk", data=body, headers=NDJSON) as answer:
                assert not (await answer.json())["errors"]
        rate = DOCUMENTS / (time.perf_counter() - started)
        await (await direct.delete(f"{es_url}/{name}")).read()
        return rate

    return await paired("documents as NDJSON, against raw `_bulk`", through, straight, at_least=0.85)


async def _points(ours: aiohttp.ClientSession, direct: aiohttp.ClientSession, influx_url: str) -> list[Figure]:
    lines = list(samples.lines(POINTS, "cpu"))
    line_bodies = [b"\n".join(lines[at : at + BATCH]) for at in range(0, POINTS, BATCH)]
    made = list(samples.points(POINTS))
    json_bodies = [orjson.dumps(made[at : at + BATCH]) for at in range(0, POINTS, BATCH)]

    async def to_service(bodies: list[bytes], headers: dict[str, str]) -> float:
        db = f"bench_{uuid.uuid4().hex}"
        async with ours.put(f"/influx/{db}") as answer:
            assert answer.status == 200
        started = time.perf_counter()
        for body in bodies:
            async with ours.post(f"/influx/{db}/cpu/points", data=body, headers=headers) as answer:
                assert answer.status == 200, await answer.text()
        rate = POINTS / (time.perf_counter() - started)
        await (await ours.delete(f"/influx/{db}")).read()
        return rate

    async def natively(session: aiohttp.ClientSession, base: str) -> float:
        """By InfluxDB's own protocol."""
        db = f"bench_{uuid.uuid4().hex}"
        await (await session.post(f"{base}/query", data={"q": f'CREATE DATABASE "{db}"'})).read()
        started = time.perf_counter()
        for body in line_bodies:
            async with session.post(f"{base}/write", params={"db": db}, data=body, headers=BINARY) as answer:
                assert answer.status == 204
        rate = POINTS / (time.perf_counter() - started)
        await (await session.post(f"{base}/query", data={"q": f'DROP DATABASE "{db}"'})).read()
        return rate

    async def straight() -> float:
        return await natively(direct, influx_url)

    name = "points as line protocol, against raw `/write`"
    passed = await paired(name, lambda: to_service(line_bodies, PLAIN), straight, at_least=0.85)
    name = "points by InfluxDB's own protocol, against raw `/write`"
    own = await paired(name, lambda: natively(ours, "/influx"), straight, at_least=0.85)
    name = "points as JSON, against raw `/write`"
    return [passed, own, await paired(name, lambda: to_service(json_bodies, JSON), straight, at_least=0.5)]


async def _memory(running: Running, ours: aiohttp.ClientSession) -> list[Figure]:
    """Over what the service takes behind the batches above: one body of 64 MB of each kind."""
    name = f"bench-large-{uuid.uuid4().hex}"
    settings = {"number_of_shards": 1, "number_of_replicas": 0, "refresh_interval": "-1"}
    made = await ours.post("/es/index", json={"index": name, "settings": settings, "mappings": samples.MAPPINGS})
    made.raise_for_status()
    (await ours.put(f"/influx/{name}")).raise_for_status()
    documents = [*samples.documents(BATCH)]
    documents *= LARGEST // (sum(map(len, documents)) + BATCH)
    lines = b"\n".join(samples.lines(LARGEST // 64, "cpu"))[:LARGEST].rpartition(b"\n")[0]
    bodies = (
        ("documents as NDJSON", f"/es/{name}/docs", NDJSON, b"\n".join(documents)),
        ("points as line protocol", f"/influx/{name}/cpu/points", PLAIN, lines),
    )
    figures = []
    for what, path, headers, body in bodies:
        base = running.resident_bytes()
        running.forget_peak()
        async with ours.post(path, data=_pieces(body), headers=headers) as answer:
            assert answer.status == 200, await answer.text()
            await answer.read()
        most = running.peak_bytes() - base
        name_of = f"memory over base, {len(body) / 2**20:.0f} MiB of {what}"
        figures.append(bound(name_of, most / 2**20, at_most=MOST_MEMORY / 2**20, unit="MiB"))
    for path in (f"/es/{name}", f"/influx/{name}"):
        (await ours.delete(path)).raise_for_status()
    return figures


async def _pieces(body: bytes) -> AsyncIterator[bytes]:
    """As from a file."""
    for start in range(0, len(body), 2**18):
        yield body[start : start + 2**18]
