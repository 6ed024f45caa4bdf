"""Stores that are down, hang, drip, reset, or answer nonsense: a typed error within its time, naming the source.

F1, F3, F4, F5, F9, F29; G9, G15, G16, G33 of the reliability table. The stores are real, a fault proxy stands before each.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from config.instances import InstanceSettings
from unittest_.fault_proxy import HANG, Fault, http
from unittest_.faulty_stores import (
    BODY,
    CONNECTIONS,
    DEADLINE,
    GROUPS,
    PATIENT,
    ROWS,
    Faulty,
    closed_port,
    faulty_stores,
    others_go_on,
    send,
    until,
    wrongs,
)
from unittest_.live import service
from unittest_.test_error_shape import Answer

pytestmark = pytest.mark.alone


@pytest.fixture(scope="module")
async def stores(es_url: str, influx_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Faulty]:
    async with faulty_stores(es_url, influx_url, tmp_path_factory.mktemp("faults")) as stores:
        yield stores


@pytest.fixture(params=["es", "influx"])
async def source(stores: Faulty, request: pytest.FixtureRequest) -> AsyncIterator[str]:
    name: str = request.param
    await stores.proxies[name].heal()
    yield name
    await stores.proxies[name].heal()


async def test_a_store_that_is_down(stores: Faulty, tmp_path: Path) -> None:
    """F9's plainest: nothing listens. Each route says so at once; the others go on; ready stays 200 (G15, G33)."""
    down = f"http://127.0.0.1:{closed_port()}"
    instances = {"es-here": InstanceSettings(kind="documents")}
    async with service(tmp_path, es_url=down, influx_url=down, instances=instances) as client:
        here = Faulty(client, {}, stores.name, {})
        for source in ("es", "influx"):
            found: list[str] = []
            for method, path, arguments in here.routes(source):
                started = time.monotonic()
                answer = await send(client, method, path, **arguments)
                found += wrongs(answer, source, ["STORE_UNAVAILABLE"], [503])
                assert time.monotonic() - started < 2, path
            assert not found, "\n".join(found)
        await client.ok("POST", "/es-here/index", json={"index": "here"})
        found_by_name = (await client.ok("GET", "/mix/resource/here"))["instances"]
        assert found_by_name["es-here"] == {"kind": "documents", "status": "ok", "indices": ["here"]}
        assert found_by_name["es"]["status"] == found_by_name["influx"]["status"] == "down"
        assert found_by_name["es"]["code"] == "STORE_UNAVAILABLE"
        ready = (await client.ok("GET", "/health/ready"))["data"]
        assert ready["status"] == "ready"
        assert {name: one["state"] for name, one in ready["sources"].items()} == {
            "es": "down", "influx": "down", "es-here": "up"
        }  # fmt: skip


async def test_no_store_at_all_is_unready(tmp_path: Path) -> None:
    down = f"http://127.0.0.1:{closed_port()}"
    async with service(tmp_path, es_url=down, influx_url=down) as client:
        status, told = await client.send("GET", "/health/ready")
        assert (status, told["data"]["status"]) == (503, "unready")
        assert (await client.ok("GET", "/health/live"))["data"]["status"] == "live"


async def test_nodes_of_a_region_with_one_down(stores: Faulty, tmp_path: Path) -> None:
    down = f"http://127.0.0.1:{closed_port()}"
    instances = {
        "es-north": InstanceSettings(kind="documents", region="north"),
        "influx-north": InstanceSettings(kind="series", region="north", url=down),
        "es-south": InstanceSettings(kind="documents", region="south"),
    }
    async with service(tmp_path, instances=instances) as client:
        told = await client.ok("GET", "/mix/node/north")
        assert told["region"] == "north"
        assert set(told["instances"]) == {"es-north", "influx-north"}
        assert told["instances"]["es-north"]["nodes"]["cluster_name"]
        assert told["instances"]["influx-north"]["status"] == "down"


async def test_a_store_that_hangs(stores: Faulty, source: str) -> None:
    """F4, G16: 504 at the deadline, however many hang; then its places are free again."""
    await stores.proxies[source].set(HANG)
    path = stores.query(source)

    async def ask() -> tuple[float, Answer]:
        started = time.monotonic()
        answer = await send(stores.client, "POST", path, json=BODY)
        return time.monotonic() - started, answer

    hanging = asyncio.gather(*(ask() for _ in range(3 * CONNECTIONS)))
    await asyncio.sleep(0.2)
    await others_go_on(stores)
    assert not hanging.done(), "the others waited for the store that hangs"
    for seconds, answer in await hanging:
        assert wrongs(answer, source, ["DEADLINE_EXCEEDED"], [504]) == []
        assert 0.9 <= seconds < 3.5
    ready: dict[str, Any] = {}
    for _ in range(100):
        # It stays ready, whatever one of its stores does (G33).
        ready = (await stores.client.ok("GET", "/health/ready"))["data"]
        if ready["sources"][source]["state"] == "down":
            break
        await asyncio.sleep(0.05)
    assert ready["sources"][source]["state"] == "down"
    await stores.proxies[source].heal()
    told = await asyncio.gather(*(stores.client.ok("POST", path, json=PATIENT) for _ in range(3 * CONNECTIONS)))
    assert all(one["data"] == stores.healthy[source] for one in told)


async def test_every_route_has_a_deadline(stores: Faulty, source: str) -> None:
    """G16: the routes without a timeout of their own end at the service's."""
    await stores.proxies[source].set(HANG)
    started = time.monotonic()
    routes = stores.routes(source)
    answers = await asyncio.gather(*(send(stores.client, method, path, **more) for method, path, more in routes))
    assert time.monotonic() - started < DEADLINE + 3
    found = [wrong for answer in answers for wrong in wrongs(answer, source, ["DEADLINE_EXCEEDED"], [504])]
    assert not found, "\n".join(found)


async def test_a_store_that_drips(stores: Faulty, source: str) -> None:
    """F5: the deadline is of the whole answer, not of each byte."""
    await stores.proxies[source].set(Fault(drip=0.05))
    started = time.monotonic()
    answer = await send(stores.client, "POST", stores.query(source), json=BODY)
    assert wrongs(answer, source, ["DEADLINE_EXCEEDED"], [504]) == []
    assert 0.9 <= time.monotonic() - started < 3.5
    await others_go_on(stores)


@pytest.mark.parametrize("body", [BODY, GROUPS], ids=["rows", "groups"])
@pytest.mark.parametrize("reset", [True, False], ids=["reset", "closed"])
async def test_a_store_that_dies_in_its_answer(stores: Faulty, source: str, reset: bool, body: dict[str, Any]) -> None:
    """F1: wherever it is cut, an error, and never a part of the rows with 200."""
    proxy, path = stores.proxies[source], stores.query(source)
    whole = (await stores.client.ok("POST", path, json=body))["data"]
    await proxy.heal()
    # Sent as below: InfluxDB's answer holds the request's id.
    assert (await send(stores.client, "POST", path, json=body)).status == 200
    size = proxy.passed
    assert size > 200
    found: list[str] = []
    # The answer's length itself varies by a digit or two of the time that it took.
    for cut in {0, 1, 12, 60, 150, size // 3, size // 2, size - 200, size - 20, size - 8, size - 4}:
        await proxy.set(Fault(cut=cut, reset=reset))
        started = time.monotonic()
        answer = await send(stores.client, "POST", path, json=body)
        codes = ["STORE_ANSWER_INVALID", "STORE_UNAVAILABLE"]
        found += [f"cut at {cut} of {size}: {wrong}" for wrong in wrongs(answer, source, codes)]
        assert time.monotonic() - started < 2
    assert not found, "\n".join(found)
    await proxy.heal()
    assert (await stores.client.ok("POST", path, json=body))["data"] == whole


HTML = b"<html><head><title>502 Bad Gateway</title></head></html>"
NONSENSE = {
    "HTML with 502": (http(502, HTML, "text/html"), ["STORE_FAILED", "STORE_ANSWER_INVALID"]),
    "HTML with 200": (http(200, HTML, "text/html"), ["STORE_ANSWER_INVALID"]),
    "no media type": (http(200, b"{}", ""), ["STORE_ANSWER_INVALID"]),
    "429": (http(429, b"{}", Retry_After="7"), ["STORE_BUSY"]),
    "503": (http(503, b"{}"), ["STORE_BUSY"]),
    "503 of a gateway": (http(503, HTML, "text/html", Retry_After="9"), ["STORE_BUSY"]),
    "500": (http(500, b'{"error": "boom"}'), ["STORE_FAILED"]),
    "401": (http(401, b"{}"), ["STORE_FAILED"]),
    "302": (http(302, b"", Location="http://169.254.169.254/"), ["STORE_ANSWER_INVALID"]),
    "truncated JSON": (http(200, b'{"took": 1, "hits": {"to'), ["STORE_ANSWER_INVALID"]),
    "a list": (http(200, b"[]"), ["STORE_ANSWER_INVALID"]),
    "a number": (http(200, b"42"), ["STORE_ANSWER_INVALID"]),
    "null": (http(200, b"null"), ["STORE_ANSWER_INVALID"]),
    "an empty object": (http(200, b"{}"), ["STORE_ANSWER_INVALID", "STORE_PARTIAL", "INDEX_UNKNOWN"]),
    "nothing": (http(200, b""), ["STORE_ANSWER_INVALID"]),
    "204": (http(204, b"", ""), ["STORE_ANSWER_INVALID", "STORE_FAILED"]),
    "wrong members": (http(200, b'{"hits": 5, "results": 5, "took": "x"}'), ["STORE_ANSWER_INVALID", "STORE_PARTIAL"]),
    "wrong items": (
        http(200, b'{"hits": {"hits": [{}]}, "results": [5], "_shards": {"failed": "x"}, "items": [[]]}'),
        ["STORE_ANSWER_INVALID", "STORE_PARTIAL", "STORE_FAILED"],
    ),
    "unasked gzip": (http(200, b"{}", Content_Encoding="gzip"), ["STORE_ANSWER_INVALID"]),
    "no HTTP": (b"SSH-2.0-OpenSSH_9.2\r\n", ["STORE_ANSWER_INVALID"]),
    "two lengths": (http(200, b"{}", Content_length="3"), ["STORE_ANSWER_INVALID"]),
    "short body": (http(200, b"{}", Content_Length="100"), ["STORE_ANSWER_INVALID", "DEADLINE_EXCEEDED"]),
}


@pytest.mark.parametrize("name", NONSENSE)
async def test_a_store_that_answers_nonsense(stores: Faulty, source: str, name: str) -> None:
    """F9: on every route, from the first request of it on. What only looks like success may be one (a 204 of a write)."""
    said, codes = NONSENSE[name]
    await stores.proxies[source].set(Fault(says=said))
    found: list[str] = []
    routes = stores.routes(source)
    answers = await asyncio.gather(*(send(stores.client, method, path, **more) for method, path, more in routes))
    for (method, path, _), answer in zip(routes, answers, strict=True):
        if answer.status in (200, 404) and _could_be_meant(name, method, path):
            continue
        found += [f"{method} {path}: {wrong}" for wrong in wrongs(answer, source, codes)]
    assert not found, "\n".join(found)
    if b"Retry-After" in said:
        assert {answer.headers["Retry-After"] for answer in answers} <= {"7", "9"}
    await others_go_on(stores)


def _could_be_meant(name: str, method: str, path: str) -> bool:
    """Whether the store's words are, on this route, what it says when all is well, or nothing is there."""
    if name == "204":
        return path.startswith("/influx/") and method in ("PUT", "POST")
    if name == "a list":
        return path == "/es/index"
    return name == "an empty object" and path.startswith("/es/")


async def test_writes_are_sent_once(stores: Faulty, source: str) -> None:
    """G9, F3: no write is repeated by the service; the caller, who knows the ids, may."""
    proxy, name = stores.proxies[source], stores.name
    documents = [{"_id": f"again{at}", "host": "w", "v": at} for at in range(10)]
    points = [{"time": 10_000 + at, "tags": {"host": "w"}, "fields": {"v": 1.5}} for at in range(10)]
    path = f"/es/{name}/docs?refresh=true" if source == "es" else f"/influx/{name}/cpu/points"
    body = documents if source == "es" else points
    word = "_bulk" if source == "es" else "/write"
    for cut in (0, 5, 40):
        await proxy.set(Fault(cut=cut, reset=True))
        answer = await send(stores.client, "POST", path, json=body)
        assert wrongs(answer, source, ["STORE_ANSWER_INVALID", "STORE_UNAVAILABLE"]) == []
        assert sum(word in line for line in proxy.requests) <= 1, proxy.requests
    await proxy.heal()
    status, told = await stores.client.send("POST", path, json=body)
    assert status in (200, 207), told
    where = {"field": "host", "op": "eq", "value": "w"}
    count = {"where": where, "select": [{"agg": "count", "as": "n"}]}
    assert (await stores.client.ok("POST", stores.query(source), json=count))["data"] == [{"n": 10}]


async def test_a_client_that_goes_away_stops_the_store(stores: Faulty, source: str) -> None:
    """F29: its request to the store is dropped, which cancels the work there; nothing waits for the deadline."""
    proxy = stores.proxies[source]
    await proxy.set(HANG)
    slow = {"options": {"timeout": "30s"}}
    async with aiohttp.ClientSession() as session:
        url = stores.client.url + stores.query(source)
        asking = asyncio.create_task(session.post(url, json=slow))
        await until(lambda: bool(proxy.requests))
        assert proxy.open == 1
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
    await until(lambda: proxy.open == 0)


@pytest.mark.parametrize("fault", [Fault(cut=0, reset=True), Fault(cut=60, reset=True)], ids=["refused", "cut"])
async def test_a_cursor_outlives_a_store_that_was_down(stores: Faulty, source: str, fault: Fault) -> None:
    """The page behind the first fails while the store is down; asked for again, every row comes once."""
    first = await stores.client.ok("POST", stores.query(source), json={"limit": 7, "options": {"total": True}})
    link = f"/mix/cursor/{first['page']['cursor']}"
    await stores.proxies[source].set(fault)
    failed = await asyncio.gather(*(send(stores.client, "GET", link) for _ in range(3)))
    assert {answer.status for answer in failed} <= {502, 503}
    await stores.proxies[source].heal()
    rows = first["data"]
    answer = await stores.client.ok("GET", f"{link}?limit=100")
    rows += answer["data"]
    while answer["page"]["has_more"]:
        answer = await stores.client.ok("GET", f"/mix/cursor/{answer['page']['cursor']}?limit=100")
        rows += answer["data"]
    assert len(rows) == len({str(row) for row in rows}) == first["page"]["total"]["value"] >= ROWS
