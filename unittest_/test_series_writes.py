"""Odd points on a real InfluxDB and on the embedded store: the same statuses, counts, keys with their types, and rows."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest

from config.instances import InstanceSettings
from unittest_.live import Client, service

STORES = ("influx", "here")
EDGE = 9_223_372_036_854_775_806
# One write after the other: what a number becomes depends on what came before.
POINTS: list[list[dict[str, Any]]] = [
    [{"time": 1, "fields": {"f": 1.5, "i": 1, "b": True, "s": "x"}}],
    [{"time": 2, "fields": {"f": 1}}],
    [{"time": 3, "fields": {"i": 1.5}}],
    [{"time": 3, "fields": {"i": 2.0}}],
    [{"time": 4, "fields": {"b": 1}}],
    [{"time": 4, "fields": {"s": 1}}],
    [{"time": 4, "fields": {"f": "x"}}],
    [{"time": 4, "fields": {"f": True}}],
    [{"time": 4, "fields": {"f": 2**53 + 1}}],
    [{"time": 4, "fields": {"f": 2**63 - 1}}],
    [{"time": 5, "fields": {"i": 1e18}}],
    [{"time": 5, "fields": {"i": 2.0**63}}],
    [{"time": 6, "fields": {"n": 1}}, {"time": 7, "fields": {"n": 1.5}}],
    [{"time": 6, "tags": {"t": ""}, "fields": {"f": 2}}],
    [{"time": 6, "tags": {"t": "a"}, "fields": {"f": 3}}],
    [{"time": -EDGE, "fields": {"f": 1}}],
    [{"time": -EDGE - 1, "fields": {"f": 1}}],
    [{"time": EDGE, "fields": {"f": 1}}],
    [{"time": EDGE + 1, "fields": {"f": 1}}],
    [{"time": 8, "fields": {"time": 1}}],
    [{"time": 8, "tags": {"time": "x"}, "fields": {"f": 1}}],
    [{"time": 9, "fields": {"f": -0.0}}],
    [{"time": 9, "fields": {"s": ""}}],
    [{"time": 10, "fields": {"f": 1e308, "s": "x" * 70_000}}],
    [{"time": "2026-01-01T00:00:00.123456789Z", "fields": {"f": 1}}],
    [{"time": "1969-12-31T23:59:59.999999999Z", "fields": {"f": 1}}],
    [{"time": 11, "fields": {"f": 1, "new": 3}}, {"time": 11, "fields": {"f": 2}}],
    [{"time": 12, "tags": {"h": "a\nb"}, "fields": {"f": 1}}],
    [{"time": 12, "tags": {"h": "x" * 70_000}, "fields": {"f": 1}}],
    [{"time": 12, "fields": {"a,b=c d": 1}}],
    [{"time": 12, "fields": {"s": 'a\nb"\\'}}],
    [{"time": 13, "tags": {"x": "a,b =c"}, "fields": {"f": 1}}],
]
LINES = [
    b"m f=1.5 1", b"m f=1i 2", b"m i=5i 3", b"m i=5 4", b'm s="a b" 5', b"m b=t 6", b"m b=True 7", b"m b=yes 8", b"m f=1e3 9",
    b"m f=1.5i 9", b"m i=9223372036854775808i 9", b"m,h=a f=1 9\nm,h=a f=2 9", b"m f=NaN 9", b"m f=inf 9",
    b'm f=1 9\nm f="x" 10\nm f=2 11', b"m f=1 9 9", b"m", b"m f", b"m f=", b"m,h f=1 1", b"m,h= f=1 1", b"m,=a f=1 1",
    b"m f=1,f=2 12", b"m,h=a,h=b f=1 13", b"#c\nm f=3 14\n\n", b"m f=1 x", b"m f=1 99999999999999999999",
    b"m f=1 -9223372036854775807", b"  m f=4 15", b"m  f=4 16", b"m f=4  17 ", b"m f=4 18\r\n", b'm s="a\\"b\\\\c" 19',
    b'm s="a\nb" 20', b'm s="abc 21', b"m,h=a\\ b\\,c\\=d f=1 22", b"m time=5 23", b"m time=5,f=1 24", b"m,time=a f=1 25",
    b"m f=+1 26", b"m f=.5 27", b"m f=5. 28", b"m f=-0 29", b"m f=1u 30", b"m f=0x10 31", b"m f=1_0 32",
]  # fmt: skip


@pytest.fixture(scope="module")
async def client(influx_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    instances = {"here": InstanceSettings(kind="series")}
    folder = tmp_path_factory.mktemp("writes")
    async with service(folder, influx_url=influx_url, instances=instances) as client:
        yield client


async def written(client: Client, writes: list[dict[str, Any]]) -> list[tuple[list[Any], Any, Any]]:
    """For each store: how every write ended, then the keys, then the rows."""
    db = f"writes_{uuid.uuid4().hex}"
    found: list[tuple[list[Any], Any, Any]] = []
    for store in STORES:
        await client.ok("PUT", f"/{store}/{db}")
        try:
            outcomes: list[Any] = []
            for write in writes:
                status, answer = await client.send("POST", f"/{store}/{db}/m/points", **write)
                told = answer.get("code") or (answer["written"], answer["dropped"])
                outcomes.append((status, told, str(write)[:200]))
            keys = await client.ok("GET", f"/{store}/{db}/m")
            rows = await client.ok(
                "POST", f"/{store}/{db}/m/query", json={"limit": 1000, "options": {"timeout": "20s"}}
            )
            found.append((outcomes, keys, rows["data"]))
        finally:
            await client.ok("DELETE", f"/{store}/{db}")
    return found


async def test_points_of_json_end_alike(client: Client) -> None:
    real, embedded = await written(client, [{"json": points} for points in POINTS])
    for outcome, other in zip(real[0], embedded[0], strict=True):
        assert outcome == other
    assert real[1:] == embedded[1:]
    assert len(real[2]) > 10


async def test_lines_end_alike(client: Client) -> None:
    plain = {"content-type": "text/plain"}
    real, embedded = await written(client, [{"data": lines, "headers": plain} for lines in LINES])
    for outcome, other in zip(real[0], embedded[0], strict=True):
        assert outcome == other
    assert real[1:] == embedded[1:]
    assert len(real[2]) > 10


async def test_a_tag_may_hide_a_field(client: Client) -> None:
    """Both stores take it; the name cannot be asked for any more (FIELD_AMBIGUOUS)."""
    writes = [
        {"time": 1, "fields": {"f": 1.5}},
        {"time": 2, "tags": {"f": "a"}, "fields": {"g": 1}},
        {"time": 3, "fields": {"f": 2}},
    ]
    for store in STORES:
        db = f"writes_{uuid.uuid4().hex}"
        await client.ok("PUT", f"/{store}/{db}")
        try:
            for point in writes:
                assert await client.ok("PUT", f"/{store}/{db}/m", json=point) == {"result": True}
            status, answer = await client.send("POST", f"/{store}/{db}/m/query", json={"select": ["f"]})
            assert (status, answer["code"]) == (422, "FIELD_AMBIGUOUS"), store
        finally:
            await client.ok("DELETE", f"/{store}/{db}")
