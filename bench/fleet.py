"""A fleet for measurements: a million log documents and two million points of 200 hosts over a week, the same at every run.

Each host reports once a minute. Hosts belong to services, ten to each. Errors (status 503) come in incidents alone: every
twelve hours half an hour of them, on one of three hosts.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

import aiohttp
import orjson

T = TypeVar("T")

START = 1_794_000_000  # seconds since 1970, at a minute's start
MINUTE = 60
HOUR = 3600
END = START + 7 * 24 * HOUR
HOSTS = 200
SERVICES = tuple(f"service-{number:02}" for number in range(HOSTS // 10))
DOCUMENTS = 1_000_000
MEASUREMENT = "cpu"

_FLAKY = (17, 91, 150)
_EVERY, _LONG, _ERRORS = 12 * HOUR, HOUR // 2, 300
_AGENT = "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/128.0"
_MAPPINGS = {
    "properties": {
        "@timestamp": {"type": "date"},
        "host": {"type": "keyword"},
        "service": {"type": "keyword"},
        "path": {"type": "keyword"},
        "status": {"type": "integer"},
        "bytes": {"type": "long"},
        "latency_ms": {"type": "double"},
        "agent": {"type": "keyword"},
    }
}


@dataclass(frozen=True, slots=True)
class Fleet:
    """Where the samples are."""

    es_url: str
    influx_url: str
    index: str
    db: str


def host(number: int) -> str:
    return f"web-{number:03}"


def documents(seed: int = 11) -> Iterator[bytes]:
    """JSON texts of some 215 bytes, by time."""
    rng = random.Random(seed)
    errors = sorted(_errors(rng))
    usual = DOCUMENTS - len(errors)
    step = (END - START) * 1000 / usual
    at = 0
    for number in range(usual):
        now = START * 1000 + int((number + rng.random()) * step)
        while at < len(errors) and errors[at][0] < now:
            yield _document(*errors[at], 503, rng)
            at += 1
        yield _document(now, rng.randrange(HOSTS), rng.choice((200, 200, 200, 200, 304, 404)), rng)
    for when, number in errors[at:]:
        yield _document(when, number, 503, rng)


def _errors(rng: random.Random) -> Iterator[tuple[int, int]]:
    """(milliseconds, host) of each error. The last incident ends with the week."""
    for number, end in enumerate(range(START + _EVERY, END + 1, _EVERY)):
        for _ in range(_ERRORS):
            yield int(1000 * (end - _LONG + rng.random() * _LONG)), _FLAKY[number % len(_FLAKY)]


def _document(when: int, number: int, status: int, rng: random.Random) -> bytes:
    return orjson.dumps(
        {
            "@timestamp": when,
            "host": host(number),
            "service": SERVICES[number // 10],
            "path": f"/api/v1/items/{rng.randrange(1000)}",
            "status": status,
            "bytes": rng.randrange(100, 100_000),
            "latency_ms": round(rng.expovariate(0.02), 3),
            "agent": _AGENT,
        }
    )


def lines(seed: int = 12) -> Iterator[str]:
    """Line protocol, in seconds, by time."""
    rng = random.Random(seed)
    hosts = [host(number) for number in range(HOSTS)]
    for minute in range(START, END, MINUTE):
        for name in hosts:
            yield f"{MEASUREMENT},host={name} load={rng.randrange(800) / 100},usage={rng.randrange(10_000) / 100} {minute}"


@asynccontextmanager
async def filled(es_url: str, influx_url: str, name: str) -> AsyncIterator[Fleet]:
    """The samples on both stores, for as long as the block lasts."""
    fleet = Fleet(es_url, influx_url, f"bench-{name}", f"bench_{name}")
    async with aiohttp.ClientSession() as session:
        try:
            await _fill_documents(session, fleet)
            await _fill_points(session, fleet)
            yield fleet
        finally:
            await (await session.delete(f"{es_url}/{fleet.index}")).read()
            await _order(session, fleet, f'DROP DATABASE "{fleet.db}"')


async def _fill_documents(session: aiohttp.ClientSession, fleet: Fleet) -> None:
    url = f"{fleet.es_url}/{fleet.index}"
    await (await session.delete(url)).read()
    settings = {"number_of_shards": 1, "number_of_replicas": 0, "refresh_interval": "-1"}
    (await session.put(url, json={"settings": settings, "mappings": _MAPPINGS})).raise_for_status()
    headers = {"content-type": "application/x-ndjson"}
    for batch in _batches(documents(), 20_000):
        body = b"".join(b'{"create":{}}\n' + document + b"\n" for document in batch)
        async with session.post(f"{url}/_bulk", data=body, headers=headers) as answer:
            assert not orjson.loads(await answer.read())["errors"]
    await (await session.post(f"{url}/_refresh")).read()
    await (await session.post(f"{url}/_forcemerge?max_num_segments=1")).read()


async def _fill_points(session: aiohttp.ClientSession, fleet: Fleet) -> None:
    await _order(session, fleet, f'DROP DATABASE "{fleet.db}"')
    await _order(session, fleet, f'CREATE DATABASE "{fleet.db}"')
    params = {"db": fleet.db, "precision": "s"}
    for batch in _batches(lines(), 50_000):
        body = "\n".join(batch).encode()
        async with session.post(f"{fleet.influx_url}/write", params=params, data=body) as answer:
            assert answer.status == 204, await answer.text()


async def _order(session: aiohttp.ClientSession, fleet: Fleet, statement: str) -> None:
    await (await session.post(f"{fleet.influx_url}/query", params={"q": statement})).read()


def _batches(items: Iterator[T], size: int) -> Iterator[list[T]]:
    batch: list[T] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
