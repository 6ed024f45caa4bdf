"""Bodies that memory should not hold whole: pieces end where records do, and what is wrong is told before anything is written."""

from __future__ import annotations

import gzip
import os
import random
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.errors import UnavailableError
from libs.overflow import IN_MEMORY_BYTES, Overflow
from parser import record_ends
from parser.record_ends import whole_documents, whole_lines
from query.influx.text_lines import split
from unittest_.fault_proxy import Fault, faulty, http
from unittest_.live import Client, service

NDJSON, TEXT = {"content-type": "application/x-ndjson"}, {"content-type": "text/plain"}
WIDE = b'{"host": "web-1", "message": "%b"}' % (b"x" * 1000)
_TEXTS = st.text(st.sampled_from('ab"\\ =,\n'), max_size=12)


@pytest.fixture(scope="module")
async def client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    async with service(tmp_path_factory.mktemp("long")) as client:
        mappings = {"properties": {"host": {"type": "keyword"}, "n": {"type": "long"}}}
        await client.ok("POST", "/es/index", json={"index": "long", "mappings": mappings})
        await client.ok("PUT", "/influx/long")
        yield client


async def test_a_body_comes_back_whole_in_pieces(tmp_path: Path) -> None:
    records = [b"%d %b\n" % (number, b"x" * (number % 700)) for number in range(2_000)]
    for in_memory in (100, 10 << 20):
        body = Overflow(tmp_path, in_memory)
        for record in records:
            await body.write(record)
        assert body.small == (in_memory > body.size)
        pieces = [piece async for piece in body.pieces(whole_documents, 5_000)]
        assert b"".join(pieces) == b"".join(records)
        assert len(pieces) > 50
        assert all(piece.endswith(b"\n") for piece in pieces)
        body.close()
    assert not os.listdir(tmp_path)


async def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`/dev/full` in the place of the file: what a disk without room answers."""
    body = Overflow(tmp_path, 10)
    monkeypatch.setattr("tempfile.TemporaryFile", lambda dir: open("/dev/full", "r+b", buffering=0))  # noqa: SIM115
    with pytest.raises(UnavailableError) as found:
        await body.write(b"more than ten bytes")
    assert found.value.code.name == "SPOOL_FULL"
    body.close()


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


@given(st.lists(st.tuples(_TEXTS, st.booleans()), min_size=1, max_size=8), st.integers(1, 60))
def test_pieces_of_line_protocol_end_between_points(texts: list[tuple[str, bool]], size: int) -> None:
    lines = [
        f'm,t=a"b v=1,s={quoted(text)} {at}' if tagged else f"m s={quoted(text)} {at}"
        for at, (text, tagged) in enumerate(texts)
    ]
    body = "\n".join(lines).encode() + b"\n"
    before = record_ends.LONGEST_STRING
    record_ends.LONGEST_STRING = 40  # longer than any string here
    try:
        at, rest = 0, b""
        points: list[tuple[bytes, int]] = []
        wrong: list[str] = []
        while at < len(body):
            rest += body[at : at + size]
            at += size
            end = whole_lines(rest, at >= len(body))
            points += split(rest[:end], "m", "ns", 0, wrong)
            assert not wrong
            rest = rest[end:]
    finally:
        record_ends.LONGEST_STRING = before
    assert points == list(split(body, "m", "ns", 0, []))
    assert len(points) == len(texts)


async def test_what_is_wrong_far_behind_is_told_by_its_place_and_nothing_is_written(client: Client) -> None:
    noise = random.Random(1)
    documents = [b'{"message": "%b"}' % noise.randbytes(400).hex().encode() for _ in range(6_000)]
    documents[3_000] = b'{"host": '
    documents[5_500] = b'["no document"]'
    body = b"\n\n".join(documents)
    assert len(body) > IN_MEMORY_BYTES
    for sent, more in ((body, {}), (gzip.compress(body, 1), {"content-encoding": "gzip"})):
        status, told = await client.send("POST", "/es/long/docs", data=sent, headers=NDJSON | more)
        assert status == 400
        assert [error["pointer"] for error in told["errors"]] == ["/3000", "/5500"]
    found = await client.ok("GET", "/es/long", json={"size": 0})
    assert found["hits"]["total"]["value"] == 0


async def test_every_document_of_a_long_body_has_its_item(client: Client) -> None:
    documents = [WIDE] * 5_000
    documents[10] = documents[4_900] = b'{"n": "no number"}'
    documents[20] = b'{"_id": "twice"}'
    documents[4_800] = b'{"_id": "twice", "host": "web-2"}'
    status, told = await client.send("POST", "/es/long/docs?refresh=true", data=b"\n".join(documents), headers=NDJSON)
    assert (status, told["errors"], len(told["items"])) == (207, True, 5_000)
    failed = {place: item["status"] for place, item in enumerate(told["items"]) if item["status"] != 201}
    assert failed == {10: 400, 4_900: 400, 4_800: 409}
    assert told["items"][20]["_id"] == "twice"
    found = await client.ok("GET", "/es/long", json={"size": 0})
    assert found["hits"]["total"]["value"] == 4_997


async def test_a_long_body_to_what_is_not_there_or_holds_nothing(client: Client) -> None:
    body = b"\n".join([WIDE] * 5_000)
    status, told = await client.send("POST", "/es/nowhere/docs", data=body, headers=NDJSON)
    assert (status, told["code"]) == (404, "INDEX_UNKNOWN")
    status, told = await client.send("POST", "/es/long/docs", data=b"\n" * (5 << 20), headers=NDJSON)
    assert (status, told["code"]) == (422, "BODY_INVALID")
    lines = b"\n".join(b'm note="%b" %d' % (b"x" * 1_000, number) for number in range(5_000))
    status, told = await client.send("POST", "/influx/nowhere/m/points", data=lines, headers=TEXT)
    assert (status, told["code"]) == (404, "DATABASE_UNKNOWN")
    status, told = await client.send(
        "POST", "/influx/long/m/points", data=b"# nothing %b\n" % (b"x" * 1_000) * 5_000, headers=TEXT
    )
    assert (status, told["code"]) == (422, "VALUE_INVALID")


async def test_long_line_protocol_tells_lines_by_their_number(client: Client) -> None:
    lines = [b'm,host=web-1 v=1,note="%b" %d' % (b"x" * 2_000, number) for number in range(2_500)]
    lines[2_400] = b"other v=1 1"
    status, told = await client.send("POST", "/influx/long/m/points", data=b"\n".join(lines), headers=TEXT)
    assert (status, told["code"]) == (422, "VALUE_INVALID")
    assert "Line 2401 " in str(told)
    status, told = await client.send("GET", "/influx/long/m")
    assert (status, told["code"]) == (404, "MEASUREMENT_UNKNOWN")
    lines[2_400] = b"m v=x 1"
    lines[:0] = [b"# a comment %b" % (b"x" * 1_000)] * 3_000
    status, told = await client.send("POST", "/influx/long/m/points", data=b"\n".join(lines), headers=TEXT)
    assert (status, told["written"], told["dropped"]) == (207, 2_499, 1)


async def test_a_store_that_fails_on_the_way_is_told_document_by_document(tmp_path: Path, es_url: str) -> None:
    """What the items call stored is stored, and nothing else; what was not sent has the store's error (F3, G10)."""
    index = f"long-{uuid.uuid4().hex[:10]}"
    async with faulty(es_url) as proxy, service(tmp_path, es_url=proxy.url) as client:
        await client.ok("POST", "/es/index", json={"index": index, "mappings": {"dynamic": False}})
        # The index is looked up for each piece, and its documents go in two halves: the fourth half fails.
        await proxy.set(Fault(says=http(503, b"{}"), after=5))
        status, told = await client.send("POST", f"/es/{index}/docs", data=b"\n".join([WIDE] * 6_500), headers=NDJSON)
        await proxy.heal()
        assert (status, told["errors"], len(told["items"])) == (207, True, 6_500)
        statuses = [item["status"] for item in told["items"]]
        assert set(statuses) == {201, 503}
        assert statuses[-1] == 503
        await client.ok("PUT", f"/es/{index}?refresh=true", json={"last": True})
        found = await client.ok("GET", f"/es/{index}", json={"size": 0, "track_total_hits": True})
        assert found["hits"]["total"]["value"] - 1 == statuses.count(201) > 2_000
        await proxy.set(Fault(says=http(503, b"{}")))
        status, told = await client.send("POST", f"/es/{index}/docs", data=b"\n".join([WIDE] * 6_500), headers=NDJSON)
        assert (status, told["code"], told["source"]) == (503, "STORE_BUSY", "es")
        await proxy.heal()
        await client.ok("DELETE", f"/es/{index}")
