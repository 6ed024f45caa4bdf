"""T14, T15, F26, F27: what a hostile or slow connection can do, and what a killed process leaves behind."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import aiohttp
import pytest

from config.settings import ServerSettings, Settings
from main import create_app
from middlewares import connection
from middlewares.connection import StrictProtocol
from middlewares.heads import check_head
from middlewares.peers import peer_of
from unittest_.fault_proxy import Fault, faulty
from unittest_.running_app import exchange
from unittest_.sample_service import running

pytestmark = pytest.mark.alone

ROOT = Path(__file__).parent.parent
GOOD = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n"

# Each is one way in which readers of HTTP/1.1 disagree (RFC 9112): a gateway sees one request, a lax server another.
HEADS = {
    "space before the colon": GOOD + b"Content-Length : 5\r\n\r\nhello",
    "tab before the colon": GOOD + b"X\t: 1\r\n\r\n",
    "folded line": GOOD + b"X: 1\r\n folded\r\n\r\n",
    "two hosts": GOOD + b"Host: b\r\n\r\n",
    "no host": b"GET /health/live HTTP/1.1\r\n\r\n",
    "empty host": b"GET /health/live HTTP/1.1\r\nHost:\r\n\r\n",
    "length and chunked": GOOD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": GOOD + b"Content-Length: 0\r\nContent-Length: 5\r\n\r\nhello",
    "signed length": GOOD + b"Content-Length: +5\r\n\r\nhello",
    "length list": GOOD + b"Content-Length: 5, 5\r\n\r\nhello",
    "length in other digits": GOOD + "Content-Length: ٥\r\n\r\nhello".encode(),
    "length with an underscore": GOOD + b"Content-Length: 1_0\r\n\r\nhello",
    "odd transfer-encoding": GOOD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked twice": GOOD + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "chunked in HTTP/1.0": b"POST /x HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "bare line feed": b"GET /health/live HTTP/1.1\nHost: localhost\n\r\n\r\n",
    "control character in a value": GOOD + b"X: a\x0bb\r\n\r\n",
    "zero byte in a value": GOOD + b"X: a\x00b\r\n\r\n",
    "bare carriage return": GOOD + b"X: a\rY: b\r\n\r\n",
    "no name": GOOD + b": b\r\n\r\n",
    "no colon": GOOD + b"nonsense\r\n\r\n",
    "two spaces": b"GET  /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "other version": b"GET /health/live HTTP/1.2\r\nHost: localhost\r\n\r\n",
    "method in brackets": b"G(T /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n",
}
CHUNK_SIZES = {
    "hex prefix": b"0x5",
    "plus": b"+5",
    "space": b" 5",
    "underscore": b"0_5",
    "other digits": "٥".encode(),
    "none": b"",
}
SECOND = b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture(scope="module")
async def address(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    folder = tmp_path_factory.mktemp("connections")
    app = create_app(Settings(data_dir=folder / "data", log_dir=folder / "logs"), name="connections")
    app.config.TOUCHUP = False
    async with running(app, protocol=StrictProtocol) as url:
        yield url


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
async def test_doubtful_heads_are_refused_and_the_connection_closed(address: str, head: bytes) -> None:
    """T15, G35: one answer, 400, and nothing behind it is taken for a second request."""
    answer = await exchange(address, head + SECOND)
    assert answer.startswith(b"HTTP/1.1 400 "), answer[:200]
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"REQUEST_INVALID" in answer


@pytest.mark.parametrize("size", CHUNK_SIZES.values(), ids=CHUNK_SIZES)
async def test_doubtful_chunks_are_refused(address: str, size: bytes) -> None:
    head = b"POST /mix/query HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = await exchange(address, head + size + b"\r\nhello\r\n0\r\n\r\n" + SECOND)
    assert answer.startswith(b"HTTP/1.1 400 "), answer[:200]
    assert answer.count(b"HTTP/1.1 ") == 1


async def test_usual_heads_pass(address: str) -> None:
    answer = await exchange(address, GOOD + "X-Name: ünï\r\nX-Empty:\r\n\r\n".encode() + SECOND)
    assert answer.count(b"HTTP/1.1 200 ") == 2
    check_head(b"GET /a?b=%20 HTTP/1.1\r\nHost: localhost\r\nAccept: */*")


async def test_dripping_heads_are_cut_while_others_are_served(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """T14, G26: a byte now and then does not set the head's time back."""
    monkeypatch.setattr(connection, "HEAD_SECONDS", 1.0)
    head = b"GET / HTTP/1.1\r\nHost: localhost\r\n"
    drips = [asyncio.create_task(_dripped(address, head, b"X: 1\r\n", 0.1)) for _ in range(100)]
    async with aiohttp.ClientSession(address) as session:
        for _ in range(5):
            async with session.get("/health/live") as answer:
                assert answer.status == 200
    assert max(await asyncio.gather(*drips)) < 10


async def test_dripping_bodies_are_cut(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """T14: a body has a floor of speed once it has had its grace."""
    monkeypatch.setattr(connection, "BODY_GRACE_SECONDS", 0.5)
    head = b"POST /mix/query HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n"
    assert await _dripped(address, head, b" ", 0.05) < 10


async def test_an_address_has_its_share_of_connections(tmp_path: Path) -> None:
    """T14: one too many is answered 429, or closed when it sends nothing; the place of one that goes is free again."""
    settings = Settings(data_dir=tmp_path / "data", log_dir=tmp_path, server=ServerSettings(connections_per_address=3))
    app = create_app(settings, name="shares")
    app.config.TOUCHUP = False
    async with running(app, protocol=StrictProtocol) as url:
        host, _, port = url.removeprefix("http://").partition(":")
        held = [await asyncio.open_connection(host, int(port)) for _ in range(3)]
        answer = await exchange(url, GOOD + b"\r\n")
        assert answer.startswith(b"HTTP/1.1 429 "), answer[:200]
        assert b"\r\nretry-after: 1\r\n" in answer.lower()
        assert b"RATE_LIMITED" in answer
        silent, writer = await asyncio.open_connection(host, int(port))
        with suppress(ConnectionResetError):
            assert await asyncio.wait_for(silent.read(), 5) == b""
        writer.close()
        held.pop()[1].close()
        await asyncio.sleep(0.1)
        assert (await exchange(url, GOOD + b"Connection: close\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        for _, held_writer in held:
            held_writer.close()


def test_an_address_of_ipv6_is_one_network() -> None:
    def peer(*name: object) -> str:
        return peer_of(SimpleNamespace(get_extra_info=lambda _: name))

    assert peer("2001:db8::1", 1, 0, 0) == peer("2001:db8::ffff:0:0:2", 2, 0, 0) != peer("2001:db8:0:1::1", 1, 0, 0)
    assert peer("::ffff:10.0.0.1", 1, 0, 0) == peer("10.0.0.1", 5) == "10.0.0.1"
    assert peer("fe80::1%eth0", 1, 0, 2) == peer("fe80::2", 1, 0, 2)


async def _dripped(address: str, head: bytes, drop: bytes, pause: float) -> float:
    """The seconds until a client is cut (408) that sends `head`, and then `drop` again and again."""
    host, _, port = address.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    started = time.monotonic()
    writer.write(head)

    async def feed() -> None:
        while True:
            writer.write(drop)
            await asyncio.sleep(pause)

    feeding = asyncio.create_task(feed())
    answer = b""
    try:
        async with asyncio.timeout(15):
            while piece := await reader.read(65_536):
                answer += piece
    except ConnectionResetError:
        pass  # what was sent behind the answer meets a closed connection
    finally:
        feeding.cancel()
        writer.close()
    assert answer.startswith(b"HTTP/1.1 408 ")
    return time.monotonic() - started


def _start(folder: Path, port: int, **more: str) -> subprocess.Popen[bytes]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HOSTMONITOR_")}
    environment |= {
        "HOSTMONITOR_PORT": str(port),
        "HOSTMONITOR_DATA_DIR": str(folder),
        "HOSTMONITOR_LOG_DIR": str(folder),
    }
    environment |= more
    return subprocess.Popen([sys.executable, "main.py", "serve"], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)


def _await_answer(port: int, seconds: float) -> float:
    started = time.monotonic()
    while time.monotonic() - started < seconds:
        try:
            with socket.create_connection(("127.0.0.1", port), 1) as connection:
                connection.sendall(GOOD + b"Connection: close\r\n\r\n")
                if connection.recv(100).startswith(b"HTTP/1.1 200"):
                    return time.monotonic() - started
        except OSError:
            time.sleep(0.05)
    raise TimeoutError


def test_a_killed_service_leaves_nothing_and_comes_back(tmp_path: Path) -> None:
    """F26, F27, G22: one process, so a kill leaves no orphan on the port, and what a supervisor starts answers soon."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = _start(tmp_path, port)
    try:
        _await_answer(port, 30)
        head = urllib.request.Request(f"http://127.0.0.1:{port}/health/live", method="HEAD")
        with urllib.request.urlopen(head, timeout=10) as answer:
            assert all(answer.headers.values())  # no header without a value
        for _ in range(2):
            process.send_signal(signal.SIGKILL)
            process.wait(10)
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port), 1)
            process = _start(tmp_path, port)
            assert _await_answer(port, 30) < 20
    finally:
        process.terminate()
        assert process.wait(20) == 0


@pytest.mark.parametrize("answered", [False, True], ids=["before the first answer", "right after it"])
def test_a_stop_that_comes_with_the_start_is_not_lost(tmp_path: Path, answered: bool) -> None:
    """F28: whenever the signal comes once something is open, the start goes to its end, and then the stop does."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = _start(tmp_path, port)
    try:
        if answered:
            _await_answer(port, 30)
        else:
            _await_handler(process.pid, 30)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()


def _await_handler(pid: int, seconds: float) -> None:
    """Until the process catches SIGTERM, which is its bit 15 of SigCgt (proc_pid_status(5))."""
    started = time.monotonic()
    while time.monotonic() - started < seconds:
        found = re.search(r"^SigCgt:\s*([0-9a-f]+)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
        if found and int(found[1], 16) & 1 << (signal.SIGTERM - 1):
            return
        time.sleep(0.002)
    raise TimeoutError


async def test_sigterm_lets_requests_finish(tmp_path: Path, es_url: str) -> None:
    """F28, G21: a hundred requests in flight and an idle connection; all are answered, the process ends with 0."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    async with faulty(es_url) as slow, aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
        await slow.set(Fault(late=2.0))
        process = _start(tmp_path, port, HOSTMONITOR_ES_URL=slow.url)
        try:
            await asyncio.to_thread(_await_answer, port, 30)
            _, idle = await asyncio.open_connection("127.0.0.1", port)

            async def ask() -> int:
                async with session.get("/es/node") as answer:
                    await answer.read()
                    return answer.status

            asked = [asyncio.create_task(ask()) for _ in range(100)]
            await asyncio.sleep(1.0)
            process.send_signal(signal.SIGTERM)
            assert set(await asyncio.gather(*asked)) == {200}
            assert await asyncio.to_thread(process.wait, 20) == 0
            idle.close()
        finally:
            process.kill()
