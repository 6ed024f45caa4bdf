"""Limits by role: rows, groups, bytes, joined rows and seconds on every store, and how many queries run at a time."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import aiohttp
import pytest
from sanic import Sanic

from apps.pipeline import Services, run
from apps.places import Places
from config.limits import ROLE_LIMITS, LimitsSettings
from config.load import load_settings
from config.settings import Settings
from libs.context import ANYBODY, Limits, Principal, RequestContext
from libs.errors import ConfigError, CostError, DeadlineError, RequestError
from libs.result import FLOAT64, INT64, STRING, Batch, Column, Type, TypeName
from main import create_app
from parser.json_body import parse_body
from query.document_store import Document, DocumentStore
from unittest_.conformance.data import NOW
from unittest_.conformance.mix_stores import DOCS, ES, INFLUX, PAIRS, SERIES, STORES, MixStores
from unittest_.conformance.stores import StoreId
from unittest_.live import Client
from unittest_.sample_service import running

SMALL = Principal("small", role="small")


# Settings


def test_a_role_has_what_it_says_and_else_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(
        "[limits]\ngroups = 7\nrows_fetched = 9\n[roles.few.limits]\nrows_fetched = 3\ntimeout_seconds = 50\n"
    )
    settings = load_settings({"HOSTMONITOR_CONFIG": str(path)})
    few = settings.role_limits()["few"]
    assert (few.groups, few.rows_fetched, few.timeout_seconds) == (7, 3, 50)
    assert settings.longest_seconds == 50
    assert Settings().role_limits() == {}


def test_the_defaults_of_settings_are_those_of_contexts() -> None:
    assert LimitsSettings().costs() == Limits()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[roles.default.limits]\ngroups = 1", "[limits]"),
        ("[roles.Few.limits]\ngroups = 1", "small letter"),
        ("[roles.few.limits]\nmemory_mb = 64", "memory_mb: a role has only timeout_seconds, rows_fetched"),
        ("[roles.few.limits]\ngroup = 1", "roles.few.limits.group is not a setting; the nearest one is roles.few.limits.groups"),
        ("[roles.few.limits]\ngroups = 0", "roles.few.limits.groups"),
        ("[roles.few]\nkeys = 1", "roles.few.keys is not a setting"),
    ],
)  # fmt: skip
def test_wrong_roles_stop_the_start(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_settings({"HOSTMONITOR_CONFIG": str(path)})
    assert told in caught.value.message


def test_the_document_names_every_limit_of_a_role() -> None:
    document = (Path(__file__).parent.parent / "docs" / "settings.md").read_text()
    section = document.split("## Limits by role")[1].split("\n## ")[0]
    assert [name for name in ROLE_LIMITS if f"`{name}`" not in section] == []


# Costs, on every store


@pytest.fixture(scope="module")
async def stores(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[MixStores]:
    opened = MixStores(tmp_path_factory.mktemp("limits"), f"limits-{uuid.uuid4().hex[:8]}")
    yield opened
    await opened.close()


async def ask(stores: MixStores, body: Any, principal: Principal = ANYBODY, **small: Any) -> list[Any]:
    """The rows of one page, for a principal; those of the role `small` have the limits given."""
    limits = replace(Limits(), **small)
    services = replace(stores.services, roles={"small": limits})
    context = services.new_context(principal)
    context.now_ns = NOW
    page, _ = await run(parse_body(json.dumps(body).encode()), services, context)
    return [row for batch in page.batches for row in batch.rows()]


async def refused(stores: MixStores, body: Any, **small: Any) -> CostError:
    """The refusal that a principal of the role `small` gets, and nobody else."""
    assert await ask(stores, body, **small)
    with pytest.raises(CostError) as caught:
        await ask(stores, body, SMALL, **small)
    assert caught.value.code.name == "COST_EXCEEDED"
    assert caught.value.issues[0].hint
    return caught.value


@pytest.mark.parametrize("store", STORES, ids=str)
async def test_rows_and_groups(stores: MixStores, store: StoreId) -> None:
    source = await stores.source(store, "access")
    groups = {"from": source, "group_by": ["host"], "select": [{"agg": "count", "as": "n"}]}
    count = len(await ask(stores, groups))
    assert count > 1
    assert len(await ask(stores, groups, SMALL, groups=count)) == count
    error = await refused(stores, groups, groups=count - 1)
    assert str(count - 1) in error.message
    await refused(stores, {"from": source, "limit": 10_000}, rows_fetched=5)


@pytest.mark.parametrize("store", STORES, ids=str)
async def test_bytes(stores: MixStores, store: StoreId) -> None:
    body = {"from": await stores.source(store, "access"), "limit": 100}
    services = replace(stores.services)
    context = services.new_context()
    await run(parse_body(json.dumps(body).encode()), services, context)
    size = context.fetched_bytes
    assert size > 100
    assert await ask(stores, body, SMALL, bytes_fetched=size + 200)  # a store's answers tell how long they took
    error = await refused(stores, body, bytes_fetched=size // 2)
    assert f"{size // 2} bytes" in error.message
    assert error.source == str(store)


async def test_one_answer_is_read_no_further_than_its_bytes(stores: MixStores) -> None:
    backend, name = cast(DocumentStore, stores.backends[ES]), f"{stores.prefix}-large"
    context = RequestContext()
    await backend.create_index(name, {}, {"properties": {"text": {"type": "keyword", "index": False}}}, context)
    stores.targets[ES, "large"] = (name,)
    documents = [Document(json.dumps({"text": "x" * 30_000}).encode()) for _ in range(10)]
    await backend.bulk(name, documents, True, context)
    body = {"from": {"source": str(ES), "index": name}}
    error = await refused(stores, body, bytes_fetched=100_000)
    assert "100000 bytes" in error.message
    assert len(await ask(stores, body, SMALL, bytes_fetched=400_000)) == 10


async def test_seconds(stores: MixStores) -> None:
    body = {"from": await stores.source(ES, "access")}
    with pytest.raises(DeadlineError):
        await ask(stores, body, SMALL, timeout_seconds=1e-6)


async def test_an_unknown_role_has_the_defaults(stores: MixStores) -> None:
    services = replace(stores.services, roles={"small": Limits(groups=1)})
    assert services.limits_of(Principal(role="other")) == services.limits
    assert services.new_context(SMALL).limits.groups == 1


# Joined rows


def joined(left: Any, right: Any, how: str, **more: Any) -> dict[str, Any]:
    side = {"how": how, "as": "m", "with": {"from": right, "select": ["host", "path"]}, "on": ["host"], "many": True}
    count = {"select": [{"agg": "count", "as": "n"}]}
    return {"from": left, "select": ["host", "bytes"], "join": [side], "then": count, **more}


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: f"{pair[0]}×{pair[1]}")
@pytest.mark.parametrize("how", ["inner", "left"])
async def test_joined_rows(stores: MixStores, pair: tuple[StoreId, StoreId], how: str) -> None:
    body = joined(await stores.source(pair[0], "access"), await stores.source(pair[1], "access"), how)
    ((count,),) = await ask(stores, body)
    assert count > 1000
    assert await ask(stores, body, SMALL, joined_rows=count) == [(count,)]
    error = await refused(stores, body, joined_rows=count - 1)
    assert f"makes {count} rows; the limit is {count - 1}" in error.message
    assert error.issues[0].pointer == "/join/0"


async def test_joined_rows_that_nobody_could_hold(stores: MixStores) -> None:
    """Two joins that would make some 10^9 rows are told before one of them is made."""
    source = await stores.source(DOCS, "access")
    more = {
        "how": "left",
        "as": "x",
        "with": {"from": source, "select": ["host", "path"]},
        "on": ["host"],
        "many": True,
    }
    body = joined(source, source, "inner")
    body["join"].append(more)
    with pytest.raises(CostError) as caught:
        await ask(stores, body, SMALL, joined_rows=200_000)
    assert caught.value.issues[0].pointer == "/join/1"


async def test_rows_of_an_asof_that_says_many(stores: MixStores) -> None:
    left, right = await stores.source(INFLUX, "access"), await stores.source(SERIES, "access")
    side = {
        "how": "asof", "as": "m", "with": {"from": right, "select": ["time", "host"]}, "on": [], "many": True,
        "asof": {"left": "time", "right": "time", "direction": "nearest", "tolerance": "1d"},
    }  # fmt: skip
    body = {"from": left, "select": ["time", "host"], "join": [side], "then": {"select": [{"agg": "count", "as": "n"}]}}
    ((count,),) = await ask(stores, body)
    error = await refused(stores, body, joined_rows=count - 1)
    assert f"makes {count} rows" in error.message


def test_a_batch_weighs_what_it_holds() -> None:
    schema = (Column("a", INT64), Column("s", STRING), Column("f", Type(TypeName.FLOAT64, multi=True)))
    assert Batch(schema, [[1, None], ["four", None], [[1.0, 2.0], None]]).weight() == 16 + 4 + 16
    assert Batch((Column("f", FLOAT64),), [[]]).weight() == 0


# Queries at a time


def caller(running: int, waiting: int, name: str = "a", seconds: float = 30.0) -> RequestContext:
    limits = Limits(seconds, concurrent_queries=running, waiting_queries=waiting)
    context = RequestContext(principal=Principal(name), limits=limits)
    context.deadline += seconds - 30.0
    return context


async def test_places_go_by_caller_and_in_the_order_of_arrival() -> None:
    places, order = Places(), []

    async def query(number: int) -> None:
        async with places.held(caller(2, 3)):
            order.append(number)
            await asyncio.sleep(0.01)

    tasks = [asyncio.create_task(query(number)) for number in range(5)]
    await asyncio.sleep(0)
    assert places.counted("a") == (2, 3)
    with pytest.raises(RequestError) as caught:
        await query(9)
    assert (caught.value.code.name, caught.value.retry_after) == ("RATE_LIMITED", 1)
    async with places.held(caller(2, 0, "b")):
        assert places.counted("b") == (1, 0)
    await asyncio.gather(*tasks)
    assert order == [0, 1, 2, 3, 4]
    assert places.counted("a") == (0, 0)


async def test_who_gives_up_waiting_leaves_no_place_taken() -> None:
    places = Places()
    async with places.held(caller(1, 2)):
        with pytest.raises(RequestError) as caught:
            await places.enter(caller(1, 2, seconds=0.01))
        assert caught.value.code.name == "RATE_LIMITED"
        gone = asyncio.create_task(places.enter(caller(1, 2)))
        await asyncio.sleep(0)
        assert places.counted("a") == (1, 1)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        assert places.counted("a") == (1, 0)
        late = asyncio.create_task(places.enter(caller(1, 2)))
        await asyncio.sleep(0)
    late.cancel()  # its turn has come, and it is cancelled before it runs
    await asyncio.gather(late, return_exceptions=True)
    assert places.counted("a") == (0, 0)


@pytest.fixture
async def alone(tmp_path: Path) -> AsyncIterator[tuple[Client, Services]]:
    """A service that answers one query at a time, and lets none wait."""
    limits = LimitsSettings(concurrent_queries=1, waiting_queries=0)
    settings = Settings(data_dir=tmp_path / "data", log_dir=tmp_path / "logs", limits=limits)
    app: Sanic[Any, Any] = create_app(settings, name=f"alone_{uuid.uuid4().hex}")
    app.config.TOUCHUP = False
    async with running(app) as url, aiohttp.ClientSession() as session:
        yield Client(url, session), app.ctx.services


async def test_every_way_to_ask_takes_a_place(alone: tuple[Client, Services]) -> None:
    client, services = alone
    await client.ok("POST", "/es/index", json={"index": "logs"})
    docs = "\n".join(json.dumps({"n": number}) for number in range(5))
    await client.ok("POST", "/es/logs/docs?refresh=true", data=docs, headers={"content-type": "application/x-ndjson"})
    source, body = {"source": "es", "index": "logs"}, {"limit": 2, "order_by": ["n"]}
    cursor = (await client.ok("POST", "/es/logs/query", json=body))["page"]["cursor"]
    asked: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", "/es/logs/query", {"json": body}),
        ("POST", "/es/logs/query", {"json": {}, "headers": {"accept": "text/csv"}}),
        ("POST", "/es/logs/query/explain", {"json": body}),
        ("GET", "/es/logs/rows?limit=1", {}),
        ("GET", "/es/logs", {}),
        ("GET", f"/mix/cursor/{cursor}", {}),
    ]
    batch = [{"from": source, "limit": 1}]
    async with services.places.held(services.new_context()):
        for method, path, more in asked:
            status, answer = await client.send(method, path, **more)
            assert (status, answer["code"]) == (429, "RATE_LIMITED"), path
        async with client.session.post(client.url + "/es/logs/query", json=body) as response:
            assert response.headers["retry-after"] == "1"
        status, answer = await client.send("POST", "/mix/batch", json=batch)
        assert (status, answer["data"][0]["status"]) == (207, 429)
        await client.ok("GET", "/health/ready")
        _, metrics = await client.send("GET", "/metrics")
        assert b'hostmonitor_queries{state="running"} 1.0' in metrics
    for method, path, more in asked:
        await client.ok(method, path, **more)
    await client.ok("POST", "/mix/batch", json=batch)
    assert services.places.counted("anonymous") == (0, 0)
