"""One join over the embedded store at ten thousand to ten million rows a side: its time, memory and spilling as it grows.

Two measurements, a row a second and host in each; every row of one has its partner in the other, and both sides' values are
folded by host behind the join, so that nothing of it can be done before.
"""

from __future__ import annotations

import asyncio
import math
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import duckdb
import orjson

from bench.running import Running, service
from libs.context import RequestContext
from query.backend import InstanceConfig, Point
from query.embedded.series import EmbeddedSeries
from query.factory import open_backend

SIZES = (10_000, 100_000, 1_000_000, 10_000_000)
HOSTS = 100
DB = "bench"
SIDES = {"requests": "latency_ms", "cpu": "usage"}
MEGABYTE = 1e6
MOST_MEMORY = 1000 * MEGABYTE
_START_NS = 1_794_000_000 * 10**9
_A_PART = 1_000_000
_REPEATS = 3
SETTINGS = {
    "limits__rows_fetched": str(3 * SIZES[-1]),
    "limits__bytes_fetched": str(64 * 10**9),
    "limits__timeout_seconds": "600",
}


@dataclass(frozen=True, slots=True)
class Grown:
    """One size's figures: seconds, and bytes of the service's whole resident memory at its peak and before, and of what was
    spilled at once."""

    rows: int
    seconds: float
    peak: int
    before: int
    spilled: int

    @property
    def over(self) -> int:
        return max(self.peak - self.before, 1)


async def measure(sizes: Sequence[int] = SIZES) -> list[Grown]:
    with tempfile.TemporaryDirectory() as folder:
        await fill(folder, sizes)
        async with (
            service(data_dir=folder, **SETTINGS) as running,
            aiohttp.ClientSession(running.url, timeout=aiohttp.ClientTimeout(None)) as session,
        ):
            await _ask(session, sizes[0])
            return [await _grown(session, running, Path(folder) / "spill", rows) for rows in sizes]


async def fill(folder: str, sizes: Sequence[int]) -> None:
    """The measurements of all sizes: the first point of each as a caller would write it, the others by the store's own
    writer, made in the engine."""
    store = open_backend("embedded", InstanceConfig("influx", "series", None, data_dir=folder))
    assert isinstance(store, EmbeddedSeries)
    context = RequestContext(deadline=math.inf)
    await store.create_database(DB, context)
    for rows in sizes:
        for side, field in SIDES.items():
            name = f"{side}_{rows}"
            await store.write(DB, [Point(name, {"host": "h0"}, {field: 0.5}, _START_NS)], context)
            for first in range(1, rows, _A_PART):
                part = partial(_append, store, name, field, first, min(first + _A_PART, rows))
                await store.store.writer.change(part, context, store.name)
    await store.close()


def _append(
    store: EmbeddedSeries, name: str, field: str, first: int, stop: int, cursor: duckdb.DuckDBPyConnection
) -> None:
    """Points `first` to `stop`: the number's last digits choose the host, the others the second."""
    database = store.store.series.databases[store.name, DB]
    held = database.measurements[name]
    columns = f"time, {held.tags['host'].physical}, {held.fields[field].physical}"
    at = f"{_START_NS} + (range // {HOSTS}) * 1000000000"
    value = f"(hash(range, '{name}') % 100000) / 1000.0"
    cursor.execute(
        f"INSERT INTO {held.table}({columns}) SELECT {at}, 'h' || range % {HOSTS}, {value} FROM range({first}, {stop})"
    )
    held.rows += stop - first
    held.newest = None
    store.store.series.touch(database, name)


def body(rows: int) -> dict[str, Any]:
    return {
        "from": {"source": "influx", "db": DB, "measurement": f"requests_{rows}"},
        "join": [
            {
                "how": "inner",
                "as": "m",
                "with": {"from": {"source": "influx", "db": DB, "measurement": f"cpu_{rows}"}},
                "on": ["host", "time"],
            }
        ],
        "then": {
            "group_by": ["host"],
            "select": [
                {"agg": "count", "as": "rows"},
                {"agg": "avg", "field": "latency_ms", "as": "latency"},
                {"agg": "max", "field": "m.usage", "as": "cpu"},
            ],
        },
    }


async def _ask(session: aiohttp.ClientSession, rows: int) -> None:
    async with session.post("/mix/query", json=body(rows)) as answer:
        found = orjson.loads(await answer.read())
    assert found["result"], found
    assert len(found["data"]) == HOSTS, found
    assert sum(row["rows"] for row in found["data"]) == rows, found["data"][:3]


async def _grown(session: aiohttp.ClientSession, running: Running, spill: Path, rows: int) -> Grown:
    watch = asyncio.create_task(_most_spilled(spill))
    before = running.resident_bytes()
    running.forget_peak()
    times: list[float] = []
    while len(times) < _REPEATS and sum(times) < 10:
        started = time.perf_counter()
        await _ask(session, rows)
        times.append(time.perf_counter() - started)
    watch.cancel()
    spilled = (await asyncio.gather(watch, return_exceptions=True))[0]
    return Grown(rows, min(times), running.peak_bytes(), before, spilled if isinstance(spilled, int) else 0)


async def _most_spilled(folder: Path) -> int:
    """The most bytes in the folder at a time, until cancelled."""
    most = 0
    try:
        while True:
            most = max(most, await asyncio.to_thread(_bytes_in, folder))
            await asyncio.sleep(0.1)
    except asyncio.CancelledError:
        return most


def _bytes_in(folder: Path) -> int:
    total = 0
    for path in folder.glob("*"):
        try:
            total += path.stat().st_blocks * 512
        except FileNotFoundError:
            continue  # it was needed no longer
    return total


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Of the least-squares line through the points' logarithms: the power of x that y grows with."""
    xs, ys = [math.log(x) for x, _ in points], [math.log(y) for _, y in points]
    x_mean, y_mean = sum(xs) / len(xs), sum(ys) / len(ys)
    upper = sum((x - x_mean) * (y - y_mean) for x, y in zip(xs, ys, strict=True))
    return upper / sum((x - x_mean) ** 2 for x in xs)
