"""A store that fails while the rows of a stream, or of a cursor's pages, go out (F2, F4, F5, F7, F9, G16, G19, G20).

What is sent then ends visibly: NDJSON's last record is the error, and no format's body has its end mark.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import aiohttp
import nanoarrow  # type: ignore[import-untyped]
import pytest

from query.influx import client, table_text
from unittest_.fault_proxy import Fault, FaultProxy
from unittest_.fault_proxy import http as says
from unittest_.faulty_stores import ROWS, Faulty, faulty_stores, others_go_on, send, until, wrongs
from unittest_.running_app import exchange
from unittest_.test_error_shape import SENT_ID, Answer

pytestmark = pytest.mark.alone

PART = 61  # rows of a page
CUTS = 23
NDJSON, CSV, ARROW = "application/x-ndjson", "text/csv", "application/vnd.apache.arrow.stream"
FORMS = (NDJSON, CSV, ARROW)
HTML = b"<html><head><title>502 Bad Gateway</title></head></html>"
LATE = b'{"took": 1, "timed_out": true, "_shards": {"total": 2, "failed": 1}, "hits": {"hits": []}, "pit_id": "x"}'
SAID = {
    "429": (says(429, b"{}", Retry_After="3"), {"STORE_BUSY"}),
    "503": (says(503, b"{}"), {"STORE_BUSY"}),
    "HTML": (says(502, HTML, "text/html"), {"STORE_FAILED", "STORE_ANSWER_INVALID"}),
    "a part": (says(200, LATE), {"STORE_PARTIAL", "STORE_ANSWER_INVALID"}),
    "truncated": (says(200, b'{"hits": {"hits": [{"_so', Content_Length="900"), {"STORE_ANSWER_INVALID"}),
}


@pytest.fixture(scope="module")
async def stores(es_url: str, influx_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Faulty]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(client, "CHUNK_ROWS", PART)
        patched.setattr(table_text, "_BLOCK_BYTES", 30 * PART)
        async with faulty_stores(es_url, influx_url, tmp_path_factory.mktemp("stops"), page_rows=PART) as stores:
            yield stores


@pytest.fixture(params=["es", "influx"])
async def source(stores: Faulty, request: pytest.FixtureRequest) -> AsyncIterator[str]:
    name: str = request.param
    await stores.proxies[name].heal()
    await stores.client.ok("POST", stores.query(name), json={"limit": 1})
    await stores.proxies[name].heal()
    yield name
    await stores.proxies[name].heal()


async def streamed(stores: Faulty, source: str, accept: str, body: dict[str, Any]) -> tuple[Answer, bool]:
    """(what came, whether the client noticed that it is not whole)."""
    content, broken = bytearray(), False
    url = stores.client.url + stores.query(source)
    headers = {"accept": accept, "x-request-id": SENT_ID}
    async with stores.client.session.post(url, json=body, headers=headers) as response:
        try:
            async for piece in response.content.iter_any():
                content += piece
        except aiohttp.ClientPayloadError:
            broken = True
        return Answer(response.status, response.headers, bytes(content)), broken


def told(answer: Answer, broken: bool, whole: bytes, source: str, accept: str, codes: set[str]) -> list[str]:
    """What is wrong with a stream whose store failed: it must be whole, refused, or visibly at its end."""
    if answer.status != 200:
        return wrongs(answer, source, sorted(codes))
    if accept == ARROW:
        rows, all_rows = arrow_rows(answer.body), arrow_rows(whole)
        return [] if rows == all_rows[: None if not broken else len(rows)] else ["other rows than those of the whole"]
    if not broken:
        return [] if answer.body == whole else [f"a clean end after {len(answer.body)} of {len(whole)} bytes"]
    if accept == CSV:
        return [] if whole.startswith(answer.body) else ["other bytes than those of the whole"]
    *rows, last = answer.body.splitlines()
    error = json.loads(last).get("error", {})
    if error.get("source") != source or error.get("code") not in codes:
        return [f"the last record is {last[:200]!r}"]
    return [] if whole.splitlines()[: len(rows)] == rows else ["other rows than those of the whole"]


def arrow_rows(content: bytes) -> list[Any]:
    """The rows of the batches that have come; how many a batch has depends on how the store's bytes came."""
    rows: list[Any] = []
    if content:
        with nanoarrow.ArrayStream.from_readable(content) as stream, suppress(RuntimeError):
            for batch in stream:
                rows += batch.to_pylist()
    return rows


@pytest.mark.parametrize("accept", FORMS)
async def test_a_stream_of_a_store_that_dies(stores: Faulty, source: str, accept: str) -> None:
    """F2, G19: wherever it is cut."""
    proxy, found, begun = stores.proxies[source], [], 0
    whole, broken = await streamed(stores, source, accept, {})
    assert (whole.status, broken) == (200, False)
    size = proxy.passed
    for step in range(CUTS):
        fault = Fault(cut=size * step // CUTS + FORMS.index(accept), reset=bool(step % 2))
        await proxy.set(fault)
        answer, broken = await streamed(stores, source, accept, {})
        codes = {"STORE_ANSWER_INVALID", "STORE_UNAVAILABLE"}
        found += [f"{fault}: {wrong}" for wrong in told(answer, broken, whole.body, source, accept, codes)]
        begun += broken
    assert not found, "\n".join(found)
    assert begun >= CUTS // 2
    await others_go_on(stores)


@pytest.mark.parametrize("name", SAID)
async def test_a_stream_of_a_store_that_says_no(stores: Faulty, source: str, name: str) -> None:
    """F7, F9, G12: at each of its requests."""
    proxy, (said, codes) = stores.proxies[source], SAID[name]
    whole, _ = await streamed(stores, source, NDJSON, {})
    requests, found, begun = len(proxy.requests), [], 0
    assert requests >= (ROWS // PART if source == "es" else 1)
    for after in range(requests):
        await proxy.set(Fault(says=said, after=after))
        body = {"options": {"timeout": "800ms"}} if name == "truncated" else {}
        answer, broken = await streamed(stores, source, NDJSON, body)
        late = {"DEADLINE_EXCEEDED"} if name == "truncated" else set()
        found += [f"{after}: {wrong}" for wrong in told(answer, broken, whole.body, source, NDJSON, codes | late)]
        begun += broken
        if name == "truncated" and after:
            break  # each takes its time
    assert not found, "\n".join(found)
    assert begun or source == "influx" or name == "truncated"


async def test_a_stream_of_a_store_that_hangs(stores: Faulty, source: str) -> None:
    """F4, F5, G16: within its rows too, the wait is bounded, and the end is seen. Nothing stays open (G20)."""
    proxy = stores.proxies[source]
    wholes = {accept: (await streamed(stores, source, accept, {}))[0].body for accept in FORMS}
    await proxy.heal()
    await streamed(stores, source, NDJSON, {})
    size, body = proxy.passed, {"options": {"timeout": "1s"}}
    for fault in (
        Fault(cut=size // 2, stall=True),
        Fault(cut=size - 60, stall=True),
        Fault(hang=True, after=2),
        Fault(drip=0.002),
    ):
        await proxy.set(fault)
        started = time.monotonic()
        answers = await asyncio.gather(*(streamed(stores, source, accept, body) for accept in FORMS))
        assert time.monotonic() - started < 5
        for accept, (answer, broken) in zip(FORMS, answers, strict=True):
            assert told(answer, broken, wholes[accept], source, accept, {"DEADLINE_EXCEEDED"}) == [], (fault, accept)
        assert any(broken or answer.status == 504 for answer, broken in answers)
        if fault.stall:
            await until(lambda: at_rest(proxy, source))
    await others_go_on(stores)


async def test_every_client_notices(stores: Faulty, source: str) -> None:
    """G19: by the chunked body's missing end mark, whoever reads it."""
    proxy = stores.proxies[source]
    await streamed(stores, source, NDJSON, {})
    await proxy.set(Fault(cut=proxy.passed * 2 // 3))
    host = stores.client.url.removeprefix("http://")

    def by_standard_library() -> None:
        connection = http.client.HTTPConnection(host, timeout=10)
        connection.request("POST", stores.query(source), b"{}", {"Accept": CSV, "Content-Type": "application/json"})
        answer = connection.getresponse()
        assert answer.status == 200
        with pytest.raises(http.client.IncompleteRead):
            answer.read()

    await asyncio.to_thread(by_standard_library)
    for version, accept in ((1, CSV), (1, ARROW), (1, NDJSON)):
        head = f"POST {stores.query(source)} HTTP/1.{version}\r\nHost: localhost\r\nAccept: {accept}\r\n"
        body = "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
        raw = await exchange(stores.client.url, (head + body).encode())
        assert raw.startswith(b"HTTP/1.1 200 ")
        assert not raw.endswith(b"\r\n0\r\n\r\n")


async def test_a_client_that_goes_away_from_a_stream_that_stalls(stores: Faulty, source: str) -> None:
    """G20, F29: what the store would still say is not waited for."""
    proxy = stores.proxies[source]
    await streamed(stores, source, NDJSON, {})
    await proxy.set(Fault(cut=proxy.passed // 2, stall=True))
    async with aiohttp.ClientSession() as session:
        url = stores.client.url + stores.query(source)
        async with session.post(url, json={}, headers={"accept": NDJSON}) as response:
            assert response.status == 200
            await response.content.readany()
            assert proxy.open
    await until(lambda: at_rest(proxy, source))


def at_rest(proxy: FaultProxy, source: str) -> bool:
    """Whether the store has nothing more to do: the connection is dropped, the point in time closed on another."""
    if source == "influx":
        return proxy.open == 0
    opened, closed = (sum(word in line for line in proxy.requests) for word in ("/_pit?", "DELETE /_pit"))
    return opened == closed and proxy.open <= closed


async def test_pages_of_a_cursor(stores: Faulty, source: str) -> None:
    """F1, F4, G12: a page whose store fails is an error that names it, and comes when the store is back; no page is ever short."""
    proxy, path = stores.proxies[source], stores.query(source)
    order = {"order_by": ["v"], "options": {"timeout": "1s"}}

    async def first() -> str:
        page = await stores.client.ok("POST", path, json={"limit": 20, **order})
        assert [row["v"] for row in page["data"]] == list(range(20))
        cursor: str = page["page"]["cursor"]
        return cursor

    cursor = await first()
    await proxy.heal()
    page = await stores.client.ok("GET", f"/mix/cursor/{cursor}?limit=200")
    size = proxy.passed
    assert [row["v"] for row in page["data"]] == list(range(20, 220))
    faults = [Fault(cut=size * step // 8 + step, reset=bool(step % 2)) for step in range(8)]
    for fault in (*faults, Fault(says=says(503, b"{}")), Fault(says=says(429, b"{}"), after=2)):
        await proxy.heal()
        cursor = await first()
        await proxy.set(fault)
        answer = await send(stores.client, "GET", f"/mix/cursor/{cursor}?limit=200")
        if answer.status == 200:
            assert json.loads(answer.body)["data"] == page["data"]
            continue
        codes = ["STORE_ANSWER_INVALID", "STORE_UNAVAILABLE", "STORE_BUSY"]
        assert wrongs(answer, source, codes) == []
        await proxy.heal()
        again = await stores.client.ok("GET", f"/mix/cursor/{cursor}?limit=200")
        assert again["data"] == page["data"]
