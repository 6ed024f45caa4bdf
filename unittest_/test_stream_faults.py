"""Streams that end badly: a store that dies under one is never a clean short answer (F2, G19), a client that goes away
frees the store (G20), and memory stays flat however slowly the client reads."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from config.instances import InstanceSettings
from middlewares import stream
from unittest_.fault_proxy import Fault, FaultProxy, faulty
from unittest_.live import Client, service
from unittest_.stream_stores import STORES, Stores, stores

pytestmark = pytest.mark.alone

ROWS = 40_000
CUTS = 24
CSV, NDJSON, ARROW = "text/csv", "application/x-ndjson", "application/vnd.apache.arrow.stream"


@pytest.fixture(scope="module")
async def loaded(tmp_path_factory: pytest.TempPathFactory, es_url: str, influx_url: str) -> AsyncIterator[Stores]:
    async with stores(tmp_path_factory.mktemp("streams"), es_url, influx_url, ROWS) as made:
        yield made


@pytest.fixture
async def proxied(tmp_path: Path, request: pytest.FixtureRequest, es_url: str, influx_url: str) -> AsyncIterator[Any]:
    """(client, proxy before Elasticsearch, proxy before InfluxDB)."""
    async with faulty(es_url) as es, faulty(influx_url) as influx:
        instances = {
            "es-real": InstanceSettings(kind="documents", url=es.url),
            "influx-real": InstanceSettings(kind="series", url=influx.url),
        }
        async with service(tmp_path, instances=instances) as client:
            yield client, es, influx


async def cut_stream(client: Client, path: str, accept: str) -> tuple[int, bytes, bool]:
    """(status, what came, whether the client noticed that it is not whole)."""
    url, headers = client.url + path, {"accept": accept}
    content = bytearray()
    async with client.session.post(url, json={"select": ["n", "text"]}, headers=headers) as response:
        try:
            async for piece in response.content.iter_any():
                content += piece
        except aiohttp.ClientPayloadError:
            return response.status, bytes(content), True
        return response.status, bytes(content), False


@pytest.mark.parametrize("store", ["elasticsearch", "influx"])
async def test_a_store_that_dies_shows_wherever_it_does(loaded: Stores, proxied: Any, store: str) -> None:
    client, es, influx = proxied
    proxy: FaultProxy = es if store == "elasticsearch" else influx
    path = loaded.path(store)
    await proxy.heal()
    status, whole, broken = await cut_stream(client, path, NDJSON)
    assert (status, broken, len(whole.splitlines())) == (200, False, ROWS)
    passed = proxy.passed
    begun = 0
    for at in range(CUTS):
        await proxy.set(Fault(cut=passed * at // CUTS + at, reset=bool(at % 2)))
        accept = (NDJSON, CSV, ARROW)[at % 3]
        status, content, broken = await cut_stream(client, path, accept)
        if status != 200:
            problem = json.loads(content)
            assert (problem["status"], problem["source"]) == (status, path.split("/")[1])
            assert status in (502, 503)
            continue
        begun += 1
        assert broken, (at, accept, len(content))
        if accept == NDJSON:
            last = json.loads(content.splitlines()[-1])
            assert last["error"]["source"] == path.split("/")[1]
            assert all("error" not in json.loads(line) for line in content.splitlines()[:-1][-50:])
    assert begun >= CUTS // 4


async def pits(es_url: str, index: str) -> int:
    """What the store holds open of the index."""
    async with aiohttp.ClientSession() as session, session.get(f"{es_url}/{index}/_stats/search") as response:
        return int((await response.json())["_all"]["total"]["search"]["open_contexts"])


async def searches(es_url: str, index: str) -> int:
    url = f"{es_url}/_tasks?actions=*search*&detailed"
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        nodes = (await response.json())["nodes"].values()
    return sum(index in task.get("description", "") for node in nodes for task in node["tasks"].values())


async def statements(influx_url: str, db: str) -> int:
    """What InfluxDB runs on the database."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{influx_url}/query", params={"q": "SHOW QUERIES"}) as response,
    ):
        rows = (await response.json())["results"][0]["series"][0]["values"]
    return sum(db in row for row in rows)


@pytest.mark.parametrize("store", STORES)
async def test_a_client_that_goes_away_frees_the_store(
    loaded: Stores, proxied: Any, es_url: str, influx_url: str, store: str
) -> None:
    client, es, influx = proxied
    remote = {"elasticsearch": es, "influx": influx}.get(store)
    client = client if remote is not None else loaded.client
    before = await pits(es_url, loaded.name)
    for _ in range(5):
        async with client.session.post(
            client.url + loaded.path(store), json={}, headers={"accept": NDJSON}
        ) as response:
            await response.content.readany()
            if store == "elasticsearch":
                assert await pits(es_url, loaded.name) > before
            response.close()
    until = time.monotonic() + 1.5
    while time.monotonic() < until:
        # A connection whose answer had come whole already is kept, and idle.
        if (
            not await statements(influx_url, loaded.name)
            and await pits(es_url, loaded.name) <= before
            and not await searches(es_url, loaded.name)
        ):
            break
        await asyncio.sleep(0.05)
    else:
        pytest.fail(f"still at work after 1.5 s: {await pits(es_url, loaded.name)} points in time")
    # Nothing of it keeps the store from answering the next.
    status, answer = await client.send("POST", loaded.path(store), json={"limit": 1})
    assert status == 200
    assert len(answer["data"]) == 1


@pytest.mark.parametrize("store", STORES)
async def test_a_client_that_does_not_read_holds_the_store_back(loaded: Stores, store: str) -> None:
    """Back-pressure: rows are fetched as they are taken, not ahead of the client."""
    host, _, port = loaded.client.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=2**12)
    body = json.dumps({}).encode()
    head = f"POST {loaded.path(store)} HTTP/1.1\r\nHost: localhost\r\nAccept: {NDJSON}\r\nContent-Type: application/json\r\n"
    writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    await writer.drain()
    assert b"200" in await reader.readline()
    await asyncio.sleep(0.5)
    before = _rss()
    await asyncio.sleep(0.5)
    assert _rss() - before < 8 * 2**20
    rest = await asyncio.wait_for(_all(reader, writer), 30)
    assert rest.endswith(b"0\r\n\r\n")


@pytest.mark.parametrize("store", ["embedded", "elasticsearch"])  # whose rows are more than the system keeps for it
async def test_a_client_that_stalls_is_cut(
    loaded: Stores, store: str, es_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It gets what was sent and no end mark, and the store is free again."""
    monkeypatch.setattr(stream, "STALLED_SECONDS", 0.5)
    before = await pits(es_url, loaded.name)
    host, _, port = loaded.client.url.removeprefix("http://").partition(":")
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    held.connect((host, int(port)))
    reader, writer = await asyncio.open_connection(sock=held, limit=2**12)
    head = f"POST {loaded.path(store)} HTTP/1.1\r\nHost: localhost\r\nAccept: {NDJSON}\r\nContent-Type: application/json\r\n"
    writer.write(f"{head}Content-Length: 2\r\n\r\n{{}}".encode())
    assert b"200" in await reader.readline()
    await asyncio.sleep(3)
    end = b""
    with suppress(ConnectionResetError):
        while piece := await asyncio.wait_for(reader.read(65_536), 10):
            end = (end + piece)[-8:]
    assert not end.endswith(b"0\r\n\r\n")
    writer.close()
    async with asyncio.timeout(2):
        while await pits(es_url, loaded.name) > before:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def _all(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    end = b""
    while not end.endswith(b"\r\n0\r\n\r\n") and (piece := await reader.read(65_536)):
        end = (end + piece)[-64:]
    writer.close()
    return end


def _rss() -> int:
    """This process' resident bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
