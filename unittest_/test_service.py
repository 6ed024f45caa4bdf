"""The service as a process and as its neighbours see it: health, metrics, ids, start and end."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from apps.health.probes import PROBE_SECONDS, Probes
from config.settings import Settings
from libs.context import RequestContext, request_id_var, traceparent_var
from libs.errors import StoreError
from libs.observe import METRICS
from middlewares.request_id import new_traceparent
from unittest_.running_app import exchange, service

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "config").glob("*.toml"))


@pytest.fixture(scope="module")
async def address(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    folder = tmp_path_factory.mktemp("service")
    async with service(Settings(data_dir=folder / "data", log_dir=folder / "logs")) as address:
        yield address


@pytest.fixture(scope="module")
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as client:
        yield client


async def test_live(address: str, client: aiohttp.ClientSession) -> None:
    async with client.get(f"{address}/health/live") as answer:
        assert answer.status == 200
        assert (await answer.json())["data"] == {"status": "live"}


async def test_metrics_count_the_answers(address: str, client: aiohttp.ClientSession) -> None:
    async with client.get(f"{address}/no-such-instance/x") as answer:
        assert answer.status == 404
    with pytest.raises(StoreError), METRICS.store_call("es-1", 10):
        raise StoreError("refused", code="STORE_UNAVAILABLE", source="es-1")
    async with client.get(f"{address}/metrics") as answer:
        assert answer.content_type == "text/plain"
        text = await answer.text()
    assert re.search(r'hostmonitor_requests_total\{method="GET",route="unmatched",status="404"\} \d', text)
    assert 'hostmonitor_store_calls_total{instance="es-1",outcome="STORE_UNAVAILABLE"} 1.0' in text
    assert re.search(r'hostmonitor_errors_total\{code="ROUTE_UNKNOWN"\} \d', text)
    assert "hostmonitor_event_loop_lag_seconds_bucket" in text
    assert "process_resident_memory_bytes" in text


@pytest.mark.parametrize("path", ["/health/live", "/nowhere", "/health/live/", "//", "/"])
async def test_every_answer_bears_the_id_that_was_sent(path: str, address: str, client: aiohttp.ClientSession) -> None:
    async with client.get(address + path, headers={"X-Request-ID": "Abc-123"}) as answer:
        assert answer.headers.getall("X-Request-ID") == ["Abc-123"]


@pytest.mark.parametrize("sent", ["", "a b", "a" * 65, "a_b", "é", "a;b", "１"])
async def test_an_id_of_another_form_is_replaced(sent: str, address: str) -> None:
    head = f"GET /health/live HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: {sent}\r\n\r\n".encode()
    answer = await exchange(address, head)
    (made,) = re.findall(rb"x-request-id: (.*)\r\n", answer)
    assert re.fullmatch(rb"[0-9a-f-]{36}", made)
    assert b'"request_id":"' + made in answer


async def seen_trace(sent: str | None) -> str:
    """The trace context that a request's own code sees."""
    from sanic.compat import Header

    from middlewares.request_id import IdentifiedRequest

    headers = Header({"traceparent": sent} if sent is not None else {})
    app: Any = None
    transport: Any = None
    head = b"GET / HTTP/1.1\r\nHost: h"
    IdentifiedRequest(b"/", headers, "1.1", "GET", transport, app, head=head)
    return traceparent_var.get()


async def test_a_trace_context_is_taken_as_it_is() -> None:
    sent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    assert await seen_trace(sent) == sent
    assert await seen_trace(f"01-{sent[3:]}-more") == f"01-{sent[3:]}-more"


@pytest.mark.parametrize(
    "sent",
    [
        None,
        "",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-" + "x" * 300,
    ],
)
async def test_a_missing_or_wrong_trace_context_is_made(sent: str | None) -> None:
    made = await seen_trace(sent)
    assert made != sent
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-00", made)
    assert new_traceparent() != made


class Store:
    """A source that answers as it is told."""

    kind = "documents"

    def __init__(self, state: str) -> None:
        self.state = state
        self.pings = 0
        self.ids: list[str] = []

    async def ping(self, context: RequestContext) -> Mapping[str, Any]:
        self.pings += 1
        self.ids.append(context.id)
        if self.state == "down":
            raise StoreError("refused", code="STORE_UNAVAILABLE", source="es")
        if self.state == "hangs":
            await asyncio.sleep(60)
        return {"version": "8.19.21"}


async def test_each_source_is_shown_with_its_state_and_pinged_once() -> None:
    sources = {state: Store(state) for state in ("up", "down", "hangs")}
    probes = Probes(sources)
    request_id_var.set("probe-1")
    async with asyncio.timeout(PROBE_SECONDS + 5):
        first, second = await asyncio.gather(probes.states(), probes.states())
    assert first == second
    assert {name: state["state"] for name, state in first.items()} == {"up": "up", "down": "down", "hangs": "down"}
    assert first["up"]["version"] == "8.19.21"
    assert first["down"]["code"] == "STORE_UNAVAILABLE"
    assert first["hangs"]["code"] == "DEADLINE_EXCEEDED"
    assert [store.pings for store in sources.values()] == [1, 1, 1]
    assert sources["up"].ids == ["probe-1"]


def start(*words: str, **environ: str) -> subprocess.Popen[str]:
    """The service's command in a process of its own, without the variables of this one's environment."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HOSTMONITOR_")}
    return subprocess.Popen(
        [sys.executable, str(ROOT / "main.py"), *words],
        env={**clean, **environ},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def awaited(process: subprocess.Popen[str], words: str) -> str:
    """The output up to the line that holds the words; fails with all of it where that never comes."""
    said = ""
    assert process.stdout is not None
    for line in process.stdout:
        said += line
        if words in line:
            return said
    pytest.fail(f"{words!r} never came:\n{said}")


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
@pytest.mark.parametrize("words", [("serve",), ()], ids=["serve", "no-word"])
def test_the_example_settings_start_the_service(path: Path, words: tuple[str, ...], tmp_path: Path) -> None:
    process = start(
        *words,
        HOSTMONITOR_CONFIG=str(path),
        HOSTMONITOR_PORT="0",
        HOSTMONITOR_DATA_DIR=str(tmp_path / "data"),
        HOSTMONITOR_LOG_DIR=str(tmp_path / "logs"),
    )
    try:
        said = awaited(process, '"event":"serving"')
        assert "no key" in said
        address = re.findall(r'"url":"(http://[^"]+)/"', said)[-1]
        host, _, rest = address.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(rest.partition("/")[0])), timeout=10):
            pass
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=30)
        assert process.returncode == 0
        assert [line for line in output.splitlines() if not line.startswith('{"ts":')] == []
    finally:
        process.kill()


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        (
            {"HOSTMONITOR_PRT": "1"},
            "hostmonitor: HOSTMONITOR_PRT is not a setting; the nearest one is HOSTMONITOR_PORT",
        ),
        ({"HOSTMONITOR_HOST": "0.0.0.0"}, "hostmonitor: HOSTMONITOR_HOST=0.0.0.0 can be reached from other machines"),
    ],
)
def test_wrong_settings_end_in_one_line(environ: dict[str, str], said: str) -> None:
    process = start("serve", **environ)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 2
    assert output.startswith(said)
    assert output.count("\n") == 1


def test_a_taken_port_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        process = start("serve", HOSTMONITOR_PORT=port, HOSTMONITOR_LOG_DIR=str(tmp_path))
        output, _ = process.communicate(timeout=30)
    assert process.returncode == 2
    assert f"HOSTMONITOR_PORT={port}" in output
