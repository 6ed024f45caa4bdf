"""Many documents without ids: read, sent and answered as text, as one by one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.errors import RequestError, StoreError
from parser.documents import careful_ndjson, parse_ndjson
from query.document_store import Document
from query.es import bulk_bodies
from query.es.bulk_bodies import all_stored, batches
from query.es.bulk_sending import Entries, Sending
from query.plain_documents import PlainDocuments, StoredItems

LINES = [
    *(
        b'{"a":1}',
        b' {"a": [1, {"b": null}]}\r',
        b"{}",
        b"",
        b"  ",
        b'{"a":1},{"b":2}',
        b'{"a":[1',
        b"2]}",
        b"[1]",
        b"7",
    ),
    *(
        b'{"_id":"x","a":1}',
        b'{"a":{"_id":1}}',
        b'{"\\u005fid":"y"}',
        b'{"a":1,"a":2}',
        b"\xff",
        b'{"a":1e999}',
        b"nul",
    ),
]


@given(st.lists(st.sampled_from(LINES) | st.just(b'{"host":"web-1"}'), max_size=6))
def test_the_quick_way_is_the_careful_one(lines: list[bytes]) -> None:
    body = b"\n".join(lines)
    assert told(parse_ndjson, body) == told(careful_ndjson, body)


def told(parse: object, body: bytes) -> object:
    assert callable(parse)
    try:
        return list(parse(body))
    except RequestError as error:
        return [(issue.code, issue.pointer) for issue in error.issues] or error.code


def test_documents_without_ids_stay_text() -> None:
    documents = parse_ndjson(b'{"n":1}\n\n{"n":2}\n{"n":3}')
    assert isinstance(documents, PlainDocuments)
    assert list(documents) == [Document(b'{"n":%d}' % number) for number in (1, 2, 3)]
    assert documents[-1] == Document(b'{"n":3}')
    assert list(documents[1:]) == list(documents)[1:]


def test_bodies_are_the_same_and_halved_when_large() -> None:
    sources = [b'{"n":%d}' % number for number in range(30_000)]
    small = PlainDocuments(sources[:10])
    assert [body for body, _ in batches(small, b"create")] == [body for body, _ in batches(list(small), b"create")]
    halves = list(batches(PlainDocuments(sources), b"index"))
    assert [len(part) for _, part in halves] == [15_000, 15_000]
    assert b"".join(body for body, _ in halves) == b"".join(b'{"index":{}}\n' + source + b"\n" for source in sources)


STORED = b'{"create":{"_id":"%d","_version":1,"result":"created","status":201}}'
WHOLE = b'{"errors":false,"took":7,"items":[%b]}'


def test_an_answer_that_stored_all_stays_text() -> None:
    answer = WHOLE % b",".join(STORED % number for number in range(3))
    items = all_stored(answer, b"create", 3)
    assert items is not None
    assert list(items) == [item["create"] for item in orjson.loads(answer)["items"]]
    assert orjson.loads(orjson.dumps(items.json)) == list(items)


@pytest.mark.parametrize(
    "answer",
    [
        WHOLE % (STORED % 1),
        WHOLE % (STORED % 1 + b"," + STORED % 2 + b"," + STORED % 3),
        WHOLE % (STORED % 1 + b",," + STORED % 2),
        WHOLE % (STORED % 1 + b"," + STORED % 2) + b" ",
        (WHOLE % (STORED % 1 + b"," + STORED % 2)).replace(b"false", b"true"),
        WHOLE % (STORED % 1 + b"," + (STORED % 2).replace(b"201", b"409")),
        WHOLE % (STORED % 1 + b"," + (STORED % 2).replace(b"create", b"index", 1)),
        b"",
    ],
)
def test_any_other_answer_is_decoded(answer: bytes) -> None:
    assert all_stored(answer, b"create", 2) is None


async def test_entries_come_in_order_whichever_half_is_done_first() -> None:
    async def send(body: bytes, batch: Sequence[Document]) -> Entries:
        await asyncio.sleep(0.02 if body == b"0" else 0)
        return StoredItems([b'{"n":%b}' % body] * len(batch))

    parts = ((b"%d" % number, [Document(b"{}")] * 2) for number in range(5))
    entries = await Sending(send, parts, 2).all()
    assert isinstance(entries, StoredItems)
    assert [entry["n"] for entry in entries] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]


async def test_what_is_not_known_to_be_stored_is_told() -> None:
    sent: list[bytes] = []

    async def send(body: bytes, batch: Sequence[Document]) -> Entries:
        sent.append(body)
        await asyncio.sleep(0.01)
        if body == b"1":
            raise StoreError("gone", code="STORE_UNAVAILABLE", source="es")
        return [{"status": 201}] * len(batch)

    parts = ((b"%d" % number, [Document(b"{}")]) for number in range(5))
    entries = await Sending(send, parts, 2).all()
    assert [entry["status"] for entry in entries] == [201, 503, *([201] if b"2" in sent else [503]), 503, 503]
    assert b"4" not in sent


@pytest.mark.parametrize("lanes", [1, 2])
async def test_a_write_of_which_nothing_is_known_fails(lanes: int) -> None:
    async def send(body: bytes, batch: Sequence[Document]) -> Entries:
        raise StoreError("gone", code="STORE_UNAVAILABLE", source="es")

    with pytest.raises(StoreError):
        await Sending(send, ((b"", [Document(b"{}")]) for _ in range(3)), lanes).all()


def test_batches_have_a_largest_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_bodies, "BATCH_BYTES", 300_000)
    documents = PlainDocuments([b'{"n":1}'] * 60_000)
    assert all(len(body) <= 300_100 for body, _ in batches(documents, b"create"))
    assert sum(len(part) for _, part in batches(documents, b"create")) == 60_000
