"""A batch: each query has the answer that it alone would have had."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from apps.demo import load_demo
from config.limits import LimitsSettings
from libs.errors import RequestError
from parser.batch_body import parse_batch
from unittest_.live import Client, service

ES = {"source": "es", "index": "access"}
COUNT = {"from": ES, "select": [{"agg": "count", "as": "n"}]}


@pytest.fixture(scope="module")
async def client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    async with service(tmp_path_factory.mktemp("batch"), limits=LimitsSettings(timeout_seconds=20)) as client:
        await load_demo(client.url, hours=1, seed=1)
        yield client


def told(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: answer[name] for name in ("result", "columns", "data")}


async def test_each_is_answered_as_it_would_be_alone(client: Client) -> None:
    bodies = [
        {"from": ES, "group_by": [key], "select": [{"agg": "count", "as": "n"}]} for key in ("host", "status")
    ] * 10
    status, found = await client.send("POST", "/mix/batch", json=bodies)
    assert status == 200
    assert len(found["data"]) == 20
    for body, entry in zip(bodies, found["data"], strict=True):
        assert entry["status"] == 200
        assert told(entry["answer"]) == told(await client.ok("POST", "/mix/query", json=body))


async def test_one_s_fault_is_its_own(client: Client) -> None:
    wrong = {"from": ES, "where": {"field": "nothing", "op": "eq", "value": 1}}
    bodies = [COUNT, wrong, {"from": ES, "limit": 0}, {"from": {"source": "es", "index": "none"}}, {}, COUNT]
    status, found = await client.send("POST", "/mix/batch", json=bodies)
    assert status == 207
    assert [entry["status"] for entry in found["data"]] == [200, 422, 422, 404, 422, 200]
    refused = found["data"][1]["answer"]
    assert (refused["code"], refused["errors"][0]["pointer"]) == ("FIELD_UNKNOWN", "/where/field")
    alone = (await client.send("POST", "/mix/query", json=wrong))[1]
    assert {**refused, "request_id": ""} == {**alone, "request_id": ""}


@pytest.mark.parametrize(
    ("body", "code", "pointer"),
    [
        (b"[", "JSON_INVALID", ""),
        (b"{}", "BODY_INVALID", ""),
        (b"[]", "BODY_INVALID", ""),
        (b"[" + b",".join([b"{}"] * 21) + b"]", "BODY_INVALID", ""),
        (b"[{}, 1]", "BODY_INVALID", "/1"),
        (b'[{"limit": 1, "limit": 2}]', "DUPLICATE_KEY", "/0/limit"),
        (b"[" * 300 + b"]" * 300, "TOO_DEEP", ""),
    ],
)
def test_what_is_no_batch_is_refused(body: bytes, code: str, pointer: str) -> None:
    with pytest.raises(RequestError) as caught:
        parse_batch(body)
    assert [(issue.code, issue.pointer) for issue in caught.value.issues] == [(code, pointer)]


def test_large_integers_stay_exact() -> None:
    assert parse_batch(b'[{"value": 9223372036854775809}]') == [b'{"value": 9223372036854775809}']


async def test_a_shorter_timeout_is_its_own(client: Client) -> None:
    slow = {**COUNT, "options": {"timeout": "1ms"}}
    started = time.monotonic()
    status, found = await client.send("POST", "/mix/batch", json=[slow, COUNT])
    assert status == 207
    assert [entry["status"] for entry in found["data"]] == [504, 200]
    assert time.monotonic() - started < 20


async def test_one_deadline_holds_for_all(tmp_path: Path) -> None:
    async with service(tmp_path, limits=LimitsSettings(timeout_seconds=0.001)) as client:
        status, found = await client.send("POST", "/mix/batch", json=[COUNT] * 20)
        assert status == 207
        assert {entry["answer"]["code"] for entry in found["data"]} <= {"DEADLINE_EXCEEDED", "INDEX_UNKNOWN"}
        assert found["data"][-1]["status"] == 504
