"""Whole scans read as columns by the engine: the cells are those of the way value by value, or it is taken."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from config.instances import InstanceSettings
from libs.arrow import arrow_chunks
from libs.arrow_batch import ArrowBatch
from libs.arrow_ipc import ArrowStream
from libs.arrow_lines import Lines
from libs.context import RequestContext
from libs.conversion import NotConverted
from libs.result import FLOAT64, INT64, STRING, TIMESTAMP, TIMESTAMP_MS, Batch, Column, Schema
from middlewares.stream_formats import NdjsonRows
from query.catalog import SourceRef, Table
from query.es.columnar import ColumnarDecoder, statement
from query.es.mapping import fields_of
from query.es.pages import cut
from query.es.rows import ListSeen, NeedsFields, RowDecoder, Unreadable
from query.influx.table_text import Blocks, Rows, pieces
from query.plan import Scan
from unittest_.live import Client, service

MAPPING = {
    "k": {"type": "keyword"},
    "txt": {"type": "text"},
    'it\'s "x"': {"type": "keyword"},
    "i": {"type": "long"},
    "d": {"type": "double"},
    "f": {"type": "float"},
    "b": {"type": "boolean"},
    "t": {"type": "date"},
    "ip": {"type": "ip"},
}
ODD: list[Any] = [
    *("5", 5, 5.5, True, None, [], [1], ["a"], {"x": 1}, "2026-11-22", "2026-11-22T10:00:00.1Z", 2026, "[1]", "null"),
    *("2026-11-22T24:00:00.000Z", "2026-11-22T10:00:60.000Z", "2026-02-30T10:00:00.000Z", "2026-11-22T10:00:00.12 Z"),
    *("true", "-0", 10**30, "", "1.2.3.04", "::1", 3399217.192312293, -33782366.30194341),
]


def _text(rng: random.Random) -> str:
    return "".join(rng.choice('ab"\\\x01äé😀/ {}[]:,') for _ in range(rng.randrange(6)))


def _usual(rng: random.Random) -> dict[str, Callable[[], Any]]:
    times = (-5, 0, "2026-11-22T10:00:00.123Z", "1969-12-31T23:59:59.999Z", "2024-02-29T00:00:00Z")
    return {
        **dict.fromkeys(("k", "txt", 'it\'s "x"'), lambda: _text(rng)),
        "i": lambda: rng.choice((rng.randrange(-(2**63), 2**63), rng.randrange(-5, 5))),
        "d": lambda: rng.choice((rng.random(), -0.0, rng.gauss(0, 1) * 10.0 ** rng.randrange(-300, 300), 3, 2**70)),
        "f": lambda: rng.choice(
            (round(rng.random(), 3), -0.0, rng.gauss(0, 1) * 10.0 ** rng.randrange(-30, 37), 16777217)
        ),
        "b": lambda: rng.random() < 0.5,
        "t": lambda: rng.choice((rng.randrange(10**12, 2 * 10**12), *times)),
        "ip": lambda: ".".join(str(rng.randrange(256)) for _ in range(4)),
    }


def _hits(rng: random.Random, odd: bool) -> bytes:
    """A list of hits, some members missing, and some of another type."""
    usual, hits = _usual(rng), []
    for number in range(rng.randrange(1, 10)):
        source = {name: make() for name, make in usual.items() if rng.random() < 0.8}
        if odd and rng.random() < 0.2:
            source[rng.choice(list(usual))] = rng.choice(ODD)
        if rng.random() < 0.1:
            source["other"] = {"k": [1, {"i": '"sort":['}]}
        hits.append({"_id": _text(rng) or "a", "_source": source, "sort": [number]})
    separators = rng.choice(((",", ":"), (", ", ": ")))
    return json.dumps(hits, ensure_ascii=rng.random() < 0.5, separators=separators).encode()


def test_columns_of_a_page_are_those_of_its_values() -> None:
    fields, source = fields_of({"properties": MAPPING}), SourceRef("es", ("x",))
    scan = Scan(source, tuple(fields), table=Table(source, "documents", fields, time_field="t"))
    sql = statement(scan)
    assert sql is not None
    schema = tuple(Column(name, scan.typed(name).type) for name in scan.columns)
    columnar, by_value, rng = ColumnarDecoder(schema, sql), RowDecoder(scan), random.Random(5)
    proved = 0
    for number in range(200):
        text = _hits(rng, odd=number % 2 == 1)
        try:
            found = columnar.batches(b"{" + text + b"}", 1, len(text) + 1)
        except NotConverted:
            continue
        proved += 1
        try:
            wanted = by_value.columns(orjson.loads(text), frozenset(), lambda name: None)
        except (NeedsFields, ListSeen, Unreadable):
            pytest.fail(f"taken for proven: {text!r}")
        assert repr([list(cells) for cells in found[0].columns]) == repr([list(cells) for cells in wanted]), text
    columnar.close()
    assert proved >= 90


@pytest.mark.parametrize(
    "changed",
    [{"type": "nested"}, {"type": "keyword", "normalizer": "lowercase"}, {"type": "date", "format": "epoch_second"}],
)
def test_what_the_engine_cannot_prove_is_left_to_the_values(changed: dict[str, str]) -> None:
    fields, source = fields_of({"properties": {"a": {"type": "long"}, "b": changed}}), SourceRef("es", ("x",))
    assert statement(Scan(source, tuple(fields), table=Table(source, "documents", fields))) is None


def test_a_page_is_cut_by_its_text() -> None:
    answer = {
        "pit_id": "p",
        "_shards": {},
        "hits": {"hits": [{"_source": {"sort": [9], "x": '"sort":['}, "sort": ["]}", 7]}]},
    }
    page = cut(orjson.dumps(answer), frozenset())
    assert page is not None
    assert page.last == ["]}", 7]
    assert orjson.loads(page.content[page.start : page.stop]) == answer["hits"]["hits"]  # type: ignore[index]
    for odd in (
        b'{"hits":{"hits":[]}}',
        b'{"error":1}',
        b"",
        orjson.dumps(answer)[:-1],
        orjson.dumps({**answer, "z": 1}),
    ):
        assert cut(odd, frozenset()) is None


LINES: Schema = (
    Column('It\'s "n"', INT64),
    Column("n", INT64),
    Column("t", TIMESTAMP),
    Column("ms", TIMESTAMP_MS),
    Column("f", FLOAT64),
    Column("s", STRING),
)


def test_lines_and_arrays_are_those_of_the_cells() -> None:
    rng = random.Random(3)
    steps = (1, 1000, 10**6, 10**9)
    rows = [
        (
            rng.randrange(-(2**63), 2**63),
            None,
            rng.choice(
                (rng.randrange(-(2**63) + 10**9, 2**63 - 1), rng.randrange(-(10**9), 10**9) * rng.choice(steps))
            ),
            rng.randrange(-30_610_224_000_000, 253_402_300_800_000),
            rng.choice((rng.random(), -0.0, 5e-324, 1e16, float("inf"), float("nan"), None)),
            rng.choice((_text(rng), "\u2028\n\x00", None)),
        )
        for _ in range(500)
    ]
    cells = Batch(LINES, list(zip(*rows, strict=True)))
    arrow = ArrowBatch(LINES, arrow_chunks(cells)[0], 0, 500)
    by_cells = NdjsonRows(LINES, RequestContext(), "objects").rows(cells)
    for part, wanted in ((arrow, by_cells.splitlines(True)), (arrow.slice(7, 90), by_cells.splitlines(True)[7:90])):
        lines = Lines(LINES, "objects").of(part)
        assert lines is not None
        assert [orjson.loads(line) for line in lines.split(b"\n")[:-1]] == [orjson.loads(line) for line in wanted]
        assert ArrowStream(LINES).batch(part) == ArrowStream(LINES).batch(Batch(LINES, part.columns, part.length))
    early = Batch(LINES, [[1], [1], [1], [-30_610_224_000_001], [1.0], ["a"]])
    assert Lines(LINES, "objects").of(ArrowBatch(LINES, arrow_chunks(early)[0], 0, 1)) is None


HEAD = b"name,tags,time,a,b\n"
MARKED = b"\nname,tags,name\ndatabases,,x\n"
TYPES = (TIMESTAMP, STRING, FLOAT64)


def _read(content: bytes, step: int) -> tuple[list[tuple[Any, ...]], bool]:
    schema = tuple(Column(str(at), kind) for at, kind in enumerate(TYPES))
    blocks, rows = Blocks("influx", 3), Rows("influx", schema, (0, 1, 2), TYPES, 3)
    found: list[tuple[Any, ...]] = []
    for at in range(0, len(content), step):
        for piece in pieces(blocks.feed(content[at : at + step])):
            found += [row for batch in (rows.batches(piece) if piece else ()) for row in batch.rows()]
    rows.close()
    return found, blocks.complete


@pytest.mark.parametrize("step", [1, 7, 1000])
def test_a_table_of_points_is_whole_only_behind_its_mark(step: int) -> None:
    body = b'm,,1,web,1.5\nm,,-2,,\nm,,9223372036854775806,"a,""b",-0\n'
    wanted = [(1, "web", 1.5), (-2, None, None), (2**63 - 2, 'a,"b', 0.0)]
    assert _read(HEAD + body + MARKED, step) == (wanted, True)
    assert repr(_read(HEAD + b"m,,1,\xc3\xa4,-0\n" + MARKED, step)[0]) == "[(1, 'ä', 0.0)]"
    assert _read(HEAD + body, step)[1] is False
    assert _read(HEAD + body + MARKED[:-8], step)[1] is False
    assert _read(MARKED[1:], step) == ([], True)
    assert _read(b"", step) == ([], False)


@pytest.fixture
async def client(tmp_path: Path, es_url: str) -> AsyncIterator[Client]:
    instances = {"es-real": InstanceSettings(kind="documents", url=es_url)}
    async with service(tmp_path, instances=instances) as client:
        yield client


async def test_pages_behind_one_that_is_read_by_fields_keep_their_values(client: Client, es_url: str) -> None:
    """Later pages are asked for while an earlier one shows that it needs `fields`."""
    name = f"columns-{uuid.uuid4().hex[:10]}"
    mappings = {"properties": {"n": {"type": "long"}, "k": {"type": "keyword"}}}
    settings = {"number_of_shards": 1, "number_of_replicas": 0}
    await client.ok("POST", "/es-real/index", json={"index": name, "mappings": mappings, "settings": settings})
    rows = [{"n": str(at) if at == 500 else at, "k": f"k{at}"} for at in range(3000)]
    body = b"".join(orjson.dumps(row) + b"\n" for row in rows)
    sent = {"data": body, "headers": {"content-type": "application/x-ndjson"}}
    try:
        await client.ok("POST", f"/es-real/{name}/docs?refresh=true", **sent)
        url, headers = f"{client.url}/es-real/{name}/query", {"accept": "application/x-ndjson"}
        async with client.session.post(url, json={"select": ["n", "k"]}, headers=headers) as answer:
            found = [orjson.loads(line) for line in (await answer.read()).splitlines()]
        assert sorted(found, key=lambda row: row["n"]) == [{"n": at, "k": f"k{at}"} for at in range(3000)]
    finally:
        async with aiohttp.ClientSession() as session:
            await (await session.delete(f"{es_url}/{name}")).read()
