"""Deletes of points by tags and time: the same body has the same outcome on InfluxDB, on the embedded store and on plain dicts;
no text of a caller becomes structure (T8)."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config.instances import InstanceSettings
from libs.times import format_instant, parse_instant
from unittest_.conformance.case import Body, leaf
from unittest_.conformance.data import NOW, data_sets
from unittest_.conformance.random_filters import filters, named
from unittest_.live import Client, service
from unittest_.recording_proxy import RecordingProxy, recording
from unittest_.reference.filters import compile_filter

STORES = ("influx", "here")
DATA = data_sets()["odd"]
TABLE = DATA.tables["series"]
TAGS = {name: spec for name, spec in TABLE.fields.items() if spec.role == "tag"}
H1 = leaf("host", "eq", "h1")
TEXTS = (
    'cpu"; DROP DATABASE x--', 'cpu\\"', 'a\\\\"b', "' OR 1=1", "' OR ''='", "\\' OR 1=1 --", "/.*/", "=~ /.*/", "::tag",
    "INTO x", "\u2028", '"', "'", "\\", "$", "%", "a,b=c d", "#c", "x WHERE time > 0", "1; DELETE FROM canary", "é😀",
)  # fmt: skip
NO_NAMES = ("%00", "a%0Ab", "a%0Db", "_series", "x" * 256, "..")


@dataclass(frozen=True)
class Stores:
    client: Client
    proxy: RecordingProxy
    db: str

    async def write(self, store: str, measurement: str, points: list[Body]) -> None:
        await self.client.ok("POST", f"/{store}/{self.db}/{quote(measurement, safe='')}/points", json=points)

    async def delete(self, store: str, measurement: str, body: Body, query: str = "") -> tuple[int, Any]:
        path = f"/{store}/{self.db}/{quote(measurement, safe='')}/points/delete{query}"
        return await self.client.send("POST", path, json=body)

    async def rows(self, store: str, measurement: str) -> list[Body]:
        """None are left where InfluxDB has forgotten a measurement whose points are all gone."""
        path = f"/{store}/{self.db}/{quote(measurement, safe='')}/query"
        status, answer = await self.client.send("POST", path, json={"limit": 10_000})
        assert status == 200 or answer["code"] == "MEASUREMENT_UNKNOWN", answer
        return list(answer["data"] or ())


@pytest.fixture(scope="module")
async def stores(influx_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stores]:
    here = {"here": InstanceSettings(kind="series")}
    folder = tmp_path_factory.mktemp("points")
    async with recording(influx_url) as proxy, service(folder, influx_url=proxy.url, instances=here) as client:
        made = Stores(client, proxy, f"deletes_{uuid.uuid4().hex[:8]}")
        for store in STORES:
            await client.ok("PUT", f"/{store}/{made.db}")
        try:
            yield made
        finally:
            await client.ok("DELETE", f"/influx/{made.db}")


def _points() -> list[Body]:
    assert DATA.points is not None
    return [{"time": one.time, "tags": dict(one.tags), "fields": dict(one.fields)} for one in DATA.points]


def _kept(rows: list[Body]) -> list[tuple[Any, ...]]:
    """Rows as they are told apart."""
    return sorted((row["time"], *(row.get(name) or "" for name in sorted(TAGS))) for row in rows)


TIMES = sorted({row["time"] for row in TABLE.rows})
_edges = st.one_of(st.none(), st.sampled_from(TIMES), st.sampled_from(TIMES).map(lambda time: time + 1))


@settings(max_examples=10, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))
@given(where=st.one_of(st.none(), filters(named(replace(TABLE, fields=TAGS), {}), 2)), edges=st.tuples(_edges, _edges))
async def test_random_tags_and_times(where: Body | None, edges: tuple[int | None, int | None], stores: Stores) -> None:
    """What is left is what a model of plain rows keeps, to the nanosecond; InfluxDB refuses what it cannot do exactly."""
    low, high = edges if None in edges else sorted(edges)  # type: ignore[type-var]
    high = high + 1 if low is not None and low == high else high
    span = {name: format_instant(one) for name, one in (("from", low), ("to", high)) if one is not None}
    body: Body = ({"where": where} if where else {}) | ({"time_range": span} if span else {})
    body = body or {"all": True}

    def goes(row: Body) -> bool:
        within = (low is None or low <= row["time"]) and (high is None or row["time"] < high)
        return within and (where is None or compile_filter(where, TABLE.fields, NOW)(row))

    gone = [row for row in TABLE.rows if goes(row)]
    left = [row for row in TABLE.rows if not goes(row)]
    name = f"odd_{random.Random(repr(body)).getrandbits(40)}"

    async def check(store: str) -> None:
        await stores.write(store, name, _points())
        before = _kept(await stores.rows(store, name))
        status, told = await stores.delete(store, name, body)
        if status == 422 and store == "influx":
            assert told["code"] == "UNSUPPORTED", (body, told)
            assert _kept(await stores.rows(store, name)) == before
            return
        assert (status, told.get("deleted")) == (200, len(gone)), (store, body, told)
        found = [row | {"time": _nanoseconds(row["time"])} for row in await stores.rows(store, name)]
        assert _kept(found) == _kept([dict(row) for row in left]), (store, body)

    await asyncio.gather(*(check(store) for store in STORES))


def _nanoseconds(text: str) -> int:
    return parse_instant(text)


async def test_tags_that_are_missing_mean_what_they_mean_in_a_query(stores: Stores) -> None:
    points: list[Body] = [
        {"time": at, "tags": {"host": f"h{at % 3}"} if at % 4 else {"dc": "x"}, "fields": {"v": float(at)}}
        for at in range(1, 25)
    ]
    wheres: list[Body] = [
        H1, {"not": H1}, leaf("host", "ne", "h1"), leaf("host", "exists", False), leaf("host", "in", ["h0", "h2", ""]),
        leaf("host", "nin", ["h0"]), leaf("host", "regex", "^h[12]$"), {"not": leaf("host", "like", "h%")},
        leaf("host", "eq", ""), {"not": leaf("host", "eq", "")}, {"or": [H1, leaf("dc", "eq", "x")]},
        {"and": [leaf("dc", "exists", True), {"not": {"or": [H1, leaf("dc", "eq", "y")]}}]},
        {"not": {"and": [leaf("host", "exists", True), leaf("host", "ne", "h2")]}},
    ]  # fmt: skip
    for at, where in enumerate(wheres):
        name = f"missing{at}"
        for store in STORES:
            await stores.write(store, name, points)
            asked = await stores.client.ok(
                "POST", f"/{store}/{stores.db}/{name}/query", json={"where": where, "select": ["time"]}
            )
            chosen = {row["time"] for row in asked["data"]}
            counted = await stores.delete(store, name, {"where": where}, "?dry_run=true")
            assert counted == (200, {"dry_run": True, "affected": len(chosen)})
            status, told = await stores.delete(store, name, {"where": where}, f"?max_affected={len(chosen)}")
            assert (status, told["deleted"]) == (200, len(chosen)), (store, where)
            left = {row["time"] for row in await stores.rows(store, name)}
            assert left == {format_instant(point["time"]) for point in points} - chosen, (store, where)


async def test_what_is_wrong_deletes_nothing(stores: Stores) -> None:
    for store in STORES:
        points = [{"time": at, "tags": {"host": f"h{at % 3}"}, "fields": {"v": 1.0}} for at in range(9)]
        await stores.write(store, "wrong", points)
        stores.proxy.clear()
        field = leaf("v", "gt", 0)
        cases: list[tuple[Body, int, str, str]] = [
            ({}, 422, "FILTER_REQUIRED", "/where"),
            ({"where": {}, "time_range": {}}, 422, "FILTER_REQUIRED", "/where"),
            ({"all": True, "where": H1}, 422, "BODY_INVALID", "/all"),
            ({"all": True, "time_range": {"to": "now"}}, 422, "BODY_INVALID", "/all"),
            ({"where": {"and": [H1, field]}}, 422, "UNSUPPORTED", "/where/and/1/field"),
            ({"where": {"not": field}}, 422, "UNSUPPORTED", "/where/not/field"),
            ({"where": leaf("nope", "eq", "x")}, 422, "FIELD_UNKNOWN", "/where/field"),
            ({"where": leaf("host", "eq", 5)}, 422, "TYPE_MISMATCH", "/where/value"),
            ({"time_range": {"from": "yesterday"}}, 422, "TIME_INVALID", "/time_range/from"),
            ({"time_range": {"from": "now", "to": "now-1h"}}, 422, "RANGE_INVALID", "/time_range"),
            ({"where": H1, "set": {"v": 1}}, 422, "BODY_INVALID", "/set"),
        ]
        for body, status, code, pointer in cases:
            answered, told = await stores.delete(store, "wrong", body)
            assert (answered, told["code"], told["errors"][0]["pointer"]) == (status, code, pointer), (store, body)
        answered, told = await stores.delete(store, "wrong", {"where": H1}, "?max_affected=2")
        assert (answered, told["code"]) == (422, "TOO_MANY_AFFECTED")
        for where in (leaf("host", "lt", "h1"), {"or": [H1, leaf("time", "lt", "1970-01-01T00:00:01Z")]}):
            answered, told = (
                await stores.delete("influx", "wrong", {"where": where}) if store == "influx" else (422, {})
            )
            assert answered == 422
            assert told.get("code", "UNSUPPORTED") == "UNSUPPORTED"
        assert b"q=DELETE" not in stores.proxy.received
        assert len(await stores.rows(store, "wrong")) == 9
        assert (await stores.delete(store, "nowhere", {"all": True}))[1]["code"] == "MEASUREMENT_UNKNOWN"


async def test_no_text_becomes_structure(stores: Stores) -> None:
    """T8, T9: as a tag's value, a measurement's name and a tag's key it is that and nothing else; one statement each."""
    for store in STORES:
        await stores.write(store, "canary", [{"time": 1, "tags": {"host": "h1"}, "fields": {"v": 1}}])
        left = {text for text in TEXTS if not text.endswith("\\")} | {"other"}  # line protocol has no word for that end
        await stores.write(store, "texts", [{"time": 1, "tags": {"host": one}, "fields": {"v": 1}} for one in left])
        for text in TEXTS:
            stores.proxy.clear()
            status, told = await stores.delete(store, "texts", {"where": leaf("host", "eq", text)})
            assert (status, told["deleted"]) == (200, int(text in left)), (store, text, told)
            if store == "influx":
                assert stores.proxy.received.count(b"q=DELETE+FROM") == 1
            left.discard(text)
            assert {row["host"] for row in await stores.rows(store, "texts")} == left, (store, text)
        for text in TEXTS:
            if "\\" in text or text.startswith("#") or not text.isprintable():  # no point can be written there
                status, told = await stores.delete(store, text, {"all": True})
                assert 400 <= status < 500, (store, text, told)
                continue
            point: Body = {"time": 1, "tags": {"host": "h1", text: "x"}, "fields": {"v": 1}}
            await stores.write(store, text, [point, {"time": 2, "tags": {text: "y"}, "fields": {"v": 1}}])
            status, told = await stores.delete(store, text, {"where": leaf(text, "eq", "x")})
            assert (status, told["deleted"]) == (200, 1), (store, text, told)
            assert len(await stores.rows(store, text)) == 1
        stores.proxy.clear()
        for name in NO_NAMES:
            path = f"/{store}/{stores.db}/{name}/points/delete"
            status, told = await stores.client.send("POST", path, json={"all": True})
            assert 400 <= status < 500, (store, name, told)
        assert b"q=DELETE" not in stores.proxy.received
        assert len(await stores.rows(store, "canary")) == 1


async def test_points_of_other_policies_are_not_taken_in_silence(stores: Stores) -> None:
    """InfluxDB's DELETE takes those of every retention policy; queries show the default one's."""
    await stores.write(
        "influx", "kept", [{"time": at, "tags": {"host": f"h{at}"}, "fields": {"v": 1}} for at in (1, 2)]
    )
    behind = f"{stores.proxy.url}/query?db={stores.db}"
    statement = f'CREATE RETENTION POLICY "o""x" ON {stores.db} DURATION INF REPLICATION 1'.replace('o""x', "o' x")
    await stores.client.session.post(behind, data={"q": statement})
    lines = stores.client.session.post(
        f"{stores.proxy.url}/write?db={stores.db}&rp=o%27%20x&precision=ns", data=b"kept,host=h1 v=1 1"
    )
    assert (await lines).status == 204
    stores.proxy.clear()
    status, told = await stores.delete("influx", "kept", {"where": H1})
    assert (status, told["code"]) == (422, "UNSUPPORTED")
    assert "o' x" in told["message"]
    for path in (f"/influx/{stores.db}/kept?dry_run=true", f"/influx/{stores.db}?dry_run=true"):
        status, told = await stores.client.send("DELETE", path)
        assert (status, told["code"]) == (422, "UNSUPPORTED")
    assert b"q=DELETE" not in stores.proxy.received
    status, told = await stores.delete("influx", "kept", {"where": leaf("host", "eq", "h2")})
    assert (status, told["deleted"]) == (200, 1)
    await stores.client.session.post(behind, data={"q": f'DROP RETENTION POLICY "o\' x" ON {stores.db}'})


async def test_dry_runs_of_drops_count_points_and_drop_nothing(stores: Stores) -> None:
    client = stores.client
    for store in STORES:
        db = f"{stores.db}_dry"
        await client.ok("PUT", f"/{store}/{db}")
        try:
            empty = await client.ok("DELETE", f"/{store}/{db}?dry_run=true")
            assert empty == {"dry_run": True, "affected": 0}
            for name, count in (("one", 3), ("two", 5)):
                points = [{"time": at, "fields": {"v": 1} if at % 2 else {"w": "x"}} for at in range(count)]
                await client.ok("POST", f"/{store}/{db}/{name}/points", json=points)
            for path, affected in ((f"{db}/two", 5), (db, 8), (f"db/{db}", 8), (f"db?db={db}", 8)):
                path = f"/{store}/{path}{'&' if '?' in path else '?'}dry_run=true"
                assert await client.ok("DELETE", path) == {"dry_run": True, "affected": affected}
            status, told = await client.send("DELETE", f"/{store}/{db}/none?dry_run=true")
            assert (status, told["code"]) == (404, "MEASUREMENT_UNKNOWN")
            status, told = await client.send("DELETE", f"/{store}/{db}none?dry_run=true")
            assert (status, told["code"]) == (404, "DATABASE_UNKNOWN")
        finally:
            await client.ok("DELETE", f"/{store}/{db}")
