"""One document by its id over HTTP, on the embedded store and on a real Elasticsearch: conditions, patches, ids, refusals."""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from unittest_.document_service import STORES, Documents, documents
from unittest_.live import Client
from unittest_.recording_proxy import RecordingProxy

Running = tuple[Client, RecordingProxy]
ODD_IDS = [
    "a/b c?#%", "%2e%2e", "...", ".a", "a..b", " ", "a\\b", '"', "'", "*", "_all", "<logs-{now/d}>", "a,b", "-a", "+", "a&b=c",
    "\U0001f600", "é" * 256, "x" * 512, "\u2028", "_doc", "a//b", "ſ", "\u200b", "﷽", "e\u0301", "~", "|", "[1]",
]  # fmt: skip
BAD_PATHS = [
    ".", "..", "%2e%2e", "%2E.", "..%2f", "a%2F..%2Fb", "%2e", "a%2f%2e", "%5c..%5cb", "%EF%BC%8E%EF%BC%8E", "", "%00", "a%0Ab",
    "%7f", "%C2%85", "x" * 513, "%C3%A9" * 257, "%ff", "%zz",
]  # fmt: skip


@pytest.fixture(scope="module")
async def running(es_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    async with documents(tmp_path_factory.mktemp("documents"), es_url) as found:
        yield found


@pytest.fixture
async def held(running: Running) -> AsyncIterator[Documents]:
    found = Documents(*running)
    await found.make()
    yield found
    await found.drop()


@pytest.mark.parametrize("store", STORES)
async def test_a_document_lives_and_dies(held: Documents, store: str) -> None:
    index = held.index
    assert (await held.send("GET", store, "a"))[:2] == (404, "DOCUMENT_UNKNOWN")
    status, made, first = await held.send("PUT", store, "a", {"n": 1, "host": "web-1"})
    assert (status, made) == (201, {"_index": index, "_id": "a", "_version": 1, "result": "created"})
    status, found, tag = await held.send("GET", store, "a")
    source = {"n": 1, "host": "web-1"}
    assert (status, tag) == (200, first)
    assert found == {"_index": index, "_id": "a", "_version": 1, "found": True, "_source": source}
    assert await held.send("HEAD", store, "a") == (200, None, first)
    assert first is not None
    assert first.startswith('"')
    assert await held.send("GET", store, "a", if_none_match=first) == (304, None, first)
    assert (await held.send("GET", store, "a", if_none_match='"other"'))[0] == 200

    status, changed, second = await held.send("PUT", store, "a", {"n": 2}, if_match=first)
    assert (status, changed["result"], changed["_version"]) == (200, "updated", 2)
    assert second not in (None, first)
    assert (await held.send("GET", store, "a", if_none_match=first))[1]["_source"] == {"n": 2}
    status, gone, tag = await held.send("DELETE", store, "a", if_match=str(second))
    assert (status, gone) == (200, {"_index": index, "_id": "a", "_version": 3, "result": "deleted"})
    assert tag is None
    for method, body in (("GET", None), ("HEAD", None), ("PATCH", {}), ("DELETE", None)):
        assert (await held.send(method, store, "a", body))[0] == 404, method
    assert (await held.raw("PUT", f"/{store}/index/{index}/doc/a", {"n": 9}, {}))[0] == 201
    assert (await held.raw("GET", f"/{store}/index/{index}/doc/a", None, {}))[1]["_source"] == {"n": 9}


@pytest.mark.parametrize("store", STORES)
async def test_conditions(held: Documents, store: str) -> None:
    failed = (412, "PRECONDITION_FAILED")
    assert (await held.send("PUT", store, "a", {"n": 1}, if_match="*"))[:2] == failed
    assert (await held.send("PUT", store, "a", {"n": 1}, if_match='"MCAxIHg"'))[:2] == failed
    status, _, first = await held.send("PUT", store, "a", {"n": 1}, if_none_match="*")
    assert status == 201
    assert (await held.send("PUT", store, "a", {"n": 2}, if_none_match="*"))[:2] == failed
    assert (await held.send("PUT", store, "a", {"n": 2}, if_none_match=str(first)))[:2] == failed
    assert (await held.send("PATCH", store, "a", {"n": 2}, if_none_match="*"))[:2] == failed
    for wrong in ('"x"', "x", '""', '"', "", f"{first}x", '"x", "y"'):
        for method, body in (("PUT", {"n": 2}), ("PATCH", {"n": 2}), ("DELETE", None)):
            assert (await held.send(method, store, "a", body, if_match=wrong))[:2] == failed, (method, wrong)
        assert (await held.send("DELETE", store, "a", query="?dry_run=true", if_match=wrong))[:2] == failed
    assert (await held.send("GET", store, "a"))[1]["_source"] == {"n": 1}
    status, _, second = await held.send("PATCH", store, "a", {"n": 2}, if_match=f'"x", {first}')
    assert status == 200
    status, _, third = await held.send(
        "PUT", store, "a", {"n": 3}, if_match=f"W/{second}"
    )  # as a gateway that packs has it
    assert status == 200
    assert (await held.send("PUT", store, "a", {"n": 4}, if_match="*"))[0] == 200
    assert (await held.send("PUT", store, "a", {"n": 5}, if_match=str(third)))[:2] == failed
    assert (await held.send("PUT", store, "a", {"n": 5}, if_none_match=str(third)))[0] == 200
    # Without the condition it would be a 404, so that is told.
    for method, body in (("PATCH", {"n": 2}), ("DELETE", None)):
        assert (await held.send(method, store, "b", body, if_match=str(third)))[:2] == (404, "DOCUMENT_UNKNOWN")


@pytest.mark.parametrize("store", STORES)
async def test_an_index_made_anew_shares_no_tag_with_the_old_one(held: Documents, store: str) -> None:
    tag = str((await held.send("PUT", store, "a", {"n": 1}))[2])
    await held.drop()
    await held.make()
    assert (await held.send("PUT", store, "a", {"n": 2}))[0] == 201
    assert (await held.send("GET", store, "a", if_none_match=tag))[0] == 200
    for method, body in (("PUT", {"n": 3}), ("PATCH", {"n": 3}), ("DELETE", None)):
        assert (await held.send(method, store, "a", body, if_match=tag))[:2] == (412, "PRECONDITION_FAILED")
    assert (await held.send("GET", store, "a"))[1]["_source"] == {"n": 2}


@pytest.mark.parametrize("store", STORES)
async def test_patches(held: Documents, store: str) -> None:
    source = {
        "n": 1,
        "o": {"a": 1, "b": {"c": [1, {"x": 1}]}},
        "tags": ["x", "y"],
        "kept": {"big": 2**90 + 1, "f": 1.5},
    }
    await held.send("PUT", store, "a", source)
    steps: list[tuple[Any, Any]] = [
        ({"o": {"b": {"d": None}}}, {"o": {"a": 1, "b": {"c": [1, {"x": 1}], "d": None}}}),
        ({"o": {"b": {"c": [{"y": 2}]}}}, {"o": {"a": 1, "b": {"c": [{"y": 2}], "d": None}}}),
        ({"tags": "z"}, {"tags": "z"}),
        ({"tags": []}, {"tags": []}),
        ({"n": None, "host": "h"}, {"n": None, "host": "h"}),
        ({"o": None}, {"o": None}),
        ({"o": {"a.b": 1}}, {"o": {"a.b": 1}}),
        ({"n": 7, "Ünï": "\U0001f600"}, {"n": 7, "Ünï": "\U0001f600"}),
    ]
    version = 1
    for patch, members in steps:
        status, answer, tag = await held.send("PATCH", store, "a", patch)
        source, version = source | members, version + 1
        assert (status, answer["result"], answer["_version"]) == (200, "updated", version), patch
        found = await held.send("GET", store, "a")
        assert (found[1]["_source"], found[2]) == (source, tag)
        unchanged: list[Any] = [patch, {}]
        for nothing in unchanged:
            status, answer, same = await held.send("PATCH", store, "a", nothing)
            assert (status, answer["result"], answer["_version"], same) == (200, "noop", version, tag)
    assert (await held.send("PATCH", store, "a", {"n": 7.0}))[1]["result"] == "updated"


@pytest.mark.parametrize("store", STORES)
async def test_what_does_not_fit_changes_nothing(held: Documents, store: str) -> None:
    _, _, tag = await held.send("PUT", store, "a", {"n": 1})
    schema = await held.client.ok("GET", f"/{store}/{held.index}/schema")
    bodies: list[tuple[Any, int, str]] = [
        ({"fresh": 1, "n": "x"}, 422, "VALUE_INVALID"),
        ({"n": {"a": 1}}, 422, "VALUE_INVALID"),
        ({"at": "yesterday"}, 422, "VALUE_INVALID"),
        ({"n": 2**63}, 422, "VALUE_INVALID"),
        ({"": 1}, 422, "VALUE_INVALID"),
        ({"_id": "b"}, 422, "VALUE_INVALID"),
        ({"_id": 1}, 422, "VALUE_INVALID"),
        ({"_seq_no": 1}, 422, "VALUE_INVALID"),
        ([{"n": 1}], 422, "VALUE_INVALID"),
        (b'{"n": 1, "n": 2}', 422, "VALUE_INVALID"),
        (b'{"n": 1', 400, "JSON_INVALID"),
        (b'{"n": NaN}', 400, "JSON_INVALID"),
        (b'{"n": 1}\n{"n": 2}', 400, "JSON_INVALID"),
        (b'{"n": 1}}\n{"delete":{"_id":"a"}}', 400, "JSON_INVALID"),
        (b"", 422, "BODY_INVALID"),
    ]
    for body, status, code in bodies:
        for method in ("PUT", "PATCH"):
            found = await held.send(method, store, "a", body)
            assert found[:2] == (status, code), (method, body, found)
    assert await held.send("PUT", store, "new", {"n": "x"}, if_none_match="*") == (422, "VALUE_INVALID", None)
    assert (await held.send("PUT", store, "a", {"n": 2}, query="?refersh=true"))[0] == 400
    assert (await held.send("GET", store, "new"))[0] == 404
    status, found, same = await held.send("GET", store, "a")
    assert (found["_source"], same) == ({"n": 1}, tag)
    assert (await held.client.ok("GET", f"/{store}/{held.index}/schema"))["data"] == schema["data"]
    assert (await held.send("PUT", store, "a", {"_id": "a", "n": 5}))[0] == 200
    assert (await held.send("PATCH", store, "a", b'{\r\n "host": "h",\n "_id": "a"\n}'))[0] == 200
    assert (await held.send("GET", store, "a"))[1]["_source"] == {"n": 5, "host": "h"}


@pytest.mark.parametrize("store", STORES)
async def test_a_source_keeps_its_own_text(held: Documents, store: str) -> None:
    text = b'{"n": 1, "kept": {"x": 1.10, "long": 123456789012345678901234567890},\n "u": "\\u00e9"}'
    assert (await held.send("PUT", store, "a", text))[0] == 201
    async with held.client.session.get(held.client.url + held.path(store, "a")) as response:
        body = await response.read()
    assert b'"long": 123456789012345678901234567890' in body
    assert b'"x": 1.10' in body
    assert json.loads(body)["_source"] == json.loads(text)


@pytest.mark.parametrize("store", STORES)
async def test_odd_ids_come_back_as_they_were(held: Documents, store: str) -> None:
    for at, identifier in enumerate(ODD_IDS):
        status, answer, _ = await held.send("PUT", store, identifier, {"n": at})
        assert (status, answer["_id"]) == (201, identifier)
    for at, identifier in enumerate(ODD_IDS):
        _, found, _ = await held.send("GET", store, identifier)
        assert (found["_id"], found["_source"]) == (identifier, {"n": at})
    answer = await held.client.ok("DELETE", f"/{store}/{held.index}?dry_run=true")
    assert answer == {"dry_run": True, "affected": len(ODD_IDS)}
    for identifier in ODD_IDS:
        assert (await held.send("DELETE", store, identifier))[0] == 200
    assert (await held.client.ok("DELETE", f"/{store}/{held.index}?dry_run=true"))["affected"] == 0


@pytest.mark.parametrize("store", STORES)
async def test_bad_ids_and_indices_never_reach_the_store(held: Documents, store: str) -> None:
    held.proxy.clear()
    commits = held.commits
    for path in BAD_PATHS:
        for method, body in (("GET", None), ("PUT", {"n": 1}), ("PATCH", {"n": 1}), ("DELETE", None)):
            whole = f"/{store}/{held.index}/doc/{path}"
            status, code, _ = await held.raw(method, whole, body, {})
            assert status in (400, 404), (method, path, status)
            assert code in ("NAME_INVALID", "ROUTE_UNKNOWN", "REQUEST_INVALID"), (method, path, code)
    for index in ("*", "_all", "a,b", "-a", ".security", "%3Clogs-%7Bnow%2Fd%7D%3E", "A", "a%2F..%2Fb"):
        for method, body in (("GET", None), ("PUT", {"n": 1}), ("PATCH", {"n": 1}), ("DELETE", None)):
            found = await held.raw(method, f"/{store}/{index}/doc/a", body, {})
            assert found[:2] == (400, "NAME_INVALID"), (method, index, found)
    assert held.proxy.received == b""
    assert held.commits == commits


@pytest.mark.parametrize("store", STORES)
async def test_unknown_indices_stay_unknown(held: Documents, store: str) -> None:
    name = f"{held.index}-none"
    for method, body in (("GET", None), ("PUT", {"n": 1}), ("PATCH", {"n": 1}), ("DELETE", None)):
        assert (await held.raw(method, f"/{store}/{name}/doc/a", body, {}))[:2] == (404, "INDEX_UNKNOWN"), method
    for path in (f"/{store}/{name}?dry_run=true", f"/{store}/index?index={name}&dry_run=true"):
        assert (await held.raw("DELETE", path, None, {}))[:2] == (404, "INDEX_UNKNOWN")
    assert name not in [entry["index"] for entry in await held.client.ok("GET", f"/{store}/index")]


@pytest.mark.parametrize("store", STORES)
async def test_aliases(held: Documents, store: str) -> None:
    one, both = f"{held.index}-one", f"{held.index}-both"
    other = f"{held.index}-x"
    await held.client.ok("POST", f"/{store}/index", json={"index": other})
    for index, alias in ((held.index, one), (held.index, both), (other, both)):
        await held.client.ok("PUT", f"/{store}/{index}/alias/{alias}")
    _, _, tag = await held.raw("PUT", f"/{store}/{one}/doc/a", {"n": 1}, {})
    assert (await held.send("GET", store, "a", if_none_match=str(tag)))[0] == 304
    for method, body in (("GET", None), ("PUT", {"n": 1}), ("PATCH", {"n": 1}), ("DELETE", None)):
        assert (await held.raw(method, f"/{store}/{both}/doc/a", body, {}))[:2] == (422, "UNSUPPORTED"), method
    for query in ("", "?dry_run=true"):
        assert (await held.raw("DELETE", f"/{store}/{one}{query}", None, {}))[:2] == (422, "UNSUPPORTED")
    await held.client.ok("DELETE", f"/{store}/{other}")


@pytest.mark.parametrize("store", STORES)
async def test_dry_runs_change_nothing(held: Documents, store: str) -> None:
    for identifier in "abc":
        await held.send("PUT", store, identifier, {"n": 1})
    counted = {"dry_run": True, "affected": 1}
    assert (await held.send("DELETE", store, "a", query="?dry_run=true"))[:2] == (200, counted)
    assert (await held.send("DELETE", store, "z", query="?dry_run=true"))[:2] == (404, "DOCUMENT_UNKNOWN")
    index = held.index
    for path in (f"/{store}/{index}?", f"/{store}/index/{index}?", f"/{store}/index?index={index}&"):
        assert (await held.raw("DELETE", path + "dry_run=true", None, {}))[:2] == (200, counted | {"affected": 3}), path
        assert (await held.raw("DELETE", path + "dry_run=maybe", None, {}))[0] == 400
    for identifier in "abc":
        assert (await held.send("GET", store, identifier))[0] == 200


@pytest.mark.parametrize("store", STORES)
async def test_queries_see_what_became_of_a_document(held: Documents, store: str) -> None:
    async def seen() -> Any:
        raw = {"field": "note.raw", "op": "eq", "value": "old words"}
        tag = {"field": "tags", "op": "eq", "value": "x"}
        return [
            await held.rows(store, select=["_id", "n", "tags"], order_by=["_id"]),
            await held.rows(store, where={"field": "note", "op": "match", "value": "words"}, select=["_id"]),
            await held.rows(store, where=raw, select=["_id"]),
            await held.rows(store, where=tag, select=["_id"]),
            await held.rows(store, select=[{"agg": "sum", "field": "n", "as": "s"}, {"agg": "count", "as": "c"}]),
            await held.rows(store, group_by=["host"], select=[{"agg": "count", "as": "c"}]),
            await hits(),
            await lines(),
        ]

    async def hits() -> int:
        dsl = {"query": {"prefix": {"note.raw": "old"}}}
        return int((await held.client.ok("GET", f"/{store}/{held.index}", json=dsl))["hits"]["total"]["value"])

    async def lines() -> list[Any]:
        url = f"{held.client.url}/{store}/{held.index}/query"
        accept = {"accept": "application/x-ndjson"}
        async with held.client.session.post(url, json={"select": ["n"]}, headers=accept) as response:
            found = [json.loads(line) for line in (await response.read()).splitlines()]
        return [row for row in found if "n" in row]

    await held.send("PUT", store, "b", {"n": 1, "host": "other"})
    await held.send("PUT", store, "a", {"n": 2, "host": "web", "note": "old words", "tags": "x"}, query="?refresh=true")
    first = await seen()
    assert first[1:4] == [[{"_id": "a"}]] * 3
    assert first[4] == [{"s": 3, "c": 2}]
    assert first[6] == 1
    await held.send("PATCH", store, "a", {"note": "new text", "tags": ["y", "x"], "n": 5}, query="?refresh=true")
    second = await seen()
    assert [row["tags"] for row in second[0] if row["_id"] == "a"] == [["y", "x"]]
    assert second[1:5] == [[], [], [{"_id": "a"}], [{"s": 6, "c": 2}]]
    assert sorted(row["n"] for row in second[7]) == [1, 5]
    await held.send("PUT", store, "a", {"n": 7, "host": "new"}, query="?refresh=true")
    third = await seen()
    assert third[1:5] == [[], [], [], [{"s": 8, "c": 2}]]
    assert sorted(row["host"] for row in third[5]) == ["new", "other"]
    await held.send("DELETE", store, "a", query="?refresh=true")
    assert (await seen())[4:] == [[{"s": 1, "c": 1}], [{"host": "other", "c": 1}], 0, [{"n": 1}]]


@pytest.mark.parametrize("store", STORES)
async def test_fifty_writers_lose_no_update(held: Documents, store: str) -> None:
    """Of the writers that hold one version exactly one succeeds; who has lost knows."""
    _, _, tag = await held.send("PUT", store, "a", {"n": 0})
    for version in range(2, 5):
        methods = ["PUT", "PATCH"] * 25
        random.Random(version).shuffle(methods)
        sent = [
            held.send(method, store, "a", {"n": version * 100 + at}, if_match=str(tag))
            for at, method in enumerate(methods)
        ]
        found = await asyncio.gather(*sent)
        won = [at for at, (status, _, _) in enumerate(found) if status == 200]
        assert len(won) == 1
        assert [answer[:2] for answer in found].count((412, "PRECONDITION_FAILED")) == 49
        tag = found[won[0]][2]
        _, now, same = await held.send("GET", store, "a")
        assert (now["_source"]["n"], now["_version"], same) == (version * 100 + won[0], version, tag)
    deleted = await asyncio.gather(*(held.send("DELETE", store, "a", if_match=str(tag)) for _ in range(20)))
    assert sorted(status for status, _, _ in deleted) == [200] + [404] * 19
    made = await asyncio.gather(*(held.send("PUT", store, "a", {"n": at}, if_none_match="*") for at in range(50)))
    assert sorted(status for status, _, _ in made) == [201] + [412] * 49


@pytest.mark.parametrize("store", STORES)
async def test_counting_by_reading_and_writing_loses_no_step(held: Documents, store: str) -> None:
    await held.send("PUT", store, "a", {"n": 0})

    async def step() -> None:
        for _ in range(2):
            while True:
                _, found, tag = await held.send("GET", store, "a")
                status, _, _ = await held.send("PUT", store, "a", {"n": found["_source"]["n"] + 1}, if_match=str(tag))
                assert status in (200, 412)
                if status == 200:
                    break

    await asyncio.gather(*(step() for _ in range(8)))
    _, found, _ = await held.send("GET", store, "a")
    assert (found["_source"]["n"], found["_version"]) == (16, 17)


@pytest.mark.parametrize("store", STORES)
async def test_patches_without_a_tag_lose_no_members(held: Documents, store: str) -> None:
    await held.send("PUT", store, "a", {"o": {}})
    sent = [held.send("PATCH", store, "a", {"o": {f"m{at}": at}}) for at in range(50)]
    assert {status for status, _, _ in await asyncio.gather(*sent)} == {200}
    _, found, _ = await held.send("GET", store, "a")
    assert (found["_source"], found["_version"]) == ({"o": {f"m{at}": at for at in range(50)}}, 51)


async def test_a_source_that_is_kept_in_part_is_not_patched(held: Documents) -> None:
    """On Elasticsearch alone: a patch would lose what is not in the source."""
    index = f"{held.index}-cut"
    mappings = {"_source": {"excludes": ["secret"]}}
    await held.client.ok("POST", "/real/index", json={"index": index, "mappings": mappings})
    await held.raw("PUT", f"/real/{index}/doc/a", {"n": 1, "secret": "s"}, {})
    assert (await held.raw("PATCH", f"/real/{index}/doc/a", {"n": 2}, {}))[:2] == (422, "UNSUPPORTED")
    assert (await held.raw("GET", f"/real/{index}/doc/a", None, {}))[1]["_source"] == {"n": 1}
    await held.client.ok("DELETE", f"/real/{index}")
    status, answer = await held.client.send("POST", "/es/index", json={"index": index, "mappings": mappings})
    assert (status, answer["code"]) == (422, "MAPPING_INVALID")


PAGE = Path(__file__).parent.parent / "docs" / "documents.md"


@pytest.mark.parametrize("store", STORES)
async def test_the_page_about_documents_is_true(held: Documents, store: str) -> None:
    """Its examples, one after the other; `"…"` is the last ETag."""
    blocks = re.findall(
        r"```http\n(.*?)```", PAGE.read_text().replace("/es/events", f"/{store}/{held.index}"), re.DOTALL
    )
    assert len(blocks) > 12
    last = ""
    for request, expected in zip(blocks[::2], blocks[1::2], strict=True):
        head, _, body = request.partition("\n\n")
        (method, path), *headers = (line.split(" ", 1) for line in head.strip().splitlines())
        given = {name.rstrip(":"): value.replace('"…"', last) for name, value in headers}
        status, answer, tag = await held.raw(method, path, json.loads(body) if body else None, given)
        last = tag or last
        first, _, told = expected.partition("\n\n")
        assert str(status) == first.split()[1], request
        wanted = json.loads(told.replace('"events"', f'"{held.index}"')) if told else None
        assert ({"code": answer} if status >= 400 else answer) == wanted, request
