"""The demonstration: what is loaded can be asked, and loading again changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aiohttp
import pytest

from apps.demo import load_demo
from config.settings import Settings
from libs.errors import UnavailableError
from unittest_.running_app import service


async def ask(address: str, path: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    async with aiohttp.ClientSession() as session, session.post(f"{address}/{path}/query", json=body) as answer:
        assert answer.status == 200, await answer.text()
        rows: list[dict[str, Any]] = (await answer.json())["data"]
        return rows


async def test_the_demonstration_loads_what_can_be_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    by_host = {
        "time_range": {"from": "now-6h", "to": "now"},
        "group_by": ["host"],
        "select": [{"agg": "count", "as": "requests"}],
    }
    cpu = {
        "time_range": {"from": "now-1h", "to": "now"},
        "group_by": ["host"],
        "select": [{"agg": "avg", "field": "usage", "as": "cpu"}],
    }
    async with service(Settings(data_dir=tmp_path / "data", log_dir=tmp_path / "logs")) as address:
        await load_demo(address, hours=6, seed=1)
        requests = await ask(address, "es/access", by_host)
        assert {row["host"] for row in requests} == {f"web-{number}" for number in range(1, 7)}
        load = await ask(address, "influx/telegraf/cpu", cpu)
        assert len(load) == 14
        assert all(0 < row["cpu"] <= 100 for row in load)
        hosts = await ask(address, "es/hosts", {"select": ["host", "owner.team"], "limit": 100})
        assert len(hosts) == 14
        capsys.readouterr()
        await load_demo(address, hours=6, seed=1)
        said = capsys.readouterr().err
        assert await ask(address, "es/hosts", {"select": ["host"], "limit": 100}) == [
            {"host": row["host"]} for row in hosts
        ]
    (new,) = [line for line in said.splitlines() if "documents in" in line]
    # A minute may have begun in between.
    assert int(new.split()[0]) < 200


async def test_a_service_that_is_not_there_is_told() -> None:
    with pytest.raises(UnavailableError, match="make run"):
        await load_demo("http://127.0.0.1:1", hours=1, seed=1)
