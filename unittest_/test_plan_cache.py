"""Bodies that come again are planned once, and never with what has changed meanwhile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from apps import pipeline, queries
from parser.json_body import parse_body
from unittest_.live import service


async def test_a_body_is_planned_once_until_its_table_changes(tmp_path: Path, monkeypatch: Any) -> None:
    planned: list[object] = []
    parsed: list[object] = []
    plan_of = pipeline.plan_of

    def counted(*arguments: Any) -> pipeline.Prepared:
        planned.append(arguments[0])
        return plan_of(*arguments)

    def noted(*arguments: Any) -> Any:
        parsed.append(arguments)
        return parse_body(*arguments)

    monkeypatch.setattr(pipeline, "plan_of", counted)
    monkeypatch.setattr(queries, "parse_body", noted)
    async with service(tmp_path) as client:
        await client.ok("POST", "/es/index", json={"index": "a"})
        await client.ok("POST", "/es/a/docs?refresh=true", json=[{"n": 1}, {"n": 2}])
        body = {"where": {"field": "n", "op": "gt", "value": 1}, "select": ["n"]}
        for _ in range(3):
            assert (await client.ok("POST", "/es/a/query", json=body))["data"] == [{"n": 2}]
        assert (len(parsed), len(planned)) == (1, 1)
        assert (await client.ok("POST", "/mix/query", json=body | {"from": {"source": "es", "index": "a"}}))["data"]
        assert (len(parsed), len(planned)) == (2, 2)
        # The field becomes multi-valued, so that the same body means another plan.
        await client.ok("POST", "/es/a/docs?refresh=true", json=[{"n": [0, 5]}])
        rows = (await client.ok("POST", "/es/a/query", json=body))["data"]
        assert sorted(row["n"] for row in rows) == [[0, 5], [2]]
        assert (len(parsed), len(planned)) == (2, 3)


async def test_now_is_never_remembered(tmp_path: Path) -> None:
    async with service(tmp_path) as client:
        await client.ok("PUT", "/influx/db/d")
        body = {"time_range": {"from": "now-1h", "to": "now"}, "select": ["v"]}
        await client.ok("PUT", "/influx/d/m", json={"time": "2020-01-01T00:00:00Z", "fields": {"v": 0}})
        assert (await client.ok("POST", "/influx/d/m/query", json=body))["data"] == []
        await client.ok("PUT", "/influx/d/m", json={"fields": {"v": 1}})
        assert (await client.ok("POST", "/influx/d/m/query", json=body))["data"] == [{"v": 1}]


async def test_faults_are_told_again(tmp_path: Path) -> None:
    async with service(tmp_path) as client:
        for _ in range(2):
            status, answer = await client.send("POST", "/mix/query", json={"limit": 0})
            assert status == 422
            assert answer["errors"]
