"""The routes and shapes that clients of the earlier public HostMonitor rely on, on the real and on the embedded stores."""

from __future__ import annotations

import gzip
import uuid
from collections.abc import AsyncIterator
from typing import Any, cast
from urllib.parse import quote

import pytest
from sanic import Request

from apps.es.document import OneDocument
from apps.es.resources import Index
from apps.instance import DocumentInstance
from libs.actions import ALL_ACTIONS
from libs.context import Principal, RowFilter, principal_var
from libs.errors import RequestError
from query.document_store import DocumentStore
from unittest_.live import Client, service

MAPPINGS = {"properties": {"host": {"type": "keyword"}, "status": {"type": "integer"}, "@timestamp": {"type": "date"}}}
SETTINGS = {"number_of_shards": 1, "number_of_replicas": 0}
NDJSON = {"content-type": "application/x-ndjson"}


@pytest.fixture(scope="module", params=["embedded", "real"])
async def client(
    request: pytest.FixtureRequest, es_url: str, influx_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Client]:
    urls = {"es_url": es_url, "influx_url": influx_url} if request.param == "real" else {}
    async with service(tmp_path_factory.mktemp("fixed"), **urls) as client:
        yield client


@pytest.fixture
async def index(client: Client) -> AsyncIterator[str]:
    name = f"fixed-{uuid.uuid4().hex}"
    body = {"index": name, "settings": SETTINGS, "mappings": MAPPINGS}
    answer = await client.ok("POST", "/es/index", json=body)
    assert answer["_index"] == name
    assert answer["acknowledged"] is True
    yield name
    await client.send("DELETE", f"/es/index/{name}")


@pytest.fixture
async def db(client: Client) -> AsyncIterator[str]:
    name = f"fixed_{uuid.uuid4().hex}"
    answer = await client.ok("POST", "/influx/db", json={"db": name})
    assert "results" in answer
    yield name
    await client.send("DELETE", f"/influx/db/{name}")


async def test_nodes(client: Client) -> None:
    answer = await client.ok("GET", "/es/node")
    assert answer["cluster_name"]
    assert answer["nodes"]
    answer = await client.ok("GET", "/influx/node")
    assert answer["version"]
    assert answer["answers"] is True
    assert "uptime" in answer


@pytest.mark.parametrize("kind", ["es", "influx"])
async def test_making_a_node_is_not_supported(client: Client, kind: str) -> None:
    status, answer = await client.send("POST", f"/{kind}/node")
    assert status == 501
    assert answer["resultcode"] == 50000
    assert answer["message"]


async def test_an_index_lives_and_dies(client: Client, index: str) -> None:
    entries = await client.ok("GET", "/es/index")
    entry = next(entry for entry in entries if entry["index"] == index)
    assert entry["status"] == "open"
    assert {"index", "status", "health", "docs", "bytes", "created"} <= entry.keys()
    schema = (await client.ok("GET", f"/es/{index}/schema"))["data"]
    assert schema["mappings"] == MAPPINGS
    assert str(schema["settings"]["number_of_shards"]) == "1"
    status, answer = await client.send("POST", "/es/index", json={"index": index})
    assert (status, answer["code"]) == (409, "ALREADY_EXISTS")
    assert (await client.ok("DELETE", f"/es/index?index={index}"))["acknowledged"] is True
    status, answer = await client.send("DELETE", f"/es/{index}")
    assert (status, answer["code"]) == (404, "INDEX_UNKNOWN")


async def test_a_document_is_inserted_and_found(client: Client, index: str) -> None:
    document = {"@timestamp": "2026-11-22T10:00:00Z", "host": "web-1", "status": 503}
    answer = await client.ok("PUT", f"/es/{index}?refresh=true", json=document)
    assert answer["result"] == "created"
    assert answer["_version"] == 1
    found = await client.ok("GET", f"/es/{index}")
    assert found["hits"]["total"] == {"value": 1, "relation": "eq"}
    assert found["hits"]["hits"][0]["_id"] == answer["_id"]
    assert found["hits"]["hits"][0]["_source"] == document
    found = await client.ok("GET", f"/es/{index}", json={"query": {"term": {"status": 200}}, "size": 3})
    assert found["hits"]["total"]["value"] == 0


async def test_dsl_is_bounded(client: Client, index: str) -> None:
    """T5: no script passes, wherever it stands."""
    bodies: tuple[dict[str, Any], ...] = (
        {"query": {"script": {"script": "1"}}},
        {"script_fields": {"a": {"script": "1"}}},
        {"query": {"bool": {"filter": [{"script_score": {}}]}}},
        {"sort": [{"_script": {"script": "1"}}]},
        {"query": {"terms": {"a": {"index": "x", "id": "1", "path": "p"}}}},
        {"runtime_mappings": {}},
        {"size": 10_001},
        {"query": {"query_string": {"query": "*"}}},
    )
    for body in bodies:
        for method, path in (("GET", f"/es/{index}"), ("POST", f"/es/{index}/_search")):
            status, answer = await client.send(method, path, json=body)
            assert 400 <= status < 500, (body, answer)
            assert answer["errors"]


async def test_a_search_by_post_is_one_by_get(client: Client, index: str) -> None:
    await client.ok("POST", f"/es/{index}/docs?refresh=true", json=[{"host": "a", "status": n} for n in range(5)])
    body = {"query": {"range": {"status": {"gte": 2}}}, "sort": [{"status": "desc"}], "size": 2}
    by_get = await client.ok("GET", f"/es/{index}", json=body)
    for path in (f"/es/{index}/_search", f"/es/index/{index}/_search"):
        found = await client.ok("POST", path, json=body)
        assert found["hits"] == by_get["hits"]
        assert [hit["_source"]["status"] for hit in found["hits"]["hits"]] == [4, 3]
        assert (await client.ok("POST", path))["hits"]["total"]["value"] == 5
    for wrong in ("*", "_all", f"{index},x", "-a", ".security", "%3Clogs-%7Bnow%2Fd%7D%3E", "a%2F..%2Fb"):
        status, answer = await client.send("POST", f"/es/{wrong}/_search", json={})
        assert (status, answer["code"]) == (400, "NAME_INVALID"), wrong
    status, answer = await client.send("POST", f"/es/{index}x/_search", json={})
    assert (status, answer["code"]) == (404, "INDEX_UNKNOWN")


async def test_a_row_filter_is_not_passed_by_the_dsl_nor_by_an_id(client: Client, index: str) -> None:
    assert client.services is not None
    store = cast(DocumentStore, client.services.factory.instances["es"])
    instance = DocumentInstance("es", store, client.services, 1)
    resource, document = Index(instance), OneDocument(instance)
    one = RowFilter("es", {"field": "host", "op": "eq", "value": "a"})
    caller = principal_var.set(Principal(row_filter=(one,), actions=ALL_ACTIONS))
    try:
        with pytest.raises(RequestError) as caught:
            await resource.found(index, {})
        assert caught.value.code.name == "PERMISSION_DENIED"
        with pytest.raises(RequestError) as caught:
            await document.get(cast(Request, None), index, "1")
        assert caught.value.code.name == "PERMISSION_DENIED"
    finally:
        principal_var.reset(caller)
    assert (await resource.found(index, {})) is not None


async def test_dsl_clauses_answer_alike(client: Client, index: str) -> None:
    rows = [{"host": host, "status": status} for host, status in [("a", 200), ("ab", 404), ("b", 500), ("é", 503)]]
    await client.ok("POST", f"/es/{index}/docs?refresh=true", json=rows)
    expected = {
        "a": {"term": {"host": "a"}},
        "a b": {"terms": {"host": ["a", "b"]}},
        "ab b": {"range": {"status": {"gte": 404, "lt": 503}}},
        "a ab": {"prefix": {"host": "a"}},
        "ab": {"wildcard": {"host": "a?"}},
        "a ab b é": {"exists": {"field": "host"}},
        "b é": {"bool": {"must": [{"range": {"status": {"gt": 404}}}], "must_not": [{"term": {"host": "x"}}]}},
        "a é": {"bool": {"should": [{"term": {"host": "a"}}, {"term": {"host": "é"}}]}},
    }
    for hosts, query in expected.items():
        body = {"query": query, "sort": [{"status": "asc"}], "size": 10}
        found = await client.ok("GET", f"/es/{index}", json=body)
        assert " ".join(hit["_source"]["host"] for hit in found["hits"]["hits"]) == hosts, query
    page = await client.ok(
        "GET", f"/es/{index}", json={"query": {"match_all": {}}, "sort": ["status"], "size": 1, "from": 2}
    )
    assert [hit["_source"]["host"] for hit in page["hits"]["hits"]] == ["b"]
    assert page["hits"]["total"]["value"] == 4


async def test_other_clauses_are_the_real_stores_alone(client: Client, index: str) -> None:
    """The embedded store says which clause it lacks; Elasticsearch answers."""
    embedded = (await client.ok("GET", "/influx/node"))["version"].startswith("duckdb")
    await client.ok("POST", f"/es/{index}/docs?refresh=true", json=[{"_id": "a", "host": "a"}])
    for name, query in {
        "match": {"match": {"host": "a"}},
        "match_phrase": {"bool": {"must": {"match_phrase": {"host": "a"}}}},
        "ids": {"ids": {"values": ["a"]}},
    }.items():
        status, answer = await client.send("GET", f"/es/{index}", json={"query": query})
        if embedded:
            assert (status, answer["code"]) == (501, "CLAUSE_UNSUPPORTED")
            assert name in answer["message"]
        else:
            assert (status, answer["hits"]["total"]["value"]) == (200, 1)


async def test_an_index_reads_back_as_it_was_made(client: Client) -> None:
    name = f"fixed-{uuid.uuid4().hex}"
    fields: dict[str, Any] = {
        "host": {"type": "keyword", "ignore_above": 100},
        "message": {"type": "text", "fields": {"raw": {"type": "keyword"}}},
        "load": {"type": "float"},
        "seen": {"type": "date_nanos"},
        "inner": {"properties": {"ip": {"type": "ip"}, "n": {"type": "short"}}},
        "many": {"type": "nested", "properties": {"k": {"type": "keyword"}}},
    }
    body = {"index": name, "settings": SETTINGS, "mappings": {"dynamic": "strict", "properties": fields}}
    assert await client.ok("POST", "/es/index", json=body) == {"_index": name, "acknowledged": True}
    try:
        read = (await client.ok("GET", f"/es/{name}/schema"))["data"]
        assert read == {"settings": SETTINGS, "mappings": body["mappings"]}
        status, answer = await client.send("PUT", f"/es/{name}", json={"unknown": 1})
        assert (status, answer["code"]) == (422, "VALUE_INVALID")
    finally:
        await client.ok("DELETE", f"/es/{name}")
    wrong = {"index": name, "mappings": {"properties": {"a": {"type": "no_such_type"}}}}
    status, answer = await client.send("POST", "/es/index", json=wrong)
    assert (status, answer["code"]) == (422, "MAPPING_INVALID")


async def test_a_document_with_an_id_is_inserted_once(client: Client, index: str) -> None:
    answer = await client.ok("PUT", f"/es/{index}?refresh=true", json={"_id": "one", "status": 1})
    assert (answer["_id"], answer["result"]) == ("one", "created")
    status, answer = await client.send("PUT", f"/es/{index}", json={"status": 2, "_id": "one"})
    assert (status, answer["code"]) == (409, "ALREADY_EXISTS")
    found = await client.ok("GET", f"/es/{index}")
    assert [hit["_source"] for hit in found["hits"]["hits"]] == [{"status": 1}]


async def test_a_large_body_is_read(client: Client, index: str, db: str) -> None:
    """Beyond what other routes take."""
    document = {"host": "x" * 1000, "status": 1}
    answer = await client.ok("POST", f"/es/{index}/docs?refresh=true", json=[document] * 4000)
    assert {item["status"] for item in answer["items"]} == {201}
    lines = "".join(f"m v={at} {at}\n" for at in range(200_000)).encode()
    plain = {"content-type": "text/plain"}
    answer = await client.ok("POST", f"/influx/{db}/m/points", data=lines, headers=plain)
    assert (answer["written"], answer["dropped"]) == (200_000, 0)
    count = {"select": [{"agg": "count", "as": "n"}]}
    assert (await client.ok("POST", f"/influx/{db}/m/query", json=count))["data"] == [{"n": 200_000}]


async def test_many_documents(client: Client, index: str) -> None:
    """G10: every item has its status."""
    answer = await client.ok("POST", f"/es/{index}/docs?refresh=true", json=[{"_id": "a", "status": 1}, {"status": 2}])
    assert [item["status"] for item in answer["items"]] == [201, 201]
    assert answer["items"][0]["_id"] == "a"
    lines = b'{"_id": "a", "status": 3}\n{"_id": "b", "status": 4}\n\n{"_id": "c", "status": "none"}\n'
    status, answer = await client.send("POST", f"/es/{index}/docs?refresh=true", data=lines, headers=NDJSON)
    assert status == 207
    assert [item["status"] for item in answer["items"]] == [409, 201, 400]
    assert all("error" in item for item in answer["items"] if item["status"] >= 400)
    packed = NDJSON | {"content-encoding": "gzip"}
    body = gzip.compress(b'{"_id": "a", "status": 9}\n')
    answer = await client.ok("POST", f"/es/{index}/docs?mode=replace&refresh=true", data=body, headers=packed)
    assert answer["items"][0]["_version"] == 2
    found = await client.ok("GET", f"/es/{index}", json={"sort": ["status"]})
    assert [hit["_source"]["status"] for hit in found["hits"]["hits"]] == [2, 4, 9]


async def test_writes_to_what_is_not_there(client: Client) -> None:
    for method, path, arguments in (
        ("PUT", "/es/no-such-index", {"json": {"a": 1}}),
        ("POST", "/es/no-such-index/docs", {"json": [{"a": 1}]}),
        ("POST", "/es/no-such-index/query", {"json": {}}),
        ("GET", "/es/no-such-index", {}),
        ("PUT", "/influx/no_such_db/m", {"json": {"fields": {"a": 1}}}),
        ("POST", "/influx/no_such_db/m/points", {"json": [{"fields": {"a": 1}}]}),
        ("POST", "/influx/no_such_db/m/query", {"json": {}}),
        ("GET", "/influx/no_such_db", {}),
        ("GET", "/influx/no_such_db/m", {}),
        ("DELETE", "/influx/no_such_db", {}),
    ):
        status, answer = await client.send(method, path, **arguments)
        assert status == 404, (method, path, answer)
        assert answer["code"] in ("INDEX_UNKNOWN", "DATABASE_UNKNOWN")
    names = [entry["index"] for entry in await client.ok("GET", "/es/index")]
    assert "no-such-index" not in names


async def test_a_database_lives_and_dies(client: Client, db: str) -> None:
    listed = await client.ok("GET", "/influx/db")
    assert [db] in listed["results"][0]["series"][0]["values"]
    other = f"fixed_{uuid.uuid4().hex}"
    assert "results" in await client.ok("PUT", f"/influx/{other}")
    assert "results" in await client.ok("DELETE", f"/influx/db?db={other}")
    listed = await client.ok("GET", "/influx/db")
    assert [other] not in listed["results"][0]["series"][0]["values"]


async def test_points_and_keys(client: Client, db: str) -> None:
    point = {
        "time": "2026-11-22T10:00:00.000000001Z",
        "tags": {"host": "a"},
        "fields": {"usage": 1.5, "n": 3, "on": True, "s": "x"},
    }
    assert await client.ok("PUT", f"/influx/{db}/cpu", json=point) == {"result": True}
    listed = await client.ok("GET", f"/influx/{db}")
    assert listed["results"][0]["series"][0]["values"] == [["cpu"]]
    keys = await client.ok("GET", f"/influx/{db}/cpu")
    assert keys["tag_keys"]["values"] == [["host"]]
    assert sorted(keys["field_keys"]["values"]) == [
        ["n", "integer"],
        ["on", "boolean"],
        ["s", "string"],
        ["usage", "float"],
    ]
    again = {"time": point["time"], "tags": {"host": "a"}, "fields": {"usage": 2}}
    await client.ok("PUT", f"/influx/{db}/cpu", json=again)
    rows = (await client.ok("POST", f"/influx/{db}/cpu/query", json={}))["data"]
    assert rows == [{"time": point["time"], "host": "a", "n": 3, "on": True, "s": "x", "usage": 2.0}]
    assert "results" in await client.ok("DELETE", f"/influx/{db}/cpu")
    status, _ = await client.send("GET", f"/influx/{db}/cpu")
    assert status == 404


async def test_line_protocol_is_exact(client: Client, db: str) -> None:
    """G49."""
    times = [0, 1, -1, 1_795_687_200_123_456_789, -9_223_372_036_854_775_806, 9_223_372_036_854_775_806]
    lines = "\n".join(f"m,h=a\\ b v={i}i {time}" for i, time in enumerate(times)).encode()
    answer = await client.ok("POST", f"/influx/{db}/m/points", data=lines, headers={"content-type": "text/plain"})
    assert answer == {"result": True, "written": len(times), "dropped": 0, "reasons": []}
    rows = (await client.ok("POST", f"/influx/{db}/m/query", json={"select": ["v", "h"], "order_by": ["time"]}))["data"]
    assert [row["v"] for row in rows] == sorted(range(len(times)), key=lambda i: times[i])
    assert {row["h"] for row in rows} == {"a b"}
    seconds = {"data": b"s v=1 1795687200\n", "headers": {"content-type": "text/plain"}}
    await client.ok("POST", f"/influx/{db}/s/points?precision=s", **seconds)
    rows = (await client.ok("POST", f"/influx/{db}/s/query", json={}))["data"]
    assert rows == [{"time": "2026-11-26T10:00:00Z", "v": 1.0}]


async def test_types_of_numbers(client: Client, db: str) -> None:
    points: list[dict[str, Any]] = [{"time": 1, "fields": {"f": 1.5, "i": 1}}, {"time": 2, "fields": {"f": 2}}]
    await client.ok("POST", f"/influx/{db}/m/points", json=points)
    status, answer = await client.send("PUT", f"/influx/{db}/m", json={"time": 3, "fields": {"i": 1.5}})
    assert (status, answer["code"]) == (422, "FIELD_TYPE_CONFLICT")
    status, answer = await client.send("PUT", f"/influx/{db}/m", json={"time": 3, "fields": {"f": "x"}})
    assert (status, answer["code"]) == (422, "FIELD_TYPE_CONFLICT")
    await client.ok("PUT", f"/influx/{db}/m", json={"time": 3, "fields": {"i": 4.0}})
    rows = (await client.ok("POST", f"/influx/{db}/m/query", json={"select": ["f", "i"]}))["data"]
    assert rows == [{"f": 1.5, "i": 1}, {"f": 2.0, "i": None}, {"f": None, "i": 4}]


async def test_points_come_as_lines_of_json_too(client: Client, db: str) -> None:
    points = (
        b'{"time": 1, "tags": {"h": "a"}, "fields": {"v": 1.5}}\n\n{"time": 2, "tags": {"h": ""}, "fields": {"v": 2}}\n'
    )
    answer = await client.ok("POST", f"/influx/{db}/m/points", data=points, headers=NDJSON)
    assert answer == {"result": True, "written": 2, "dropped": 0, "reasons": []}
    packed = NDJSON | {"content-encoding": "gzip"}
    await client.ok(
        "POST", f"/influx/{db}/m/points", data=gzip.compress(b'{"time": 3, "fields": {"v": 3}}'), headers=packed
    )
    rows = (await client.ok("POST", f"/influx/{db}/m/query", json={"select": ["h", "v"]}))["data"]
    assert rows == [{"h": "a", "v": 1.5}, {"h": None, "v": 2.0}, {"h": None, "v": 3.0}]
    status, answer = await client.send(
        "POST", f"/influx/{db}/m/points", json=[{"time": 4, "fields": {"v": 4}}, {"fields": 5}]
    )
    assert (status, answer["errors"][0]["pointer"]) == (422, "/1/fields")
    assert len((await client.ok("POST", f"/influx/{db}/m/query", json={}))["data"]) == 3


async def test_databases_by_body_and_by_parameter(client: Client) -> None:
    name = f"fixed_{uuid.uuid4().hex}"
    await client.ok("POST", f"/influx/db?db={name}")
    await client.ok("POST", "/influx/db", json={"db": name})
    status, _ = await client.send("DELETE", f"/influx/db?db={name}", json={"db": "other"})
    assert status == 400
    status, _ = await client.send("DELETE", "/influx/db")
    assert status == 400
    await client.ok("DELETE", "/influx/db", json={"db": name})
    status, answer = await client.send("DELETE", "/influx/db", json={"db": name})
    assert (status, answer["code"]) == (404, "DATABASE_UNKNOWN")


async def test_partial_writes_tell(client: Client, db: str) -> None:
    """G11: dropped=N equals the truth."""
    await client.ok("PUT", f"/influx/{db}/m", json={"time": 1, "fields": {"v": 1.5}})
    body = b'm v=2.5 2\nm v="x" 3\nm v=3.5 4\n'
    status, answer = await client.send(
        "POST", f"/influx/{db}/m/points", data=body, headers={"content-type": "text/plain"}
    )
    assert status == 207
    assert answer["result"] is False
    assert answer["dropped"] == 1
    assert answer["reasons"]
    rows = (await client.ok("POST", f"/influx/{db}/m/query", json={"select": ["v"]}))["data"]
    assert [row["v"] for row in rows] == [1.5, 2.5, 3.5]


async def test_things_are_found_by_name(client: Client, index: str, db: str) -> None:
    await client.ok("PUT", f"/influx/{db}/{index}", json={"fields": {"v": 1}})
    found = (await client.ok("GET", f"/mix/resource/{index[6:]}"))["instances"]
    assert found["es"] == {"kind": "documents", "status": "ok", "indices": [index]}
    assert found["influx"]["measurements"] == [{"db": db, "measurement": index}]
    status, answer = await client.send("GET", "/mix/node/nowhere")
    assert (status, answer["code"]) == (404, "REGION_UNKNOWN")


DOCUMENT_WORDS = ["node", "index", "query", "docs", "schema"]
SERIES_WORDS = ["node", "db", "query", "write", "ping", "retention", "points"]


@pytest.mark.parametrize("name", DOCUMENT_WORDS)
async def test_indices_called_like_fixed_words(client: Client, name: str) -> None:
    """Every route reaches them by the full form; the short form of a fixed word stays the fixed route."""
    await client.send("DELETE", f"/es/index/{name}")
    await client.ok("POST", "/es/index", json={"index": name, "settings": SETTINGS, "mappings": MAPPINGS})
    try:
        full = f"/es/index/{name}"
        await client.ok("PUT", f"{full}?refresh=true", json={"host": "a"})
        await client.ok("POST", f"{full}/docs?refresh=true", json=[{"host": "b"}])
        assert (await client.ok("GET", full))["hits"]["total"]["value"] == 2
        assert len((await client.ok("POST", f"{full}/query", json={"order_by": ["host"]}))["data"]) == 2
        await client.ok("POST", f"{full}/query/explain", json={})
        await client.ok("POST", f"{full}/query/validate", json={})
        assert (await client.ok("GET", f"{full}/schema"))["data"]["mappings"] == MAPPINGS
        if name == "node":
            assert "cluster_name" in await client.ok("GET", "/es/node")
        elif name == "index":
            assert isinstance(await client.ok("GET", "/es/index"), list)
        else:
            assert (await client.ok("GET", f"/es/{name}"))["hits"]["total"]["value"] == 2
    finally:
        await client.ok("DELETE", f"/es/index/{name}")


@pytest.mark.parametrize("name", SERIES_WORDS)
async def test_databases_and_measurements_called_like_fixed_words(client: Client, name: str) -> None:
    await client.ok("PUT", f"/influx/db/{name}")
    try:
        full = f"/influx/db/{name}/{name}"
        await client.ok("PUT", full, json={"time": 1, "fields": {"v": 1.0}})
        await client.ok("POST", f"{full}/points", json=[{"time": 2, "fields": {"v": 2.0}}])
        assert (await client.ok("GET", full))["field_keys"]["values"] == [["v", "float"]]
        rows = (await client.ok("POST", f"{full}/query", json={"select": ["v"]}))["data"]
        assert rows == [{"v": 1.0}, {"v": 2.0}]
        await client.ok("POST", f"{full}/query/explain", json={})
        await client.ok("POST", f"{full}/query/validate", json={})
        listed = await client.ok("GET", f"/influx/db/{name}")
        assert listed["results"][0]["series"][0]["values"] == [[name]]
        assert "results" in await client.ok("DELETE", full)
    finally:
        await client.ok("DELETE", f"/influx/db/{name}")


async def test_a_slash_in_a_name(client: Client, db: str) -> None:
    """Segments are decoded once: `%2F` belongs to the name, `%252F` is the text %2F."""
    for name in ("a/b", "%2F", "a/b/query"):
        path = quote(name, safe="")
        await client.ok("PUT", f"/influx/{db}/{path}", json={"time": 1, "fields": {"v": 1.0}})
        assert (await client.ok("GET", f"/influx/{db}/{path}"))["field_keys"]["name"] == name
        assert len((await client.ok("POST", f"/influx/{db}/{path}/query", json={}))["data"]) == 1
