"""Whole results out of each store: against the raw page loop of Elasticsearch and the raw transfer of InfluxDB, and in memory.

The raw page loop asks pages of 10,000 whole `_source`s in `_shard_doc` order, uncompressed, and reads of each no more than
where the next one begins. The raw transfer is InfluxDB's chunked CSV, read and dropped.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import aiohttp
import orjson

from bench import samples
from bench.rounds import Figure, Measure, bound, paired
from bench.running import Running, service

ROWS = 5_000_000
MOST_MEMORY = 64 * 2**20
NAME = "bench-streams"
_PAGE = 10_000
_PART = 20_000
_ROUNDS = 3
_FORMATS = {"NDJSON": "application/x-ndjson", "Arrow": "application/vnd.apache.arrow.stream"}
_STORES = {
    "es-real": "Elasticsearch",
    "influx-real": "InfluxDB",
    "es": "the embedded documents",
    "influx": "the embedded series",
}
_INSTANCES = """[instances.es-real]
kind = "documents"
url = "{es}"
[instances.influx-real]
kind = "series"
url = "{influx}"
"""


@dataclass(frozen=True, slots=True)
class Sources:
    """The samples on every store, and the service before them."""

    session: aiohttp.ClientSession
    running: Running
    es_url: str
    influx_url: str
    rows: int

    def url(self, store: str) -> str:
        return f"{self.running.url}/{store}/{NAME}{'/cpu' if 'influx' in store else ''}/query"


async def measure(es_url: str, influx_url: str, rows: int = ROWS) -> list[Figure]:
    """`rows` documents and as many points on every store, streamed whole."""
    figures = []
    async with filled(es_url, influx_url, rows) as sources:
        for store, reference, name in (
            ("es-real", raw_pages, "its raw page loop"),
            ("influx-real", raw_transfer, "its raw transfer"),
        ):
            for form, accept in _FORMATS.items():
                title = f"{rows:,} rows out of {_STORES[store]} as {form}, against {name}"
                ours: Measure = partial(streamed, sources, store, accept)
                figures.append(await paired(title, ours, partial(reference, sources), at_least=0.75, rounds=_ROUNDS))
        figures += [await _memory(sources, store) for store in _STORES]
    return figures


async def streamed(sources: Sources, store: str, accept: str) -> float:
    """Rows a second of the whole result through the service."""
    started, lines, size = time.perf_counter(), 0, 0
    async with sources.session.post(sources.url(store), json={}, headers={"accept": accept}) as answer:
        assert answer.status == 200, await answer.text()
        async for piece in answer.content.iter_any():
            size += len(piece)
            if "json" in accept:
                lines += piece.count(b"\n")
    assert size
    assert lines == sources.rows or "json" not in accept, (lines, sources.rows)
    return sources.rows / (time.perf_counter() - started)


async def raw_pages(sources: Sources) -> float:
    """Rows a second of the page loop."""
    session, url = sources.session, sources.es_url
    started, rows, after = time.perf_counter(), 0, None
    async with session.post(f"{url}/{NAME}/_pit?keep_alive=1m") as answer:
        point = (await answer.json())["id"]
    headers = {"accept-encoding": "identity"}
    while True:
        body = {
            "size": _PAGE,
            "pit": {"id": point, "keep_alive": "1m"},
            "sort": ["_shard_doc"],
            "track_total_hits": False,
        }
        if after is not None:
            body["search_after"] = after
        async with session.post(f"{url}/_search", json=body, headers=headers) as answer:
            page = await answer.read()
        found = page.count(b'"sort":[')
        rows += found
        if found < _PAGE:
            break
        after = orjson.loads(page[page.rindex(b'"sort":[') + 7 : -len(b"}]}}")])
    rate = rows / (time.perf_counter() - started)
    await (await session.delete(f"{url}/_pit", json={"id": point})).read()
    assert rows == sources.rows, (rows, sources.rows)
    return rate


async def raw_transfer(sources: Sources) -> float:
    """Points a second of the same statement's CSV."""
    statement = 'SELECT "dc"::tag, "host"::tag, "load"::float, "usage"::float FROM "cpu"'
    params = {"db": NAME, "q": statement, "epoch": "ns", "chunked": "true", "chunk_size": str(_PAGE)}
    headers, started, lines = {"accept": "application/csv", "accept-encoding": "identity"}, time.perf_counter(), 0
    async with sources.session.get(f"{sources.influx_url}/query", params=params, headers=headers) as answer:
        async for piece in answer.content.iter_any():
            lines += piece.count(b"\n")
    assert lines == sources.rows + 1, (lines, sources.rows)
    return sources.rows / (time.perf_counter() - started)


async def _memory(sources: Sources, store: str) -> Figure:
    """Over what the service takes behind a page of ten thousand rows of each format."""
    most = 0
    for accept in _FORMATS.values():
        headers = {"accept": accept}
        async with sources.session.post(sources.url(store), json={"limit": 10_000}, headers=headers) as answer:
            await answer.read()
        before = sources.running.resident_bytes()
        sources.running.forget_peak()
        await streamed(sources, store, accept)
        most = max(most, sources.running.peak_bytes() - before)
    name = f"memory over base, {sources.rows:,} rows out of {_STORES[store]}"
    return bound(name, most / 2**20, at_most=MOST_MEMORY / 2**20, unit="MiB")


@asynccontextmanager
async def filled(es_url: str, influx_url: str, rows: int) -> AsyncIterator[Sources]:
    """The samples behind a service that has not written them, for as long as the block lasts."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "stores.toml"
        config.write_text(_INSTANCES.format(es=es_url, influx=influx_url))
        settings = {"data_dir": str(Path(folder) / "data"), "config": str(config)}
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(None), read_bufsize=2**20) as session:
            try:
                async with service(**settings) as running:
                    await _fill(Sources(session, running, es_url, influx_url, rows))
                async with service(**settings) as running:
                    yield Sources(session, running, es_url, influx_url, rows)
            finally:
                await (await session.delete(f"{es_url}/{NAME}")).read()
                await _order(session, influx_url, f'DROP DATABASE "{NAME}"')


async def _fill(sources: Sources) -> None:
    session, rows = sources.session, sources.rows
    ndjson, plain = {"content-type": "application/x-ndjson"}, {"content-type": "text/plain"}
    settings = {"number_of_shards": 1, "number_of_replicas": 0, "refresh_interval": "-1"}
    index = {"index": NAME, "settings": settings, "mappings": samples.MAPPINGS}
    real, embedded = f"{sources.es_url}/{NAME}", f"{sources.running.url}/es"
    await (await session.delete(real)).read()
    (await session.put(real, json={"settings": settings, "mappings": samples.MAPPINGS})).raise_for_status()
    (await session.post(f"{embedded}/index", json=index)).raise_for_status()
    for part in _parts(samples.documents(rows)):
        body = b"".join(b'{"create":{}}\n' + document + b"\n" for document in part)
        async with session.post(f"{real}/_bulk?filter_path=errors", data=body, headers=ndjson) as answer:
            assert not (await answer.json())["errors"]
        async with session.post(f"{embedded}/{NAME}/docs", data=b"\n".join(part), headers=ndjson) as answer:
            assert answer.status == 200, await answer.text()
    await (await session.post(f"{real}/_refresh")).read()
    await (await session.post(f"{real}/_forcemerge?max_num_segments=1")).read()
    await _order(session, sources.influx_url, f'DROP DATABASE "{NAME}"')
    await _order(session, sources.influx_url, f'CREATE DATABASE "{NAME}"')
    (await session.put(f"{sources.running.url}/influx/{NAME}")).raise_for_status()
    for part in _parts(samples.lines(rows, "cpu")):
        body = b"\n".join(part)
        async with session.post(f"{sources.influx_url}/write", params={"db": NAME}, data=body) as answer:
            assert answer.status == 204, await answer.text()
        url = f"{sources.running.url}/influx/{NAME}/cpu/points"
        async with session.post(url, data=body, headers=plain) as answer:
            assert answer.status == 200, await answer.text()


async def _order(session: aiohttp.ClientSession, influx_url: str, statement: str) -> None:
    await (await session.post(f"{influx_url}/query", params={"q": statement})).read()


def _parts(items: Iterator[bytes]) -> Iterator[list[bytes]]:
    while part := list(islice(items, _PART)):
        yield part
