"""Bodies that would hang or fill a careless service: each is a 4xx in time, nothing is written, memory does not grow.

T4, T10, T11, T12, T13 of the reliability table. The service runs in a process of its own, whose memory is looked at, once over
its embedded stores and once over the real ones, which have to outlive it all.
"""

from __future__ import annotations

import asyncio
import gzip
import re
import signal
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from yarl import URL

from unittest_.bombs import ANY_JSON, DOCUMENTS, DSL, GZIP, LINES, MEBIBYTE, POINTS, QUERIES, in_array
from unittest_.live import Client
from unittest_.test_service import awaited, start

JSON, NDJSON, TEXT = "application/json", "application/x-ndjson", "text/plain"
SECONDS = 20.0
GROWTH = 80 * MEBIBYTE
QUERY_PATHS = (
    "/es/bombs/query",
    "/influx/bombs/cpu/query",
    "/es/bombs/query/explain",
    "/influx/bombs/cpu/query/validate",
)


@dataclass
class Target:
    """The service under fire: its address, and what its process holds in memory."""

    client: Client
    pid: int
    name: str
    wrong: list[str] = field(default_factory=list)

    def memory(self, name: str) -> int:
        """VmRSS or VmHWM (the peak) in bytes."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        found = re.search(rf"{name}:\s+(\d+) kB", status)
        assert found
        return int(found[1]) * 1024

    def forget_peak(self) -> None:
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def url(self, path: str) -> URL:
        """A path's address; `bombs` in it stands for the name of this run's index and database."""
        return URL(self.client.url + path.replace("/bombs", f"/{self.name}"), encoded=True)

    async def refused(self, name: str, method: str, path: str, body: Any, **headers: str) -> int:
        """Sends a body that has to be a 4xx in time; what is not is noted. The status."""
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        url = self.url(path)
        started = time.monotonic()
        async with self.client.session.request(method, url, data=body, headers=named) as response:
            status, content = response.status, await response.read()
        told = f"{name} to {method} {path}: {status} {content[:200]!r}"
        if time.monotonic() - started > SECONDS:
            self.wrong.append(f"{told}: {time.monotonic() - started:.1f} s")
        if not 400 <= status < 500:
            self.wrong.append(told)
        elif response.content_type != "application/problem+json" or orjson.loads(content)["result"] is not False:
            self.wrong.append(f"{told}: no problem")
        return status

    def done(self) -> None:
        wrong, self.wrong = self.wrong, []
        assert not wrong, "\n".join(wrong)


@pytest.fixture(scope="module", params=["embedded", "real"])
async def running(
    request: pytest.FixtureRequest, es_url: str, influx_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Target]:
    folder = tmp_path_factory.mktemp("bombs")
    stores = {"HOSTMONITOR_ES_URL": es_url, "HOSTMONITOR_INFLUX_URL": influx_url} if request.param == "real" else {}
    folders = {"HOSTMONITOR_DATA_DIR": str(folder / "data"), "HOSTMONITOR_LOG_DIR": str(folder / "logs")}
    process = start("serve", HOSTMONITOR_PORT="0", **folders, **stores)
    try:
        said = await asyncio.to_thread(awaited, process, '"event":"serving"')
        url = re.findall(r'"url":"(http://[^"]+)/"', said)[-1]
        drained = asyncio.create_task(asyncio.to_thread(process.communicate))
        async with aiohttp.ClientSession() as session:
            target = Target(Client(url, session), process.pid, f"bombs{uuid.uuid4().hex[:12]}")
            try:
                await load(target.client, target.name)
                yield target
            finally:
                await target.client.ok("DELETE", f"/es/{target.name}")
                await target.client.ok("DELETE", f"/influx/{target.name}")
        process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(drained, 60)
        assert process.returncode == 0
    finally:
        process.kill()


async def load(client: Client, name: str) -> None:
    """A document and a point, asked for once."""
    properties = {"host": {"type": "keyword"}, "v": {"type": "double"}}
    await client.ok("POST", "/es/index", json={"index": name, "mappings": {"properties": properties}})
    await client.ok("PUT", f"/es/{name}?refresh=true", json={"host": "a", "v": 1.5})
    await client.ok("PUT", f"/influx/{name}")
    await client.ok("PUT", f"/influx/{name}/cpu", json={"tags": {"host": "a"}, "fields": {"v": 1.5}, "time": 1})
    for path in QUERY_PATHS:
        await client.ok("POST", path.replace("/bombs", f"/{name}"), json={})


@pytest.fixture
async def target(running: Target) -> AsyncIterator[Target]:
    """The service, whose stores hold after a test what they held before, and whose memory has not grown."""
    before = await counts(running)
    settled = running.memory("VmRSS")
    yield running
    assert await counts(running) == before
    assert running.memory("VmRSS") - settled < GROWTH
    running.done()


async def counts(target: Target) -> Mapping[str, Any]:
    """What both stores hold: counts, fields, and the names of whatever has this run's."""
    client, name = target.client, target.name
    count = {"select": [{"agg": "count", "as": "n"}]}
    return {
        "names": (await client.ok("GET", f"/mix/resource/{name}"))["instances"],
        "documents": (await client.ok("POST", f"/es/{name}/query", json=count))["data"],
        "mappings": (await client.ok("GET", f"/es/{name}/schema"))["data"]["mappings"],
        "measurements": await client.ok("GET", f"/influx/{name}"),
        "points": (await client.ok("POST", f"/influx/{name}/cpu/query", json=count))["data"],
        "keys": await client.ok("GET", f"/influx/{name}/cpu"),
    }


@pytest.mark.parametrize("name", ANY_JSON)
async def test_no_route_takes_broken_or_deep_json(target: Target, name: str) -> None:
    body = ANY_JSON[name]
    for path in QUERY_PATHS:
        await target.refused(name, "POST", path, body, content_type=JSON)
    await target.refused(name, "POST", "/mix/query", body, content_type=JSON)
    await target.refused(name, "GET", "/es/bombs", body, content_type=JSON)
    await target.refused(name, "POST", "/es/index", body, content_type=JSON)
    await target.refused(name, "POST", "/influx/db", body, content_type=JSON)
    await target.refused(name, "PUT", "/influx/bombs/cpu", body, content_type=JSON)
    for path in ("/es/bombs/docs", "/influx/bombs/cpu/points"):
        await target.refused(name, "POST", path, body, content_type=JSON)
        await target.refused(name, "POST", path, in_array(body), content_type=JSON)
        await target.refused(name, "POST", path, body + b"\n", content_type=NDJSON)


@pytest.mark.parametrize("name", QUERIES)
async def test_queries_are_bounded(target: Target, name: str) -> None:
    for path in QUERY_PATHS:
        body = QUERIES[name].replace(b"$time", b"@timestamp" if path.startswith("/es/") else b"time")
        await target.refused(name, "POST", path, body, content_type=JSON)


@pytest.mark.parametrize("name", DSL)
async def test_the_query_dsl_is_bounded(target: Target, name: str) -> None:
    await target.refused(name, "GET", "/es/bombs", DSL[name], content_type=JSON)


@pytest.mark.parametrize("name", POINTS)
async def test_points_are_bounded(target: Target, name: str) -> None:
    body = POINTS[name]
    if len(body) <= 2 * MEBIBYTE:
        await target.refused(name, "PUT", "/influx/bombs/cpu", body, content_type=JSON)
    right = b'{"time": 2, "fields": {"v": 2.5}}'
    path = "/influx/bombs/cpu/points"
    await target.refused(name, "POST", path, in_array(right + b"," + body), content_type=JSON)
    await target.refused(name, "POST", path, right + b"\n" + body + b"\n", content_type=NDJSON)


@pytest.mark.parametrize("name", DOCUMENTS)
async def test_documents_are_bounded(target: Target, name: str) -> None:
    """A document alone is refused; among others it is the one item that failed, or all of them are refused."""
    body = DOCUMENTS[name]
    if len(body) <= 2 * MEBIBYTE:
        await target.refused(name, "PUT", "/es/bombs", body, content_type=JSON)
    for media_type, sent in ((JSON, in_array(body)), (NDJSON, body + b"\n")):
        url = target.url("/es/bombs/docs?refresh=true")
        started = time.monotonic()
        async with target.client.session.post(url, data=sent, headers={"content-type": media_type}) as response:
            status, answer = response.status, orjson.loads(await response.read())
        assert time.monotonic() - started < SECONDS
        if status == 207:
            assert [400 <= item["status"] < 500 for item in answer["items"]] == [True], answer
        else:
            assert 400 <= status < 500, answer


@pytest.mark.parametrize("name", LINES)
async def test_line_protocol_is_bounded(target: Target, name: str) -> None:
    await target.refused(name, "POST", "/influx/bombs/cpu/points", LINES[name], content_type=TEXT)


@pytest.mark.parametrize("name", GZIP)
async def test_gzip_is_bounded(target: Target, name: str) -> None:
    """T12: neither ratio nor members nor broken ends get through, and the memory's peak stays low too."""
    body = await asyncio.to_thread(GZIP[name])
    target.forget_peak()
    before = target.memory("VmRSS")
    for path, media_type in (
        ("/es/bombs/docs", NDJSON),
        ("/es/bombs/docs", JSON),
        ("/influx/bombs/cpu/points", NDJSON),
        ("/influx/bombs/cpu/points", TEXT),
    ):
        await target.refused(name, "POST", path, body, content_type=media_type, content_encoding="gzip")
    assert target.memory("VmHWM") - before < GROWTH


async def test_gzip_is_read_where_it_is_right(running: Target) -> None:
    lines = [b'{"time": %d, "fields": {"v": 1.5}}\n' % at for at in (7, 8)]
    headers = {"content-type": NDJSON, "content-encoding": "gzip"}
    body = b"".join(map(gzip.compress, lines))
    told = await running.client.ok("POST", f"/influx/{running.name}/packed/points", data=body, headers=headers)
    assert told["written"] == 2
    await running.client.ok("DELETE", f"/influx/{running.name}/packed")


@pytest.mark.parametrize("encoding", ["br", "zstd", "deflate", "compress", "gzip, gzip", "x"])
async def test_other_encodings_are_refused(target: Target, encoding: str) -> None:
    for path in ("/es/bombs/docs", "/influx/bombs/cpu/points"):
        status = await target.refused(encoding, "POST", path, b"{}", content_type=NDJSON, content_encoding=encoding)
        assert status == 415
    for path in QUERY_PATHS:
        for one in (encoding, "gzip"):
            status = await target.refused(one, "POST", path, b"{}", content_type=JSON, content_encoding=one)
            assert status == 415


async def in_chunks(body: bytes, size: int) -> AsyncIterator[bytes]:
    for at in range(0, len(body), size):
        yield body[at : at + size]


@pytest.mark.parametrize("chunked", [False, True])
async def test_bodies_past_their_size(target: Target, chunked: bool) -> None:
    """T13: 2 MB, and 64 MB of ingest, with and without a Content-Length."""

    def sent(body: bytes) -> Any:
        return in_chunks(body, 65_536) if chunked else body

    text = orjson.dumps({"where": {"field": "host", "op": "eq", "value": "x" * 2 * MEBIBYTE}})
    for path in (*QUERY_PATHS, "/mix/query", "/es/index"):
        assert await target.refused("2 MB", "POST", path, sent(text), content_type=JSON) == 413
    assert await target.refused("2 MB", "PUT", "/es/bombs", sent(text), content_type=JSON) == 413
    assert await target.refused("10 MB", "POST", QUERY_PATHS[0], sent(b" " * 10 * MEBIBYTE), content_type=JSON) == 413
    large = b" " * (64 * MEBIBYTE) + b"{}"
    for path in ("/es/bombs/docs", "/influx/bombs/cpu/points"):
        assert await target.refused("64 MB", "POST", path, sent(large), content_type=NDJSON) == 413


async def test_many_tiny_chunks(target: Target) -> None:
    body = b" " * 20_000 + b'{"limit": 0}'
    await target.refused("tiny chunks", "POST", QUERY_PATHS[0], in_chunks(body, 1), content_type=JSON)


async def test_a_length_that_lies(target: Target) -> None:
    """Shorter than the body: what is left is no request. Longer: the client never gets an answer to half a body."""
    host, _, port = target.client.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b'POST /mix/query HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}{"from": 1}\r\n\r\n')
    received = await asyncio.wait_for(reader.read(65_536), SECONDS)
    received += await asyncio.wait_for(reader.read(65_536), SECONDS)
    assert received.startswith(b"HTTP/1.1 4")
    assert received.count(b"HTTP/1.1 4") == received.count(b"HTTP/1.1 ") == 2
    writer.close()
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b'POST /influx/db HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"db": "half"}')
    writer.write_eof()
    await asyncio.wait_for(reader.read(), SECONDS)
    writer.close()
    listed = await target.client.ok("GET", "/influx/db")
    assert ["half"] not in listed["results"][0]["series"][0]["values"]
