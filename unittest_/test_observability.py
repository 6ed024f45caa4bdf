"""What an operator sees of a request: its ids in the stores and the logs, slow queries, counters, timings, and `meta`."""

from __future__ import annotations

import json
import logging
import re
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import structlog

from config.logging import close_logging, configure_logging
from config.settings import Settings
from unittest_.fault_proxy import Fault, FaultProxy, faulty, http
from unittest_.live import Client, service
from unittest_.recording_proxy import RecordingProxy, recording

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
STAGES = ["parse", "catalog", "bind", "optimize", "compile", "execute", "format"]
NOBODY = "http://127.0.0.1:9"
MAPPINGS = {"properties": {"@timestamp": {"type": "date"}, "host": {"type": "keyword"}, "size": {"type": "long"}}}
DOCUMENTS = [{"@timestamp": f"2026-11-22T10:00:0{at}Z", "host": f"web-{at % 3}", "size": at} for at in range(9)]
LINES = "\n".join(f"cpu,host=web-{at % 3} usage={at}i,idle={at}.5 {1795341600 + at}" for at in range(9))


@dataclass
class Served:
    """The service before both real stores, each behind a proxy that notes what reaches it and one that can fail."""

    client: Client
    es: RecordingProxy
    influx: RecordingProxy
    es_faults: FaultProxy
    influx_faults: FaultProxy
    logs: Path
    index: str = field(default_factory=lambda: f"observed-{uuid.uuid4().hex[:8]}")

    async def ask(self, path: str, body: Any, **headers: str) -> tuple[Any, Any]:
        """(headers, JSON) of a query that must succeed."""
        async with self.client.session.post(f"{self.client.url}{path}", json=body, headers=headers) as answer:
            told = await answer.json()
            assert answer.status == 200, told
            return answer.headers, told

    def lines(self, name: str, **members: Any) -> list[dict[str, Any]]:
        """The lines of a log that have these members."""
        found = map(json.loads, (self.logs / f"{name}.log").read_text().splitlines())
        return [line for line in found if members.items() <= line.items()]

    async def counted(self, name: str, **labels: str) -> float:
        """A counter's sum over all its children that have these labels."""
        async with self.client.session.get(f"{self.client.url}/metrics") as answer:
            text = await answer.text()
        total = 0.0
        for said, number in re.findall(rf"^{name}{{(.*)}} (\S+)$", text, re.MULTILINE):
            if labels.items() <= dict(re.findall(r'(\w+)="([^"]*)"', said)).items():
                total += float(number)
        return total

    @property
    def of_documents(self) -> str:
        return f"/es/{self.index}/query"

    @property
    def of_points(self) -> str:
        return f"/influx/{self.index}/cpu/query"


@contextmanager
def logged(settings: Settings) -> Iterator[None]:
    """Logs in the settings' folder, as the command line sets them up."""
    root = logging.getLogger()
    before = (root.handlers, root.level)
    configure_logging(settings, stdout=False)
    try:
        yield
    finally:
        close_logging()
        root.handlers, root.level = before
        structlog.reset_defaults()
        logging.captureWarnings(False)


@pytest.fixture(scope="module")
async def served(es_url: str, influx_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    folder = tmp_path_factory.mktemp("observed")
    with logged(Settings(data_dir=folder / "data", log_dir=folder / "logs")):
        async with (
            faulty(es_url) as es_faults,
            faulty(influx_url) as influx_faults,
            recording(es_faults.url) as es,
            recording(influx_faults.url) as influx,
            service(
                folder,
                es_url=es.url,
                influx_url=influx.url,
                slow_query_seconds=0,
                instances={"es-gone": {"kind": "documents", "url": NOBODY}},
            ) as client,
        ):
            one = Served(client, es, influx, es_faults, influx_faults, folder / "logs")
            await _load(one)
            try:
                yield one
            finally:
                await client.ok("DELETE", f"/es/{one.index}")
                await client.ok("DELETE", f"/influx/{one.index}")


async def _load(one: Served) -> None:
    await one.client.ok("POST", "/es/index", json={"index": one.index, "settings": {}, "mappings": MAPPINGS})
    await one.client.ok("POST", f"/es/{one.index}/docs?refresh=true", json=DOCUMENTS)
    await one.client.ok("PUT", f"/influx/{one.index}")
    text = {"content-type": "text/plain"}
    await one.client.ok("POST", f"/influx/{one.index}/cpu/points?precision=s", data=LINES, headers=text)


def heads(received: bytes) -> list[bytes]:
    """The heads of the requests that a store received."""
    return re.findall(rb"(?:GET|POST|PUT|DELETE|HEAD) /\S* HTTP/1\.1\r\n(?:[^\r\n]+\r\n)+", received)


# Ids


@pytest.mark.parametrize("sent", [True, False], ids=["sent", "made"])
async def test_the_ids_of_a_request_reach_both_stores(served: Served, sent: bool) -> None:
    name = f"both-{uuid.uuid4().hex[:8]}"
    headers = {"X-Request-ID": name, "traceparent": TRACE} if sent else {}
    served.es.clear()
    served.influx.clear()
    async with served.client.session.get(f"{served.client.url}/mix/resource/{served.index}", headers=headers) as answer:
        assert answer.status == 200, await answer.text()
        told, traced = answer.headers["X-Request-ID"], answer.headers["traceparent"]
    assert not sent or told == name
    traces = set()
    for store in (served.es, served.influx):
        found = heads(store.received)
        assert found
        for head in found:
            assert head.count(f"X-Request-ID: {told}\r\n".encode()) == 1, head
            (trace,) = re.findall(rb"(?i)traceparent: (\S+)\r\n", head)
            traces.add(trace.decode())
    assert traces == {traced}
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]", traced)
    assert not sent or traced == TRACE


async def test_the_ids_go_with_queries_and_writes(served: Served) -> None:
    name = f"each-{uuid.uuid4().hex[:8]}"
    headers = {"X-Request-ID": name, "traceparent": TRACE}
    asked: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", served.of_documents, {"json": {"limit": 2}}),
        (
            "POST",
            served.of_points,
            {"json": {"group_by": ["host"], "select": [{"agg": "sum", "field": "usage", "as": "s"}]}},
        ),
        ("PUT", f"/es/{served.index}", {"json": DOCUMENTS[0]}),
        ("GET", f"/influx/{served.index}", {}),
    ]
    for method, path, arguments in asked:
        served.es.clear()
        served.influx.clear()
        await served.client.ok(method, path, headers=headers, **arguments)
        found = heads(served.es.received + served.influx.received)
        assert found, path
        for head in found:
            assert f"X-Request-ID: {name}\r\n".encode() in head, head
            assert f"traceparent: {TRACE}\r\n".encode() in head, head
    assert len(served.lines("access", request_id=name)) == len(asked)


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/es/{index}/query", b'{"limit": 1}', 200),
        ("POST", "/es/{index}/query", b'{"limit": "x"}', 422),
        ("POST", "/es/{index}/query", b"{", 400),
        ("POST", "/influx/{index}/nothing/query", b"{}", 404),
        ("POST", "/es-gone/x/query", b"{}", 503),
        ("GET", "/nowhere/at/all", b"", 404),
        ("PATCH", "/es/index", b"", 405),
    ],
)
async def test_an_id_is_on_the_answer_and_its_one_line(
    served: Served, method: str, path: str, body: bytes, status: int
) -> None:
    name = f"line-{uuid.uuid4().hex}"
    url = served.client.url + path.format(index=served.index)
    headers = {"X-Request-ID": name, "traceparent": TRACE, "content-type": "application/json"}
    async with served.client.session.request(method, url, data=body or None, headers=headers) as answer:
        told = await answer.json()
        assert (answer.status, answer.headers.getall("X-Request-ID")) == (status, [name]), told
        assert answer.headers.getall("traceparent") == [TRACE]
    assert (told["meta"] if status == 200 else told)["request_id"] == name
    (line,) = served.lines("access", request_id=name)
    assert (line["method"], line["status"], line["traceparent"]) == (method, status, TRACE)


# Slow queries


async def test_slow_queries_are_logged(served: Served) -> None:
    body = {"where": {"field": "size", "op": "gte", "value": 3}, "limit": 4}
    name = f"slow-{uuid.uuid4().hex[:8]}"
    await served.ask(served.of_documents, body, **{"X-Request-ID": name})
    await served.ask(served.of_documents, dict(reversed(body.items())), **{"X-Request-ID": name})
    await served.ask(served.of_points, {"limit": 3}, **{"X-Request-ID": name})
    first, same, other = served.lines("app", event="slow query", request_id=name)
    assert first["level"] == "warning"
    assert 0 < first["seconds"] < 30
    assert first["plan"] == same["plan"] != other["plan"]
    assert re.fullmatch(r"[0-9a-f]{12}", first["plan"])
    assert (first["sources"], first["rows"]) == ([f"es/{served.index}"], 4)
    assert (other["sources"], other["rows"]) == ([f"influx/{served.index}/cpu"], 3)


async def test_slow_streams_and_failures_are_logged_too(served: Served) -> None:
    name = f"slow-{uuid.uuid4().hex[:8]}"
    headers = {"X-Request-ID": name, "accept": "application/x-ndjson"}
    url = f"{served.client.url}{served.of_documents}"
    async with served.client.session.post(url, json={"select": ["size"]}, headers=headers) as answer:
        assert len((await answer.read()).splitlines()) == len(DOCUMENTS)
    status, _ = await served.client.send("POST", "/es-gone/x/query", json={}, headers=headers)
    assert status == 503
    streamed, failed = served.lines("app", event="slow query", request_id=name)
    assert (streamed["sources"], streamed["rows"]) == ([f"es/{served.index}"], len(DOCUMENTS))
    assert (failed["sources"], failed["rows"]) == (["es-gone/x"], 0)


async def test_slow_pages_of_a_cursor_are_logged_too(served: Served) -> None:
    name = f"slow-{uuid.uuid4().hex[:8]}"
    first = await served.client.ok("POST", served.of_documents, json={"limit": 1})
    plan = served.lines("app", event="slow query")[-1]["plan"]
    headers = {"X-Request-ID": name}
    second = await served.client.ok("GET", f"/mix/cursor/{first['page']['cursor']}?limit=2", headers=headers)
    body = {"cursor": second["page"]["cursor"], "limit": 1}
    await served.client.ok("POST", served.of_documents, json=body, headers=headers)
    pages = served.lines("app", event="slow query", request_id=name)
    assert [(page["plan"], page["rows"], page["sources"]) for page in pages] == [
        (plan, 2, [f"es/{served.index}"]),
        (plan, 1, [f"es/{served.index}"]),
    ]


async def test_quick_queries_are_not(served: Served, tmp_path: Path) -> None:
    async with service(tmp_path, slow_query_seconds=60) as client:
        name = f"quick-{uuid.uuid4().hex[:8]}"
        await client.ok("POST", "/es/index", json={"index": "quick", "settings": {}, "mappings": {}})
        await client.ok("POST", "/es/quick/query", json={}, headers={"X-Request-ID": name})
    assert served.lines("access", request_id=name)
    assert not served.lines("app", event="slow query", request_id=name)


# Counters


async def test_requests_are_counted_by_route_and_status(served: Served) -> None:
    async def requests(status: str) -> float:
        return await served.counted("hostmonitor_requests_total", method="POST", status=status, route=route)

    await served.ask(served.of_documents, {"limit": 1})
    route = str(served.lines("access", path=served.of_documents, status=200)[-1]["route"])
    right, wrong = await requests("200"), await requests("422")
    for _ in range(3):
        await served.ask(served.of_documents, {"limit": 1})
    await served.client.send("POST", served.of_documents, json={"limit": "x"})
    assert (await requests("200"), await requests("422")) == (right + 3, wrong + 1)


async def test_calls_to_stores_are_counted_by_instance(served: Served) -> None:
    async def calls(instance: str, outcome: str) -> float:
        return await served.counted("hostmonitor_store_calls_total", instance=instance, outcome=outcome)

    before = [await calls("es", "ok"), await calls("influx", "ok"), await calls("es-gone", "STORE_UNAVAILABLE")]
    bytes_ = await served.counted("hostmonitor_store_bytes_total", instance="influx", direction="received")
    await served.ask(served.of_documents, {"limit": 1})
    await served.ask(served.of_points, {"limit": 1})
    status, _ = await served.client.send("POST", "/es-gone/x/query", json={})
    assert status == 503
    after = [await calls("es", "ok"), await calls("influx", "ok"), await calls("es-gone", "STORE_UNAVAILABLE")]
    assert all(now > then for now, then in zip(after, before, strict=True)), (before, after)
    assert await served.counted("hostmonitor_store_bytes_total", instance="influx", direction="received") > bytes_


# Timings and meta


async def test_server_timing_names_the_stages(served: Served) -> None:
    for path in (served.of_documents, served.of_points):
        headers, told = await served.ask(path, {"limit": 321})  # asked nowhere else, so that nothing of it is known
        timed = dict(re.findall(r"(\w+);dur=([0-9.]+)", headers["Server-Timing"]))
        assert list(timed) == STAGES
        assert sum(map(float, timed.values())) <= told["meta"]["took_ms"] + float(timed["format"]) + 1


async def test_a_source_has_one_row(served: Served) -> None:
    grouped = {"group_by": ["host"], "select": [{"agg": "sum", "field": "size", "as": "s"}]}
    bodies: list[tuple[Any, int]] = [
        ({}, 9),
        (grouped, 3),
        (
            {
                "group_by": ["host"],
                "select": [{"agg": "stddev", "field": "size", "as": "s"}, {"agg": "count", "as": "n"}],
            },
            3,
        ),
        ({**grouped, "having": {"field": "s", "op": "gt", "value": 0}, "order_by": [{"field": "s", "dir": "desc"}]}, 3),
    ]
    for body, rows in bodies:
        _, told = await served.ask(served.of_documents, body)
        (row,) = told["meta"]["sources"]
        assert (row["source"], row["status"]) == ("es", "ok")
        assert row["rows"] >= rows
        assert 0 < row["took_ms"] <= told["meta"]["took_ms"]
        assert (told["meta"]["partial"], told["meta"]["warnings"]) == (False, [])
    _, told = await served.ask(served.of_points, {"group_by": ["host"], "select": [{"agg": "count", "as": "n"}]})
    assert [row["source"] for row in told["meta"]["sources"]] == ["influx"]


PARTIAL_HITS = {
    "took": 1,
    "timed_out": True,
    "_shards": {"total": 2, "successful": 2, "failed": 0},
    "hits": {"total": {"value": 0, "relation": "eq"}, "hits": []},
}
PARTIAL_POINTS = {
    "results": [
        {
            "statement_id": 0,
            "partial": True,
            "series": [{"name": "cpu", "columns": ["time", "idle"], "values": [[1, 0.5]]}],
        }
    ]
}


async def test_a_partial_answer_is_marked_where_it_is(served: Served) -> None:
    """Allowed, it is told in `meta.partial`, in a warning and in the source's row; else it is an error."""
    shown = {"select": ["idle"], "where": {"field": "idle", "op": "exists", "value": True}, "order_by": ["time"]}
    cases: list[tuple[FaultProxy, Any, str, str, dict[str, Any]]] = [
        (served.es_faults, PARTIAL_HITS, "es", served.of_documents, {"limit": 5}),
        (served.influx_faults, PARTIAL_POINTS, "influx", served.of_points, {**shown, "limit": 5}),
    ]
    for proxy, said, source, path, body in cases:
        await served.ask(path, body)  # what is known of the fields is cached now
        await proxy.set(Fault(says=http(200, json.dumps(said).encode() + b"\n")))
        try:
            status, refused = await served.client.send("POST", path, json=body)
            _, told = await served.ask(path, {**body, "options": {"partial": True}})
        finally:
            await proxy.heal()
        assert (status, refused["code"]) == (502, "STORE_PARTIAL")
        assert told["meta"]["partial"] is True
        assert [(one["code"], one["source"]) for one in told["meta"]["warnings"]] == [("STORE_PARTIAL", source)]
        assert [(row["source"], row["status"]) for row in told["meta"]["sources"]] == [(source, "partial")]
        _, healed = await served.ask(path, body)
        assert healed["meta"]["partial"] is False
