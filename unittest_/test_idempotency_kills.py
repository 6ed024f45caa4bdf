"""Requests under an Idempotency-Key whose end was lost: a SIGKILL between the store's answer and the service's own record of
it, and a store whose answer never came. The same request again makes no second document and no second point (F3, F37)."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from unittest_.live import service
from unittest_.service_process import service_process
from unittest_.tcp_proxy import TcpProxy

NDJSON, LINES = "application/x-ndjson", "text/plain"
COUNT = {"select": [{"agg": "count", "as": "n"}]}
REPEATS = 6
MANY = 6_000


class LosingProxy(TcpProxy):
    """Before a real store: while `losing`, its answer to a request that holds `marks` is not passed on, and counted. The
    connection ends then, or stays silent where `silent`."""

    def __init__(self, target: str, *marks: bytes) -> None:
        super().__init__(target)
        self._marks = marks
        self.losing = self.silent = False
        self.lost = 0

    async def exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        store_reader, store_writer = await self.store()
        seen = bytearray()

        async def ask() -> None:
            while piece := await reader.read(65_536):
                seen.extend(piece)
                store_writer.write(piece)
                await store_writer.drain()

        asking = asyncio.create_task(ask())
        try:
            while piece := await store_reader.read(65_536):
                if self.losing and any(mark in seen for mark in self._marks):
                    self.lost += 1
                    if self.silent:
                        await asking
                    return
                seen.clear()
                writer.write(piece)
                await writer.drain()
        finally:
            asking.cancel()
            store_writer.close()


@asynccontextmanager
async def losing(es_url: str, influx_url: str) -> AsyncIterator[tuple[LosingProxy, LosingProxy]]:
    """Proxies before both real stores."""
    proxies = LosingProxy(es_url, b"_bulk"), LosingProxy(influx_url, b"POST /write")
    for proxy in proxies:
        await proxy.start()
    yield proxies
    for proxy in proxies:
        await proxy.stop()


class Caller:
    def __init__(self, session: aiohttp.ClientSession, address: Callable[[], str]) -> None:
        self._session, self._address = session, address

    async def send(
        self, method: str, path: str, body: Any = b"", key: str = "", kind: str = ""
    ) -> tuple[int, Any, bool]:
        """(status, answer, whether it is the first answer again)"""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"content-type": kind or "application/json"} | ({"idempotency-key": key} if key else {})
        async with self._session.request(method, self._address() + path, data=data, headers=headers) as response:
            again = response.headers.get("Idempotency-Replayed") == "true"
            return response.status, await response.json(content_type=None), again

    async def count(self, path: str) -> int:
        status, answer, _ = await self.send("POST", f"{path}/query", COUNT)
        if status == 404 or (status == 200 and not answer["data"]):
            return 0
        assert status == 200, answer
        return int(answer["data"][0]["n"])


def bodies(name: str) -> list[tuple[str, str, Any, str, int]]:
    """(method, path, body, content type, how many) of writes that have no id, or no time, of their own."""
    index, points = f"/es/{name}", f"/influx/{name}/cpu"
    return [
        ("PUT", f"{index}?refresh=true", {"a": 1}, "", 1),
        ("POST", f"{index}/docs?refresh=true", [{"a": 1}, {"a": 1}, {"_id": "own", "a": 2}], "", 3),
        ("POST", f"{index}/docs?refresh=true", b'{"a": 1}\n{"a": 1}\n', NDJSON, 2),
        ("PUT", points, {"tags": {"host": "a"}, "fields": {"v": 1.5}}, "", 1),
        ("POST", f"{points}/points", [{"tags": {"host": "b"}, "fields": {"v": 1.5}}], "", 1),
        ("POST", f"{points}/points", b"cpu,host=c v=1\ncpu,host=d v=2\n", LINES, 2),
    ]


async def made(caller: Caller, name: str, documents: str = "es", series: str = "influx") -> None:
    assert (await caller.send("POST", f"/{documents}/index", {"index": name}))[0] == 200
    assert (await caller.send("PUT", f"/{series}/{name}"))[0] == 200


async def dropped(caller: Caller, name: str) -> None:
    await caller.send("DELETE", f"/es/{name}")
    await caller.send("DELETE", f"/influx/{name}")


async def test_a_kill_between_the_stores_answers_and_their_record_makes_no_second_effect(
    tmp_path: Path, es_url: str, influx_url: str
) -> None:
    """The real stores' answers are withheld; for the embedded one, the state is locked once the requests are remembered, so
    that their ends cannot be. Then the process is killed, and started again on the same folder."""
    name = f"once_kill_{uuid.uuid4().hex[:12]}"
    config = tmp_path / "own.toml"
    config.write_text('[instances.own-docs]\nkind = "documents"\n[instances.own-series]\nkind = "series"\n')
    async with (
        losing(es_url, influx_url) as (es, influx),
        service_process(tmp_path, ES_URL=es.url, INFLUX_URL=influx.url, CONFIG=str(config)) as (process, session),
    ):
        caller = Caller(session, lambda: process.url)
        for stores in (("es", "influx"), ("own-docs", "own-series")):
            await made(caller, name, *stores)
        requests = [(method, path, body, uuid.uuid4().hex, kind) for method, path, body, kind, _ in bodies(name)]
        try:
            es.losing = es.silent = influx.losing = influx.silent = True
            sending = [asyncio.create_task(caller.send(*request)) for request in requests]
            await until(lambda: es.lost == influx.lost == 3)
            own = embedded(name)
            locked = sqlite3.connect(tmp_path / "data" / "state.sqlite", isolation_level=None, timeout=5)
            sending += [asyncio.create_task(caller.send(*request)) for request in own]
            await until(lambda: remembered(locked) == len(sending))
            locked.execute("BEGIN IMMEDIATE")
            for _, path, *_ in own:
                await counted(caller, path.rpartition("/")[0], MANY)
            assert not any(one.done() for one in sending)
            process.kill()
            locked.close()
            for one in await asyncio.gather(*sending, return_exceptions=True):
                assert isinstance(one, aiohttp.ClientError | ConnectionError)
            es.losing = influx.losing = False
            await process.start()
            for request in requests + own:
                await replayed(caller, request)
            assert await caller.count(f"/es/{name}") == 6
            assert await caller.count(f"/influx/{name}/cpu") == 4
            for _, path, *_ in own:
                assert await caller.count(path.rpartition("/")[0]) == MANY
        finally:
            es.losing = influx.losing = False
            await dropped(caller, name)


async def replayed(caller: Caller, request: tuple[str, str, Any, str, str]) -> None:
    """Sends it again and again: its end is found, then told."""
    method, path, body, key, kind = request
    first: Any = None
    for at in range(REPEATS):
        status, answer, again = await caller.send(method, path, body, key, kind)
        assert (status, again) == (207 if answer.get("errors") else 200, at > 0), answer
        if "items" in answer:
            # A document of an `_id` of its own says that it is there; those with ids from the key are their request's own.
            told = [item["status"] for item in answer["items"] if item["_id"] != "own"]
            assert set(told) == {201}
        first = first or answer
        assert answer == first
    other = await caller.send(method, path, [{"b": 1}], key, "")
    assert other[1]["code"] == "IDEMPOTENCY_MISMATCH"


def embedded(name: str) -> list[tuple[str, str, Any, str, str]]:
    """Requests that take the embedded store long enough to lock the state meanwhile."""
    documents = b"".join(b'{"n": %d}\n' % n for n in range(MANY))
    points = b"".join(b"cpu,host=h%d v=1\n" % n for n in range(MANY))
    return [
        ("POST", f"/own-docs/{name}/docs", documents, uuid.uuid4().hex, NDJSON),
        ("POST", f"/own-series/{name}/cpu/points", points, uuid.uuid4().hex, LINES),
    ]


async def counted(caller: Caller, path: str, many: int) -> None:
    async with asyncio.timeout(20):
        while await caller.count(path) < many:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def remembered(state: sqlite3.Connection) -> int:
    (count,) = state.execute("SELECT count(*) FROM idempotency").fetchone()
    return int(count)


async def until(true: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        await asyncio.sleep(0.001)


async def test_an_answer_of_the_store_that_never_came_frees_the_key(
    tmp_path: Path, es_url: str, influx_url: str
) -> None:
    name = f"once_lost_{uuid.uuid4().hex[:12]}"
    async with (
        losing(es_url, influx_url) as proxies,
        service(tmp_path, es_url=proxies[0].url, influx_url=proxies[1].url) as client,
    ):
        caller = Caller(client.session, lambda: client.url)
        await made(caller, name)
        try:
            for method, path, body, kind, _ in bodies(name):
                proxy, key = proxies[path.startswith("/influx")], uuid.uuid4().hex
                proxy.losing = True
                status, answer, _ = await caller.send(method, path, body, key, kind)
                assert status in (502, 503), answer
                proxy.losing = False
                await replayed(caller, (method, path, body, key, kind))
            assert await caller.count(f"/es/{name}") == 6
            assert await caller.count(f"/influx/{name}/cpu") == 4
        finally:
            await dropped(caller, name)


async def test_a_client_that_goes_away_frees_the_key(tmp_path: Path, es_url: str, influx_url: str) -> None:
    """The store has the documents, and its answer finds nobody."""
    name = f"once_away_{uuid.uuid4().hex[:12]}"
    async with losing(es_url, influx_url) as (es, _), service(tmp_path, es_url=es.url) as client:
        caller = Caller(client.session, lambda: client.url)
        await made(caller, name)
        request = ("POST", f"/es/{name}/docs?refresh=true", [{"a": 1}, {"a": 2}], uuid.uuid4().hex, "")
        try:
            es.losing = es.silent = True
            sending = asyncio.create_task(caller.send(*request))
            await until(lambda: es.lost == 1)
            assert (await caller.send(*request))[1]["code"] == "IDEMPOTENCY_RUNNING"
            sending.cancel()
            es.losing = False
            async with asyncio.timeout(20):
                while (told := await caller.send(*request))[0] == 409:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            assert (told[0], told[2]) == (200, False)
            assert [item["status"] for item in told[1]["items"]] == [201, 201]
            assert await caller.count(f"/es/{name}") == 2
        finally:
            await dropped(caller, name)
