"""Updates and deletes by filter: the same body has the same outcome on Elasticsearch, on the embedded store and on plain dicts;
what changes meanwhile is never overwritten, and nothing that does not match is touched."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from config.instances import InstanceSettings
from unittest_.conformance.case import Body, leaf
from unittest_.conformance.data import NOW, data_sets
from unittest_.conformance.random_filters import filters, named
from unittest_.live import Client, service
from unittest_.meddling_proxy import MeddlingProxy, meddling
from unittest_.reference.filters import compile_filter

STORES = ("es", "here")
MAPPING = {
    "host": {"type": "keyword"},
    "n": {"type": "short"},
    "f": {"type": "double"},
    "t": {"type": "date"},
    "text": {"type": "text", "fields": {"keyword": {"type": "keyword"}}},
    "lower": {"type": "keyword", "normalizer": "lowercase"},
    "a": {"properties": {"b": {"type": "keyword"}, "c": {"type": "keyword"}}},
    "labels": {"type": "flattened"},
    "raw": {"type": "object", "enabled": False},
}
H1 = leaf("host", "eq", "h1")
NO_NAMES = (
    "*", "_all", "a*", "a,b", "-a", "a,-b", ".security", ".kibana", "%3Clogs-%7Bnow%2Fd%7D%3E", "cluster:idx", "a%00",
    "a" * 256, "Upper", "%F0%9F%98%80", "%2e%2e", "..%2f", "a%2f..%2fb", "%2E", "%252e", "_bulk",
)  # fmt: skip


@dataclass(frozen=True)
class Stores:
    client: Client
    proxy: MeddlingProxy
    direct: str
    prefix: str

    async def index(self, store: str, name: str, documents: list[Body], mapping: Body | None = None) -> str:
        made = f"{self.prefix}-{name}"
        body = {"index": made, "mappings": {"properties": mapping or MAPPING}}
        await self.client.ok("POST", f"/{store}/index", json=body)
        if documents:
            await self.client.ok("POST", f"/{store}/{made}/docs?refresh=true", json=documents)
        return made

    async def change(self, store: str, index: str, what: str, body: Body, query: str = "") -> tuple[int, Any]:
        return await self.client.send("POST", f"/{store}/{index}/docs/{what}?refresh=true{query}", json=body)

    async def rows(self, store: str, index: str, where: Body | None = None) -> dict[str, Body]:
        body: Body = {"limit": 10_000} | ({"where": where} if where else {})
        answer = await self.client.ok("POST", f"/{store}/{index}/query", json=body)
        return {row["_id"]: row for row in answer["data"]}

    async def behind(self, method: str, path: str, body: Any = None) -> Any:
        """What another client does to Elasticsearch itself."""
        async with self.client.session.request(method, self.direct + path, json=body) as response:
            assert response.status < 300, await response.text()
            return await response.json()


@pytest.fixture(scope="module")
async def stores(es_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stores]:
    here = {"here": InstanceSettings(kind="documents")}
    folder = tmp_path_factory.mktemp("by_filter")
    async with meddling(es_url) as proxy, service(folder, es_url=proxy.url, instances=here) as client:
        made = Stores(client, proxy, es_url, f"byfilter-{uuid.uuid4().hex[:8]}")
        try:
            yield made
        finally:
            for one in await client.ok("GET", "/es/index"):
                if one["index"].startswith(made.prefix):
                    await client.ok("DELETE", f"/es/{one['index']}")


def hosts(count: int) -> list[Body]:
    return [{"_id": str(at), "host": f"h{at % 3}", "n": at} for at in range(count)]


_marks = count(1)


def _property(name: str, examples: int) -> Any:
    """Each random filter sets a mark of its own: the documents that have it are the reference's, all else is as it was."""
    data = data_sets()[name]
    table = data.tables["documents"]
    plain = {field: spec for field, spec in table.fields.items() if spec.type != "timestamp"}
    names = named(replace(table, fields=plain), {})
    mapping = {**data.properties, "mark": {"type": "long"}, "deep": {"properties": {"mark": {"type": "keyword"}}}}
    documents = [{"_id": identifier, **source} for identifier, source in data.documents]
    held: dict[str, tuple[str, dict[str, Body]]] = {}

    async def check(store: str, where: Body, wanted: set[str], mark: int, stores: Stores) -> None:
        if store not in held:
            index = await stores.index(store, f"random-{name}", documents, mapping)
            held[store] = index, _unmarked(await stores.rows(store, index))
        index, before = held[store]
        body = {"where": where, "set": {"mark": mark, "deep.mark": f"m{mark}"}}
        status, told = await stores.change(store, index, "update", body)
        assert (status, told["matched"], told["updated"]) == (200, len(wanted), len(wanted)), (store, where, told)
        after = await stores.rows(store, index)
        assert {one for one, row in after.items() if row["mark"] == mark} == wanted, (store, where)
        assert _unmarked(after) == before, (store, where)

    @settings(
        max_examples=examples, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
    )
    @given(where=filters(names))
    async def test(where: Body, stores: Stores) -> None:
        mark = next(_marks)
        wanted = {row["_id"] for row in table.rows if compile_filter(where, table.fields, NOW)(row)}
        await asyncio.gather(*(check(store, where, wanted, mark, stores) for store in STORES))

    return test


def _unmarked(rows: dict[str, Body]) -> dict[str, Body]:
    marks = ("mark", "deep.mark")
    return {one: {name: cell for name, cell in row.items() if name not in marks} for one, row in rows.items()}


test_random_filters_over_lists = _property("lists", 6)
test_random_filters_over_coerced_values = _property("coerced", 6)


async def test_what_matches_is_deleted_and_nothing_else(stores: Stores) -> None:
    for store in STORES:
        index = await stores.index(store, f"delete-{store}", hosts(40))
        model = {str(at): f"h{at % 3}" for at in range(40)}
        cases: list[tuple[Body, str, int]] = [
            ({"and": [H1, leaf("n", "lt", 20)]}, "h1", 20),
            ({"not": {"or": [H1, leaf("host", "regex", "^h[0]$")]}}, "h2", 40),
            (leaf("host", "ilike", "H0"), "h0", 40),
        ]
        for where, chosen, below in cases:
            gone = {one for one, host in model.items() if host == chosen and int(one) < below}
            status, told = await stores.change(store, index, "delete", {"where": where})
            assert (status, told["deleted"], told["complete"]) == (200, len(gone), True)
            model = {one: host for one, host in model.items() if one not in gone}
            assert set(await stores.rows(store, index)) == set(model)
        status, told = await stores.change(store, index, "delete", {"all": True}, f"&max_affected={len(model)}")
        assert (status, told["deleted"]) == (200, len(model))
        assert not await stores.rows(store, index)


async def test_what_is_set_stands_once_and_all_else_stays_as_it_was_written(stores: Stores) -> None:
    documents: list[Body] = [
        {"_id": "1", "host": "h1", "a.b": "x", "a": {"c": "y"}, "labels": {"old": 1}},
        {"_id": "2", "host": "h1", "a": {"b": "x"}, "n": 1},
        {"_id": "3", "host": "h1", "a": None, "t": "2026-11-22T10:00:00Z"},
        {"_id": "4", "host": "h1", "a": [{"b": "x"}, {"b": "z"}]},
        {"_id": "5", "host": "h2", "a": {"b": "x"}},
    ]
    for store in STORES:
        index = await stores.index(store, f"set-{store}", documents)
        raw = '[{"_id": "6", "host": "h1", "raw": {"big": 12345678901234567890123, "price": 1.10, "é": "\\u00e9"}}]'
        await stores.client.ok("POST", f"/{store}/{index}/docs?refresh=true", data=raw, headers=_JSON)
        values: Body = {
            "a.b": "new", "n": 7, "f": 2, "t": None, "labels": {"new": [1, {"x": True}]}, "text": ["One", "two"]
        }  # fmt: skip
        status, told = await stores.change(store, index, "update", {"where": H1, "set": values})
        assert (status, told["matched"], told["updated"], told["failed"]) == (207, 5, 4, 1), (store, told)
        assert told["failures"][0]["id"] == "4"
        assert told["failures"][0]["code"] == "VALUE_INVALID"
        rows = await stores.rows(store, index)
        for identifier in "1236":
            row = rows[identifier]
            assert (_only(row["a.b"]), row["n"], row["f"], row["t"]) == ("new", 7, 2.0, None), (store, row)
            assert row["labels"] == {"new": [1, {"x": True}]}
            assert row["text"] == ["One", "two"]
        assert _only(rows["1"]["a.c"]) == "y"
        assert (_only(rows["5"]["a.b"]), rows["5"]["n"], rows["5"]["labels"]) == ("x", None, None)
        again = await stores.change(store, index, "update", {"where": leaf("_id", "ne", "4"), "set": {"a.b": "new"}})
        assert (again[1]["updated"], again[1]["unchanged"]) == (1, 4)
        found = await stores.client.session.get(f"{stores.client.url}/{store}/{index}/doc/6")
        text = await found.text()
        assert "12345678901234567890123" in text
        assert "1.10" in text


_JSON = {"content-type": "application/json"}


def _only(value: Any) -> Any:
    """The one value of a field that is a list elsewhere."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


async def test_what_is_wrong_is_said_before_anything_changes(stores: Stores) -> None:
    for store in STORES:
        index = await stores.index(store, f"wrong-{store}", hosts(6))
        before = await stores.rows(store, index)
        stores.proxy.clear()
        given = {
            "n": 40_000, "f": "x", "t": "now", "host": 5, "nope": 1, "_id": "7", "text.keyword": "x", "a.b": [1, "x"],
        }  # fmt: skip
        for body, pointers in (
            ({"where": H1, "set": given}, [f"/set/{name}" for name in given if name != "a.b"] + ["/set/a.b/0"]),
            ({"where": leaf("nope", "eq", 1), "set": {"n": "x"}}, ["/where/field", "/set/n"]),
            ({"where": leaf("n", "eq", "x"), "set": {"n": 1}}, ["/where/value"]),
            ({"where": H1, "set": {}}, ["/set"]),
            ({"where": H1, "set": [1]}, ["/set"]),
            ({"where": H1}, ["/set"]),
            ({"where": H1, "set": {"n": 1}, "limit": 5}, ["/limit"]),
            ({"set": {"n": 1}}, ["/where"]),
            ({"where": {}, "set": {"n": 1}}, ["/where"]),
            ({"all": False, "set": {"n": 1}}, ["/where"]),
            ({"all": True, "where": H1, "set": {"n": 1}}, ["/all"]),
            ({"all": 1, "where": H1, "set": {"n": 1}}, ["/all"]),
            ({"where": None, "set": {"n": 1}}, ["/where"]),
        ):  # fmt: skip
            status, told = await stores.change(store, index, "update", body)
            assert status == 422, (store, body, told)
            assert sorted(issue["pointer"] for issue in told["errors"]) == sorted(pointers), (store, body)
        for query in ("&max_affected=-1", "&max_affected=x", "&timeout=soon", "&dry_run=maybe", "&other=1"):
            status, _ = await stores.change(store, index, "delete", {"where": H1}, query)
            assert status in (400, 422), query
        counted = await stores.change(store, index, "update", {"where": H1, "set": {"n": 9}}, "&dry_run=true")
        assert counted == (200, {"dry_run": True, "affected": 2})
        status, told = await stores.change(store, index, "update", {"where": H1, "set": {"n": 9}}, "&max_affected=1")
        assert (status, told["code"]) == (422, "TOO_MANY_AFFECTED")
        assert "2 match" in told["message"]
        twice = await stores.client.send(
            "POST", f"/{store}/{index}/docs/delete", data='{"all": true, "all": true}', headers=_JSON
        )
        assert (twice[0], twice[1]["code"]) == (400, "DUPLICATE_KEY")
        assert b"_bulk" not in stores.proxy.received
        assert await stores.rows(store, index) == before


async def test_names_that_are_no_index_reach_no_store(stores: Stores) -> None:
    """T1, T2, T3."""
    stores.proxy.clear()
    for store in STORES:
        for name in NO_NAMES:
            for what, body in (("update", {"all": True, "set": {"n": 1}}), ("delete", {"all": True})):
                path = f"/{store}/{name}/docs/{what}"
                status, told = await stores.client.send("POST", path, json=body)
                assert 400 <= status < 500, (path, told)
    assert stores.proxy.received == b""


async def test_an_alias_of_several_indices_is_refused(stores: Stores) -> None:
    for store in STORES:
        names = [await stores.index(store, f"part{at}-{store}", hosts(3)) for at in (1, 2)]
        alias = f"{stores.prefix}-both-{store}"
        await stores.client.ok("PUT", f"/{store}/{names[0]}/alias/{alias}")
        status, told = await stores.change(store, alias, "update", {"where": H1, "set": {"n": 5}})
        assert (status, told["updated"]) == (200, 1)
        await stores.client.ok("PUT", f"/{store}/{names[1]}/alias/{alias}")
        for query in ("", "&dry_run=true"):
            status, told = await stores.change(store, alias, "delete", {"where": H1}, query)
            assert (status, told["code"]) == (422, "UNSUPPORTED")
        assert [len(await stores.rows(store, name)) for name in names] == [3, 3]


async def test_an_entity_tag_is_another_behind_it(stores: Stores) -> None:
    for store in STORES:
        index = await stores.index(store, f"etag-{store}", hosts(3))
        path = f"{stores.client.url}/{store}/{index}/doc/1"
        tag = (await stores.client.session.get(path)).headers["etag"]
        await stores.change(store, index, "update", {"where": H1, "set": {"n": 5}})
        refused = await stores.client.session.put(path, json={"host": "mine"}, headers={"If-Match": tag})
        assert refused.status == 412
        assert (await stores.client.session.get(path)).headers["etag"] != tag
