"""Cursors: every row exactly once, in one order, over every store, whatever the pages' sizes; and what no cursor does."""

from __future__ import annotations

import asyncio
import json
import random
import stat
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from libs.signing import BadToken, Signer
from unittest_.live import service
from unittest_.stream_stores import STORES, Stores, stores

ROWS = 3_210
NDJSON = {"accept": "application/x-ndjson"}
BODIES: dict[str, dict[str, Any]] = {
    "default order": {"select": ["n", "host"]},
    "ties": {"select": ["n", "host"], "order_by": [{"field": "host", "dir": "desc"}]},
    "alike rows": {"select": ["host", "part"], "order_by": ["part", "host"]},
    "every field": {"where": {"field": "host", "op": "in", "value": ["h1", "h5"]}},
    "expression": {"select": ["n", {"expr": "n * 2", "as": "d"}], "order_by": [{"field": "d", "dir": "desc"}]},
    "groups": {"group_by": ["n"], "select": [{"agg": "sum", "field": "part", "as": "s"}]},
    "groups by number": {
        "group_by": ["text", "host"],
        "select": [{"agg": "avg", "field": "part", "as": "a"}],
        "order_by": [{"field": "a", "dir": "desc"}, "text", "host"],
    },
}


@pytest.fixture(scope="module")
async def loaded(tmp_path_factory: pytest.TempPathFactory, es_url: str, influx_url: str) -> AsyncIterator[Stores]:
    async with stores(tmp_path_factory.mktemp("cursors"), es_url, influx_url, ROWS) as made:
        yield made


async def walked(loaded: Stores, store: str, body: dict[str, Any], sizes: random.Random) -> list[Any]:
    """The rows of all pages; each follows by the link or by the body."""
    client, path = loaded.client, loaded.path(store)
    answer = await client.ok("POST", path, json=body | {"limit": sizes.choice([1, 7, 100])})
    rows = list(answer["data"])
    while answer["page"]["has_more"]:
        cursor, size = answer["page"]["cursor"], sizes.choice([1, 13, 500, 999, 1700])
        match sizes.randrange(3):
            case 0:
                answer = await client.ok("GET", f"/mix/cursor/{cursor}?limit={size}")
            case 1:
                answer = await client.ok("POST", path, json={"cursor": cursor, "limit": size})
            case _:
                answer = await client.ok("POST", path, json=body | {"cursor": cursor, "limit": size})
        assert 0 < len(answer["data"]) <= size
        rows += answer["data"]
    assert answer["page"]["cursor"] is None
    return rows


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("name", BODIES)
async def test_every_row_comes_once_in_one_order(loaded: Stores, store: str, name: str) -> None:
    body = BODIES[name]
    path = loaded.client.url + loaded.path(store)
    async with loaded.client.session.post(path, json=body, headers=NDJSON) as response:
        wanted = [json.loads(line) for line in (await response.read()).splitlines()]
    for seed in range(2):
        rows = await walked(loaded, store, body, random.Random(f"{seed} {name} {store}"))
        assert Counter(map(_steady, rows)) == Counter(map(_steady, wanted))
        for key in body.get("order_by", [])[:1]:
            field, descending = (key, False) if isinstance(key, str) else (key["field"], True)
            cells = [row[field] for row in rows]
            present = [cell for cell in cells if cell is not None]
            assert cells[: len(present)] == sorted(present, reverse=descending)
        if name == "default order":
            # Three neighbours share a time.
            assert [row["n"] // 3 for row in rows] == sorted(row["n"] // 3 for row in rows)


def _steady(row: dict[str, Any]) -> tuple[str, ...]:
    return tuple(f"{cell:.9g}" if isinstance(cell, float) else repr(cell) for cell in row.values())


async def test_a_page_can_be_asked_for_again(loaded: Stores) -> None:
    client, path = loaded.client, loaded.path("elasticsearch")
    first = (await client.ok("POST", path, json={"select": ["n"], "limit": 10}))["page"]["cursor"]
    second = await client.ok("GET", f"/mix/cursor/{first}")
    again = await client.ok("GET", f"/mix/cursor/{first}")
    assert again["data"] == second["data"]
    third = await client.ok("GET", f"/mix/cursor/{again['page']['cursor']}")
    assert not {row["n"] for row in third["data"]} & {row["n"] for row in second["data"]}
    status, answer = await client.send("GET", f"/mix/cursor/{first}")
    assert (status, answer["code"]) == (410, "CURSOR_EXPIRED")


async def test_what_has_changed_since_the_first_page_is_told(loaded: Stores) -> None:
    """G12: a row of it that is another one now comes again, and the last page says why."""
    client, index = loaded.client, f"{loaded.name}-changed"
    for instance in ("es", "es-real"):
        mappings = {"properties": {"n": {"type": "long"}}}
        await client.ok("POST", f"/{instance}/index", json={"index": index, "mappings": mappings})
        try:
            path = f"/{instance}/{index}/docs?refresh=true"
            await client.ok("POST", path, json=[{"_id": f"d{at}", "n": at} for at in range(9)])
            asked = {"select": ["n"], "order_by": ["n"], "limit": 3}
            for change in (False, True):
                answer = await client.ok("POST", f"/{instance}/{index}/query", json=asked)
                if change:
                    await client.ok("POST", path + "&mode=replace", json=[{"_id": "d1", "n": 100}])
                second = await client.ok("GET", f"/mix/cursor/{answer['page']['cursor']}")
                assert second["meta"]["warnings"] == []
                last = await client.ok("GET", f"/mix/cursor/{second['page']['cursor']}?limit=9")
                assert [row["n"] for row in last["data"]] == [6, 7, 8] + [100] * change
                told = [notice["code"] for notice in last["meta"]["warnings"]]
                assert told == ["RESULT_CHANGED"] * change
        finally:
            await client.send("DELETE", f"/{instance}/{index}")


async def test_bad_cursors(loaded: Stores) -> None:
    client, path = loaded.client, loaded.path("embedded")
    body = {"select": ["n"], "limit": 10}
    cursor = (await client.ok("POST", path, json=body))["page"]["cursor"]
    assert cursor.replace("-", "").replace("_", "").isalnum()
    turned = ("B" if cursor[0] == "A" else "A") + cursor[1:]
    for bad in ("abc", turned, cursor[:-1], cursor + "A", cursor[:-8], "%C3%A9", cursor + "="):
        status, answer = await client.send("GET", f"/mix/cursor/{bad}")
        assert (status, answer["code"]) == (400, "CURSOR_INVALID"), bad
        assert answer["errors"][0]["pointer"] == "/cursor"
        assert "first page" in answer["errors"][0]["hint"]
    for other, at in (
        (body | {"select": ["host"]}, path),
        ({}, loaded.path("influx")),
        (body | {"order_by": ["n"]}, path),
    ):
        status, answer = await client.send("POST", at, json=other | {"cursor": cursor})
        assert (status, answer["code"]) == (400, "CURSOR_INVALID"), other
    status, answer = await client.send("POST", path, json={"cursor": cursor, "limit": 0})
    assert (status, answer["code"]) == (422, "LIMIT_INVALID")
    twice = f'{{"cursor": "abc", "cursor": "{cursor}"}}'
    status, answer = await client.send("POST", path, data=twice, headers={"content-type": "application/json"})
    assert (status, answer["code"], answer["errors"][0]["pointer"]) == (400, "DUPLICATE_KEY", "/cursor")
    status, answer = await client.send("POST", path, json={"cursor": 5})
    assert status == 422
    status, answer = await client.send("POST", path, json={"cursor": cursor}, headers={"accept": "text/csv"})
    assert status == 406
    assert len((await client.ok("POST", "/mix/query", json={"cursor": cursor}))["data"]) == 10


async def test_time_runs_out(tmp_path: Path, es_url: str, influx_url: str) -> None:
    limits = {"cursor_seconds": 1.5}
    async with stores(tmp_path, es_url, influx_url, 50, limits=limits) as loaded:

        async def expire(store: str) -> None:
            answer = await loaded.client.ok("POST", loaded.path(store), json={"limit": 10})
            answer = await loaded.client.ok("GET", f"/mix/cursor/{answer['page']['cursor']}")
            await asyncio.sleep(1.8)
            status, error = await loaded.client.send("GET", f"/mix/cursor/{answer['page']['cursor']}")
            assert (status, error["code"]) == (410, "CURSOR_EXPIRED")

        await asyncio.gather(*map(expire, STORES))


async def _contexts(es_url: str, index: str) -> int:
    """What the store holds open of the index: a point in time holds a context in each of its shards."""
    async with aiohttp.ClientSession() as session, session.get(f"{es_url}/{index}/_stats/search") as response:
        return int((await response.json())["_all"]["total"]["search"]["open_contexts"])


async def test_abandoned_cursors_leave_nothing_in_the_store(tmp_path: Path, es_url: str, influx_url: str) -> None:
    """T7: of a thousand few are held at a time, and none for long."""
    limits = {"cursor_seconds": 2.0}
    async with stores(tmp_path, es_url, influx_url, 50, limits=limits) as loaded:
        client, path = loaded.client, loaded.path("elasticsearch")

        async def abandon() -> None:
            answer = await client.ok("POST", path, json={"limit": 10})
            await client.send("GET", f"/mix/cursor/{answer['page']['cursor']}?limit=10")

        most = 0
        for _ in range(20):
            await asyncio.gather(*(abandon() for _ in range(50)))
            most = max(most, await _contexts(es_url, loaded.name))
        assert 2 <= most <= 2 * (16 + 50)
        left = most
        for _ in range(80):
            if (left := await _contexts(es_url, loaded.name)) == 0:
                break
            await asyncio.sleep(0.1)
        assert left == 0


async def test_the_key_is_made_once_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "data" / "cursor.key"
    token = Signer(path).sign(b"payload", "me")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Signer(path).read(token, "me") == b"payload"
    for bound, other in (("you", token), ("me", token[:-1]), ("me", "")):
        with pytest.raises(BadToken):
            Signer(path).read(other, bound)
    async with service(tmp_path) as client:
        assert (await client.send("GET", "/mix/cursor/AAAA"))[1]["code"] == "CURSOR_INVALID"
