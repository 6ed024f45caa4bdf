"""`options.total` and `options.require_fresh` over every store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from libs.times import format_instant
from unittest_.stream_stores import BASE_MS, STORES, Stores, stores

ROWS = 900
NEWEST = format_instant(BASE_MS + (ROWS - 1) // 3, "ms")
END = format_instant(BASE_MS + 60_000, "ms")
COUNT = {"agg": "count", "as": "c"}


@pytest.fixture(scope="module")
async def loaded(tmp_path_factory: pytest.TempPathFactory, es_url: str, influx_url: str) -> AsyncIterator[Stores]:
    async with stores(tmp_path_factory.mktemp("fresh"), es_url, influx_url, ROWS) as made:
        yield made


@pytest.mark.parametrize("store", STORES)
async def test_totals(loaded: Stores, store: str) -> None:
    few = {"field": "n", "op": "lt", "value": 250}
    bodies: tuple[tuple[dict[str, Any], int], ...] = (
        ({}, ROWS),
        ({"where": few}, 250),
        ({"where": {"field": "n", "op": "lt", "value": -1}}, 0),
        ({"group_by": ["host"], "select": [COUNT]}, 7),
        ({"group_by": ["n"], "select": [COUNT], "where": few}, 250),
    )
    for body, value in bodies:
        asked = body | {"limit": 5, "options": {"total": True}}
        answer = await loaded.client.ok("POST", loaded.path(store), json=asked)
        assert answer["page"]["total"] == {"value": value, "relation": "eq"}, body
        assert len(answer["data"]) == min(5, value)
        assert len(answer["meta"]["sources"]) == 1
    assert (await loaded.client.ok("POST", loaded.path(store), json={"limit": 5}))["page"]["total"] is None


@pytest.mark.parametrize("store", STORES)
async def test_freshness(loaded: Stores, store: str) -> None:
    span = {"from": format_instant(BASE_MS - 1000, "ms"), "to": END}
    body: dict[str, Any] = {"time_range": span, "where": {"field": "n", "op": "lt", "value": 3}}
    fresh = await loaded.client.ok("POST", loaded.path(store), json=body | {"options": {"require_fresh": "2m"}})
    assert fresh["meta"]["sources"][0]["freshness"] == NEWEST
    assert len(fresh["data"]) == 3
    for spanned in (span, {"from": END}):
        stale = body | {"time_range": spanned, "options": {"require_fresh": "30s"}}
        for accept in ("application/json", "text/csv"):
            status, answer = await loaded.client.send(
                "POST", loaded.path(store), json=stale, headers={"accept": accept}
            )
            assert (status, answer["code"]) == (503, "STALE_SOURCE")
            assert answer["source"] == loaded.path(store).split("/")[1]


async def test_bad_options(loaded: Stores) -> None:
    for option, value in (("total", 1), ("require_fresh", 5), ("require_fresh", "soon"), ("require_fresh", None)):
        status, answer = await loaded.client.send("POST", loaded.path("embedded"), json={"options": {option: value}})
        assert status in (400, 422)
        assert answer["errors"][0]["pointer"] == f"/options/{option}"
