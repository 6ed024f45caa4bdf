"""The embedded store: small writes acknowledged a second, and a week's aggregate against SQLite."""

from __future__ import annotations

import asyncio
import csv
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import aiohttp
import duckdb
import orjson

from bench import samples
from bench.rounds import Figure, Measure, beside, bound, paired
from bench.running import service
from libs.context import RequestContext
from libs.times import format_instant
from parser.json_body import parse_body
from query.backend import InstanceConfig, Point
from query.bind import bind
from query.catalog import SourceRef
from query.factory import QueryFactory, open_backend
from query.optimizer import optimize

WRITERS = 100
WRITES = 10_000
# A week of 20 hosts, a point each six seconds.
POINTS = 2_000_000
STEP_MS = 6_000
_PART = 50_000
_START = samples.START_MS * 1_000_000
_END = _START + POINTS // 20 * STEP_MS * 1_000_000
QUERY = {
    "time_range": {"from": format_instant(_START), "to": format_instant(_END)},
    "group_by": ["host"],
    "select": [{"agg": "avg", "field": "usage", "as": "mean"}, {"agg": "max", "field": "load", "as": "peak"}],
}
SQL = "select host, avg(usage), max(load) from cpu where time >= ? and time < ? group by host"


async def measure() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        return [await _small_writes(), *await _aggregates(folder)]


async def _small_writes() -> Figure:
    """In this process, at the store itself: what group commit makes of a hundred writers of single points."""
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


async def _aggregates(folder: str) -> list[Figure]:
    """At the store, from the body's bytes to rows, and over HTTP; both against SQLite in this process."""
    body = orjson.dumps(QUERY)
    name = f"a week's aggregate of {POINTS:,} points"
    with _sqlite(folder) as reference:
        factory = _opened(folder)
        await _fill(factory)
        # What was written last stands uncompressed until the file is opened again, or the log has grown.
        await factory.close()
        factory = _opened(folder)
        ours = partial(_at_store, factory, body)
        at_store = await paired(f"{name}, against SQLite", ours, reference, at_least=100, unit="/s")
        with _bare(folder) as bare:
            beside_bare = await beside(f"{name}, against DuckDB's own statement", ours, bare)
        await factory.close()
        async with service(data_dir=folder) as running, aiohttp.ClientSession(running.url) as session:
            over_http = partial(_over_http, session, body)
            served = await paired(f"{name}, against SQLite, over HTTP", over_http, reference, at_least=100, unit="/s")
        return [at_store, served, beside_bare]


def _opened(folder: str) -> QueryFactory:
    return QueryFactory([open_backend("embedded", InstanceConfig("influx", "series", None, data_dir=folder))])


async def _fill(factory: QueryFactory) -> None:
    store: Any = factory.backend("influx")
    await store.create_database("bench", RequestContext())
    lines = samples.lines(POINTS, "cpu", step_ms=STEP_MS)
    while part := list(islice(lines, _PART)):
        await store.write_lines("bench", "cpu", b"\n".join(part), "ns", RequestContext())


async def _at_store(factory: QueryFactory, body: bytes) -> float:
    started = time.perf_counter()
    context, source = RequestContext(), SourceRef("influx", ("bench", "cpu"))
    catalog = {source: await factory.table(source, context)}
    ask = bind(parse_body(body, source.instance, source.target), catalog, context.now_ns, context.limits)
    (query,) = factory.compile(optimize(ask.plan, factory.capabilities)).values()
    rows = [row async for batch in query.stream(context) for row in batch.rows()]
    assert len(rows) == 20
    return 1 / (time.perf_counter() - started)


async def _over_http(session: aiohttp.ClientSession, body: bytes) -> float:
    started = time.perf_counter()
    async with session.post(
        "/influx/bench/cpu/query", data=body, headers={"content-type": "application/json"}
    ) as answer:
        assert len(orjson.loads(await answer.read())["data"]) == 20
    return 1 / (time.perf_counter() - started)


@contextmanager
def _sqlite(folder: str) -> Iterator[Measure]:
    """A file of the same points. An index on the time does not help: the week is all that it holds."""
    connection = sqlite3.connect(Path(folder) / "bench.sqlite")
    connection.execute("create table cpu (time integer, host text, dc text, usage real, load real)")
    rows = (_columns(point) for point in samples.points(POINTS, step_ms=STEP_MS))
    connection.executemany("insert into cpu values (?, ?, ?, ?, ?)", rows)
    connection.commit()
    try:
        yield partial(_asked, connection)
    finally:
        connection.close()


@contextmanager
def _bare(folder: str) -> Iterator[Measure]:
    """The same statement in the embedded engine itself, on the one thread that a query has: what is left to us of its time."""
    text = Path(folder) / "bench.csv"
    with text.open("w", newline="") as file:
        csv.writer(file).writerows(_columns(point) for point in samples.points(POINTS, step_ms=STEP_MS))
    database = Path(folder) / "bare.duckdb"
    columns = "{'time': 'BIGINT', 'host': 'VARCHAR', 'dc': 'VARCHAR', 'usage': 'DOUBLE', 'load': 'DOUBLE'}"
    with duckdb.connect(database, config={"threads": 1}) as writing:
        writing.execute(f"create table cpu as from read_csv('{text}', header = false, columns = {columns})")
    connection = duckdb.connect(database, config={"threads": 1})
    try:
        yield partial(_asked, connection)
    finally:
        connection.close()


async def _asked(connection: Any) -> float:
    started = time.perf_counter()
    assert len(connection.execute(SQL, (_START, _END)).fetchall()) == 20
    return 1 / (time.perf_counter() - started)


def _columns(point: dict[str, Any]) -> tuple[Any, ...]:
    tags, fields = point["tags"], point["fields"]
    return (point["time"], tags["host"], tags["dc"], fields["usage"], fields["load"])
