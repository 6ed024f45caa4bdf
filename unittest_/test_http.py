"""The HTTP client against a server that misbehaves: F1, F4, F5, F9, F34 and T33 of the threats and faults.

The server is real and in this process: each connection's answer is a script of bytes, pauses and endings.
"""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import pytest

from libs.context import RequestContext
from libs.errors import ConfigError, DeadlineError, StoreError
from libs.http import HttpClient

OK = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 8\r\n\r\n{"a": 1}'
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n"
    b'4\r\n{"a"\r\n4\r\n: 1}\r\n0\r\n\r\n'
)
RESET, HANG = object(), object()
Step = bytes | float | object


@dataclass
class FaultServer:
    """Answers each request with the next script (the last one again and again), and keeps what it was sent."""

    scripts: list[Sequence[Step]]
    heads: list[bytes] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    connections: int = 0
    open: int = 0
    port: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                while await self._one(reader, writer):
                    pass
        finally:
            self.open -= 1
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        self.bodies.append(await reader.readexactly(int(lengths[0].split(b":")[1])) if lengths else b"")
        script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
        for step in script:
            if step is RESET:
                option = struct.pack("ii", 1, 0)
                writer.get_extra_info("socket").setsockopt(1, 13, option)  # SO_LINGER 0: the end is a reset
                writer.transport.abort()
                return False
            if step is HANG:
                await reader.read()
                return False
            if isinstance(step, float):
                await asyncio.sleep(step)
            elif isinstance(step, bytes):
                writer.write(step)
                await writer.drain()
        return script[-1] != b"" if script else False


@asynccontextmanager
async def faulty(*scripts: Sequence[Step], **options: object) -> AsyncIterator[tuple[FaultServer, HttpClient]]:
    fault = FaultServer(list(scripts))
    server = await asyncio.start_server(fault.serve, "127.0.0.1", 0)
    fault.port = server.sockets[0].getsockname()[1]
    client = HttpClient("es-eu", f"http://127.0.0.1:{fault.port}", **options)  # type: ignore[arg-type]
    try:
        yield fault, client
    finally:
        await client.close()
        server.close()


def context(seconds: float = 5.0) -> RequestContext:
    return RequestContext(id="abc-1", traceparent="00-1-2-01", deadline=time.monotonic() + seconds)


async def refused(client: HttpClient, seconds: float = 5.0, **options: object) -> StoreError:
    with pytest.raises(StoreError) as found:
        await client.request("GET", "/x", context(seconds), **options)  # type: ignore[arg-type]
    assert found.value.source == "es-eu"
    return found.value


@pytest.mark.parametrize("answer", [OK, CHUNKED])
async def test_answer(answer: bytes) -> None:
    async with faulty([answer]) as (server, client):
        for _ in range(3):
            found = await client.request("POST", "/a%2Fb?q=%20", context(), body=b"{}")
            assert (found.status, found.content_type, found.body) == (200, "application/json", b'{"a": 1}')
        assert server.connections == 1
        assert server.bodies == [b"{}"] * 3
        head = server.heads[0].decode()
        assert head.startswith("POST /a%2Fb?q=%20 HTTP/1.1\r\n")
        assert "\r\nX-Request-ID: abc-1\r\n" in head
        assert "\r\ntraceparent: 00-1-2-01\r\n" in head
        assert "\r\nAccept-Encoding: identity\r\n" in head


@pytest.mark.parametrize("cut", range(0, len(OK), 7))
async def test_cut_after(cut: int) -> None:
    """F1: wherever the store dies, one typed error, at once."""
    async with faulty([OK[:cut], RESET]) as (_, client):
        started = time.monotonic()
        error = await refused(client)
        assert error.code.name == ("STORE_ANSWER_INVALID" if cut else "STORE_UNAVAILABLE")
        assert time.monotonic() - started < 2


@pytest.mark.parametrize("cut", range(60, len(CHUNKED) - 1, 11))
async def test_chunked_body_cut(cut: int) -> None:
    async with faulty([CHUNKED[:cut], b""]) as (_, client):
        assert (await refused(client)).code.name == "STORE_ANSWER_INVALID"


async def test_hang() -> None:
    """F4: an answer that never comes ends at the deadline, and frees its connection."""
    async with faulty([HANG]) as (server, client):
        started = time.monotonic()
        error = await refused(client, 0.3)
        assert isinstance(error, DeadlineError)
        assert 0.25 < time.monotonic() - started < 2
        await _until(lambda: server.open == 0)


async def test_drip() -> None:
    """F5: the deadline is for all of the answer, not from byte to byte."""
    drip: list[Step] = [step for at in range(len(OK)) for step in (OK[at : at + 1], 0.05)]
    async with faulty(drip) as (_, client):
        started = time.monotonic()
        assert isinstance(await refused(client, 0.4), DeadlineError)
        assert time.monotonic() - started < 2


async def test_deadline_covers_waiting_for_a_connection() -> None:
    async with faulty([HANG], connections=1) as (_, client):
        first = asyncio.create_task(client.request("GET", "/x", context(1.0)))
        await asyncio.sleep(0.05)
        assert isinstance(await refused(client, 0.2), DeadlineError)
        with pytest.raises(DeadlineError):
            await first


async def test_refused_and_unknown_host() -> None:
    for url in ("http://127.0.0.1:1", "http://no-such-host.invalid"):
        client = HttpClient("es-eu", url)
        error = await refused(client)
        assert (error.code.name, error.status) == ("STORE_UNAVAILABLE", 503)
        await client.close()


BAD = {
    "HTML": b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>",
    "HTML and 200": b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>",
    "no HTTP": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "no media type": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    "a redirect": b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n",
    "compressed": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "length and chunks": (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}"
    ),
    "a length that is none": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: zwei\r\n\r\n{}",
    "a chunk that is none": CHUNKED.replace(b"4\r\n", b"x4\r\n", 1),
    "switched protocols": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
}


@pytest.mark.parametrize("name", BAD)
async def test_unreadable(name: str) -> None:
    """F9, T33."""
    async with faulty([BAD[name], b""]) as (_, client):
        error = await refused(client)
        assert (error.code.name, error.status) == ("STORE_ANSWER_INVALID", 502)


async def test_body_without_end() -> None:
    """T33: bytes are bounded before they are kept, told by the head or not."""
    endless = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    told = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10000000000\r\n\r\n"
    for script in ([endless, *[b"10000\r\n" + b"x" * 65536 + b"\r\n"] * 10_000], [told, b"x", HANG]):
        async with faulty(script) as (server, client):
            error = await refused(client, max_bytes=1_000_000)
            assert error.code.name == "STORE_ANSWER_INVALID"
            await _until(lambda server=server: server.open == 0)  # type: ignore[misc]


async def test_head_without_end() -> None:
    head = b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: %s\r\n" % (at, b"y" * 1000) for at in range(2000))
    async with faulty([head]) as (_, client):
        assert (await refused(client)).code.name == "STORE_ANSWER_INVALID"


@pytest.mark.parametrize(("status", "after", "seconds"), [(429, "7", 7), (503, "7", 7), (429, "soon", 1), (503, "", 1)])
async def test_busy(status: int, after: str, seconds: int) -> None:
    answer = f"HTTP/1.1 {status} No\r\nContent-Length: 0\r\nRetry-After: {after}\r\n\r\n".encode()
    async with faulty([answer]) as (_, client):
        error = await refused(client)
        assert (error.code.name, error.retry_after) == ("STORE_BUSY", seconds)


async def test_credentials() -> None:
    denied = b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n"
    async with faulty([denied], username="me", password="s3:cret") as (server, client):
        error = await refused(client)
        assert error.code.name == "STORE_FAILED"
        assert "s3:cret" not in str(error)
        assert b"\r\nAuthorization: Basic bWU6czM6Y3JldA==\r\n" in server.heads[0]


async def test_idempotent_is_sent_again_once() -> None:
    async with faulty([OK], [RESET], [OK]) as (server, client):
        await client.request("GET", "/x", context())
        assert (await client.request("GET", "/x", context())).status == 200
        assert len(server.heads) == 3
    async with faulty([RESET]) as (server, client):
        await refused(client)
        assert len(server.heads) == 2


async def test_others_are_sent_once() -> None:
    """G9: what may have had its effect is never sent twice."""
    async with faulty([RESET]) as (server, client):
        with pytest.raises(StoreError) as found:
            await client.request("POST", "/x", context(), body=b"{}")
        assert found.value.code.name == "STORE_UNAVAILABLE"
        assert len(server.heads) == 1


async def test_closed_while_idle() -> None:
    """A kept connection that the store has closed is noticed, and no request goes there."""
    async with faulty([OK, b""]) as (server, client):
        for _ in range(3):
            assert (await client.request("POST", "/x", context(), body=b"{}")).status == 200
            await _until(lambda: server.open == 0)
            await asyncio.sleep(0.05)
        assert server.connections == 3


async def test_answers_nobody_asked_for() -> None:
    async with faulty([OK + OK]) as (_, client):
        assert (await refused(client)).code.name == "STORE_ANSWER_INVALID"


async def test_continue_is_skipped() -> None:
    async with faulty([b"HTTP/1.1 100 Continue\r\n\r\n" + OK]) as (_, client):
        assert (await client.request("GET", "/x", context())).body == b'{"a": 1}'


async def test_cancel_drops_the_connection() -> None:
    async with faulty([HANG], [OK]) as (server, client):
        task = asyncio.create_task(client.request("GET", "/x", context()))
        await _until(lambda: len(server.heads) == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await _until(lambda: server.open == 0)
        assert (await client.request("GET", "/x", context())).status == 200


async def test_line_for_connections() -> None:
    """More requests than connections: all are answered, over no more than there may be; a cancelled one frees its place."""
    async with faulty([0.01, OK], connections=3) as (server, client):
        tasks = [asyncio.create_task(client.request("GET", "/x", context())) for _ in range(40)]
        await asyncio.sleep(0.02)
        for task in tasks[5:15]:
            task.cancel()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert sum(isinstance(answer, asyncio.CancelledError) for answer in answers) == 10
        assert sum(getattr(answer, "status", 0) == 200 for answer in answers) == 30
        for _ in range(5):
            await client.request("GET", "/x", context())
        assert server.open <= 3


async def test_stream() -> None:
    async with (
        faulty([CHUNKED]) as (server, client),
        client.stream("GET", "/x", context()) as answer,
    ):
        assert answer.status == 200
        assert b"".join([chunk async for chunk in answer.chunks()]) == b'{"a": 1}'
        assert server.connections == 1


async def test_stream_is_held_back() -> None:
    """Who reads slowly does not make the whole body pile up here."""
    block = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    start = CHUNKED[: CHUNKED.index(b"4\r\n")]
    written: list[int] = []
    async with faulty([start, *[block] * 1000, b"0\r\n\r\n"]) as (_, client):
        async with client.stream("GET", "/x", context(30)) as answer:
            size = 0
            async for chunk in answer.chunks():
                written.append(len(chunk))
                size += len(chunk)
                await asyncio.sleep(0)
            assert size == 65_536_000
        assert max(written) < 8_000_000


async def test_stream_left_early_drops_the_connection() -> None:
    block = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    start = CHUNKED[: CHUNKED.index(b"4\r\n")]
    async with faulty([start, *[block] * 10_000]) as (server, client):
        async with client.stream("GET", "/x", context()) as answer:
            async for _ in answer.chunks():
                break
        await _until(lambda: server.open == 0)


async def test_stream_left_once_all_has_come() -> None:
    """The connection is kept, and reads on: the last bytes were more than are held without a reader."""
    size = 2**20 + 1
    large = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % size + b"1" * (
        size - 1
    )
    async with faulty([large, 0.2, b"1"], [OK]) as (server, client):
        async with client.stream("GET", "/x", context()):
            await asyncio.sleep(0.5)
        answer = await client.request("GET", "/x", context(2.0))
        assert (answer.body, server.connections) == (b'{"a": 1}', 1)


async def test_stream_cut() -> None:
    """F2: never a clean short stream."""
    async with faulty([CHUNKED[:-9], RESET]) as (_, client):
        with pytest.raises(StoreError) as found:
            await _drain(client)
        assert found.value.code.name == "STORE_ANSWER_INVALID"


@pytest.mark.parametrize("path", ["/a b", "/a\r\nX: y", "a", "", "/ä", "/\x00"])
async def test_paths_that_are_none(path: str) -> None:
    async with faulty([OK]) as (server, client):
        with pytest.raises(ValueError, match="cannot carry"):
            await client.request("GET", path, context())
        assert server.heads == []


async def test_header_with_a_line_break() -> None:
    async with faulty([OK]) as (server, client):
        for bad in ("x\r\nHost: y", "x\r\n\r\n", "x\ny", "é", "x\x00"):
            with pytest.raises(ValueError, match="cannot carry"):
                await client.request("GET", "/x", RequestContext(id=bad))
        assert server.heads == []


@pytest.mark.parametrize(
    "url",
    [
        "ftp://h",
        "http://",
        "http://u:p@h",
        "http://h?x",
        "http://h#x",
        "http://h:99999",
        "http://h h",
        "http://h\n",
        "h",
    ],
)
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(ConfigError):
        HttpClient("es", url)


def test_ca_file_that_is_none() -> None:
    with pytest.raises(ConfigError, match="CA file"):
        HttpClient("es", "https://h", ca_file="/no/such/file")


async def _drain(client: HttpClient) -> None:
    async with client.stream("GET", "/x", context()) as answer:
        async for _ in answer.chunks():
            pass


async def _until(reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not reached():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
