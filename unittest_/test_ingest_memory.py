"""Bodies of 64 MB to the real stores: the service holds a few megabytes of each, and tells what became of all of it."""

from __future__ import annotations

import asyncio
import gzip
import random
import uuid
from collections.abc import AsyncIterator

import aiohttp
import orjson
import pytest

from bench import samples
from bench.running import Running, service

pytestmark = pytest.mark.alone

SIZE = 64 * 2**20
MOST = 32 * 2**20
NDJSON, TEXT = {"content-type": "application/x-ndjson"}, {"content-type": "text/plain"}


@pytest.fixture(scope="module")
async def target(es_url: str, influx_url: str) -> AsyncIterator[tuple[Running, aiohttp.ClientSession, str]]:
    """A service of its own, a client, and the name of an index and a database."""
    name = f"ingest-{uuid.uuid4().hex[:10]}"
    index = {"settings": {"number_of_replicas": 0}, "mappings": {"dynamic": False}}
    async with service(es_url=es_url, influx_url=influx_url) as running, aiohttp.ClientSession(running.url) as client:
        assert (await client.post("/es/index", json={"index": name, **index})).status == 200
        assert (await client.put(f"/influx/{name}")).status == 200
        yield running, client, name
        assert (await client.delete(f"/es/{name}")).status == 200
        assert (await client.delete(f"/influx/{name}")).status == 200


class Watched:
    """The most that a process holds over what it held before, while something is done with it."""

    def __init__(self, running: Running) -> None:
        self._running = running

    def __enter__(self) -> Watched:
        self.base = self._running.resident_bytes()
        self._running.forget_peak()
        return self

    def __exit__(self, *_: object) -> None:
        self.growth = self._running.peak_bytes() - self.base


async def sent(body: bytes) -> AsyncIterator[bytes]:
    """In pieces, as from a file."""
    for start in range(0, len(body), 2**18):
        yield body[start : start + 2**18]
        await asyncio.sleep(0)


async def test_documents_stream_through(target: tuple[Running, aiohttp.ClientSession, str]) -> None:
    running, client, name = target
    few = [b'{"host": "web-%d", "message": "%b"}' % (number, b"words " * 160) for number in range(1_000)]
    assert (await client.post(f"/es/{name}/docs", data=b"\n".join(few), headers=NDJSON)).status == 200
    # One with an id is there already: its item says so, at its place.
    clash = b'{"_id": "one", "host": "web-1"}'
    assert (await client.post(f"/es/{name}/docs", data=clash, headers=NDJSON)).status == 200
    documents = few * (SIZE // len(b"\n".join(few)))
    places = (1, len(documents) // 2, len(documents) - 2)
    for place in places:
        documents[place] = clash
    with Watched(running) as watched:
        answer = await client.post(f"/es/{name}/docs?refresh=true", data=sent(b"\n".join(documents)), headers=NDJSON)
        told = await answer.read()
    assert answer.status == 207
    items = orjson.loads(told)["items"]
    assert len(items) == len(documents)
    assert [place for place, item in enumerate(items) if item["status"] != 201] == list(places)
    assert {items[place]["status"] for place in places} == {409}
    found = await (await client.get(f"/es/{name}", json={"size": 0, "track_total_hits": True})).json()
    assert found["hits"]["total"]["value"] == len(documents) - len(places) + len(few) + 1
    assert watched.growth <= MOST, f"{watched.growth / 2**20:.1f} MiB"


async def test_line_protocol_streams_through(target: tuple[Running, aiohttp.ClientSession, str]) -> None:
    running, client, name = target
    warm = b"\n".join(samples.lines(5_000, "warm"))
    assert (await client.post(f"/influx/{name}/warm/points", data=warm, headers=TEXT)).status == 200
    # The strings hold line feeds: a piece may end at none of them.
    text = b'"' + b"a b=c\n" * 160 + b'"'
    count = SIZE // (len(text) + 40)
    body = b"\n".join(b"cpu,host=web-%d note=%b %d" % (at % 20, text, at * 10**9) for at in range(count))
    with Watched(running) as watched:
        answer = await client.post(f"/influx/{name}/cpu/points", data=sent(body), headers=TEXT)
        told = await answer.json()
    assert (answer.status, told["written"], told["dropped"]) == (200, count, 0)
    asked = {"select": [{"agg": "count", "as": "n"}], "time_range": {"from": "1970-01-01T00:00:00Z"}}
    rows = await (await client.post(f"/influx/{name}/cpu/query", json=asked)).json()
    assert rows["data"] == [{"n": count}]
    assert watched.growth <= MOST, f"{watched.growth / 2**20:.1f} MiB"


async def test_lines_of_any_measurement_are_passed_on(target: tuple[Running, aiohttp.ClientSession, str]) -> None:
    """As Telegraf sends them: InfluxDB's own route, gzip, no length."""
    running, client, name = target
    headers = TEXT | {"content-encoding": "gzip"}
    warm = gzip.compress(b"warm v=1 1")
    assert (await client.post(f"/influx/write?db={name}", data=warm, headers=headers)).status == 204
    text = random.Random(1).randbytes(2**19).hex().encode()
    count = SIZE // 1_040
    body = b"\n".join(
        b'v%d,host=web-%d note="%b" %d' % (at % 3, at % 20, text[at : at + 1_000], at * 10**9) for at in range(count)
    )
    packed = gzip.compress(body, 1)
    assert 60 * 2**20 < len(body) <= SIZE
    with Watched(running) as watched:
        answer = await client.post(f"/influx/write?db={name}", data=sent(packed), headers=headers)
        assert answer.status == 204, await answer.read()
    asked = {"q": "SELECT count(note) FROM /^v/", "db": name}
    found = await (await client.get("/influx/query", params=asked)).json()
    assert sum(series["values"][0][1] for series in found["results"][0]["series"]) == count
    assert watched.growth <= MOST, f"{watched.growth / 2**20:.1f} MiB"
