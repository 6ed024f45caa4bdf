"""The service over real stores with a fault proxy before each, for the tests of faults."""

from __future__ import annotations

import asyncio
import socket
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from yarl import URL

from config.instances import InstanceSettings
from config.limits import LimitsSettings
from config.settings import PoolSettings
from unittest_.fault_proxy import FaultProxy, faulty
from unittest_.live import Client, service
from unittest_.test_error_shape import SENT_ID, Answer, faults

DEADLINE = 4.0  # of the service, for what names none itself
PATIENT = {"limit": 1000}
BODY = {"options": {"timeout": "1s"}, **PATIENT}
GROUPS = {"group_by": ["host"], "select": [{"agg": "count", "as": "n"}], **BODY}
ROWS = 300
CONNECTIONS = 8


@dataclass(frozen=True)
class Faulty:
    """The service over both stores with a proxy before each, and an embedded store of each kind beside them."""

    client: Client
    proxies: dict[str, FaultProxy]
    name: str
    healthy: dict[str, Any]

    def query(self, source: str, name: str = "") -> str:
        name = name or self.name
        return f"/{source}/{name}/query" if source.startswith("es") else f"/{source}/{name}/cpu/query"

    def routes(self, source: str) -> list[tuple[str, str, dict[str, Any]]]:
        """(method, path, arguments) of every fixed route that asks the store."""
        name = self.name
        query = ("POST", self.query(source), {"json": BODY})
        if source == "es":
            return [
                query,
                ("POST", self.query(source), {"json": GROUPS}),
                ("POST", f"/es/{name}-other/query", {"json": BODY}),
                ("GET", "/es/node", {}),
                ("GET", "/es/index", {}),
                ("POST", "/es/index", {"json": {"index": f"{name}-new"}}),
                ("DELETE", f"/es/{name}-other", {}),
                ("GET", f"/es/{name}", {"json": {"query": {"match_all": {}}}}),
                ("PUT", f"/es/{name}", {"json": {"host": "x"}}),
                ("POST", f"/es/{name}/docs", {"json": [{"host": "x"}]}),
                ("GET", f"/es/{name}/schema", {}),
            ]
        return [
            query,
            ("POST", self.query(source), {"json": GROUPS}),
            ("POST", f"/influx/{name}/other/query", {"json": BODY}),
            ("GET", "/influx/node", {}),
            ("GET", "/influx/db", {}),
            ("PUT", f"/influx/{name}_new", {}),
            ("DELETE", f"/influx/{name}_other", {}),
            ("GET", f"/influx/{name}", {}),
            ("GET", f"/influx/{name}/cpu", {}),
            ("PUT", f"/influx/{name}/cpu", {"json": {"fields": {"v": 1.5}}}),
            ("POST", f"/influx/{name}/cpu/points", {"json": [{"fields": {"v": 1.5}}]}),
            (
                "POST",
                f"/influx/{name}/cpu/points",
                {"data": b"cpu v=1.5 1\n", "headers": {"content-type": "text/plain"}},
            ),
            ("DELETE", f"/influx/{name}/other", {}),
        ]


@asynccontextmanager
async def faulty_stores(es_url: str, influx_url: str, folder: Path, **es_options: int) -> AsyncIterator[Faulty]:
    """Runs it, with data in every store; `es_options` are Elasticsearch's own settings."""
    name = f"faults{uuid.uuid4().hex[:12]}"
    instances = {"es-here": InstanceSettings(kind="documents"), "influx-here": InstanceSettings(kind="series")}
    limits = LimitsSettings(timeout_seconds=DEADLINE, catalog_seconds=600)
    async with (
        faulty(es_url) as es,
        faulty(influx_url) as influx,
        service(
            folder,
            influx_url=influx.url,
            instances={**instances, "es": InstanceSettings(kind="documents", url=es.url, options=es_options)},
            limits=limits,
            pool=PoolSettings(connections=CONNECTIONS),
        ) as client,
    ):
        hosts = [f"web-{at % 7}" for at in range(ROWS)]
        documents = [{"_id": f"d{at}", "@timestamp": at, "host": host, "v": at} for at, host in enumerate(hosts)]
        points = [
            {"time": at * 1_000_000, "tags": {"host": host}, "fields": {"v": float(at)}}
            for at, host in enumerate(hosts)
        ]
        types = {"@timestamp": "date", "host": "keyword", "v": "long"}
        mappings = {"properties": {name: {"type": kind} for name, kind in types.items()}}
        loaded = Faulty(client, {"es": es, "influx": influx}, name, {})
        try:
            for source in ("es", "es-here"):
                await client.ok("POST", f"/{source}/index", json={"index": name, "mappings": mappings})
                await client.ok("POST", f"/{source}/{name}/docs?refresh=true", json=documents)
            for source in ("influx", "influx-here"):
                await client.ok("PUT", f"/{source}/{name}")
                await client.ok("POST", f"/{source}/{name}/cpu/points", json=points)
            for source in ("es", "influx", "es-here", "influx-here"):
                loaded.healthy[source] = (await client.ok("POST", loaded.query(source), json=PATIENT))["data"]
                assert len(loaded.healthy[source]) == ROWS
            yield loaded
        finally:
            for proxy in loaded.proxies.values():
                await proxy.heal()
            await client.send("DELETE", f"/es/{name}")
            await client.send("DELETE", f"/influx/{name}")
            assert await no_stray(client, name) == []


async def no_stray(client: Client, name: str) -> list[str]:
    """What a refused request left behind in the stores."""
    indices = [entry["index"] for entry in await client.ok("GET", "/es/index")]
    listed = (await client.ok("GET", "/influx/db"))["results"][0].get("series", [{"values": []}])[0]["values"]
    left = [found for found in [*indices, *(row[0] for row in listed)] if name in found]
    for found in left:
        await client.send("DELETE", f"/es/{found}")
        await client.send("DELETE", f"/influx/{found}")
    # Creating was cut after the store had it: unknown, not refused.
    return [found for found in left if not found.endswith(("-new", "_new"))]


async def send(client: Client, method: str, path: str, **arguments: Any) -> Answer:
    headers = {"x-request-id": SENT_ID, **arguments.pop("headers", {})}
    url = URL(client.url + path, encoded=True)
    async with client.session.request(method, url, headers=headers, **arguments) as response:
        return Answer(response.status, response.headers, await response.read())


def wrongs(answer: Answer, source: str, codes: Sequence[str], statuses: Sequence[int] = (502, 503, 504)) -> list[str]:
    """What is wrong with the answer to a request whose store failed."""
    said = f"{answer.status} {answer.body[:300]!r}"
    if answer.status not in statuses:
        return [f"{said}: not one of {statuses}"]
    found = [f"{said}: {fault}" for fault in faults(answer, None) if fault != "errors" and fault != "no hint"]
    if answer.headers.get("X-HM-Store-Fault") != source or f'"source":"{source}"'.encode() not in answer.body:
        found.append(f"{said}: the source is not named")
    if not any(f'"code":"{code}"'.encode() in answer.body for code in codes):
        found.append(f"{said}: not one of {codes}")
    return found


async def others_go_on(stores: Faulty) -> None:
    for other in ("es-here", "influx-here"):
        told = await stores.client.ok("POST", stores.query(other), json=PATIENT)
        assert told["data"] == stores.healthy[other]


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as once:
        port: int = once.getsockname()[1]
    return port


async def until(condition: Callable[[], bool], seconds: float = 3.0) -> None:
    """Looks again and again; fails when it stays false."""
    for _ in range(int(seconds / 0.02)):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it never came true")
