"""Saved queries: bodies with typed parameters, checked when they are put and again when they run."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from apps.demo import load_demo
from config.limits import LimitsSettings
from libs.errors import RequestError
from parser.json_body import parse_body
from parser.saved_body import fill, parse_saved
from unittest_.live import Client, service

FROM = {"source": "es", "index": "access"}
BY_STATUS = {
    "parameters": {
        "hosts": {"type": "string", "many": True, "default": ["web-1"]},
        "least": {"type": "int64", "default": 200, "description": "The least status."},
        "since": {"type": "timestamp", "default": "now-1d"},
        "top": {"type": "int64", "default": 100},
    },
    "max_age": "30s",
    "from": FROM,
    "time_range": {"from": {"param": "since"}},
    "where": {
        "and": [
            {"field": "host", "op": "in", "value": {"param": "hosts"}},
            {"field": "status", "op": "gte", "value": {"param": "least"}},
        ]
    },
    "group_by": ["status"],
    "select": [{"agg": "count", "as": "requests"}],
    "limit": {"param": "top"},
}


def saved(parameters: Any, **body: Any) -> bytes:
    return json.dumps({"parameters": parameters, "from": FROM, **body}).encode()


def leaf(value: Any, op: str = "eq") -> dict[str, Any]:
    return {"field": "f", "op": op, "value": value}


@pytest.mark.parametrize(
    ("declared", "text", "value"),
    [
        ({"type": "string"}, "a, 'b'", "a, 'b'"),
        ({"type": "string"}, "", ""),
        ({"type": "int64"}, "-9223372036854775808", -(2**63)),
        ({"type": "float64"}, "1e3", 1000.0),
        ({"type": "boolean"}, "true", True),
        ({"type": "timestamp"}, "now-1h/h", "now-1h/h"),
        ({"type": "timestamp"}, "2026-11-22T10:00:00+01:00", "2026-11-22T10:00:00+01:00"),
    ],
)
def test_a_value_is_put_in_as_its_type(declared: Any, text: str, value: Any) -> None:
    query = parse_saved(saved({"v": declared}, where=leaf({"param": "v"})))
    expected = parse_body(json.dumps({"from": FROM, "where": leaf(value)}).encode())
    assert fill(query, {"v": [text]}) == expected
    listed = parse_saved(saved({"v": declared | {"many": True}}, where=leaf({"param": "v"}, "in")))
    expected = parse_body(json.dumps({"from": FROM, "where": leaf([value, value], "in")}).encode())
    assert fill(listed, {"v": [text, text]}) == expected


@pytest.mark.parametrize(
    ("declared", "texts", "code"),
    [
        ({"type": "string"}, ["a" * 1001], "TYPE_MISMATCH"),
        ({"type": "string"}, ["a", "b"], "REQUEST_INVALID"),
        ({"type": "string"}, None, "REQUEST_INVALID"),
        ({"type": "int64"}, ["1.5"], "TYPE_MISMATCH"),
        ({"type": "int64"}, ["9223372036854775808"], "TYPE_MISMATCH"),
        ({"type": "int64"}, ["01"], "TYPE_MISMATCH"),
        ({"type": "float64"}, ["NaN"], "TYPE_MISMATCH"),
        ({"type": "float64"}, ["1e999"], "TYPE_MISMATCH"),
        ({"type": "boolean"}, ["1"], "TYPE_MISMATCH"),
        ({"type": "timestamp"}, ["yesterday"], "TYPE_MISMATCH"),
    ],
)
def test_a_value_of_another_type_is_refused_at_its_parameter(declared: Any, texts: Any, code: str) -> None:
    query = parse_saved(saved({"v": declared}, where=leaf({"param": "v"})))
    with pytest.raises(RequestError) as caught:
        fill(query, {} if texts is None else {"v": texts})
    assert [(issue.code, issue.pointer) for issue in caught.value.issues] == [(code, "query/v")]
    assert caught.value.issues[0].hint


def test_what_a_value_breaks_later_is_told_at_its_parameter() -> None:
    query = parse_saved(saved({"n": {"type": "int64", "default": 5}}, limit={"param": "n"}))
    with pytest.raises(RequestError) as caught:
        fill(query, {"n": ["0"], "m": ["1"]})
    assert [issue.pointer for issue in caught.value.issues] == ["query/m"]
    with pytest.raises(RequestError) as caught:
        fill(query, {"n": ["0"]})
    assert [(issue.code, issue.pointer) for issue in caught.value.issues] == [("LIMIT_INVALID", "query/n")]


def test_a_value_stays_a_value() -> None:
    """A text that looks like a parameter, or like JSON, is a text."""
    query = parse_saved(saved({"v": {"type": "string"}, "w": {"type": "string", "default": "w"}},
                              where={"and": [leaf({"param": "v"}), leaf({"param": "w"})]}))  # fmt: skip
    for text in ('{"param": "w"}', '"}, "limit": 1, "x": {"', "\\"):
        expected = parse_body(json.dumps({"from": FROM, "where": {"and": [leaf(text), leaf("w")]}}).encode())
        assert fill(query, {"v": [text]}) == expected


@pytest.mark.parametrize(
    ("body", "code", "pointer"),
    [
        (b"[]", "BODY_INVALID", ""),
        (b"{", "JSON_INVALID", ""),
        (b'{"from": {"source": "es", "index": "a"}, "limit": 1, "limit": 2}', "DUPLICATE_KEY", "/limit"),
        (b'{"a":' * 300 + b"1" + b"}" * 300, "TOO_DEEP", ""),
        (saved([]), "BODY_INVALID", "/parameters"),
        (saved({"V": {"type": "string"}}), "BODY_INVALID", "/parameters/V"),
        (saved({"shape": {"type": "string"}}), "BODY_INVALID", "/parameters/shape"),
        (saved({"v": {"type": "text"}}), "BODY_INVALID", "/parameters/v/type"),
        (saved({"v": {}}), "BODY_INVALID", "/parameters/v/type"),
        (saved({"v": {"type": "string", "defualt": 1}}), "BODY_INVALID", "/parameters/v/defualt"),
        (saved({"v": {"type": "int64", "default": "1"}}), "TYPE_MISMATCH", "/parameters/v/default"),
        (saved({"v": {"type": "int64", "default": True}}), "TYPE_MISMATCH", "/parameters/v/default"),
        (saved({"v": {"type": "int64", "many": True, "default": 1}}), "TYPE_MISMATCH", "/parameters/v/default"),
        (saved({"v": {"type": "string"}}), "BODY_INVALID", "/parameters/v"),
        (saved({}, where=leaf({"param": "v"})), "BODY_INVALID", "/where/value/param"),
        (saved({"v": {"type": "string"}}, select=[{"param": "v"}]), "BODY_INVALID", "/select/0"),
        (saved({"v": {"type": "string"}}, where={"field": {"param": "v"}, "op": "eq", "value": 1}), "BODY_INVALID",
         "/where/field"),
        (b'{"parameters": {"v": {"type": "string"}}, "from": {"param": "v"}}', "BODY_INVALID", "/from"),
        (saved({"v": {"type": "string"}}, limit={"param": "v"}), "LIMIT_INVALID", "/limit"),
        (saved({}, max_age="long"), "TIME_INVALID", "/max_age"),
        (saved({}, max_age="2d"), "RANGE_INVALID", "/max_age"),
        (saved({}, no_such_member=1), "BODY_INVALID", "/no_such_member"),
    ],
)  # fmt: skip
def test_what_cannot_be_saved_is_refused_at_its_place(body: bytes, code: str, pointer: str) -> None:
    with pytest.raises(RequestError) as caught:
        parse_saved(body)
    assert (code, pointer) in [(issue.code, issue.pointer) for issue in caught.value.issues]


@pytest.fixture(scope="module")
async def client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    async with service(tmp_path_factory.mktemp("saved"), limits=LimitsSettings(saved_queries=3)) as client:
        await load_demo(client.url, hours=2, seed=1)
        yield client


async def send(client: Client, path: str, **headers: str) -> tuple[int, Any, bytes]:
    async with client.session.get(client.url + path, headers=headers) as response:
        return response.status, response.headers, await response.read()


async def test_it_runs_with_its_defaults_and_with_what_is_given(client: Client) -> None:
    status, made = await client.send("PUT", "/mix/saved/by-status", json=BY_STATUS)
    assert (status, made["data"]["version"]) == (201, 1)
    body = {name: member for name, member in BY_STATUS.items() if name not in ("parameters", "max_age")}
    for query, hosts, least, top in (
        ("", ["web-1"], 200, 100),
        ("?hosts=web-2&hosts=web-1&least=400&top=2", ["web-2", "web-1"], 400, 2),
    ):
        where = {
            "and": [{"field": "host", "op": "in", "value": hosts}, {"field": "status", "op": "gte", "value": least}]
        }
        asked = body | {"where": where, "time_range": {"from": "now-1d"}, "limit": top}
        expected = await client.ok("POST", "/mix/query", json=asked)
        found = await client.ok("GET", f"/mix/saved/by-status{query}")
        assert found["data"] == expected["data"]
        assert found["data"] or least > 200
        assert found["columns"] == expected["columns"]
    listed = (await client.ok("GET", "/mix/saved"))["data"]
    assert [(one["name"], one["version"]) for one in listed] == [("by-status", 1)]
    assert listed[0]["query"]["where"] == BY_STATUS["where"]
    status, replaced = await client.send("PUT", "/mix/saved/by-status", json=BY_STATUS | {"max_age": "0s"})
    assert (status, replaced["data"]["version"]) == (200, 2)
    assert (await client.ok("GET", "/mix/saved/by-status/definition"))["data"] == replaced["data"]


async def test_faults_are_told_at_the_parameter(client: Client) -> None:
    await client.ok("PUT", "/mix/saved/by-status", json=BY_STATUS)
    for query, wanted, code, pointer in (
        ("least=many", 422, "TYPE_MISMATCH", "query/least"),
        ("top=0", 422, "LIMIT_INVALID", "query/top"),
        ("since=9999-01-01", 422, "TYPE_MISMATCH", "query/since"),
        ("lest=1", 400, "REQUEST_INVALID", "query/lest"),
        ("shape=round", 400, "REQUEST_INVALID", "query/shape"),
    ):
        status, refused = await client.send("GET", f"/mix/saved/by-status?{query}")
        assert (status, refused["code"], refused["errors"][0]["pointer"]) == (wanted, code, pointer)
    wrong = {
        "parameters": {"v": {"type": "string"}},
        "from": FROM,
        "where": {**leaf({"param": "v"}), "field": "status"},
    }
    await client.ok("PUT", "/mix/saved/wrong", json=wrong)
    status, refused = await client.send("GET", "/mix/saved/wrong?v=x")
    assert (status, refused["code"], refused["errors"][0]["pointer"]) == (422, "TYPE_MISMATCH", "query/v")
    await client.ok("DELETE", "/mix/saved/wrong")
    for method in ("GET", "DELETE"):
        status, refused = await client.send(method, "/mix/saved/wrong")
        assert (status, refused["code"]) == (404, "SAVED_UNKNOWN")
    for name in ("A", "a.b", "a" * 65):
        status, refused = await client.send("PUT", f"/mix/saved/{name}", json=BY_STATUS)
        assert (status, refused["errors"][0]["pointer"]) == (400, "path/saved")


async def test_caches_are_served(client: Client) -> None:
    await client.ok("PUT", "/mix/saved/by-status", json=BY_STATUS)
    path = "/mix/saved/by-status?since=now-1d/d"
    status, headers, body = await send(client, path)
    assert (status, headers["Cache-Control"]) == (200, "private, max-age=30")
    again, same, nothing = await send(client, path, **{"If-None-Match": headers["ETag"]})
    assert (again, same["ETag"], nothing) == (304, headers["ETag"], b"")
    status, other, _ = await send(client, path + "&least=500", **{"If-None-Match": headers["ETag"]})
    assert (status, other["ETag"] == headers["ETag"]) == (200, False)
    status, headers, csv = await send(client, path, Accept="text/csv")
    assert (status, csv.split(b"\r\n")[0]) == (200, b"status,requests")
    assert csv.count(b"\r\n") == len(json.loads(body)["data"]) + 1
    status, headers, _ = await send(client, "/mix/saved/by-status/definition")
    tag = headers["ETag"]
    assert (await send(client, "/mix/saved/by-status/definition", **{"If-None-Match": tag}))[0] == 304
    status, _ = await client.send("PUT", "/mix/saved/by-status", json=BY_STATUS, headers={"If-Match": '"old"'})
    assert status == 412
    status, _ = await client.send("PUT", "/mix/saved/by-status", json=BY_STATUS, headers={"If-Match": tag})
    assert status == 200


async def test_the_document_lists_them_with_their_parameters(client: Client) -> None:
    before = await client.ok("GET", "/openapi.json")
    assert "/mix/saved/for_doc" not in before["paths"]
    await client.ok("PUT", "/mix/saved/for_doc", json=BY_STATUS)
    document = await client.ok("GET", "/openapi.json")
    operation = document["paths"]["/mix/saved/for_doc"]["get"]
    parameters = {one["name"]: one for one in operation["parameters"]}
    assert list(parameters) == ["hosts", "least", "since", "top", "shape", "csv_guard", "Prefer", "Idempotency-Key"]
    assert parameters["least"]["schema"] == {"type": "integer", "format": "int64", "default": 200}
    assert parameters["least"]["description"] == "The least status."
    assert parameters["hosts"]["schema"]["type"] == "array"
    ids = [one["operationId"] for item in document["paths"].values() for one in item.values()]
    assert len(ids) == len(set(ids))
    await client.ok("DELETE", "/mix/saved/for_doc")
    assert "/mix/saved/for_doc" not in (await client.ok("GET", "/openapi.json"))["paths"]


async def test_they_are_capped_and_outlive_the_service(tmp_path: Path) -> None:
    body = {"from": {"source": "mix", "lookup": "t"}}
    async with service(tmp_path, limits=LimitsSettings(saved_queries=2)) as client:
        await client.ok("PUT", "/mix/lookup/t", json=[{"a": 1}])
        for name in ("a", "b"):
            await client.ok("PUT", f"/mix/saved/{name}", json=body)
        status, refused = await client.send("PUT", "/mix/saved/c", json=body)
        assert (status, refused["code"]) == (422, "TOO_MANY_VALUES")
    async with service(tmp_path) as client:
        assert (await client.ok("GET", "/mix/saved/b"))["data"] == [{"a": 1}]
