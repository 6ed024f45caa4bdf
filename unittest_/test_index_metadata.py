"""Mappings, settings and aliases of indices, on the embedded store and on a real Elasticsearch alike."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

import pytest

from libs.context import RequestContext
from query.backend import InstanceConfig
from query.catalog import SourceRef
from query.document_store import Document, DocumentStore
from query.factory import open_backend
from unittest_.live import Client, service
from unittest_.recording_proxy import RecordingProxy, recording
from unittest_.test_names import BAD_INDEX_NAMES

MAPPING = {
    "properties": {
        "@timestamp": {"type": "date"},
        "host": {"type": "keyword", "ignore_above": 256},
        "n": {"type": "long"},
        "text": {"type": "text"},
        "o": {"properties": {"k": {"type": "keyword", "null_value": "none"}}},
    }
}


@pytest.fixture(scope="module", params=["embedded", "real"])
async def served(
    request: pytest.FixtureRequest, es_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Client, RecordingProxy]]:
    """The service, and what stands before its Elasticsearch; of the embedded one, before nobody's."""
    async with recording(es_url) as es:
        urls = {"es_url": es.url} if request.param == "real" else {}
        async with service(tmp_path_factory.mktemp("metadata"), **urls) as client:
            yield client, es


@pytest.fixture
def client(served: tuple[Client, RecordingProxy]) -> Client:
    return served[0]


@pytest.fixture
async def indices(client: Client) -> AsyncIterator[tuple[str, str, str]]:
    """Two indices of one mapping, and a free name."""
    name = f"metadata-{uuid.uuid4().hex[:12]}"
    made = (f"{name}-1", f"{name}-2")
    for index in made:
        body = {"index": index, "settings": {"number_of_replicas": 0}, "mappings": MAPPING}
        await client.ok("POST", "/es/index", json=body)
    yield *made, f"{name}-all"
    for index in made:
        await client.send("DELETE", f"/es/{index}")


async def mapping_of(client: Client, index: str) -> Any:
    return (await client.ok("GET", f"/es/{index}/mapping"))["data"]


async def test_a_mapping_gains_fields(client: Client, indices: tuple[str, str, str]) -> None:
    index = indices[0]
    await client.ok("POST", f"/es/{index}/docs?refresh=true", json=[{"_id": "old", "host": "a", "text": "x y"}])
    patch = {
        "properties": {
            "zone": {"type": "keyword"},
            "o": {"properties": {"more": {"type": "long"}}},
            "o.deep.er": {"type": "boolean"},
            "text": {"fields": {"keyword": {"type": "keyword"}}},
            "host": {"ignore_above": 100},
        }
    }
    headers = {"content-type": "application/merge-patch+json"}
    answer = await client.ok("PATCH", f"/es/{index}/mapping", data=json.dumps(patch), headers=headers)
    assert answer["data"] == {"acknowledged": True}
    properties = (await mapping_of(client, index))["properties"]
    assert properties["zone"] == {"type": "keyword"}
    assert properties["host"] == {"type": "keyword", "ignore_above": 100}
    assert properties["o"]["properties"]["k"] == {"type": "keyword", "null_value": "none"}
    assert properties["o"]["properties"]["more"] == {"type": "long"}
    assert properties["o"]["properties"]["deep"]["properties"]["er"] == {"type": "boolean"}
    assert properties["text"]["fields"]["keyword"]["type"] == "keyword"
    assert properties["n"] == {"type": "long"}
    new = {"_id": "new", "zone": "b", "o": {"more": 7, "deep": {"er": True}}, "text": "u v"}
    await client.ok("POST", f"/es/{index}/docs?refresh=true", json=[new])
    for where in (("zone", "b"), ("o.more", 7), ("o.deep.er", True), ("text.keyword", "u v")):
        body = {"select": ["_id"], "where": {"field": where[0], "op": "eq", "value": where[1]}}
        assert (await client.ok("POST", f"/es/{index}/query", json=body))["data"] == [{"_id": "new"}], where
    missing = {"select": ["_id"], "where": {"field": "zone", "op": "exists", "value": False}}
    assert (await client.ok("POST", f"/es/{index}/query", json=missing))["data"] == [{"_id": "old"}]


async def test_root_words_of_a_mapping_change(client: Client, indices: tuple[str, str, str]) -> None:
    index = indices[0]
    await client.ok("PATCH", f"/es/{index}/mapping", json={"dynamic": "strict", "_meta": {"owner": "ann"}})
    found = await mapping_of(client, index)
    assert (found["dynamic"], found["_meta"]) == ("strict", {"owner": "ann"})
    answer = await client.ok("POST", f"/es/{index}/docs", json=[{"unknown": 1}])
    assert answer["items"][0]["status"] == 400


BAD_PATCHES: list[tuple[Any, int, str, str]] = [
    ({"properties": {"host": {"type": "long"}}}, 409, "MAPPING_CONFLICT", "/properties/host/type"),
    ({"properties": {"host": {"properties": {"x": {"type": "long"}}}}}, 409, "MAPPING_CONFLICT", "/properties/host"),
    ({"properties": {"host.x": {"type": "long"}}}, 409, "MAPPING_CONFLICT", "/properties/host.x"),
    ({"properties": {"o": {"type": "long"}}}, 409, "MAPPING_CONFLICT", "/properties/o/type"),
    ({"properties": {"o": {"type": "nested"}}}, 409, "MAPPING_CONFLICT", "/properties/o/type"),
    ({"properties": {"o": {"enabled": False}}}, 409, "MAPPING_CONFLICT", "/properties/o/enabled"),
    ({"properties": {"o": {"properties": {"k": {"null_value": "q"}}}}}, 409, "MAPPING_CONFLICT",
     "/properties/o/properties/k/null_value"),
    ({"properties": {"@timestamp": {"format": "epoch_second"}}}, 409, "MAPPING_CONFLICT", "/properties/@timestamp/format"),
    ({"properties": {"host": None}}, 409, "MAPPING_CONFLICT", "/properties/host"),
    ({"properties": {"new": {"type": "nothing"}}}, 422, "MAPPING_INVALID", ""),
    ({"properties": {"new": "keyword"}}, 422, "MAPPING_INVALID", "/properties/new"),
    ({"properties": {"new": {"type": "long", "script": {"source": "emit(1)"}}}}, 422, "MAPPING_INVALID",
     "/properties/new/script"),
    ({"properties": {"a": {"properties": {"b": {"type": "long", "script": "1"}}}}}, 422, "MAPPING_INVALID",
     "/properties/a/properties/b/script"),
    ({"properties": {"n": {"script": "emit(1)"}}}, 422, "MAPPING_INVALID", "/properties/n/script"),
    ({"properties": []}, 422, "MAPPING_INVALID", "/properties"),
    ({"runtime": {"r": {"type": "long", "script": "emit(1)"}}}, 422, "MAPPING_INVALID", "/runtime"),
    ({"_source": {"enabled": False}}, 422, "MAPPING_INVALID", "/_source"),
    ({"dynamic_templates": []}, 422, "MAPPING_INVALID", "/dynamic_templates"),
    ({"dynamic": None}, 422, "MAPPING_INVALID", "/dynamic"),
    ({}, 422, "MAPPING_INVALID", ""),
    ([], 422, "BODY_INVALID", ""),
    ({"properties": {"d": json.loads('{"properties":{"d":' * 40 + "{}" + "}}" * 40)}}, 422, "MAPPING_INVALID", ""),
]  # fmt: skip


async def test_what_a_mapping_cannot_become_is_refused_whole(client: Client, indices: tuple[str, str, str]) -> None:
    index = indices[0]
    before = await mapping_of(client, index)
    for patch, status, code, pointer in BAD_PATCHES:
        answered, answer = await client.send("PATCH", f"/es/{index}/mapping", json=patch)
        assert (answered, answer["code"]) == (status, code), (patch, answer)
        assert answer["errors"][0]["pointer"].startswith(pointer), (patch, answer)
        if status == 409:
            assert "make a new index" in answer["errors"][0]["hint"]
    mixed = {"properties": {"fine": {"type": "long"}, "n": {"type": "keyword"}, "host": {"type": "text"}}}
    _, answer = await client.send("PATCH", f"/es/{index}/mapping", json=mixed)
    assert [one["pointer"] for one in answer["errors"]] == ["/properties/n/type", "/properties/host/type"]
    assert await mapping_of(client, index) == before
    status, answer = await client.send("PATCH", f"/es/{index}-none/mapping", json={"dynamic": True})
    assert (status, answer["code"]) == (404, "INDEX_UNKNOWN")
    status, _ = await client.send("PATCH", f"/es/{index}/mapping", data=b"a: 1", headers={"content-type": "text/yaml"})
    assert status == 415


async def test_no_index_is_made_with_scripts(client: Client, indices: tuple[str, str, str]) -> None:
    """T5: nothing that runs on the store comes in with a mapping."""
    index, script = indices[2], {"type": "long", "script": {"source": "emit(1)"}}
    for mappings in (
        {"runtime": {"r": script}},
        {"properties": {"r": script}},
        {"properties": {"o": {"properties": {"r": script}}}},
        {"dynamic_templates": [{"t": {"match": "*", "mapping": script}}]},
        {"dynamic_templates": [{"t": {"match": "*", "runtime": script}}]},
    ):
        status, answer = await client.send("POST", "/es/index", json={"index": index, "mappings": mappings})
        assert (status, answer["code"]) == (422, "MAPPING_INVALID"), (mappings, answer)
    named = {"properties": {"script": {"type": "keyword"}, "o": {"properties": {"script": {"type": "long"}}}}}
    await client.ok("POST", "/es/index", json={"index": index, "mappings": named})
    await client.ok(
        "PATCH", f"/es/{index}/mapping", json={"properties": {"n": {"properties": {"script": {"type": "long"}}}}}
    )
    await client.ok("DELETE", f"/es/{index}")


async def test_settings_that_can_change(client: Client, indices: tuple[str, str, str]) -> None:
    index = indices[0]
    embedded = (await client.ok("GET", "/es/node"))["cluster_name"] == "hostmonitor-embedded"
    changed = {
        "index": {"max_result_window": 20_000, "mapping": {"total_fields": {"limit": 1500}}},
        "refresh_interval": "5s",
    }
    answer = (await client.ok("PATCH", f"/es/{index}/settings", json=changed))["data"]
    assert answer == {"acknowledged": True, "without_effect": ["refresh_interval"] if embedded else []}
    found = (await client.ok("GET", f"/es/{index}/settings"))["data"]
    wanted = {"max_result_window": 20_000, "mapping.total_fields.limit": 1500, "refresh_interval": "5s"}
    assert found.items() >= {**wanted, "number_of_replicas": 0}.items()
    # What it says, it does: a window of 10,000 alone would refuse this page.
    await client.ok("GET", f"/es/{index}", json={"query": {"match_all": {}}, "from": 10_000, "size": 10})
    await client.ok(
        "PATCH", f"/es/{index}/settings", json=dict.fromkeys(("index.max_result_window", "refresh_interval"))
    )
    found = (await client.ok("GET", f"/es/{index}/settings"))["data"]
    assert not {"max_result_window", "refresh_interval"} & found.keys()
    status, answer = await client.send("GET", f"/es/{index}", json={"from": 10_000, "size": 10})
    assert 400 <= status < 500, answer


async def test_a_limit_of_fields_holds(client: Client, indices: tuple[str, str, str]) -> None:
    index = indices[0]
    await client.ok("PATCH", f"/es/{index}/settings", json={"mapping.total_fields.limit": 8})
    many = {"properties": {f"f{at}": {"type": "long"} for at in range(5)}}
    status, answer = await client.send("PATCH", f"/es/{index}/mapping", json=many)
    assert (status, answer["code"]) == (422, "MAPPING_INVALID")
    assert "limit" in answer["message"].lower()


BAD_SETTINGS: list[tuple[dict[str, Any], str, str]] = [
    ({"number_of_shards": 2}, "/number_of_shards", "make a new index"),
    ({"index": {"codec": "best_compression"}}, "/index/codec", "make a new index"),
    ({"index.analysis.analyzer.a.type": "standard"}, "/index.analysis.analyzer.a.type", "make a new index"),
    ({"refresh_intervall": "1s"}, "/refresh_intervall", "did you mean refresh_interval?"),
    ({"blocks": {"read_only": True}}, "/blocks/read_only", "one of"),
    ({"routing.allocation.include._name": "x"}, "/routing.allocation.include._name", ""),
    ({"refresh_interval": "soon"}, "/refresh_interval", "a time such as"),
    ({"refresh_interval": 5}, "/refresh_interval", "a time such as"),
    ({"number_of_replicas": -1}, "/number_of_replicas", "0 to 100"),
    ({"number_of_replicas": True}, "/number_of_replicas", "0 to 100"),
    ({"number_of_replicas": 1.5}, "/number_of_replicas", "0 to 100"),
    ({"max_result_window": 10}, "/max_result_window", "10000 to"),
    ({"max_result_window": 10**30}, "/max_result_window", "10000 to"),
    ({"number_of_replicas": 1, "index": {"number_of_replicas": 2}}, "/index/number_of_replicas", "once"),
    ({}, "", "one of"),
]


async def test_other_settings_are_refused_by_name(client: Client, indices: tuple[str, str, str]) -> None:
    index = indices[0]
    before = (await client.ok("GET", f"/es/{index}/settings"))["data"]
    for settings, pointer, hint in BAD_SETTINGS:
        status, answer = await client.send("PATCH", f"/es/{index}/settings", json=settings)
        assert (status, answer["code"]) == (422, "SETTING_INVALID"), (settings, answer)
        assert answer["errors"][0]["pointer"] == pointer
        assert hint in answer["errors"][0]["hint"], answer
    every = {name: value for settings, _, _ in BAD_SETTINGS[:5] for name, value in settings.items()}
    _, answer = await client.send("PATCH", f"/es/{index}/settings", json={**every, "refresh_interval": "9s"})
    assert len(answer["errors"]) == 5
    assert (await client.ok("GET", f"/es/{index}/settings"))["data"] == before


async def test_an_alias_is_read_as_its_indices(client: Client, indices: tuple[str, str, str]) -> None:
    one, two, alias = indices
    await client.ok("POST", f"/es/{one}/docs?refresh=true", json=[{"host": "a", "n": 1}, {"host": "b", "n": 4}])
    await client.ok("POST", f"/es/{two}/docs?refresh=true", json=[{"host": "a", "n": 2}, {"host": "c", "n": 3}])
    for index in (one, two, two):
        assert (await client.ok("PUT", f"/es/{index}/alias/{alias}"))["data"] == {"acknowledged": True}
    told = (await client.ok("GET", f"/es/{one}/alias/{alias}"))["data"]
    assert told == {"alias": alias, "index": one, "indices": [one, two]}
    by_host = {"group_by": ["host"], "select": [{"agg": "sum", "field": "n", "as": "n"}], "order_by": ["host"]}
    sums = [{"host": "a", "n": 3}, {"host": "b", "n": 4}, {"host": "c", "n": 3}]
    assert (await client.ok("POST", f"/es/{alias}/query", json=by_host))["data"] == sums
    assert (await client.ok("POST", f"/es/{alias[:-1]}*/query", json=by_host))["data"] == sums
    mixed = {"from": {"source": "es", "index": alias}, **by_host}
    assert (await client.ok("POST", "/mix/query", json=mixed))["data"] == sums
    rows = await client.ok("GET", f"/es/{alias}/rows?select=n&order=n.desc&limit=3")
    assert [row["n"] for row in rows["data"]] == [4, 3, 2]
    assert (await client.ok("POST", f"/es/{alias}/query/explain", json=by_host))["data"]
    assert (await client.ok("POST", f"/es/{alias}/query/validate", json=by_host))["data"]["from"]["index"] == alias
    found = await client.ok(
        "GET",
        f"/es/{alias}",
        json={"query": {"range": {"n": {"gte": 2}}}, "sort": [{"n": "desc"}], "size": 2, "from": 1},
    )
    assert found["hits"]["total"] == {"value": 3, "relation": "eq"}
    assert [(hit["_index"], hit["_source"]["n"], hit["sort"]) for hit in found["hits"]["hits"]] == [
        (two, 3, [3]), (two, 2, [2]),
    ]  # fmt: skip
    names = {one["field"] for one in (await client.ok("GET", f"/es/{alias}/fields"))["data"]["fields"]}
    assert {"@timestamp", "host", "n", "o.k", "_id"} <= names
    values = await client.ok("GET", f"/es/{alias}/fields/host/values")
    assert values["data"] == [{"value": "a", "count": 2}, {"value": "b", "count": 1}, {"value": "c", "count": 1}]
    catalogue = await client.ok("GET", f"/mix/catalog?instance=es&prefix={alias}")
    assert [(one["from"]["index"], one["alias_of"]) for one in catalogue["data"]] == [(alias, [one, two])]
    await client.ok("DELETE", f"/es/{one}")
    assert (await client.ok("GET", f"/es/{two}/alias/{alias}"))["data"]["indices"] == [two]
    assert len((await client.ok("POST", f"/es/{alias}/query", json={}))["data"]) == 2


async def test_writing_through_an_alias(client: Client, indices: tuple[str, str, str]) -> None:
    """To its only index; refused item by item where it has several."""
    one, two, alias = indices
    await client.ok("PUT", f"/es/{one}/alias/{alias}")
    report = await client.ok("POST", f"/es/{alias}/docs?refresh=true", json=[{"_id": "x", "n": 1}])
    assert report["items"][0]["status"] == 201
    await client.ok("PUT", f"/es/{alias}?refresh=true", json={"_id": "y", "n": 2})
    rows = await client.ok("GET", f"/es/{one}/rows?select=_id,n&order=n")
    assert rows["data"] == [{"_id": "x", "n": 1}, {"_id": "y", "n": 2}]
    await client.ok("PUT", f"/es/{two}/alias/{alias}")
    status, report = await client.send("POST", f"/es/{alias}/docs?refresh=true", json=[{"n": 3}, {"n": 4}])
    assert status == 207
    assert [item["status"] for item in report["items"]] == [400, 400]
    assert all("no write index" in item["error"]["reason"] for item in report["items"])
    status, answer = await client.send("PUT", f"/es/{alias}", json={"n": 5})
    assert (status, answer["code"]) == (422, "VALUE_INVALID")
    assert len((await client.ok("POST", f"/es/{alias}/query", json={}))["data"]) == 2


async def test_an_alias_is_no_index(client: Client, indices: tuple[str, str, str]) -> None:
    one, two, alias = indices
    await client.ok("PUT", f"/es/{one}/alias/{alias}")
    refused: list[tuple[str, str, Any, int, str]] = [
        ("DELETE", f"/es/{alias}", None, 422, "UNSUPPORTED"),
        ("DELETE", f"/es/index?index={alias}", None, 422, "UNSUPPORTED"),
        ("POST", "/es/index", {"index": alias}, 409, "ALREADY_EXISTS"),
        ("PUT", f"/es/{one}/alias/{two}", None, 409, "ALREADY_EXISTS"),
        ("PUT", f"/es/{one}/alias/{one}", None, 409, "ALREADY_EXISTS"),
        ("PUT", f"/es/{alias}/alias/other", None, 404, "INDEX_UNKNOWN"),
        ("PUT", f"/es/{one}-none/alias/{alias}", None, 404, "INDEX_UNKNOWN"),
        ("DELETE", f"/es/{one}-none/alias/{alias}", None, 404, "INDEX_UNKNOWN"),
        ("DELETE", f"/es/{alias}/alias/{alias}", None, 404, "INDEX_UNKNOWN"),
        ("DELETE", f"/es/{two}/alias/{alias}", None, 404, "ALIAS_UNKNOWN"),
        ("DELETE", f"/es/{two}/alias/{alias}?dry_run=true", None, 404, "ALIAS_UNKNOWN"),
        ("GET", f"/es/{two}/alias/{alias}", None, 404, "ALIAS_UNKNOWN"),
        ("GET", f"/es/{one}-none/alias/{alias}", None, 404, "INDEX_UNKNOWN"),
        ("GET", f"/es/{alias}/mapping", None, 404, "INDEX_UNKNOWN"),
        ("GET", f"/es/{alias}/settings", None, 404, "INDEX_UNKNOWN"),
        ("PATCH", f"/es/{alias}/mapping", {"dynamic": False}, 404, "INDEX_UNKNOWN"),
        ("PATCH", f"/es/{alias}/settings", {"refresh_interval": "2s"}, 404, "INDEX_UNKNOWN"),
    ]
    for method, path, body, status, code in refused:
        answered, answer = await client.send(method, path, json=body)
        assert (answered, answer["code"]) == (status, code), (method, path, answer)
    assert (await client.ok("GET", f"/es/{one}/alias/{alias}"))["data"]["indices"] == [one]
    counted = (await client.ok("DELETE", f"/es/{one}/alias/{alias}?dry_run=true"))["data"]
    assert counted == {"dry_run": True, "affected": 1}
    await client.ok("POST", f"/es/{alias}/query", json={})
    assert (await client.ok("DELETE", f"/es/{one}/alias/{alias}"))["data"] == {"acknowledged": True}
    status, answer = await client.send("POST", f"/es/{alias}/query", json={})
    assert (status, answer["code"]) == (404, "INDEX_UNKNOWN")
    assert await mapping_of(client, one) == MAPPING


@pytest.mark.parametrize("served", ["real"], indirect=True)
async def test_a_filter_of_an_alias_is_not_lost(client: Client, es_url: str) -> None:
    """Made beside this service: it holds, or where parts would have to be asked apart the alias is refused."""
    name = f"metadata-{uuid.uuid4().hex[:12]}"
    try:
        for at, kind in enumerate(("long", "keyword")):
            mappings = {"properties": {"host": {"type": "keyword"}, "n": {"type": kind}}}
            await client.ok("POST", "/es/index", json={"index": f"{name}-{at}", "mappings": mappings})
            rows = [{"host": host, "n": 1} for host in ("mine", "theirs")]
            await client.ok("POST", f"/es/{name}-{at}/docs?refresh=true", json=rows)
        body = {"filter": {"term": {"host": "mine"}}}
        for index, alias in ((f"{name}-0", "one"), (f"{name}-*", "both")):
            async with client.session.put(f"{es_url}/{index}/_alias/{name}-a-{alias}", json=body) as response:
                assert response.status == 200
        found = (await client.ok("POST", f"/es/{name}-a-one/query", json={"select": ["host"]}))["data"]
        assert found == [{"host": "mine"}]
        values = await client.ok("GET", f"/es/{name}-a-one/fields/host/values")
        assert values["data"] == [{"value": "mine", "count": 1}]
        for path in (f"{name}-a-both", f"{name}-a*"):
            status, answer = await client.send("POST", f"/es/{path}/query", json={"select": ["host"]})
            assert (status, answer["code"]) == (422, "UNSUPPORTED"), answer
        assert len((await client.ok("POST", f"/es/{name}-*/query", json={"select": ["host"]}))["data"]) == 4
    finally:
        for at in range(2):
            await client.send("DELETE", f"/es/{name}-{at}")


async def test_embedded_metadata_survives_a_restart(tmp_path: Path) -> None:
    config, context = InstanceConfig("es", "documents", None, str(tmp_path)), RequestContext()
    store = cast(DocumentStore, open_backend("embedded", config))
    for index in ("one", "two"):
        await store.create_index(index, {}, MAPPING, context)
        await store.add_alias(index, "both", context)
    await store.change_mapping("one", {"properties": {"zone": {"type": "keyword"}}}, context)
    await store.change_settings("one", {"max_result_window": 30_000}, context)
    await store.bulk("one", [Document(b'{"zone": "z"}', "x")], True, context)
    await store.delete_index("two", context)
    await store.close()
    store = cast(DocumentStore, open_backend("embedded", config))
    assert await store.aliases(context) == {"both": ("one",)}
    assert (await store.describe_index("one", context))["settings"] == {"max_result_window": 30_000}
    table = await store.table(SourceRef("es", ("both",)), context)
    assert "zone" in table.fields
    assert table.rows == 1
    found = await store.search("both", {"query": {"term": {"zone": "z"}}}, context)
    assert [hit["_id"] for hit in found["hits"]["hits"]] == ["x"]
    await store.close()


async def test_bad_names_never_reach_the_store(served: tuple[Client, RecordingProxy]) -> None:
    """T1, T2, T3: of the index and of the alias alike."""
    client, es = served
    es.clear()
    for name in BAD_INDEX_NAMES:
        path = quote(name, safe="").replace(".", "%2E")
        tries: list[tuple[str, str, Any]] = [
            ("GET", f"/es/index/{path}/mapping", None),
            ("PATCH", f"/es/index/{path}/mapping", {"dynamic": True}),
            ("GET", f"/es/index/{path}/settings", None),
            ("PATCH", f"/es/index/{path}/settings", {"refresh_interval": "1s"}),
            ("GET", f"/es/index/{path}/alias/a", None),
            ("PUT", f"/es/index/{path}/alias/a", None),
            ("DELETE", f"/es/index/{path}/alias/a", None),
            ("GET", f"/es/a/alias/{path}", None),
            ("PUT", f"/es/a/alias/{path}", None),
            ("DELETE", f"/es/a/alias/{path}", None),
            ("DELETE", f"/es/a/alias/{path}?dry_run=true", None),
        ]
        if "*" not in name:
            tries += [
                ("GET", f"/es/index/{path}/fields", None),
                ("GET", f"/es/index/{path}/fields/a/values", None),
            ]
        for method, target, body in tries:
            status, answer = await client.send(method, target, json=body)
            assert 400 <= status < 500, (method, target, answer)
            assert answer["result"] is False
    assert es.received == b""
