"""Two replicas on real stores behind a real nginx under `/hm/`, round robin, with deploy/nginx.conf (T27, T28, G33)."""

from __future__ import annotations

import asyncio
import re
import socket
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from yarl import URL

from bench import samples
from unittest_.conformance.case import bound
from unittest_.conformance.cases import cases
from unittest_.conformance.data import data_sets
from unittest_.conformance.stores import Store, store_ids
from unittest_.fault_proxy import HEALTHY, Fault, FaultProxy, faulty
from unittest_.gateway import BASE, Gateway, gateway
from unittest_.live import Client
from unittest_.reference import answer, differences
from unittest_.running_app import exchange

ROWS = 300_000
KEY = "a-first-key-of-the-tests-0123456789"
NDJSON, TEXT = {"content-type": "application/x-ndjson"}, {"content-type": "text/plain"}
ALL = {"from": "1970-01-01T00:00:00Z"}


@dataclass
class Behind:
    """What is behind the gateway, and a client of it that shows the key; `name` is an index's and a database's."""

    gateway: Gateway
    client: Client
    es: FaultProxy
    influx: FaultProxy
    name: str

    def replica(self, number: int) -> Client:
        """A client of one replica alone."""
        return Client(f"http://127.0.0.1:{self.gateway.ports[number]}{BASE}", self.client.session)

    async def get(self, path: str, **more: Any) -> aiohttp.ClientResponse:
        """An answer with its headers; `path` is from the gateway's root."""
        url = URL(f"http://127.0.0.1:{self.gateway.port}{path}", encoded=True)
        return await self.client.session.get(url, allow_redirects=False, **more)


@pytest.fixture(scope="module")
async def behind(tmp_path_factory: pytest.TempPathFactory, es_url: str, influx_url: str) -> AsyncIterator[Behind]:
    folder = tmp_path_factory.mktemp("nginx")
    name = f"nginx-{uuid.uuid4().hex[:10]}"
    port, *ports = free_ports(3)
    async with AsyncExitStack() as stack:
        es = await stack.enter_async_context(faulty(es_url))
        influx = await stack.enter_async_context(faulty(influx_url))
        settings = {"ES_URL": es.url, "INFLUX_URL": influx.url, "API_KEY": KEY, "LIMITS__CATALOG_SECONDS": "1"}
        running, client = await stack.enter_async_context(gateway(folder, tuple(ports), port, **settings))
        client.session.headers["x-api-key"] = KEY
        mapping = {"properties": {"host": {"type": "keyword"}, "n": {"type": "long"}}}
        await client.ok("POST", "/es/index", json={"index": name, "mappings": mapping})
        await client.ok("PUT", f"/influx/{name}")
        lines = b"\n".join(b'{"host": "web-%d", "n": %d}' % (at % 3, at) for at in range(1_000))
        await client.ok("POST", f"/es/{name}/docs?refresh=true", data=lines, headers=NDJSON)
        yield Behind(running, client, es, influx, name)
        await client.ok("DELETE", f"/es/{name}")
        await client.ok("DELETE", f"/influx/{name}")


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


async def test_the_page_and_the_document(behind: Behind) -> None:
    moved = await behind.get("/hm")
    assert (moved.status, URL(moved.headers["location"]).path) == (308, "/hm/")
    page = await behind.get("/hm/")
    assert (page.status, page.content_type) == (200, "text/html")
    files = re.findall(r'(?:src|href)="([^"#]+)"', await page.text())
    assert len(files) >= 4
    for file in files:
        assert (await behind.get(URL("/hm/").join(URL(file)).path)).status == 200, file
    document = await (await behind.get("/hm/openapi.json")).json()
    assert document["servers"] == [{"url": "/hm"}]
    spoofed = {
        "x-forwarded-host": "evil.example",
        "x-forwarded-proto": "https",
        "x-forwarded-prefix": "/evil",
        "forwarded": "host=evil.example;proto=https",
        "x-original-url": "/evil",
    }
    assert await (await behind.get("/hm/openapi.json", headers=spoofed)).json() == document


async def test_nobody_gets_an_address_of_another_by_a_header(behind: Behind) -> None:
    spoofed = {"x-forwarded-for": "10.9.8.7", "x-real-ip": "10.9.8.7", "forwarded": "for=10.9.8.7", "via": "10.9.8.7"}
    for _ in range(2):
        assert (await behind.get("/hm/es/node", headers=spoofed)).status == 200
    lines = [
        orjson.loads(line)
        for number in range(2)
        for line in (behind.gateway.folder / f"logs-{number}" / "access.log").read_bytes().splitlines()
    ]
    assert {line["client"] for line in lines} == {"127.0.0.1"}


async def test_ids_pass_through(behind: Behind) -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    told = await behind.get("/hm/es/node", headers={"x-request-id": "asked-by-me", "traceparent": trace})
    assert told.headers["x-request-id"] == "asked-by-me"
    assert told.headers["traceparent"].split("-")[1] == trace.split("-")[1]
    assert behind.gateway.log()[-1]["id"] == "asked-by-me"
    assert (await behind.get("/hm/health/live")).headers["x-request-id"] not in ("", "asked-by-me")


async def test_names_pass_as_they_were_sent(behind: Behind) -> None:
    """A gateway that decodes a path would make other names of these (T1)."""
    odd = "a%2Fb%20c%25"
    await behind.client.ok("PUT", f"/influx/{behind.name}/{odd}", json={"time": 1, "tags": {}, "fields": {"n": 1.5}})
    found = await behind.client.ok("GET", f"/influx/{behind.name}/{odd}")
    assert found["field_keys"]["name"] == "a/b c%"
    status, told = await behind.client.send("GET", f"/es/{behind.name}/..%2f..%2f_cluster/doc/1")
    assert status in (400, 404), told


@pytest.mark.parametrize(
    "framing",
    [
        "Transfer-Encoding: chunked\r\nContent-Length: {length}",
        "Content-Length: {length}\r\nTransfer-Encoding: chunked",
        "Content-Length: {length}\r\nTransfer-Encoding : chunked",
        "Content-Length: {length}\r\nTransfer-Encoding: xchunked",
        "Content-Length: {length}\r\nTransfer-Encoding:\x0bchunked",
        "Content-Length: {length}\r\nX: y\nTransfer-Encoding: chunked",
        "Content-Length: {length}\r\nContent-Length: 5",
        "Content-Length: +{length}",
    ],
)
async def test_no_second_request_is_found_in_a_body(behind: Behind, framing: str) -> None:
    """What one reader takes for a body and another for the next request (T15)."""
    hidden = f"GET {BASE}/smuggled HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Api-Key: {KEY}\r\n\r\n"
    body = f"0\r\n\r\n{hidden}"
    head = f"POST {BASE}/es/{behind.name}/query HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Api-Key: {KEY}\r\n"
    request = head + framing.format(length=len(body)) + f"\r\n\r\n{body}"
    answered = await exchange(f"http://127.0.0.1:{behind.gateway.port}", request.encode("latin-1"))
    assert re.match(rb"HTTP/1\.1 (4\d\d|501) ", answered), answered[:200]
    assert (await behind.get("/hm/health/live")).status == 200
    for number in range(2):
        assert b"smuggled" not in (behind.gateway.folder / f"logs-{number}" / "access.log").read_bytes()


async def test_pages_are_followed_at_any_replica(behind: Behind) -> None:
    before = len(behind.gateway.log())
    page = await behind.get(f"/hm/es/{behind.name}/rows?limit=100&order=n")
    rows: list[int] = []
    while True:
        assert page.status == 200
        rows += [row["n"] for row in (await page.json())["data"]]
        link = re.fullmatch(r'<(.+)>; rel="next"', page.headers.get("link", ""))
        if link is None:
            break
        assert link[1].startswith("/hm/mix/cursor/")
        page = await behind.get(link[1])
    assert rows == list(range(1_000))
    assert len(set(behind.gateway.answered_by(before))) == 2

    body = {"limit": 300, "order_by": ["n"], "select": ["n"]}
    told = await behind.client.ok("POST", f"/es/{behind.name}/query", json=body)
    rows = [row["n"] for row in told["data"]]
    while told["page"]["has_more"]:
        asked = {"cursor": told["page"]["cursor"]}
        told = await behind.client.ok("POST", f"/es/{behind.name}/query", json=asked)
        rows += [row["n"] for row in told["data"]]
    assert rows == list(range(1_000))

    status, told = await behind.client.send("GET", "/mix/cursor/" + "A" * 60)
    assert (status, told["code"]) == (400, "CURSOR_INVALID")


async def test_clients_of_influxdb_and_one_document_behind_the_gateway(behind: Behind) -> None:
    client, db = behind.client, {"db": behind.name}
    assert (await behind.get("/hm/influx/ping")).status == 204
    for at in range(4):
        line = f"v1,host=web-{at} n={at} {at + 1}".encode()
        async with client.session.post(f"{client.url}/influx/write", params=db, data=line) as written:
            assert written.status == 204, await written.text()
    asked = db | {"q": "SELECT n FROM v1", "epoch": "ns", "chunked": "true", "chunk_size": "1"}
    async with client.session.get(f"{client.url}/influx/query", params=asked) as told:
        chunks = [orjson.loads(line) for line in (await told.text()).splitlines()]
    assert [chunk["results"][0]["series"][0]["values"] for chunk in chunks] == [[[at + 1, at]] for at in range(4)]

    path = f"/es/{behind.name}/doc/a%2Fb"
    url = URL(client.url + path, encoded=True)
    async with client.session.put(url, json={"host": "x"}, headers={"if-none-match": "*"}) as made:
        assert made.status == 201
        tag = made.headers["etag"]
    async with client.session.put(url, json={"host": "y"}, headers={"if-match": tag}) as changed:
        assert changed.status == 200
    for number in range(2):
        other = URL(behind.replica(number).url + path, encoded=True)
        async with client.session.delete(other, headers={"if-match": tag}) as late:
            assert late.status == 412
    await client.ok("DELETE", path)


async def test_jobs_are_asked_for_at_any_replica(behind: Behind) -> None:
    headers = {"prefer": "respond-async"}
    body = {"select": ["n"], "order_by": ["n"]}
    locations = []
    for _ in range(2):
        url = f"{behind.client.url}/es/{behind.name}/query"
        async with behind.client.session.post(url, json=body, headers=headers) as taken:
            assert taken.status == 202
            locations.append(taken.headers["location"])
    assert {location[len("/hm/mix/job/") :][:2] for location in locations} == {"00", "01"}
    for location in locations:
        path = location.removeprefix(BASE)
        for number in range(2):
            client = behind.replica(number)
            await until(partial(done, client, path))
            assert await rows_of_job(client, path) == list(range(1_000))
            csv = await client.session.get(f"{client.url}{path}/result", headers={"accept": "text/csv"})
            assert (await csv.text()).split() == ["n", *map(str, range(1_000))]
    listed = await behind.client.ok("GET", "/mix/job")
    assert {job["id"] for job in listed["data"]} == {location.rpartition("/")[2] for location in locations}
    for location in locations:
        await behind.replica(0).ok("DELETE", location.removeprefix(BASE))
        status, told = await behind.replica(1).send("GET", location.removeprefix(BASE))
        assert (status, told["code"]) == (404, "JOB_UNKNOWN")


async def done(client: Client, path: str) -> bool:
    return bool((await client.ok("GET", path))["data"]["state"] == "done")


async def rows_of_job(client: Client, path: str) -> list[int]:
    told = await client.ok("GET", f"{path}/result?limit=400")
    rows = [row["n"] for row in told["data"]]
    while told["page"]["cursor"]:
        told = await client.ok("GET", f"/mix/cursor/{told['page']['cursor']}")
        rows += [row["n"] for row in told["data"]]
    return rows


async def until(holds: Callable[[], Awaitable[bool]], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not await holds():
        assert time.monotonic() < end
        await asyncio.sleep(0.1)


async def test_what_is_kept_at_one_is_there_at_the_other(behind: Behind) -> None:
    one, other = behind.replica(0), behind.replica(1)
    source = {"from": {"source": "es", "index": behind.name}, "where": {"field": "n", "op": "lt", "value": 3}}
    await one.ok("PUT", "/mix/saved/few", json=source)
    await other.ok(
        "PUT", "/mix/lookup/owners", data="host,owner\nweb-0,ann\nweb-1,bo\n", headers={"content-type": "text/csv"}
    )
    joined = source | {
        "select": ["n", "host"],
        "order_by": ["n"],
        "join": [{"how": "inner", "as": "o", "on": ["host"], "with": {"from": {"source": "mix", "lookup": "owners"}}}],
    }
    for client in (one, other):
        assert len((await client.ok("GET", "/mix/saved/few"))["data"]) == 3
        told = await client.ok("POST", "/mix/query", json=joined)
        assert [list(row.values())[-1] for row in told["data"]] == ["ann", "bo"]
    await one.ok("DELETE", "/mix/lookup/owners")
    status, _ = await other.send("GET", "/mix/lookup/owners")
    assert status == 404
    await other.ok("DELETE", "/mix/saved/few")


async def test_a_key_is_asked_for(behind: Behind) -> None:
    async with aiohttp.ClientSession() as stranger:
        for path, status in (("/health/live", 200), ("/openapi.json", 200), ("/es/node", 401), ("/metrics", 401)):
            assert (await stranger.get(behind.client.url + path)).status == status, path
    # Made at neither of them, known at both.
    made = await asyncio.to_thread(behind.gateway.command, "keys", "add", "reader", "--allow", "read")
    key = {"x-api-key": made.split()[-1]}
    async with aiohttp.ClientSession(headers=key) as reader:
        for number in range(2):
            url = behind.replica(number).url

            async def known(url: str = url) -> bool:
                return (await reader.get(f"{url}/es/index")).status == 200

            await until(known)
            assert (await reader.put(f"{url}/influx/not-allowed")).status == 403


async def test_a_request_sent_again_to_the_other_has_its_effect_once(behind: Behind) -> None:
    path, headers = f"/es/{behind.name}/docs?refresh=true", NDJSON | {"idempotency-key": uuid.uuid4().hex}
    answers = []
    for number in range(2):
        url = behind.replica(number).url + path
        async with behind.client.session.post(url, data=b'{"host": "once"}\n', headers=headers) as told:
            answers.append((told.status, await told.json(), told.headers.get("idempotency-replayed")))
    assert answers[0][:2] == answers[1][:2]
    assert (answers[0][2], answers[1][2]) == (None, "true")
    counted = {"where": {"field": "host", "op": "eq", "value": "once"}, "select": [{"agg": "count", "as": "n"}]}
    assert (await behind.client.ok("POST", f"/es/{behind.name}/query", json=counted))["data"] == [{"n": 1}]


async def test_a_new_field_is_seen_by_the_other_within_the_catalogue_s_time(behind: Behind) -> None:
    one, other = behind.replica(0), behind.replica(1)
    index = f"{behind.name}-fields"
    await one.ok("POST", "/es/index", json={"index": index})
    await one.ok("PUT", f"/es/{index}?refresh=true", json={"old": 1})
    query = {"select": ["fresh"], "where": {"field": "fresh", "op": "eq", "value": 7}}
    assert (await other.send("POST", f"/es/{index}/query", json=query))[0] == 422
    await one.ok("PUT", f"/es/{index}?refresh=true", json={"fresh": 7})

    async def seen() -> bool:
        status, told = await other.send("POST", f"/es/{index}/query", json=query)
        return status == 200 and told["data"] == [{"fresh": 7}]

    await until(seen)
    await one.ok("DELETE", f"/es/{index}")
    status, told = await other.send("POST", f"/es/{index}/query", json=query)
    assert (status, told["code"]) == (404, "INDEX_UNKNOWN") or told.get("data") == []


async def test_a_stream_arrives_while_it_is_made(behind: Behind) -> None:
    lines = b"\n".join(samples.lines(ROWS, "cpu"))
    told = await behind.client.ok("POST", f"/influx/{behind.name}/cpu/points", data=lines, headers=TEXT)
    assert told["written"] == ROWS
    url, body = f"{behind.client.url}/influx/{behind.name}/cpu/query", {"time_range": ALL}
    accept = {"accept": "application/x-ndjson"}
    rows = 0
    async with behind.client.session.post(url, json=body, headers=accept) as stream:
        assert (stream.status, stream.headers.get("x-accel-buffering")) == (200, None)
        async for piece in stream.content.iter_any():
            rows += piece.count(b"\n")
    assert rows == ROWS
    # The store says nothing more behind the first rows: those are here all the same.
    await behind.influx.set(Fault(cut=4 << 20, stall=True))
    async with behind.client.session.post(url, json=body, headers=accept) as stream:
        first = await asyncio.wait_for(stream.content.readany(), 20)
        assert first.startswith(b"{")
    await behind.influx.set(HEALTHY)


async def test_a_sick_store_is_told_and_takes_no_replica_out(behind: Behind) -> None:
    before = len(behind.gateway.log())
    await behind.es.set(Fault(cut=0, reset=True))
    for _ in range(6):
        answered = await behind.get(f"/hm/es/{behind.name}")
        assert (answered.status, answered.headers["x-hm-store-fault"]) == (503, "es")
        assert (await answered.json())["code"] == "STORE_UNAVAILABLE"
        assert (await behind.get(f"/hm/influx/{behind.name}")).status == 200
    await behind.es.set(HEALTHY)
    assert (await behind.get(f"/hm/es/{behind.name}")).status == 200
    log = behind.gateway.log()[before:]
    assert {line["upstream"] for line in log} == {f"127.0.0.1:{port}" for port in behind.gateway.ports}
    assert [line["store_fault"] for line in log if line["status"] == 503] == ["es"] * 6


@pytest.mark.parametrize("identity", [store for store in store_ids() if store.folder in ("es", "influx")], ids=str)
async def test_the_conformance_suite_through_the_gateway(behind: Behind, tmp_path: Path, identity: Any) -> None:
    """Every named case, eight at a time, against the reference at the time of asking."""
    instance = identity.folder
    before = len(behind.gateway.log())
    store = Store.open(identity, tmp_path, f"gateway-{uuid.uuid4().hex[:8]}")
    asked = [case for case in cases() if identity.kind in case.kinds and case.name not in identity.known_limits]
    places = asyncio.Semaphore(8)
    wrong: list[str] = []

    async def ask(case: Any) -> None:
        data = data_sets()[case.data]
        target = "/".join(await store.target(data))
        body = bound(case.body, data.time_field(identity.kind))
        async with places:
            status, told = await behind.client.send("POST", f"/{instance}/{target}/query", json=body)
        if case.error is not None:
            wrong.extend([f"{case.name}: {status}"] if told.get("code") != case.error else [])
            return
        if status != 200:
            wrong.append(f"{case.name}: {status} {told}")
            return
        expected = answer(body, {"": data.tables[identity.kind]}, time.time_ns())
        wrong.extend(f"{case.name}: {line}" for line in differences(expected, told))

    try:
        for name in {case.data for case in asked}:
            await store.target(data_sets()[name])
        await asyncio.gather(*map(ask, asked))
    finally:
        await store.close()
    assert not wrong, "\n".join(wrong[:20])
    assert len(asked) > 200
    assert len(set(behind.gateway.answered_by(before))) == 2


async def test_replicas_that_die_and_come_back(behind: Behind) -> None:
    """Behind all others: it kills what they use."""
    running, query = behind.gateway, {"limit": 1}
    path = f"/es/{behind.name}/query"
    told = await behind.replica(0).ok("POST", path, json={"limit": 100})
    running.kill(0)
    for _ in range(6):
        assert (await behind.client.send("POST", path, json=query))[0] == 200
    # What the dead one held is gone, and said so: its cursor cannot be followed until it is back, and then is over.
    status, lost = await behind.client.send("GET", f"/mix/cursor/{told['page']['cursor']}")
    assert (status, lost["code"], lost["source"]) == (503, "STORE_UNAVAILABLE", "replica-0")
    running.kill(1)
    answered = await behind.get("/hm/health/live")
    assert answered.status == 502
    for number in range(2):
        running.start(number)
    await running.ready(behind.client.session)
    assert (await behind.client.send("POST", path, json=query))[0] == 200
    status, lost = await behind.client.send("GET", f"/mix/cursor/{told['page']['cursor']}")
    assert (status, lost["code"]) == (410, "CURSOR_EXPIRED")
