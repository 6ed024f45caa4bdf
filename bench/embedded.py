"""The embedded store: small writes acknowledged a second, and a week's aggregate against SQLite."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from bench import samples
from bench.rounds import Figure, bound, paired
from bench.running import service

WRITERS = 100
WRITES = 10_000
POINTS = 600_000
QUERY = {
    "group_by": ["host"],
    "select": [{"agg": "avg", "field": "usage", "as": "mean"}, {"agg": "max", "field": "load", "as": "peak"}],
}


async def measure() -> list[Figure]:
    async with service() as running, aiohttp.ClientSession(running.url) as session:
        await (await session.put("/influx/bench")).read()
        return [await _small_writes(), await _aggregate(session)]


async def _small_writes() -> Figure:
    """In this process, at the store itself: what group commit makes of a hundred writers of single points."""
    from libs.context import RequestContext
    from query.backend import InstanceConfig, Point
    from query.factory import open_backend

    with tempfile.TemporaryDirectory() as folder:
        store = open_backend("embedded", InstanceConfig("influx", "series", None, data_dir=folder))
        await store.create_database("bench", RequestContext())  # type: ignore[attr-defined]

        async def write(number: int) -> None:
            for at in range(WRITES // WRITERS):
                point = Point("m", {"host": f"h{number}"}, {"v": float(at)}, at)
                await store.write("bench", [point], RequestContext())  # type: ignore[attr-defined]

        started = time.perf_counter()
        await asyncio.gather(*map(write, range(WRITERS)))
        rate = WRITES / (time.perf_counter() - started)
        await store.close()
    return bound("small writes acknowledged by the embedded store, 100 writers", rate, at_least=5000, unit="/s")


async def _aggregate(session: aiohttp.ClientSession) -> Figure:
    lines = list(samples.lines(POINTS, "cpu"))
    for at in range(0, POINTS, 50_000):
        body = b"\n".join(lines[at : at + 50_000])
        async with session.post(
            "/influx/bench/cpu/points", data=body, headers={"content-type": "text/plain"}
        ) as answer:
            assert answer.status == 200, await answer.text()

    async def ours() -> float:
        started = time.perf_counter()
        async with session.post("/influx/bench/cpu/query", json=QUERY) as answer:
            assert len(orjson.loads(await answer.read())["data"]) == 20
        return 1 / (time.perf_counter() - started)

    with tempfile.TemporaryDirectory() as folder:
        connection = sqlite3.connect(Path(folder) / "bench.sqlite")
        connection.execute("create table cpu (time integer, host text, dc text, usage real, load real)")
        rows = (_columns(point) for point in samples.points(POINTS))
        connection.executemany("insert into cpu values (?, ?, ?, ?, ?)", rows)
        connection.commit()

        async def reference() -> float:
            started = time.perf_counter()
            found = connection.execute("select host, avg(usage), max(load) from cpu group by host").fetchall()
            assert len(found) == 20
            return 1 / (time.perf_counter() - started)

        name = f"aggregate of {POINTS:,} points over HTTP, against SQLite in process"
        figure = await paired(name, ours, reference, at_least=100, unit="/s")
        connection.close()
    return figure


def _columns(point: dict[str, Any]) -> tuple[Any, ...]:
    tags, fields = point["tags"], point["fields"]
    return (point["time"], tags["host"], tags["dc"], fields["usage"], fields["load"])
