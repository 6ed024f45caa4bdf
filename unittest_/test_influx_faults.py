"""InfluxDB's answers when it is broken, slow or gone: a server of this test's own says them. Never a short answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from libs.context import RequestContext
from libs.errors import DeadlineError, HostMonitorError, StoreError
from query.backend import InstanceConfig
from query.catalog import SourceRef
from query.influx import open_backend, table_text
from query.influx.store import InfluxStore
from query.influx.table import table_of
from query.influx.table_text import Blocks
from query.plan import Scan


def context() -> RequestContext:
    return RequestContext(deadline=time.monotonic() + 60)


async def rows(store: InfluxStore, scan: Scan) -> list[tuple[Any, ...]]:
    return [row async for batch in store.compile(scan).stream(context()) for row in batch.rows()]


Reply = tuple[str, list[bytes]]  # the head's first line and headers, the body's pieces


@asynccontextmanager
async def answering(reply: Callable[[str], Reply | None]) -> AsyncIterator[InfluxStore]:
    """A store whose server answers the target of each request by `reply`; None is silence."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            found = reply(head.split(" ", 2)[1])
            if found is None:
                await reader.read()
                return
            writer.write(f"HTTP/1.1 {found[0]}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n".encode())
            for piece in found[1]:
                if piece == CUT:
                    return
                writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            writer.write(b"0\r\n\r\n")
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    store = cast(InfluxStore, open_backend(InstanceConfig("influx", "series", f"http://127.0.0.1:{port}", "")))
    try:
        yield store
    finally:
        await store.close()
        server.close()


CUT = b"-cut-"
JSON_200 = "200 OK\r\nContent-Type: application/json"
TABLE = table_of(SourceRef("influx", ("d", "m")), ["host"], [("f", "float")])
ROWS = (
    b'{"results":[{"statement_id":0,"series":[{"name":"m","columns":["time","f"],"values":[[1,2]]}],"partial":true}]}\n'
)
LAST = b'{"results":[{"statement_id":0,"series":[{"name":"m","columns":["time","f"],"values":[[2,null]]}]}]}\n'


def always(head: str, *pieces: bytes) -> Callable[[str], Reply]:
    return lambda target: (head, list(pieces))


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (always(JSON_200, ROWS, CUT), "STORE_ANSWER_INVALID"),
        (always(JSON_200, ROWS, LAST[:40], CUT), "STORE_ANSWER_INVALID"),
        (always(JSON_200, ROWS, LAST[:40]), "STORE_ANSWER_INVALID"),
        (always(JSON_200), "STORE_ANSWER_INVALID"),
        (always(JSON_200, b"{}\n"), "STORE_ANSWER_INVALID"),
        (always(JSON_200, b"[]\n"), "STORE_ANSWER_INVALID"),
        (always(JSON_200, b"null\n"), "STORE_ANSWER_INVALID"),
        (always(JSON_200, b'{"results":[{},{}]}\n'), "STORE_ANSWER_INVALID"),
        (always(JSON_200, b'{"results":[1]}\n'), "STORE_ANSWER_INVALID"),
        (always(JSON_200, b'{"results":[{"series":{"a":1}}]}\n'), "STORE_ANSWER_INVALID"),
        (always(JSON_200, LAST.replace(b"[2,null]", b"[2]")), "STORE_ANSWER_INVALID"),
        (always(JSON_200, LAST.replace(b"null", b'"x"')), "STORE_ANSWER_INVALID"),
        (always(JSON_200, LAST.replace(b"[2,null]", b"[2.5,1]")), "STORE_ANSWER_INVALID"),
        (always(JSON_200, LAST.replace(b"[2,null]", b"3")), "STORE_ANSWER_INVALID"),
        (always(JSON_200, ROWS), "STORE_PARTIAL"),
        (always(JSON_200, ROWS, b'{"results":[{"error":"shard is gone"}]}\n'), "STORE_FAILED"),
        (always(JSON_200, b'{"error":"engine is closed"}\n'), "STORE_FAILED"),
        (always(JSON_200, b'{"results":[{"error":"query-timeout limit exceeded"}]}\n'), "DEADLINE_EXCEEDED"),
        (always(JSON_200, b'{"results":[{"error":"max-select-point limit exceeded: (2/1)"}]}\n'), "COST_EXCEEDED"),
        (always("200 OK\r\nContent-Type: text/html", b"<h1>Hello</h1>"), "STORE_ANSWER_INVALID"),
        (always("302 Found\r\nLocation: http://169.254.169.254/", b""), "STORE_ANSWER_INVALID"),
        (always("401 Unauthorized\r\nContent-Type: application/json", b'{"error":"no"}\n'), "STORE_FAILED"),
        (always("500 Oops\r\nContent-Type: application/json", b'{"error":"out of something"}\n'), "STORE_FAILED"),
        (always("503 Busy\r\nContent-Type: application/json", b'{"error":"busy"}\n'), "STORE_BUSY"),
    ],
)
async def test_broken_answers_are_errors(reply: Callable[[str], Reply], code: str) -> None:
    """G12, F1, F9: never a short answer."""
    async with answering(reply) as store:
        with pytest.raises(HostMonitorError) as found:
            await rows(store, Scan(TABLE.source, ("time", "f"), table=TABLE))
    assert found.value.code.name == code
    assert found.value.source == "influx"


async def test_a_part_is_taken_where_it_is_allowed() -> None:
    async with answering(always(JSON_200, ROWS)) as store:
        allowed = context()
        allowed.partial_allowed = True
        query = store.compile(Scan(TABLE.source, ("time", "f"), table=TABLE))
        assert [row async for batch in query.stream(allowed) for row in batch.rows()] == [(1, 2.0)]
    assert allowed.partial
    assert [warning.code for warning in allowed.warnings] == ["STORE_PARTIAL"]


async def test_a_store_that_hangs_costs_a_bounded_wait() -> None:
    """F4."""
    async with answering(lambda target: None) as store:
        started = time.monotonic()
        hurried = RequestContext(deadline=started + 0.3)
        with pytest.raises(DeadlineError):
            await store.table(TABLE.source, hurried)
        assert time.monotonic() - started < 2


async def test_a_store_that_is_down() -> None:
    store = open_backend(InstanceConfig("influx", "series", "http://127.0.0.1:1", ""))
    with pytest.raises(StoreError) as found:
        await store.ping(context())
    assert found.value.code.name == "STORE_UNAVAILABLE"


def test_rows_as_text_in_any_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """F2: the end mark is seen wherever the answer is parted, and is not where it has not come."""
    monkeypatch.setattr(table_text, "_BLOCK_BYTES", 40)
    rows = b"".join(b"m,,%d,%d\n" % (at, at) for at in range(30))
    answer = b"name,tags,time,v\n" + rows + b"\nname,tags,name\ndatabases,,_internal\ndatabases,,x\n"
    for first in range(len(answer)):
        for size in (1, 7, len(answer)):
            blocks, found = Blocks("influx", 2), blocks_of(answer, first, size)
            assert b"".join(map(blocks.feed, found)) == rows, (first, size)
            assert blocks.complete
        short = Blocks("influx", 2)
        short.feed(answer[:first])
        assert not short.complete or first > answer.index(b"_internal")


def blocks_of(answer: bytes, first: int, size: int) -> list[bytes]:
    return [answer[:first], *(answer[at : at + size] for at in range(first, len(answer), size))]
