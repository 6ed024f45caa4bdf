"""The catalogue of every source: whole, page by page, and told in part where a store is down or hangs."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from apps.mix.datasets import to_token
from config.limits import LimitsSettings
from query.catalog import SourceRef
from unittest_.fault_proxy import HANG, Fault, FaultProxy, faulty
from unittest_.live import Client, service

TIMEOUT = 6.0


@dataclass(frozen=True)
class Served:
    """The service over a real Elasticsearch behind a proxy, and the embedded store of series."""

    client: Client
    es: FaultProxy
    name: str

    async def catalogue(self, rest: str = "") -> Any:
        return await self.client.ok("GET", f"/mix/catalog?prefix={self.name}{rest}")


def names(answer: Any) -> list[tuple[str, ...]]:
    return [tuple(one["from"].values()) for one in answer["data"]]


@pytest.fixture(scope="module")
async def served(es_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    name = f"cat-{uuid.uuid4().hex[:10]}"
    limits = LimitsSettings(timeout_seconds=TIMEOUT)
    async with (
        faulty(es_url) as es,
        service(tmp_path_factory.mktemp("catalog"), es_url=es.url, limits=limits) as client,
    ):
        try:
            for at in range(3):
                properties = {"host": {"type": "keyword"}, "@timestamp": {"type": "date"}, f"f{at}": {"type": "long"}}
                body = {"index": f"{name}-{at}", "mappings": {"properties": properties}}
                await client.ok("POST", "/es/index", json=body)
                await client.ok("PUT", f"/es/{name}-{at}/alias/{name}-all")
            await client.ok("PUT", f"/influx/{name}")
            for measurement in ("cpu", "a%2Fb"):
                point = {"tags": {"host": "a"}, "fields": {"usage": 1.5}}
                await client.ok("PUT", f"/influx/{name}/{measurement}", json=point)
            await client.ok("PUT", f"/mix/lookup/{name}", json=[{"host": "a", "owner": "ann"}])
            yield Served(client, es, name)
        finally:
            await es.heal()
            for at in range(3):
                await client.send("DELETE", f"/es/{name}-{at}")


async def test_every_source_is_there(served: Served) -> None:
    name = served.name
    answer = await served.catalogue()
    assert names(answer) == [
        ("es", f"{name}-0"), ("es", f"{name}-1"), ("es", f"{name}-2"), ("es", f"{name}-all"),
        ("influx", name, "a/b"), ("influx", name, "cpu"), ("mix", name),
    ]  # fmt: skip
    assert answer["page"] == {"cursor": None, "has_more": False, "total": {"value": 7, "relation": "eq"}}
    assert (answer["meta"]["partial"], answer["meta"]["warnings"]) == (False, [])
    assert {one["source"]: one["status"] for one in answer["meta"]["sources"]} == {
        "es": "ok",
        "influx": "ok",
        "mix": "ok",
    }
    first, alias, cpu, lookup = (answer["data"][at] for at in (0, 3, 5, 6))
    assert (first["kind"], first["time_field"]) == ("documents", "@timestamp")
    assert first["fields"] == [
        {"field": "@timestamp", "type": "timestamp", "role": "time"},
        {"field": "_id", "type": "string", "role": "id"},
        {"field": "f0", "type": "int64", "role": "field"},
        {"field": "host", "type": "string", "role": "keyword"},
    ]
    assert alias["alias_of"] == [f"{name}-{at}" for at in range(3)]
    assert {one["field"] for one in alias["fields"]} >= {"f0", "f1", "f2"}
    assert [(one["field"], one["role"]) for one in cpu["fields"]] == [
        ("host", "tag"),
        ("time", "time"),
        ("usage", "field"),
    ]
    assert [(one["field"], one["role"]) for one in lookup["fields"]] == [("host", "keyword"), ("owner", "keyword")]
    for one in answer["data"]:  # what it names, a query takes
        await served.client.ok("POST", "/mix/query", json={"from": one["from"], "limit": 1})


async def test_pages_hold_each_dataset_once(served: Served) -> None:
    whole = names(await served.catalogue())
    for limit in (1, 2, 3, 7):
        found: list[tuple[str, ...]] = []
        cursor = ""
        while True:
            answer = await served.catalogue(f"&limit={limit}{cursor}")
            found += names(answer)
            assert len(answer["data"]) <= limit
            assert answer["page"]["total"]["value"] == 7
            if not answer["page"]["has_more"]:
                break
            cursor = f"&cursor={answer['page']['cursor']}"
        assert answer["page"]["cursor"] is None
        assert found == whole, limit


async def test_of_one_instance_or_prefix(served: Served) -> None:
    name, client = served.name, served.client
    assert names(await served.catalogue("&instance=mix")) == [("mix", name)]
    assert names(await client.ok("GET", f"/mix/catalog?prefix={name}/c")) == [("influx", name, "cpu")]
    assert names(await client.ok("GET", f"/mix/catalog?instance=influx&prefix={name}/a%2Fb")) == [
        ("influx", name, "a/b")
    ]
    assert (await client.ok("GET", f"/mix/catalog?prefix={name}-none"))["data"] == []
    for query, code in (
        ("instance=none", "SOURCE_UNKNOWN"),
        ("instance=..%2Fes", "SOURCE_UNKNOWN"),
        ("cursor=x", "CURSOR_INVALID"),
        ("cursor=%C3%A4", "CURSOR_INVALID"),
        (f"cursor={to_token(('es',))}", "CURSOR_INVALID"),
        ("limit=0", "REQUEST_INVALID"),
        ("limit=1001", "REQUEST_INVALID"),
        ("index=a", "REQUEST_INVALID"),
    ):
        status, answer = await client.send("GET", f"/mix/catalog?{query}")
        assert 400 <= status < 500, (query, answer)
        assert answer["code"] == code, query
    # A cursor is a place: it leads nowhere else.
    odd = to_token(("es", "../_cluster"))
    await client.ok("GET", f"/mix/catalog?cursor={odd}&prefix={name}&limit=1")


@pytest.mark.parametrize(
    ("fault", "code"),
    [(Fault(cut=0, reset=True), None), (HANG, "DEADLINE_EXCEEDED"), (Fault(hang=True, after=2), "DEADLINE_EXCEEDED")],
    ids=["down", "hangs", "hangs midway"],
)
async def test_a_store_that_fails_leaves_the_others(served: Served, fault: Fault, code: str | None) -> None:
    """Within the deadline, and never in silence."""
    name = served.name
    assert served.client.services is not None
    for index in (*(f"{name}-{at}" for at in range(3)), f"{name}-all"):
        served.client.services.factory.backend("es").forget(SourceRef("es", (index,)))
    await served.es.set(fault)
    try:
        started = time.monotonic()
        answer = await served.catalogue()
        assert time.monotonic() - started < TIMEOUT
    finally:
        await served.es.heal()
    assert [one for one in names(answer) if one[0] != "es"] == [
        ("influx", name, "a/b"),
        ("influx", name, "cpu"),
        ("mix", name),
    ]
    assert all(one["fields"] for one in answer["data"] if one["from"]["source"] != "es")
    unread = [one["error"]["code"] for one in answer["data"] if one["fields"] is None]
    assert unread == ["DEADLINE_EXCEEDED"] * (4 if fault.after else 0)
    meta = answer["meta"]
    assert meta["partial"] is True
    assert {(one["code"], one["source"]) for one in meta["warnings"]} == {("STORE_PARTIAL", "es")}
    status = {one["source"]: one["status"] for one in meta["sources"]}
    assert (status["influx"], status["mix"]) == ("ok", "ok")
    assert status["es"] not in ("ok", "partial")
    assert code in (None, status["es"])
    assert (await served.catalogue())["meta"]["partial"] is False


async def test_dry_runs_count_and_change_nothing(served: Served) -> None:
    client, name = served.client, served.name
    body = {"from": {"source": "mix", "lookup": name}}
    await client.ok("PUT", f"/mix/saved/{name}", json=body)
    job = (await client.ok("POST", "/mix/query", json=body, headers={"prefer": "respond-async"}))["data"]["id"]
    things = [f"/mix/lookup/{name}", f"/mix/saved/{name}", f"/mix/job/{job}", f"/es/{name}-0/alias/{name}-all"]
    for path in things:
        for _ in range(2):
            answer = await client.ok("DELETE", f"{path}?dry_run=true")
            assert answer["data"] == {"dry_run": True, "affected": 1}, path
        status, answer = await client.send("DELETE", f"{path}?dry_run=perhaps")
        assert (status, answer["code"]) == (400, "REQUEST_INVALID"), path
    for path in things[:2]:
        status, answer = await client.send("DELETE", f"{path}?dry_run=true", headers={"if-match": '"other"'})
        assert (status, answer["code"]) == (412, "PRECONDITION_FAILED"), path
    for path in things[1:]:
        await client.ok("DELETE", f"{path}?dry_run=false")
        status, answer = await client.send("DELETE", f"{path}?dry_run=true")
        assert status == 404, (path, answer)
