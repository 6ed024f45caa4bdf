"""Long queries behind their request: taken on, told about, spooled, served in every form, ended, and kept through a stop."""

from __future__ import annotations

import asyncio
import io
import json
import random
import resource
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import nanoarrow  # type: ignore[import-untyped]
import pytest
from nanoarrow.ipc import InputStream  # type: ignore[import-untyped]

from apps.jobs.records import Job, JobRecords
from libs.context import Principal, RequestContext, RowFilter
from libs.errors import NotFoundError
from libs.result import INT64, Column
from libs.state import State
from parser.json_body import parse_body
from unittest_.fault_proxy import HANG, Fault, FaultProxy, faulty
from unittest_.live import Client, service
from unittest_.stream_stores import STORES, Stores, load, stores

ASYNC = {"Prefer": "respond-async"}
ROWS = 3_000
SIDE = 300
LOOKUP = {"source": "mix", "lookup": "many"}
# Every row of a small table beside every other of it: much out of little, and no store but this one.
PAIRS = {
    "from": LOOKUP,
    "select": ["k", "n"],
    "join": [{"how": "inner", "as": "o", "on": ["k"], "many": True, "with": {"from": LOOKUP, "select": ["k", "n"]}}],
}


async def asked(client: Client, path: str, body: Any = None, **headers: str) -> tuple[int, Any, Any]:
    """(status, answer, headers) of a query that prefers a job."""
    method = client.session.get if body is None else client.session.post
    arguments = {} if body is None else {"json": body}
    async with method(client.url + path, headers=ASYNC | headers, **arguments) as response:
        return response.status, await response.json(content_type=None), response.headers


async def begun(client: Client, path: str, body: Any = None) -> str:
    status, answer, _ = await asked(client, path, body)
    assert status == 202, answer
    return str(answer["data"]["id"])


async def ended(client: Client, job: str, seconds: float = 20) -> dict[str, Any]:
    found: dict[str, Any] = {}
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = (await client.ok("GET", f"/mix/job/{job}"))["data"]
        if found["state"] in ("done", "failed"):
            return found
        await asyncio.sleep(0.02)
    raise AssertionError(f"{job} has not ended: {found}")


async def until_true(holds: Callable[[], object], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110 - a proxy of the tests tells nobody
            await asyncio.sleep(0.01)


async def streamed(client: Client, path: str, media_type: str, body: Any = None) -> bytes:
    method = client.session.get if body is None else client.session.post
    arguments = {} if body is None else {"json": body}
    async with method(client.url + path, headers={"accept": media_type}, **arguments) as response:
        assert response.status == 200, await response.text()
        assert response.content_type == media_type
        return await response.read()


def lines(text: bytes) -> Counter[str]:
    return Counter(json.dumps(json.loads(line), sort_keys=True) for line in text.splitlines())


async def put_pairs(client: Client) -> None:
    await client.ok("PUT", "/mix/lookup/many", json=[{"k": "one", "n": n} for n in range(SIDE)])


@pytest.fixture(scope="module")
async def loaded(tmp_path_factory: pytest.TempPathFactory, es_url: str, influx_url: str) -> AsyncIterator[Stores]:
    async with stores(tmp_path_factory.mktemp("jobs"), es_url, influx_url, ROWS) as made:
        await put_pairs(made.client)
        yield made


# What a job is


@pytest.mark.parametrize("store", STORES)
async def test_a_job_is_the_whole_stream_on_disk(loaded: Stores, store: str) -> None:
    client, path = loaded.client, loaded.path(store)
    body = {"where": {"field": "n", "op": "gte", "value": 100}}
    status, answer, headers = await asked(client, path, body)
    job = answer["data"]
    assert (status, job["state"], job["rows"]) == (202, "queued", 0)
    assert headers["Location"] == f"/mix/job/{job['id']}"
    assert (headers["Preference-Applied"], headers["Retry-After"]) == ("respond-async", "1")
    done = await ended(client, job["id"])
    assert (done["state"], done["rows"], done["error"]) == ("done", ROWS - 100, None)
    assert done["created_at"] <= done["started_at"] <= done["ended_at"] < done["expires_at"]
    result = done["result"]
    wanted = await streamed(client, path, "application/x-ndjson", body)
    assert lines(await streamed(client, result, "application/x-ndjson")) == lines(wanted)
    text = await streamed(client, result, "text/csv")
    assert sorted(text.split(b"\r\n")) == sorted((await streamed(client, path, "text/csv", body)).split(b"\r\n"))
    arrow = await streamed(client, result, "application/vnd.apache.arrow.stream")
    with InputStream.from_readable(io.BytesIO(arrow)) as source:
        table = nanoarrow.Array(source)
    assert len(table) == ROWS - 100
    rows: list[Any] = []
    answer = await client.ok("GET", f"{result}?limit=700")
    assert (answer["columns"][0]["source"], answer["page"]["total"]["value"]) == (store_name(store), ROWS - 100)
    assert answer["meta"]["sources"][0]["rows"] >= ROWS - 100
    while answer["page"]["has_more"]:
        rows += answer["data"]
        size = random.Random(len(rows)).choice(["", "?limit=1", "?limit=999"])
        answer = await client.ok("GET", f"/mix/cursor/{answer['page']['cursor']}{size}")
        assert len(answer["data"]) == min(int(size[7:] or 700), ROWS - 100 - len(rows))
    rows += answer["data"]
    assert (len(rows), answer["page"]["cursor"]) == (ROWS - 100, None)
    assert Counter(json.dumps(row, sort_keys=True) for row in rows) == lines(wanted)
    await client.ok("DELETE", f"/mix/job/{job['id']}")
    assert (await client.send("GET", result))[1]["code"] == "JOB_UNKNOWN"


def store_name(store: str) -> str:
    return {"embedded": "es", "elasticsearch": "es-real", "embedded-series": "influx", "influx": "influx-real"}[store]


async def test_every_query_route_takes_jobs(loaded: Stores) -> None:
    client, name = loaded.client, loaded.name
    saved = {
        "parameters": {"least": {"type": "int64"}},
        "from": {"source": "es", "index": name},
        "where": {"field": "n", "op": "gte", "value": {"param": "least"}},
    }
    await client.ok("PUT", "/mix/saved/of-jobs", json=saved)
    for path, body, count in (
        ("/mix/query", PAIRS, SIDE * SIDE),
        ("/mix/query", PAIRS | {"limit": 7}, 7),
        (f"/es/index/{name}/query", {"group_by": ["host"], "select": [{"agg": "count", "as": "c"}]}, 7),
        (f"/es/{name}/rows?n=lt.10&limit=5", None, 5),
        (f"/influx/{name}/content/rows?n=lt.10", None, 10),
        ("/mix/saved/of-jobs?least=2990", None, 10),
    ):
        job = await begun(client, path, body)
        done = await ended(client, job)
        assert (done["state"], done["rows"]) == ("done", count), (path, done)
        await client.ok("DELETE", f"/mix/job/{job}")
    # A preference that is not known is passed over (RFC 7240).
    for prefer in ("return=minimal", "wait=5", "respond-asynchronously"):
        status, _, headers = await asked(client, f"/es/{name}/rows?n=lt.10", Prefer=prefer)
        assert (status, "Preference-Applied" in headers) == (200, False)
    for prefer in ("Respond-Async; x=1", "wait=5, respond-async"):
        status, answer, _ = await asked(client, f"/es/{name}/rows?n=lt.10", Prefer=prefer)
        assert status == 202
        await client.ok("DELETE", f"/mix/job/{answer['data']['id']}")


async def test_a_job_sees_what_its_caller_may(loaded: Stores) -> None:
    """The rows of other hosts are the canaries."""
    services = loaded.client.services
    assert services
    assert services.jobs
    for instance in ("es", "influx-real"):
        target = (loaded.name,) if instance == "es" else (loaded.name, "content")
        own = RowFilter(instance, {"field": "host", "op": "eq", "value": "h1"})
        context = services.new_context(Principal("ann", row_filter=(own,)))
        question = parse_body(b'{"select": ["host", "n"]}', instance, target)
        job = await services.jobs.start(question, services, context)
        found = job
        for _ in range(500):
            found = await services.jobs.get(job.id, "ann")
            if found.finished:
                break
            await asyncio.sleep(0.02)
        assert (found.state, found.rows) == ("done", len(range(1, ROWS, 7)))
        reader = await services.jobs.spools.read(job.id, found.schema)
        async with aclosing(reader.batches()) as batches:
            assert {host async for batch in batches for host in batch.columns[0]} == {"h1"}
        assert (await loaded.client.send("GET", f"/mix/job/{job.id}/result"))[0] == 404
        await services.jobs.delete(job.id, "ann")


async def test_what_is_wrong_with_a_query_is_told_at_once(loaded: Stores) -> None:
    client, path = loaded.client, loaded.path("embedded")
    before = len((await client.ok("GET", "/mix/job"))["data"])
    for body, status, code in (
        ({"select": ["nothing"]}, 422, "FIELD_UNKNOWN"),
        ({"where": {"field": "n", "op": "eq", "value": "x"}}, 422, "TYPE_MISMATCH"),
        ({"slect": []}, 422, "BODY_INVALID"),
    ):
        found, answer, _ = await asked(client, path, body)
        assert (found, answer["code"]) == (status, code)
        assert answer["errors"][0]["pointer"]
    status, answer, _ = await asked(client, f"/es/{loaded.name}/rows?n=gte.x")
    assert (status, answer["errors"][0]["pointer"]) == (422, "query/n")
    assert len((await client.ok("GET", "/mix/job"))["data"]) == before


async def test_a_link_to_the_next_page_behind_a_gateway(tmp_path: Path) -> None:
    for public_url, address in ((None, "/hm"), ("https://gate.example/x", "https://gate.example/x")):
        async with service(tmp_path / str(public_url is None), base_path="/hm", public_url=public_url) as client:
            client.url += "/hm"
            await put_pairs(client)
            status, answer, headers = await asked(client, "/mix/query", PAIRS)
            job = answer["data"]["id"]
            assert (status, headers["Location"]) == (202, f"{address}/mix/job/{job}")
            assert (await ended(client, job))["result"] == f"{address}/mix/job/{job}/result"
            body = {"from": LOOKUP, "limit": 10}
            for method, path, arguments, asked_for in (
                ("POST", "/mix/query", {"json": body}, ""),
                ("POST", "/mix/query?shape=arrays", {"json": body}, "?shape=arrays"),
                ("GET", f"/mix/job/{job}/result?limit=20", {}, "?limit=20"),
                ("GET", f"/mix/job/{job}/result", {}, ""),
            ):
                async with client.session.request(method, client.url + path, **arguments) as response:  # type: ignore[arg-type]
                    cursor, link = (await response.json())["page"]["cursor"], response.headers["Link"]
                assert link == f'<{address}/mix/cursor/{cursor}{asked_for}>; rel="next"'
                async with client.session.get(f"{client.url}/mix/cursor/{cursor}?limit=4") as response:
                    cursor, link = (await response.json())["page"]["cursor"], response.headers["Link"]
                assert link == f'<{address}/mix/cursor/{cursor}?limit=4>; rel="next"'
            async with client.session.post(client.url + "/mix/query", json={"from": LOOKUP, "limit": 300}) as response:
                assert (response.status, response.headers.get("Link")) == (200, None)


# Whose it is


async def test_a_job_is_its_callers_alone(loaded: Stores) -> None:
    client = loaded.client
    job = await begun(client, "/mix/query", PAIRS)
    await ended(client, job)
    other = RequestContext(principal=replace(RequestContext().principal, name="other"))
    assert client.services
    jobs = client.services.jobs
    assert jobs
    for work in (jobs.get(job, "other"), jobs.delete(job, "other")):
        with pytest.raises(NotFoundError) as caught:
            await work
        assert caught.value.code.name == "JOB_UNKNOWN"
    assert job not in [one.id for one in await jobs.list(other.principal.name)]
    cursor = (await client.ok("GET", f"/mix/job/{job}/result"))["page"]["cursor"]
    signed = jobs.signer.read(cursor, "anonymous")
    for bad in (jobs.signer.sign(signed, "other"), cursor[:-1], cursor + "A"):
        status, answer = await client.send("GET", f"/mix/cursor/{bad}")
        assert (status, answer["code"]) == (400, "CURSOR_INVALID")
    status, answer = await client.send("POST", "/mix/query", json={"cursor": cursor})
    assert (status, answer["code"]) == (400, "CURSOR_INVALID")
    await client.ok("DELETE", f"/mix/job/{job}")
    status, answer = await client.send("GET", f"/mix/cursor/{cursor}")
    assert (status, answer["code"]) == (410, "CURSOR_EXPIRED")
    for bad in (job, "0" * 24, "x", "..%2F..", "%00"):
        status, answer = await client.send("GET", f"/mix/job/{bad}")
        assert (status, answer["code"]) == (404, "JOB_UNKNOWN"), bad


# How it ends


async def test_caps_in_number_and_bytes(tmp_path: Path) -> None:
    async with service(tmp_path, jobs={"per_caller": 2, "result_bytes": 200_000, "spool_bytes": 250_000}) as client:
        await put_pairs(client)
        large = await ended(client, await begun(client, "/mix/query", PAIRS))
        assert (large["state"], large["error"]["code"], large["bytes"]) == ("failed", "COST_EXCEEDED", 0)
        assert large["error"]["status"] == 422
        assert "jobs.result_bytes" in large["error"]["errors"][0]["hint"]
        status, answer = await client.send("GET", f"/mix/job/{large['id']}/result")
        assert (status, answer["code"]) == (409, "JOB_NOT_DONE")
        assert "COST_EXCEEDED" in answer["message"]
        small = await ended(client, await begun(client, "/mix/query", PAIRS | {"limit": 8_000}))
        assert small["state"] == "done"
        status, answer, headers = await asked(client, "/mix/query", PAIRS)
        assert (status, answer["code"]) == (429, "TOO_MANY_JOBS")
        assert int(headers["Retry-After"]) > 0
        await client.ok("DELETE", f"/mix/job/{large['id']}")
        full = await ended(client, await begun(client, "/mix/query", PAIRS | {"limit": 8_000}))
        assert (full["error"]["code"], full["error"]["status"]) == ("SPOOL_FULL", 507)
        assert len((await client.ok("GET", f"{small['result']}?limit=9000"))["data"]) == 8_000
    assert {path.stem for path in (tmp_path / "data" / "jobs").iterdir()} == {small["id"]}


async def test_a_full_disk_fails_the_job_and_nothing_else(tmp_path: Path) -> None:
    async with service(tmp_path) as client:
        await put_pairs(client)
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, before[1]))
        try:
            job = await ended(client, await begun(client, "/mix/query", PAIRS))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert (job["state"], job["error"]["code"]) == ("failed", "SPOOL_FULL")
        assert list((tmp_path / "data" / "jobs").iterdir()) == []
        assert (await ended(client, await begun(client, "/mix/query", PAIRS)))["state"] == "done"


async def test_a_job_expires(tmp_path: Path) -> None:
    async with service(tmp_path, jobs={"expiry_seconds": 0.5}) as client:
        await put_pairs(client)
        job = await begun(client, "/mix/query", PAIRS)
        done = await ended(client, job)
        cursor = (await client.ok("GET", done["result"]))["page"]["cursor"]
        await asyncio.sleep(0.8)
        assert (await client.send("GET", f"/mix/job/{job}"))[0] == 404
        assert (await client.send("GET", f"/mix/cursor/{cursor}"))[1]["code"] == "CURSOR_EXPIRED"
        assert (await client.ok("GET", "/mix/job"))["data"] == []
        assert list((tmp_path / "data" / "jobs").iterdir()) == []


@dataclass(frozen=True)
class Faulty:
    """A service with few seconds, over a store behind a proxy; its catalogue of `path` is known."""

    client: Client
    proxy: FaultProxy
    path: str
    folder: Path


@pytest.fixture(scope="module")
async def faulty_store(tmp_path_factory: pytest.TempPathFactory, influx_url: str) -> AsyncIterator[Faulty]:
    folder = tmp_path_factory.mktemp("faulty")
    async with faulty(influx_url) as proxy:
        limits = {"timeout_seconds": 0.5, "catalog_seconds": 600}
        settings = {"influx_url": proxy.url, "limits": limits, "jobs": {"seconds": 3.0, "at_once": 1}}
        async with service(folder, **settings) as client:
            name = f"jobs_{time.time_ns()}"
            await load(client, "influx", name, 50)
            path = f"/influx/{name}/content/query"
            await client.ok("POST", path, json={"limit": 1})
            yield Faulty(client, proxy, path, folder)
            await client.ok("DELETE", f"/influx/{name}")


@pytest.fixture
async def faulted(faulty_store: Faulty) -> AsyncIterator[Faulty]:
    """Healthy again behind each test."""
    yield faulty_store
    await faulty_store.proxy.heal()
    for job in (await faulty_store.client.ok("GET", "/mix/job"))["data"]:
        await faulty_store.client.ok("DELETE", f"/mix/job/{job['id']}")


async def test_a_job_outlives_the_deadline_of_requests_and_has_its_own(faulted: Faulty) -> None:
    client, proxy, path = faulted.client, faulted.proxy, faulted.path
    await proxy.set(Fault(late=0.7))
    status, _ = await client.send("POST", path, json={})
    assert status == 504
    slow = await ended(client, await begun(client, path, {}))
    assert (slow["state"], slow["rows"]) == ("done", 50)
    await proxy.set(HANG)
    late = await ended(client, await begun(client, path, {}))
    assert (late["error"]["code"], late["error"]["source"]) == ("DEADLINE_EXCEEDED", "influx")
    shorter = {"options": {"timeout": "500ms"}}
    started = time.monotonic()
    late = await ended(client, await begun(client, path, shorter))
    assert late["error"]["code"] == "DEADLINE_EXCEEDED"
    assert time.monotonic() - started < 2.5


@pytest.mark.parametrize("cut", [0, 1, 300, 700])
async def test_a_store_that_dies_fails_the_job_whole(faulted: Faulty, cut: int) -> None:
    """F1: nothing of what had come is a result."""
    client, proxy, path = faulted.client, faulted.proxy, faulted.path
    await proxy.set(Fault(cut=cut))
    job = await ended(client, await begun(client, path, {}))
    assert (job["state"], job["error"]["source"], job["result"]) == ("failed", "influx", None)
    assert 502 <= job["error"]["status"] <= 504
    assert not any((faulted.folder / "data" / "jobs").iterdir())


async def test_deleting_a_job_ends_the_stores_work(faulted: Faulty) -> None:
    client, proxy, path = faulted.client, faulted.proxy, faulted.path
    await proxy.set(HANG)
    job, waiting = await begun(client, path, {}), await begun(client, path, {})
    await until_true(lambda: proxy.requests)
    found = {one["id"]: one["state"] for one in (await client.ok("GET", "/mix/job"))["data"]}
    assert found == {job: "running", waiting: "queued"}
    _, metrics = await client.send("GET", "/metrics")
    for line in (b'hostmonitor_jobs{state="running"} 1.0', b'hostmonitor_jobs{state="queued"} 1.0'):
        assert line in metrics
    async with client.session.get(f"{client.url}/mix/job/{job}") as response:
        assert int(response.headers["Retry-After"]) >= 1
    async with client.session.get(f"{client.url}/mix/job/{job}/result") as response:
        assert (response.status, int(response.headers["Retry-After"])) == (409, 1)
        assert (await response.json())["code"] == "JOB_NOT_DONE"
    for one in (waiting, job):
        await client.ok("DELETE", f"/mix/job/{one}")
    await until_true(lambda: not proxy.open, 1)
    assert (await client.ok("GET", "/mix/job"))["data"] == []
    assert [(await client.send("GET", f"/mix/job/{one}"))[0] for one in (waiting, job)] == [404, 404]


# Stops and kills


async def test_after_a_stop_results_are_served_and_what_ran_is_told(tmp_path: Path, influx_url: str) -> None:
    name = f"jobs_stop_{time.time_ns()}"
    async with faulty(influx_url) as proxy:
        async with service(tmp_path, influx_url=proxy.url) as client:
            await put_pairs(client)
            await load(client, "influx", name, 50)
            done = await begun(client, "/mix/query", PAIRS)
            rows = await streamed(client, (await ended(client, done))["result"], "text/csv")
            cursor = (await client.ok("GET", f"/mix/job/{done}/result"))["page"]["cursor"]
            path = f"/influx/{name}/content/query"
            await client.ok("POST", path, json={"limit": 1})
            await proxy.set(HANG)
            running = await begun(client, path, {})
            await until_true(lambda: proxy.requests)
        await proxy.heal()
        async with service(tmp_path, influx_url=proxy.url) as client:
            found = (await client.ok("GET", f"/mix/job/{running}"))["data"]
            assert (found["state"], found["error"]["code"]) == ("failed", "JOB_INTERRUPTED")
            assert await streamed(client, f"/mix/job/{done}/result", "text/csv") == rows
            assert len((await client.ok("GET", f"/mix/cursor/{cursor}"))["data"]) == 100
            await client.ok("DELETE", f"/influx/{name}")


async def test_after_a_kill_nothing_half_done_is_served(tmp_path: Path) -> None:
    """What a kill leaves behind: jobs in the state that ran or waited, a part on disk, results that no job has."""
    data = tmp_path / "data"
    state = State(data)
    await state.open()
    records = JobRecords(state)
    made = Job("", "anonymous", "running", "2026-11-22T10:00:00.000Z", "p", ("es/a",), schema=(Column("n", INT64),))
    for name, at in (("a" * 24, "running"), ("b" * 24, "queued"), ("c" * 24, "done")):
        await records.add(replace(made, id=name, state=at), 10)  # type: ignore[arg-type]
    await state.close()
    (data / "jobs").mkdir()
    for file in ("a" * 24 + ".part", "d" * 24 + ".arrows", "d" * 24 + ".index"):
        (data / "jobs" / file).write_bytes(b"half")
    async with service(tmp_path) as client:
        for name, code in (("a", "JOB_INTERRUPTED"), ("b", "JOB_INTERRUPTED"), ("c", "STORE_FAILED")):
            found = (await client.ok("GET", f"/mix/job/{name * 24}"))["data"]
            assert (found["state"], found["error"]["code"]) == ("failed", code)
            assert (await client.send("GET", f"/mix/job/{name * 24}/result"))[0] == 409
        assert list((data / "jobs").iterdir()) == []


async def test_a_result_that_is_gone_is_an_error(loaded: Stores) -> None:
    client = loaded.client
    job = await begun(client, "/mix/query", PAIRS)
    await ended(client, job)
    assert client.services
    assert client.services.jobs
    await client.services.jobs.spools.remove(job)
    for accept in ("application/json", "text/csv"):
        status, answer = await client.send("GET", f"/mix/job/{job}/result", headers={"accept": accept})
        assert (status, answer["code"], answer["source"]) == (502, "STORE_FAILED", "jobs")
    await client.ok("DELETE", f"/mix/job/{job}")


async def test_jobs_that_are_asked_at_once_all_come_to_their_end(loaded: Stores) -> None:
    client = loaded.client
    names = await asyncio.gather(*(begun(client, "/mix/query", PAIRS | {"limit": 50 + n}) for n in range(12)))
    found = await asyncio.gather(*(ended(client, name) for name in names))
    assert sorted(job["rows"] for job in found) == [50 + n for n in range(12)]
    assert len({job["id"] for job in found}) == 12
    await asyncio.gather(*(client.ok("DELETE", f"/mix/job/{name}") for name in names))
