"""Idempotency-Key (F37, G34): the same request again gets the first answer and has no second effect, also when the service is
killed between the store's answer and its own record of it."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import shlex
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select
from yarl import URL

from libs.errors import ConflictError
from libs.idempotency_records import IdempotencyRecords, KeyLimits
from libs.replicas import Replicas
from libs.state import State
from libs.state_tables import IDEMPOTENCY
from unittest_.fault_proxy import Fault, faulty
from unittest_.live import Client, service
from unittest_.service_api import service_api

NDJSON = {"content-type": "application/x-ndjson"}
LINES = {"content-type": "text/plain"}
REPEATS = 6
OWN = {"field": "_id", "op": "in", "value": ["own"]}


@dataclass(frozen=True)
class Told:
    status: int
    body: bytes
    kept: dict[str, str | None]
    replayed: str | None

    @property
    def json(self) -> Any:
        return json.loads(self.body)


async def send(client: Client, method: str, path: str, key: str | None = None, **arguments: Any) -> Told:
    headers = dict(arguments.pop("headers", {})) | ({"idempotency-key": key} if key is not None else {})
    url = URL(client.url + path, encoded=True)
    async with client.session.request(method, url, headers=headers, **arguments) as response:
        kept = {name: response.headers.get(name) for name in ("content-type", "etag", "location", "retry-after")}
        return Told(response.status, await response.read(), kept, response.headers.get("Idempotency-Replayed"))


def new_key() -> str:
    return uuid.uuid4().hex


@dataclass(frozen=True)
class Place:
    """A service, and names of this test's own in its stores."""

    client: Client
    name: str

    @property
    def index(self) -> str:
        return f"/es/{self.name}"

    @property
    def points(self) -> str:
        return f"/influx/{self.name}/cpu"

    async def documents(self) -> int:
        body = {"select": [{"agg": "count", "as": "n"}]}
        await self.client.ok("POST", f"{self.index}/docs?refresh=true", json=[{"_id": "mark"}])
        count: int = (await self.client.ok("POST", f"{self.index}/query", json=body))["data"][0]["n"]
        return count - 1

    async def count_points(self) -> int:
        status, answer = await self.client.send(
            "POST", f"{self.points}/query", json={"select": [{"agg": "count", "as": "n"}]}
        )
        return 0 if status == 404 else int(answer["data"][0]["n"]) if answer["data"] else 0


@asynccontextmanager
async def placed(client: Client) -> AsyncIterator[Place]:
    async with points(client) as place:
        await client.ok("POST", "/es/index", json={"index": place.name})
        try:
            yield place
        finally:
            await client.send("DELETE", place.index)


@asynccontextmanager
async def points(client: Client) -> AsyncIterator[Place]:
    place = Place(client, f"once_{uuid.uuid4().hex[:12]}")
    await client.ok("PUT", f"/influx/{place.name}")
    try:
        yield place
    finally:
        await client.send("DELETE", f"/influx/{place.name}")


@pytest.fixture(scope="module", params=["embedded", "real"])
async def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, es_url: str, influx_url: str
) -> AsyncIterator[Place]:
    stores = {} if request.param == "embedded" else {"es_url": es_url, "influx_url": influx_url}
    async with service(tmp_path_factory.mktemp("once"), **stores) as client, placed(client) as made:
        yield made


def writes(place: Place) -> list[tuple[str, str, dict[str, Any]]]:
    """A request of every kind, in an order in which each succeeds once alone."""
    other, db = f"{place.name}-b", f"{place.name}_b"
    ndjson = b"".join(b'{"n": %d}\n' % n for n in range(300))
    return [
        ("POST", f"{place.index}/docs", {"json": [{"a": 1}, {"a": 2}, {"_id": "own", "a": 3}]}),
        ("POST", f"{place.index}/docs?refresh=true", {"data": ndjson, "headers": NDJSON}),
        ("PUT", place.index, {"json": {"a": 4}}),
        ("PUT", f"{place.index}/doc/one", {"json": {"a": 5}}),
        ("PATCH", f"{place.index}/doc/one", {"json": {"a": 6}}),
        ("DELETE", f"{place.index}/doc/one", {}),
        ("PUT", place.points, {"json": {"tags": {"host": "a"}, "fields": {"v": 1.5}}}),
        ("POST", f"{place.points}/points", {"json": [{"tags": {"host": "b"}, "fields": {"v": 2.5}}]}),
        ("POST", f"{place.points}/points?precision=s", {"data": b"cpu,host=c v=3.5\n", "headers": LINES}),
        ("POST", f"/influx/write?db={place.name}", {"data": b"cpu,host=z v=1 1\n", "headers": LINES}),
        ("PATCH", f"{place.index}/mapping", {"json": {"properties": {"region": {"type": "keyword"}}}}),
        ("PATCH", f"{place.index}/settings", {"json": {"max_result_window": 20_000}}),
        ("PUT", f"{place.index}/alias/{place.name}-alias", {}),
        ("DELETE", f"{place.index}/alias/{place.name}-alias", {}),
        ("POST", f"{place.index}/docs/update?refresh=true", {"json": {"where": OWN, "set": {"a": 9}}}),
        ("POST", f"{place.index}/docs/delete?refresh=true", {"json": {"where": OWN}}),
        ("POST", f"{place.points}/points/delete", {"json": {"where": {"field": "host", "op": "eq", "value": "a"}}}),
        ("POST", "/es/index", {"json": {"index": other}}),
        ("DELETE", f"/es/{other}", {}),
        ("POST", "/influx/db", {"json": {"db": db}}),
        ("DELETE", f"/influx/{db}", {}),
        ("PUT", f"/mix/lookup/{place.name}", {"json": [{"host": "a"}]}),
        ("DELETE", f"/mix/lookup/{place.name}", {}),
        ("PUT", f"/mix/saved/{place.name}", {"json": {"from": {"source": "es", "index": place.name}}}),
        ("DELETE", f"/mix/saved/{place.name}", {}),
    ]


async def test_every_write_again_gets_the_first_answer_to_the_letter(place: Place) -> None:
    documents, points = await place.documents(), await place.count_points()
    for method, path, sent in writes(place):
        key = new_key()
        first = await send(place.client, method, path, key, **sent)
        assert first.status < 300, (method, path, first)
        assert first.replayed is None
        for _ in range(REPEATS - 1):
            again = await send(place.client, method, path, key, **sent)
            assert (again.status, again.body, again.kept) == (first.status, first.body, first.kept), (method, path)
            assert again.replayed == "true"
    assert await place.documents() - documents == 3 + 300 + 1 - 1
    assert await place.count_points() - points == 3 + 1 - 1


async def test_another_request_under_the_key_is_refused_and_has_no_effect(place: Place) -> None:
    key, before = new_key(), await place.documents()
    await send(place.client, "POST", f"{place.index}/docs", key, json=[{"a": 1}])
    for method, path, sent in (
        ("POST", f"{place.index}/docs", {"json": [{"a": 2}]}),
        ("POST", f"{place.index}/docs?refresh=true", {"json": [{"a": 1}]}),
        ("POST", f"/es/index/{place.name}/docs", {"json": [{"a": 1}]}),
        ("PUT", place.index, {"json": [{"a": 1}]}),
        ("DELETE", place.index, {}),
    ):
        told = await send(place.client, method, path, key, **sent)
        assert (told.status, told.json["code"]) == (422, "IDEMPOTENCY_MISMATCH"), (method, path)
        assert told.json["errors"][0]["pointer"] == "header/Idempotency-Key"
    assert await place.documents() - before == 1
    again = await send(place.client, "POST", f"{place.index}/docs", key, json=[{"a": 1}])
    assert (again.status, again.replayed) == (200, "true")


@pytest.mark.parametrize("key", ["", "a b", "ä", "x" * 256, "a\tb"])
async def test_what_is_no_key_is_refused(place: Place, key: str) -> None:
    told = await send(place.client, "PUT", place.index, key, json={"a": 1})
    assert (told.status, told.json["code"]) == (400, "HEADERS_INVALID")


async def test_two_keys_in_a_request_are_none(place: Place) -> None:
    headers = [("idempotency-key", "a"), ("idempotency-key", "b")]
    async with place.client.session.put(place.client.url + place.index, json={}, headers=headers) as response:
        assert response.status == 400


async def test_while_the_first_runs_the_second_waits(place: Place) -> None:
    begun, go, key, before = asyncio.Event(), asyncio.Event(), new_key(), await place.documents()

    async def slowly() -> AsyncIterator[bytes]:
        yield b'{"a": 1}\n'
        begun.set()
        await go.wait()

    first = asyncio.create_task(send(place.client, "POST", f"{place.index}/docs", key, data=slowly(), headers=NDJSON))
    await begun.wait()
    await asyncio.sleep(0.2)
    told = await send(place.client, "POST", f"{place.index}/docs", key, data=b'{"a": 1}\n', headers=NDJSON)
    assert (told.status, told.json["code"], told.kept["retry-after"]) == (409, "IDEMPOTENCY_RUNNING", "1")
    go.set()
    assert (await first).status == 200
    again = await send(place.client, "POST", f"{place.index}/docs", key, data=b'{"a": 1}\n', headers=NDJSON)
    assert (again.status, again.replayed) == (200, "true")
    assert await place.documents() - before == 1


async def test_lines_without_a_time_are_written_at_the_first_run_s(influx_url: str, tmp_path: Path) -> None:
    """By InfluxDB's own protocol too: its answer is lost, and the second run makes no second point."""
    lines = b"cpu,host=a usage=1\ncpu,host=b usage=2 7\nmem free=3i\n"
    async with faulty(influx_url) as proxy, service(tmp_path, influx_url=proxy.url) as client, points(client) as place:
        key, path = new_key(), f"/influx/write?db={place.name}"
        await proxy.set(Fault(cut=0, reset=True))
        assert (await send(client, "POST", path, key, data=lines)).status in (502, 503)
        await proxy.heal()
        assert [(await send(client, "POST", path, key, data=lines)).status for _ in range(2)] == [204, 204]
        assert await place.count_points() == 2
        packed = await send(
            client, "POST", path, new_key(), data=gzip.compress(lines), headers={"content-encoding": "gzip"}
        )
        assert packed.status == 204
        assert await place.count_points() == 3
        assert (await send(client, "POST", path, new_key(), data=b"cpu usage=")).status == 400


async def test_refusals_are_first_answers_too(place: Place) -> None:
    key, path = new_key(), f"/es/{place.name}-none/docs"
    first = await send(place.client, "POST", path, key, json=[{"a": 1}])
    assert (first.status, first.json["code"]) == (404, "INDEX_UNKNOWN")
    again = await send(place.client, "POST", path, key, json=[{"a": 1}])
    assert (again.status, again.body, again.replayed) == (404, first.body, "true")
    key = new_key()
    for replayed in (None, "true"):
        told = await send(place.client, "POST", f"{place.index}/docs", key, data=b"[1", headers=NDJSON)
        assert (told.status, told.replayed) == (422 if b"VALUE" in told.body else 400, replayed)


async def test_queries_pass_the_key_over_and_jobs_heed_it(place: Place) -> None:
    key, path = new_key(), f"{place.index}/query"
    for limit in (1, 2):
        told = await send(place.client, "POST", path, key, json={"limit": limit})
        assert (told.status, told.replayed) == (200, None)
    prefer = {"prefer": "respond-async"}
    first = await send(place.client, "POST", path, key, json={"limit": 3}, headers=prefer)
    again = await send(place.client, "POST", path, key, json={"limit": 3}, headers=prefer)
    assert (first.status, first.replayed, again.replayed) == (202, None, "true")
    assert (again.body, again.kept) == (first.body, first.kept)
    assert first.kept["location"]
    await place.client.ok("DELETE", f"/mix/job/{first.json['data']['id']}")


async def test_a_long_body_is_replayed_to_the_letter_and_heeds_its_last_byte(place: Place) -> None:
    before, key, path = await place.documents(), new_key(), f"{place.index}/docs"
    body = b"".join(b'{"n": %d, "text": "%s"}\n' % (n, b"x" * 900) for n in range(5_500))
    first = await send(place.client, "POST", path, key, data=body, headers=NDJSON)
    assert len(first.json["items"]) == 5_500
    again = await send(place.client, "POST", path, key, data=body, headers=NDJSON)
    assert (again.status, again.body, again.replayed) == (200, first.body, "true")
    other = await send(place.client, "POST", path, key, data=body + b"{}\n", headers=NDJSON)
    assert other.json["code"] == "IDEMPOTENCY_MISMATCH"
    assert await place.documents() - before == 5_500


async def test_an_answer_that_is_too_large_is_kept_in_brief(tmp_path: Path) -> None:
    async with service(tmp_path, idempotency={"answer_bytes": 100, "per_caller": 2}) as client, placed(client) as place:
        key, path = new_key(), f"{place.index}/docs"
        body = [{"a": 1}, {"_id": "x", "b": 2}, {"_id": "x"}, {"a": "no number"}]
        first = await send(client, "POST", path, key, json=body)
        assert [item["status"] for item in first.json["items"]] == [201, 201, 409, 400]
        again = await send(client, "POST", path, key, json=body)
        assert (again.status, again.replayed) == (207, "true")
        kept = again.json
        assert (kept["errors"], kept["omitted"]) == (True, 2)
        assert [(item["position"], item["status"]) for item in kept["items"]] == [(2, 409), (3, 400)]
        small = await send(client, "PUT", place.index, new_key(), json={"a": 1})
        assert small.status == 200
        full = await send(client, "PUT", place.index, new_key(), json={"a": 1})
        assert (full.status, full.json["code"]) == (429, "TOO_MANY_IDEMPOTENCY_KEYS")
        assert int(full.kept["retry-after"] or 0) > 0
        assert (await send(client, "PUT", place.index, json={"a": 1})).status == 200
        assert await place.documents() == 4


async def test_a_key_is_forgotten_after_its_time(tmp_path: Path) -> None:
    async with service(tmp_path, idempotency={"seconds": 0.5}) as client, placed(client) as place:
        key = new_key()
        assert (await send(client, "POST", f"{place.index}/docs", key, json=[{"_id": "x"}])).status == 200
        await asyncio.sleep(0.6)
        # With another body, too; and what was written is swept away with the next request.
        told = await send(client, "POST", f"{place.index}/docs", key, json=[{"a": 1}])
        assert (told.status, told.replayed) == (200, None)
        await asyncio.sleep(0.6)
        await send(client, "POST", f"{place.index}/docs", new_key(), json=[{"a": 1}])
        async with opened(tmp_path / "data") as state, state.read() as connection:
            count = (await connection.execute(select(func.count()).select_from(IDEMPOTENCY))).scalar_one()
        assert count == 1


async def test_callers_have_their_own_keys(tmp_path: Path) -> None:
    async with opened(tmp_path) as state:
        records = IdempotencyRecords(state, KeyLimits(per_caller=1))
        assert await records.begin("ann", "k", "r", 1) is None
        assert await records.begin("bo", "k", "s", 2) is None
        assert [await records.first_seen(caller, "k") for caller in ("ann", "bo", "cy")] == [1, 2, None]


async def test_replicas_with_one_state_run_a_request_one_at_a_time(tmp_path: Path) -> None:
    urls = ("http://a", "http://b")
    async with opened(tmp_path) as state:
        first, second = (IdempotencyRecords(state, KeyLimits(), Replicas(urls, own)) for own in (0, 1))
        assert await first.begin("ann", "k", "r", 1) is None
        with pytest.raises(ConflictError, match="still running"):
            await second.begin("ann", "k", "r", 1)
        await first.renew("ann", "k", 0)
        # Given up: another takes it over, with the time of the first run.
        with pytest.raises(ConflictError):
            await second.begin("ann", "k", "r", 2)
        assert await second.begin("ann", "k", "r", 1) is None
        # The first one, started again, knows that its own are nobody's; those of others it leaves.
        await first.renew("ann", "k", 0)
        again = IdempotencyRecords(state, KeyLimits(), Replicas(urls, 0))
        with pytest.raises(ConflictError):
            await again.begin("ann", "k", "r", 1)
        assert await IdempotencyRecords(state, KeyLimits(), Replicas(urls, 1)).begin("ann", "k", "r", 1) is None


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[State]:
    state = State(folder)
    await state.open()
    yield state
    await state.close()


def test_every_operation_that_writes_is_documented_to_take_a_key(tmp_path: Path) -> None:
    endpoints = list(service_api(tmp_path).endpoints())
    for endpoint in endpoints:
        if endpoint.http_method != "GET" and {"write", "metadata"} & (endpoint.operation.actions or set()):
            assert endpoint.takes_idempotency_key, endpoint.id
    heeding = {endpoint.id for endpoint in endpoints if endpoint.takes_idempotency_key}
    assert {"es-insertDocument", "es-writeDocuments", "influx-writePoints", "es-deleteIndex", "lookup-put"} <= heeding
    assert {"es-listIndices", "mix-batch", "job-delete"}.isdisjoint(heeding)


async def test_the_commands_of_the_page_run(tmp_path: Path) -> None:
    page = (Path(__file__).parent.parent / "docs" / "idempotency.md").read_text()
    async with service(tmp_path) as client:
        told = [await _run(client, command) for command in re.findall(r"^curl .*$", page, re.MULTILINE)]
        assert [one.status for one in told] == [200] * len(told)
        assert [one.replayed for one in told] == [None, None, "true", None, None, "true"]
        assert (told[2].body, told[5].body) == (told[1].body, told[4].body)
        assert await Place(client, "orders").documents() == 2


async def _run(client: Client, command: str) -> Told:
    words = shlex.split(command)[1:]
    options = [(name, value) for name, value in pairwise(words) if name.startswith("-")]
    headers = dict(value.split(": ", 1) for name, value in options if name == "-H")
    body = {"data": dict(options)["-d"]} if "-d" in dict(options) else {}
    (address,) = [word for word in words if word.startswith("localhost:8000/")]
    return await send(client, dict(options)["-X"], address.removeprefix("localhost:8000"), headers=headers, **body)
