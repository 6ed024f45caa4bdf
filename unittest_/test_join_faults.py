"""G45: a store that fails under a join or a union: the right answer, or an error that names it, and never a subset.

F1, F2, F4-F9, G12, G16, G19, G20 of the reliability table, for queries of several sources. The stores are real, a fault proxy
stands before each; at any time one of them fails.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from query.influx import client, table_text
from unittest_.fault_proxy import HANG, Fault, FaultProxy, http
from unittest_.faulty_stores import (
    CONNECTIONS,
    Faulty,
    closed_port,
    faulty_stores,
    others_go_on,
    send,
    until,
    wrongs,
)
from unittest_.join_bodies import SPARED, bodies
from unittest_.live import service
from unittest_.test_error_shape import Answer

SOURCES = ("es", "influx")
CUTS = 11  # a prime: the ends of one body's answers fall between those of another's
PART = 97  # rows of a page, of three hundred
CODES = ["STORE_ANSWER_INVALID", "STORE_UNAVAILABLE"]
NDJSON, CSV, ARROW = "application/x-ndjson", "text/csv", "application/vnd.apache.arrow.stream"


@pytest.fixture(scope="module")
async def stores(es_url: str, influx_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Faulty]:
    """A side's rows come in several pages, so that a store can fail when some are there."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(client, "CHUNK_ROWS", PART)
        patched.setattr(table_text, "_BLOCK_BYTES", 30 * PART)
        async with faulty_stores(es_url, influx_url, tmp_path_factory.mktemp("faults"), page_rows=PART) as stores:
            yield stores


@pytest.fixture(params=SOURCES)
async def source(stores: Faulty, request: pytest.FixtureRequest) -> AsyncIterator[str]:
    name: str = request.param
    for proxy in stores.proxies.values():
        await proxy.heal()
    yield name
    await stores.proxies[name].heal()


async def ask(stores: Faulty, body: dict[str, Any], accept: str = "application/json") -> Answer:
    return await send(stores.client, "POST", "/mix/query", json=body, headers={"accept": accept})


async def whole_of(stores: Faulty, source: str, body: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """(the answer while all is well, the most bytes of the store that one connection carries for it)."""
    proxy = stores.proxies[source]
    await proxy.heal()
    assert (await ask(stores, body)).status == 200  # the catalogue is read
    await proxy.heal()
    answer = await ask(stores, body)
    assert answer.status == 200, answer.body
    return json.loads(answer.body), proxy.passed


def cuts(size: int, at: int) -> Iterator[Fault]:
    """Ends all over an answer of `size` bytes; those of the next body (`at`) fall between them."""
    for step in range(CUTS):
        yield Fault(cut=(size * step + size * at // 7) // CUTS, reset=bool((step + at) % 2))


def told(answer: Answer, whole: dict[str, Any], source: str, codes: list[str]) -> list[str]:
    """What is wrong with an answer that must be the whole, or an error that names the source."""
    if answer.status != 200:
        return wrongs(answer, source, codes)
    found = json.loads(answer.body)
    same = found["data"] == whole["data"] and found["page"]["total"] == whole["page"]["total"]
    return [] if same and not found["meta"]["partial"] else [f"200 with {str(found)[:300]}"]


def told_partial(answer: Answer, whole: dict[str, Any], source: str, codes: list[str]) -> list[str]:
    """As `told`; also right is the answer without the source's rows or columns, said to be so."""
    if answer.status != 200 or not json.loads(answer.body)["meta"]["partial"]:
        return told(answer, whole, source, codes)
    found = json.loads(answer.body)
    states = {one["source"]: one["status"] for one in found["meta"]["sources"]}
    notices = {notice["source"] for notice in found["meta"]["warnings"]}
    if states.pop(source) == "ok" or set(states.values()) != {"ok"} or notices != {source}:
        return [f"{states}, {notices}"]
    right = _without(whole, source)
    same = found["data"] == right and found["columns"] == whole["columns"]
    return [] if same else [f"200 in part with {found['data'][:3]} instead of {right[:3]}"]


def _without(whole: dict[str, Any], source: str) -> list[dict[str, Any]]:
    """The rows of an answer for which the source gave nothing."""
    rows: list[dict[str, Any]] = whole["data"]
    if any(column["name"] == "source" for column in whole["columns"]):
        return [row for row in rows if not row["source"].startswith(source + "/")]
    return [{name: None if name.startswith("m.") else cell for name, cell in row.items()} for row in rows]


async def test_a_store_that_dies_in_its_answer(stores: Faulty, source: str) -> None:
    """F1, G45, G12: whatever is joined, and wherever one side is cut."""
    proxy, found = stores.proxies[source], []
    for at, (name, body) in enumerate(bodies(stores.name).items()):
        whole, size = await whole_of(stores, source, body)
        assert len(whole["data"]) > 2
        for fault in cuts(size, at):
            await proxy.set(fault)
            answer = await ask(stores, body)
            found += [f"{name}, {fault}: {wrong}" for wrong in told(answer, whole, source, CODES)]
    assert not found, "\n".join(found)
    await others_go_on(stores)


async def test_the_rest_where_that_is_asked_for(stores: Faulty, source: str) -> None:
    """G12, G45: with `options.partial` the rest, marked, or an error: no part of a side is taken for all of it."""
    proxy, found, rests = stores.proxies[source], [], 0
    for at, name in enumerate((*SPARED[source], "inner", "anti")):
        body = {**bodies(stores.name)[name], "options": {"partial": True, "timeout": "3s"}}
        whole, size = await whole_of(stores, source, body)
        busy = Fault(says=http(503, b"{}"))
        for fault in (busy, *cuts(size, at)):
            await proxy.set(fault)
            answer = await ask(stores, body)
            codes = ["STORE_BUSY"] if fault is busy else CODES
            found += [f"{name}, {fault}: {wrong}" for wrong in told_partial(answer, whole, source, codes)]
            marked = answer.status == 200 and json.loads(answer.body)["meta"]["partial"]
            rests += marked
            if fault is busy:
                assert marked is (name in SPARED[source]), (name, answer.body)
    assert not found, "\n".join(found)
    assert rests > len(SPARED[source])


async def test_a_store_that_hangs_or_drips(stores: Faulty, source: str) -> None:
    """F4, F5, G16: before its answer, in it, or byte by byte: 504 at the deadline, also where parts would do."""
    proxy = stores.proxies[source]
    asked = [
        {**body, "options": {"timeout": "1500ms", "partial": bool(at % 2)}}
        for at, body in enumerate(bodies(stores.name).values())
    ]
    for body in asked:
        assert (await ask(stores, body)).status == 200
    for fault in (HANG, Fault(cut=300, stall=True), Fault(drip=0.05)):
        await proxy.set(fault)
        started = time.monotonic()
        hanging = asyncio.gather(*(ask(stores, body) for body in asked))
        await asyncio.sleep(0.1)
        await others_go_on(stores)
        answers = await hanging
        assert 1.4 < time.monotonic() - started < 6
        found = [wrong for answer in answers for wrong in wrongs(answer, source, ["DEADLINE_EXCEEDED"], [504])]
        # Of what drips, the other side may have come to be asked at last.
        assert not found or (fault.drip and {answer.status for answer in answers} == {504}), "\n".join(found)
    await proxy.heal()
    for body in asked:
        assert (await ask(stores, body)).status == 200


HTML = b"<html><head><title>502 Bad Gateway</title></head></html>"
LATE = b'{"took": 1, "timed_out": true, "_shards": {"total": 2, "successful": 1, "failed": 1}, "hits": {"hits": []}}'
NONSENSE: dict[str, tuple[bytes, list[str]]] = {
    "429": (http(429, b"{}", Retry_After="7"), ["STORE_BUSY"]),
    "503": (http(503, b"{}", Retry_After="7"), ["STORE_BUSY"]),
    "HTML with 502": (http(502, HTML, "text/html"), ["STORE_FAILED", "STORE_ANSWER_INVALID"]),
    "HTML with 200": (http(200, HTML, "text/html"), ["STORE_ANSWER_INVALID"]),
    "truncated": (http(200, b'{"took": 1, "hits": {"to'), ["STORE_ANSWER_INVALID"]),
    "null": (http(200, b"null"), ["STORE_ANSWER_INVALID"]),
    "a part": (http(200, LATE), ["STORE_PARTIAL", "STORE_ANSWER_INVALID"]),
    "no HTTP": (b"SSH-2.0-OpenSSH_9.2\r\n", ["STORE_ANSWER_INVALID"]),
}


@pytest.mark.parametrize("name", NONSENSE)
async def test_a_store_that_answers_something_else(stores: Faulty, source: str, name: str) -> None:
    """F7, F9, G12: from its first answer on, or from the second."""
    proxy, (said, codes) = stores.proxies[source], NONSENSE[name]
    asked = bodies(stores.name)
    wholes = {each: (await whole_of(stores, source, body))[0] for each, body in asked.items()}
    found: list[str] = []
    for after in (0, 1):
        for each, body in asked.items():
            await proxy.set(Fault(says=said, after=after))
            answer = await ask(stores, body)
            found += [f"{each}, after {after}: {wrong}" for wrong in told(answer, wholes[each], source, codes)]
            if answer.status == 503:
                assert answer.headers["Retry-After"] == "7"
            if after == 0:
                assert answer.status != 200, each
    assert not found, "\n".join(found)


async def test_a_storm_of_resets(stores: Faulty, source: str) -> None:
    """F6: every other connection breaks; all is right again when that is over, and nothing is left open."""
    proxy, asked = stores.proxies[source], bodies(stores.name)
    wholes = {name: (await whole_of(stores, source, body))[0] for name, body in asked.items()}
    for cut in (0, 400):
        await proxy.set(Fault(cut=cut, reset=True, every=2))
        names = list(asked) * 2
        answers = await asyncio.gather(*(ask(stores, asked[name]) for name in names))
        found = [
            f"{name}: {wrong}"
            for name, answer in zip(names, answers, strict=True)
            for wrong in told(answer, wholes[name], source, CODES)
        ]
        assert not found, "\n".join(found)
    await proxy.heal()
    for name, body in asked.items():
        assert told(await ask(stores, body), wholes[name], source, []) == []
    assert proxy.open <= CONNECTIONS


async def test_a_store_that_comes_and_goes(stores: Faulty, source: str) -> None:
    """F8: no answer is wrong, no descriptor is left."""
    proxy, asked = stores.proxies[source], bodies(stores.name)
    wholes = {name: (await whole_of(stores, source, body))[0] for name, body in asked.items()}
    before, found = len(os.listdir("/proc/self/fd")), []
    for at in range(8):
        names = list(asked)
        asking = asyncio.gather(*(ask(stores, asked[name]) for name in names))
        await asyncio.sleep(0.004 * at)
        await proxy.set(Fault(cut=0, reset=True) if at % 2 else Fault())
        for name, answer in zip(names, await asking, strict=True):
            found += [f"{name}: {wrong}" for wrong in told(answer, wholes[name], source, CODES)]
    assert not found, "\n".join(found)
    await proxy.heal()
    for name, body in asked.items():
        assert told(await ask(stores, body), wholes[name], source, []) == []
    assert len(os.listdir("/proc/self/fd")) <= before + 4 * CONNECTIONS


async def test_totals_and_freshness(stores: Faulty, source: str) -> None:
    """G12: what is asked beside the rows fails as they do."""
    proxy, found = stores.proxies[source], []
    for at, name in enumerate(("left", "asof", "union", "then")):
        body = bodies(stores.name)[name]
        for options in ({"total": True}, {"require_fresh": "1m"}):
            body = {**body, "limit": 3, "options": options}
            whole, size = await whole_of(stores, source, body)
            if "total" in options:
                assert whole["page"]["total"]["value"] >= 3
            for fault in (*list(cuts(size, at))[::3], Fault(says=http(503, b"{}"))):
                await proxy.set(fault)
                answer = await ask(stores, body)
                codes = ["STORE_BUSY"] if fault.says else CODES
                found += [f"{name}, {options}, {fault}: {wrong}" for wrong in told(answer, whole, source, codes)]
                assert not fault.says or answer.status == 503
    assert not found, "\n".join(found)


async def test_a_total_of_a_part_is_said_to_be(stores: Faulty, source: str) -> None:
    """G12: the store fails between the page and the count."""
    proxy = stores.proxies[source]
    body = {**bodies(stores.name)["union"], "limit": 3, "options": {"partial": True}}
    await whole_of(stores, source, body)
    requests = len(proxy.requests)
    body["options"] = {"partial": True, "total": True}
    whole, _ = await whole_of(stores, source, body)
    await proxy.set(Fault(says=http(503, b"{}"), after=requests))
    answer = json.loads((await ask(stores, body)).body)
    assert answer["page"]["total"]["value"] < whole["page"]["total"]["value"]
    assert answer["meta"]["partial"] is True
    assert {one["source"]: one["status"] for one in answer["meta"]["sources"]}[source] != "ok"


async def cut_stream(stores: Faulty, body: dict[str, Any], accept: str) -> tuple[Answer, bool]:
    """(what came, whether the client noticed that it is not whole)."""
    content = bytearray()
    url = stores.client.url + "/mix/query"
    async with stores.client.session.post(url, json=body, headers={"accept": accept}) as response:
        try:
            async for piece in response.content.iter_any():
                content += piece
            broken = False
        except aiohttp.ClientPayloadError:
            broken = True
        return Answer(response.status, response.headers, bytes(content)), broken


async def test_streams_of_joins(stores: Faulty, source: str) -> None:
    """F2, G19: all of it, or a status, or an end that every client notices."""
    proxy, found = stores.proxies[source], []
    for at, name in enumerate(("left", "asof", "asof of series", "union")):
        accept = (NDJSON, CSV, ARROW)[at % 3]
        body = {key: value for key, value in bodies(stores.name)[name].items() if key != "limit"}
        await proxy.heal()
        whole, broken = await cut_stream(stores, body, accept)
        assert (whole.status, broken) == (200, False), whole.body
        for fault in (*cuts(proxy.passed, at), Fault(says=http(429, b"{}"))):
            await proxy.set(fault)
            answer, broken = await cut_stream(stores, body, accept)
            if answer.status != 200:
                said = json.loads(answer.body)
                if said["source"] != source or answer.status not in (502, 503):
                    found.append(f"{name}, {fault}: {said}")
            elif not broken and answer.body != whole.body:
                found.append(f"{name}, {accept}, {fault}: a clean end after {len(answer.body)} of {len(whole.body)}")
    assert not found, "\n".join(found)


async def test_a_client_that_goes_away_stops_every_side(stores: Faulty, source: str) -> None:
    """F29, G20: the side that hangs is dropped, and nothing waits for the deadline."""
    proxy = stores.proxies[source]
    for body in bodies(stores.name).values():
        assert (await ask(stores, body)).status == 200
    await proxy.set(HANG)
    async with aiohttp.ClientSession() as session:
        url = stores.client.url + "/mix/query"
        slow = [{**body, "options": {"timeout": "30s"}} for body in bodies(stores.name).values()]
        asking = [asyncio.create_task(session.post(url, json=body)) for body in slow]
        await until(lambda: len(proxy.requests) >= 3)
        await asyncio.sleep(0.3)
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
    await until(lambda: proxy.open == 0)


@pytest.mark.parametrize("down", SOURCES)
async def test_a_store_that_was_never_there(stores: Faulty, tmp_path: Path, down: str) -> None:
    """Down since before its first catalogue was read: nothing is known of its columns, so also a part is an error."""
    for proxy in stores.proxies.values():
        await proxy.heal()
    urls = {"es_url": stores.proxies["es"].url, "influx_url": stores.proxies["influx"].url}
    urls[f"{down}_url"] = f"http://127.0.0.1:{closed_port()}"
    async with service(tmp_path, **urls) as other_client:
        here = Faulty(other_client, {}, stores.name, {})
        found: list[str] = []
        for name, body in bodies(stores.name).items():
            for options in ({}, {"partial": True}, {"total": True}, {"require_fresh": "1m"}):
                answer = await ask(here, {**body, "options": options})
                found += [f"{name}: {wrong}" for wrong in wrongs(answer, down, ["STORE_UNAVAILABLE"], [503])]
        assert not found, "\n".join(found)
        other = "influx" if down == "es" else "es"
        assert (await other_client.send("POST", here.query(other), json={"limit": 1}))[0] == 200


async def test_a_page_without_a_source_has_no_next_one_with_it(stores: Faulty, source: str) -> None:
    """G12, G45: rows of the first page, which had nulls for the source's columns, are other rows once it is back."""
    proxy: FaultProxy = stores.proxies[source]
    for name in SPARED[source]:
        body = {**bodies(stores.name)[name], "limit": 3, "options": {"partial": True}}
        for states in ((Fault(says=http(503, b"{}")), Fault()), (Fault(), Fault(says=http(503, b"{}")))):
            await whole_of(stores, source, body)
            await proxy.set(states[0])
            page = json.loads((await ask(stores, body)).body)
            assert page["meta"]["partial"] is (states[0].says is not None)
            await proxy.set(states[1])
            answer = await send(stores.client, "GET", f"/mix/cursor/{page['page']['cursor']}")
            assert answer.status == 410, (name, answer.body)
            problem = json.loads(answer.body)
            assert problem["code"] == "CURSOR_EXPIRED"
            assert repr(source) in problem["message"]
