"""Questions over two stores, against what one would do without: a script that fetches and merges, pandas, files in DuckDB."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import aiohttp
import orjson

from bench import exported, fetch_and_merge, fleet
from bench.fleet import END, HOUR, SERVICES, START, Fleet
from bench.rounds import Figure, Measure, beside, paired
from bench.running import service
from libs.times import format_instant

RANGES = (("1 h", HOUR, 10), ("24 h", 24 * HOUR, 100), ("7 d", END - START, 300))
SERVICE, TOLERANCE = SERVICES[3], 120
LIMITS = {"limits__rows_fetched": "3000000"}
NDJSON = {"accept": "application/x-ndjson"}


async def measure(es_url: str, influx_url: str) -> list[Figure]:
    async with (
        fleet.filled(es_url, influx_url, "mix") as where,
        service(es_url=es_url, influx_url=influx_url, **LIMITS) as running,
        aiohttp.ClientSession(running.url) as session,
    ):
        stores = fetch_and_merge.Stores(where)
        figures = [await _errors(session, stores, *chosen) for chosen in RANGES]
        figures.append(await _logs(session, stores))
        figures += await _others(session, stores)
        stores.close()
        return figures


async def _errors(
    session: aiohttp.ClientSession, stores: fetch_and_merge.Stores, name: str, seconds: int, goal: int
) -> Figure:
    start = END - seconds
    asked = errors_body(stores.fleet, start)
    _same(await _rows(session, asked), fetch_and_merge.errors_beside_cpu(stores, start, END))
    return await paired(
        f"errors per host and minute beside the CPU, {name}, against a script that fetches and merges",
        _rate(lambda: _rows(session, asked)),
        _rate_of(lambda: fetch_and_merge.errors_beside_cpu(stores, start, END)),
        at_least=goal,
    )


async def _logs(session: aiohttp.ClientSession, stores: fetch_and_merge.Stores) -> Figure:
    asked = logs_body(stores.fleet)

    def script() -> list[dict[str, Any]]:
        return fetch_and_merge.logs_beside_cpu(stores, START, END, SERVICE, TOLERANCE)

    theirs = script()
    ours = await _streamed(session, asked)
    found = {row["_id"]: round(row["m.usage"] * 100) for row in ours}
    assert len(ours) == len(theirs) == len(found)
    assert sum(found.values()) == sum(round(row["cpu"] * 100) for row in theirs)
    return await paired(
        f"{len(ours):,} log rows, each with its host's latest CPU (as-of join), against the script",
        _rate(lambda: _streamed(session, asked)),
        _rate_of(script),
        at_least=10,
    )


async def _others(session: aiohttp.ClientSession, stores: fetch_and_merge.Stores) -> list[Figure]:
    """Without goals: what else one might run for the week."""
    asked = errors_body(stores.fleet, START)

    def pandas() -> object:
        from bench import with_pandas

        return with_pandas.errors_beside_cpu(stores, START, END)

    with exported.files(stores, START, END) as held:
        _same(await _rows(session, asked), exported.errors_beside_cpu(held))
        return [
            await beside(
                "the errors beside the CPU, 7 d, against pandas", _rate(lambda: _rows(session, asked)), _rate_of(pandas)
            ),
            await beside(
                f"the errors beside the CPU, 7 d, against DuckDB over files exported before ({held.seconds:.0f} s, not counted)",
                _rate(lambda: _rows(session, asked)),
                _rate_of(lambda: exported.errors_beside_cpu(held)),
            ),
        ]


def _rate(ask: Callable[[], Any]) -> Measure:
    async def measured() -> float:
        started = time.perf_counter()
        await ask()
        return 1 / (time.perf_counter() - started)

    return measured


def _rate_of(run: Callable[[], object]) -> Measure:
    return _rate(lambda: asyncio.to_thread(run))


async def _rows(session: aiohttp.ClientSession, asked: dict[str, Any]) -> list[dict[str, Any]]:
    async with session.post("/mix/query", json=asked) as answer:
        found = orjson.loads(await answer.read())
    assert found["result"], found
    assert not found["page"]["has_more"]
    rows: list[dict[str, Any]] = found["data"]
    return rows


async def _streamed(session: aiohttp.ClientSession, asked: dict[str, Any]) -> list[dict[str, Any]]:
    async with session.post("/mix/query", json=asked, headers=NDJSON) as answer:
        assert answer.status == 200, await answer.text()
        return [orjson.loads(line) for line in (await answer.read()).splitlines()]


def _same(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> None:
    """That both have answered the same question."""
    told = [(row["host"], row["t"], row["errors"], round(row["m.cpu"], 6)) for row in ours]
    expected = [(row["host"], format_instant(row["t"] * 10**9), row["errors"], round(row["cpu"], 6)) for row in theirs]
    assert told == expected, (told[:3], expected[:3])


def _range(start: int) -> dict[str, str]:
    return {"from": format_instant(start * 10**9), "to": format_instant(END * 10**9)}


def errors_body(where: Fleet, start: int) -> dict[str, Any]:
    cpu = {
        "from": {"source": "influx", "db": where.db, "measurement": fleet.MEASUREMENT},
        "group_by": ["host", {"time_bucket": "1m", "field": "time", "as": "t"}],
        "select": [{"agg": "avg", "field": "usage", "as": "cpu"}],
    }
    return {
        "from": {"source": "es", "index": where.index},
        "time_range": _range(start),
        "where": {"field": "status", "op": "gte", "value": 500},
        "group_by": ["host", {"time_bucket": "1m", "field": "@timestamp", "as": "t"}],
        "select": [{"agg": "count", "as": "errors"}],
        "join": [{"how": "left", "as": "m", "with": cpu, "on": ["host", "t"]}],
        "limit": 10_000,
    }


def logs_body(where: Fleet) -> dict[str, Any]:
    cpu = {
        "from": {"source": "influx", "db": where.db, "measurement": fleet.MEASUREMENT},
        "select": ["host", "time", "usage"],
    }
    asof = {"left": "@timestamp", "right": "time", "direction": "backward", "tolerance": f"{TOLERANCE}s"}
    return {
        "from": {"source": "es", "index": where.index},
        "time_range": _range(START),
        "where": {"field": "service", "op": "eq", "value": SERVICE},
        "join": [{"how": "asof", "as": "m", "with": cpu, "on": ["host"], "asof": asof}],
    }
