"""T1, T2, T8, T9: no odd name of an index, database or measurement reaches a store as structure.

A recording proxy stands before each real store: for a refused name nothing may have reached it at all; a name that a store
of series takes must come back as the very same name.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import pytest

from unittest_.live import Client, service
from unittest_.recording_proxy import RecordingProxy, recording

BAD_INDEX_NAMES = [
    ".", "..", "*", "_all", "a*", "a,b", "-a", "a,-b", ",", " ", ".security", ".kibana", "<logs-{now/d}>",
    "%3Clogs-%7Bnow%2Fd%7D%3E", "cluster:idx", "a\u0000", "a" * 256, "UPPER", "a\U0001f600", 'a"b', "a'b", "a\nb", "a\rb",
    "a/../b", "../_cluster/settings", "..%2f", "%2e%2e", "．．", "a b", "a?b", "a#b", "a\\b", "a|b", "a>b", "+a", "_a", "ö",
    "x" * 300, "_search", "_cluster", "_security", "_snapshot", "_reindex", "_scripts",
]  # fmt: skip
BAD_SERIES_NAMES = ["", "\u0000", "a\nb", "a\rb", "x" * 300]
ODD_SERIES_NAMES = [
    'cpu"; DROP DATABASE x--', 'cpu\\"', 'a\\\\"b', "' OR 1=1", "/.*/", "::tag", "INTO", "a\u2028b", '"', "'", "..", "*", "_all",
    "a,b", "<logs-{now/d}>", "a b", "#c", "a=b", "tab\tx", "ünï\U0001f600", "a;b", "a/b", "%2F", "a\\",
]  # fmt: skip


@pytest.fixture(scope="module")
async def stores(
    es_url: str, influx_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Client, RecordingProxy, RecordingProxy]]:
    folder: Path = tmp_path_factory.mktemp("names")
    async with (
        recording(es_url) as es,
        recording(influx_url) as influx,
        service(folder, es_url=es.url, influx_url=influx.url) as client,
    ):
        yield client, es, influx


def encoded(name: str) -> str:
    return quote(name, safe="")


@pytest.mark.parametrize("name", BAD_INDEX_NAMES)
async def test_bad_index_names_never_reach_the_store(
    stores: tuple[Client, RecordingProxy, RecordingProxy], name: str
) -> None:
    client, es, _ = stores
    es.clear()
    path = encoded(name).replace(".", "%2E")
    query = {"limit": 1}
    ndjson = {"data": b'{"a":1}\n', "headers": {"content-type": "application/x-ndjson"}}
    tries = [
        await client.send("GET", f"/es/index/{path}"),
        await client.send("PUT", f"/es/index/{path}", json={"a": 1}),
        await client.send("DELETE", f"/es/index/{path}"),
        await client.send("DELETE", f"/es/index?index={encoded(name)}"),
        await client.send("POST", "/es/index", json={"index": name}),
        await client.send("POST", f"/es/index/{path}/docs", **ndjson),
        await client.send("GET", f"/es/index/{path}/schema"),
        await client.send("GET", f"/es/index/{path}/doc/a"),
        await client.send("PUT", f"/es/index/{path}/doc/a", json={"a": 1}),
        await client.send("PATCH", f"/es/index/{path}/doc/a", json={"a": 1}),
        await client.send("DELETE", f"/es/index/{path}/doc/a"),
        await client.send("DELETE", f"/es/index/{path}?dry_run=true"),
    ]
    if "*" not in name:  # a pattern may be asked
        tries.append(await client.send("POST", f"/es/index/{path}/query", json=query))
        tries.append(await client.send("POST", f"/es/index/{path}/query/explain", json=query))
        tries.append(await client.send("POST", "/mix/query", json={"from": {"source": "es", "index": name}}))
    for status, answer in tries:
        assert 400 <= status < 500, (name, status, answer)
        assert answer["result"] is False
    assert es.received == b""


@pytest.mark.parametrize("name", BAD_SERIES_NAMES)
async def test_bad_series_names_never_reach_the_store(
    stores: tuple[Client, RecordingProxy, RecordingProxy], name: str
) -> None:
    client, _, influx = stores
    influx.clear()
    path = encoded(name)
    point = {"fields": {"v": 1.0}}
    tries = [
        await client.send("POST", "/influx/db", json={"db": name}),
        await client.send("DELETE", "/influx/db", json={"db": name}),
        await client.send("PUT", f"/influx/db/{path}"),
        await client.send("DELETE", f"/influx/db/{path}"),
        await client.send("GET", f"/influx/db/x/{path}"),
        await client.send("PUT", f"/influx/db/x/{path}", json=point),
        await client.send("DELETE", f"/influx/db/x/{path}"),
        await client.send("POST", f"/influx/db/x/{path}/query", json={}),
        await client.send("GET", f"/influx/db/x/{path}/fields"),
        await client.send("GET", f"/influx/db/x/{path}/fields/host/values"),
        await client.send("POST", "/mix/query", json={"from": {"source": "influx", "db": "x", "measurement": name}}),
    ]
    for status, answer in tries:
        assert 400 <= status < 500, (name, status, answer)
    assert influx.received == b""


@pytest.mark.parametrize("name", ODD_SERIES_NAMES)
async def test_odd_series_names_stay_names(stores: tuple[Client, RecordingProxy, RecordingProxy], name: str) -> None:
    """T8, T9: quoted names of databases, measurements, tags and fields come back as they were sent, or are refused whole."""
    client, _, influx = stores
    guard, db = f"guard_{uuid.uuid4().hex}", f"names_{uuid.uuid4().hex}"
    await client.ok("PUT", f"/influx/{guard}")
    await client.ok("PUT", f"/influx/{db}")
    try:
        influx.clear()
        point = {"time": "2026-01-01T00:00:00Z", "tags": {name: name}, "fields": {"f" + name: 1.5, "s": name}}
        status, answer = await client.send("PUT", f"/influx/db/{db}/{encoded(name)}", json=point)
        if status >= 400:
            assert status in (400, 422), (status, answer)
            assert b"/write" not in influx.received
            return
        listed = await client.ok("GET", f"/influx/{db}")
        assert listed["results"][0]["series"][0]["values"] == [[name]]
        keys = await client.ok("GET", f"/influx/db/{db}/{encoded(name)}")
        assert keys["tag_keys"]["values"] == [[name]]
        assert sorted(keys["field_keys"]["values"]) == sorted([["f" + name, "float"], ["s", "string"]])
        where = {"and": [{"field": name, "op": "eq", "value": name}, {"field": "s", "op": "eq", "value": name}]}
        answer = await client.ok("POST", f"/influx/db/{db}/{encoded(name)}/query", json={"where": where})
        assert answer["data"] == [{"time": "2026-01-01T00:00:00Z", name: name, "f" + name: 1.5, "s": name}]
        listed_fields = await client.ok("GET", f"/influx/db/{db}/{encoded(name)}/fields")
        assert {one["field"] for one in listed_fields["data"]["fields"]} == {"time", name, "f" + name, "s"}
        for field in (name, "s"):
            path = f"/influx/db/{db}/{encoded(name)}/fields/{encoded(field).replace('.', '%2E')}/values?prefix={encoded(name)}"
            assert (await client.ok("GET", path))["data"] == [{"value": name, "count": 1}]
        await client.ok("DELETE", f"/influx/db/{db}/{encoded(name)}")
        databases = await client.ok("GET", "/influx/db")
        assert [guard] in databases["results"][0]["series"][0]["values"]
    finally:
        await client.ok("DELETE", f"/influx/{db}")
        await client.ok("DELETE", f"/influx/{guard}")


async def test_points_of_line_protocol_cannot_smuggle_others(
    stores: tuple[Client, RecordingProxy, RecordingProxy],
) -> None:
    """T9: points out are points in."""
    client, _, influx = stores
    db = f"names_{uuid.uuid4().hex}"
    await client.ok("PUT", f"/influx/{db}")
    try:
        values = ["x\nadmin,role=root v=1", "x\r", "a\\", 'q"uote', ""]
        points = [{"time": i, "tags": {"n": str(i)}, "fields": {"v": value}} for i, value in enumerate(values)]
        await client.ok("POST", f"/influx/{db}/m/points", json=points)
        answer = await client.ok("POST", f"/influx/{db}/m/query", json={"order_by": ["time"]})
        assert [row["v"] for row in answer["data"]] == values
        listed = await client.ok("GET", f"/influx/{db}")
        assert listed["results"][0]["series"][0]["values"] == [["m"]]
        influx.clear()
        lines = {"data": b"m v=1 1\nadmin,role=root v=1 2\n", "headers": {"content-type": "text/plain"}}
        status, _answer = await client.send("POST", f"/influx/{db}/m/points", **lines)
        assert status == 422
        assert b"/write" not in influx.received
    finally:
        await client.ok("DELETE", f"/influx/{db}")
