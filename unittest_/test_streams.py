"""Whole results as CSV, NDJSON and Arrow: the page's rows from every store, and visible failures (F2, G19, T16)."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import nanoarrow  # type: ignore[import-untyped]
import pytest

from unittest_.stream_stores import STORES, Stores, stores

ROWS = 12_345
COLUMNS = ["n", "host", "text", "part"]
CSV, NDJSON, ARROW = "text/csv", "application/x-ndjson", "application/vnd.apache.arrow.stream"


@pytest.fixture(scope="module")
async def loaded(tmp_path_factory: pytest.TempPathFactory, es_url: str, influx_url: str) -> AsyncIterator[Stores]:
    async with stores(tmp_path_factory.mktemp("streams"), es_url, influx_url, ROWS) as made:
        yield made


def body(**more: Any) -> dict[str, Any]:
    return {"select": COLUMNS, **more}


async def streamed(loaded: Stores, store: str, accept: str, asked: dict[str, Any], parameters: str = "") -> Any:
    """The decoded stream: rows as lists."""
    return decoded(accept, await content_of(loaded, loaded.path(store) + parameters, accept, asked))


async def content_of(loaded: Stores, path: str, accept: str, asked: dict[str, Any]) -> bytes:
    url, headers = loaded.client.url + path, {"accept": accept}
    async with loaded.client.session.post(url, json=asked, headers=headers) as response:
        content = await response.read()
        assert response.status == 200, content
        return content


def decoded(accept: str, content: bytes) -> list[list[Any]]:
    if accept == CSV:
        return list(csv.reader(io.StringIO(content.decode(), newline="")))[1:]
    if accept == NDJSON:
        return [list(json.loads(line).values()) for line in content.splitlines()]
    table = nanoarrow.ArrayStream.from_readable(content).read_all()
    return [list(row.values()) for row in table.to_pylist()]


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("accept", [CSV, NDJSON, ARROW])
async def test_a_stream_holds_every_row_of_the_result(loaded: Stores, store: str, accept: str) -> None:
    found = await streamed(loaded, store, accept, body(), "?csv_guard=false")
    assert len(found) == ROWS
    number = int if accept == CSV else lambda value: value
    assert sorted(number(row[0]) for row in found) == list(range(ROWS))
    pages = await loaded.client.ok(
        "POST", loaded.path(store) + "?shape=arrays", json=body(order_by=["n"], limit=10_000)
    )
    wanted = pages["data"]
    if accept == CSV:
        wanted = [["" if cell is None else str(cell) for cell in row] for row in wanted]
    by_number = sorted(found, key=lambda row: int(row[0]))
    assert by_number[:10_000] == wanted


@pytest.mark.parametrize("store", STORES)
async def test_order_limit_groups_and_nothing(loaded: Stores, store: str) -> None:
    descending = [{"field": "n", "dir": "desc"}]
    found = await streamed(loaded, store, NDJSON, {"select": ["n"], "order_by": descending})
    assert [row[0] for row in found] == list(range(ROWS))[::-1]
    assert len(await streamed(loaded, store, NDJSON, {"select": ["n"], "limit": 123})) == 123
    groups = await streamed(loaded, store, CSV, {"group_by": ["host"], "select": [{"agg": "count", "as": "c"}]})
    assert sum(int(row[1]) for row in groups) == ROWS
    assert [row[0] for row in groups] == [f"h{at}" for at in range(7)]
    nothing = {"where": {"field": "n", "op": "lt", "value": -1}}
    assert await streamed(loaded, store, CSV, body(**nothing)) == []
    _, content = await loaded.client.send("POST", loaded.path(store), json=body(**nothing), headers={"accept": ARROW})
    schema = nanoarrow.ArrayStream.from_readable(content).read_all().schema
    assert [field.name for field in schema.fields] == COLUMNS


async def test_what_fails_before_the_first_row_chooses_the_status(loaded: Stores) -> None:
    path = loaded.path("elasticsearch")
    for asked, code in (
        ({"select": ["nope"]}, "FIELD_UNKNOWN"),
        ({"options": {"partial": True}}, "BODY_INVALID"),
    ):
        status, answer = await loaded.client.send("POST", path, json=asked, headers={"accept": CSV})
        assert (status, answer["code"]) == (422, code)
    status, answer = await loaded.client.send("POST", path, json={}, headers={"accept": "text/html"})
    assert (status, answer["code"]) == (406, "NOT_ACCEPTABLE")
    status, answer = await loaded.client.send(
        "POST", path, json={}, headers={"accept": "text/csv;q=0.5, application/json"}
    )
    assert status == 200
    assert answer["result"] is True


async def test_headers(loaded: Stores) -> None:
    async with loaded.client.session.post(
        loaded.client.url + loaded.path("embedded"), json={"limit": 1}, headers={"accept": CSV}
    ) as response:
        assert response.headers["content-type"] == "text/csv; charset=utf-8; header=present"
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["content-disposition"] == 'attachment; filename="rows.csv"'
        assert response.headers["cache-control"] == "no-store"


async def test_formulas_are_neutralised_in_csv(loaded: Stores, tmp_path: Path) -> None:
    """T16: re-parsed, the cells are those that were written but for the apostrophe; lines keep their breaks."""
    client = loaded.client
    cells = ["=cmd|' /C calc'!A0", "\t=1", "+1", "-1", "@a", "\r=1", 'a"b\n=c', "", "fine", "＝1"]
    index = f"{loaded.name}-formulas"
    await client.ok(
        "POST",
        "/es/index",
        json={
            "index": index,
            "mappings": {"properties": {"c": {"type": "keyword"}, "m": {"type": "keyword"}, "n": {"type": "long"}}},
        },
    )
    try:
        lines = "\n".join(json.dumps({"c": cell, "m": [cell, "z"], "n": -at}) for at, cell in enumerate(cells))
        sent = {"data": lines + "\n", "headers": {"content-type": "application/x-ndjson"}}
        await client.ok("POST", f"/es/{index}/docs?refresh=true", **sent)
        asked = {"select": ["n", "c", "m"], "order_by": [{"field": "n", "dir": "desc"}]}
        for guard in (True, False):
            _, content = await client.send(
                "POST", f"/es/{index}/query?csv_guard={str(guard).lower()}", json=asked, headers={"accept": CSV}
            )
            rows = list(csv.reader(io.StringIO(content.decode(), newline="")))
            assert rows[0] == ["n", "c", "m"]
            told = [f"'{cell}" if guard and cell[:1] and cell[0] in "=+-@\t\r＝" else cell for cell in cells]
            assert [row[1] for row in rows[1:]] == told
            assert [sorted(json.loads(row[2])) for row in rows[1:]] == [sorted([cell, "z"]) for cell in cells]
            assert [int(row[0]) for row in rows[1:]] == [-at for at in range(len(cells))]
            assert b'\r\n-7,"",' in content
    finally:
        await client.send("DELETE", f"/es/{index}")
