"""A side of a join or a union that is down: an error that names it, or with `options.partial` the rest, marked."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from apps.pipeline import Services, run
from libs.context import RequestContext
from libs.errors import StoreError
from middlewares.format import page_response
from operator_.engine import Engine
from parser.json_body import parse_body
from query.backend import InstanceConfig, Point
from query.document_store import Document
from query.factory import QueryFactory, open_backend
from unittest_.fault_proxy import Fault, FaultProxy

NEAR = {"source": "near", "index": "logs"}
DOWN = Fault(says=b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")


class Sides:
    """An embedded store, `near`, and a real InfluxDB behind a proxy, `far`."""

    def __init__(self, folder: Path, proxy: FaultProxy) -> None:
        self.proxy = proxy
        self.near: Any = open_backend("embedded", InstanceConfig("near", "documents", None, str(folder / "near")))
        self.far: Any = open_backend("influx", InstanceConfig("far", "series", proxy.url, str(folder / "far")))
        self.engine = Engine(folder / "spill")
        self.services = Services(QueryFactory([self.near, self.far]), self.engine, RequestContext().limits)
        self.db = f"partial-{uuid.uuid4().hex[:8]}"
        self.cpu = {"source": "far", "db": self.db, "measurement": "cpu"}

    async def ask(self, **body: Any) -> dict[str, Any]:
        context = RequestContext(deadline=time.monotonic() + 20)
        page, _ = await run(parse_body(json.dumps(body).encode()), self.services, context)
        decoded: dict[str, Any] = json.loads(page_response(page, context, 0.0, "objects").body or b"")
        return decoded


@pytest.fixture
async def sides(tmp_path: Path, influx_url: str) -> AsyncIterator[Sides]:
    proxy = FaultProxy(influx_url)
    await proxy.start()
    both = Sides(tmp_path, proxy)
    await both.near.create_index("logs", {}, {"properties": {"host": {"type": "keyword"}}}, RequestContext())
    await both.near.bulk(
        "logs", [Document(b'{"host": "a"}', None), Document(b'{"host": "b"}', None)], True, RequestContext()
    )
    await both.far.create_database(both.db, RequestContext())
    await both.far.write(
        both.db, [Point("cpu", {"host": "a"}, {"usage": 1.5}, 1_700_000_000_000_000_000)], RequestContext()
    )
    yield both
    await proxy.heal()
    await both.far.drop_database(both.db, RequestContext())
    await both.far.close()
    await both.near.close()
    both.engine.close()
    await proxy.stop()


def joined(sides: Sides, how: str) -> dict[str, Any]:
    right = {"from": sides.cpu, "group_by": ["host"], "select": [{"agg": "max", "field": "usage", "as": "cpu"}]}
    join = [{"how": how, "as": "m", "with": right, "on": ["host"]}]
    return {"from": NEAR, "group_by": ["host"], "select": [{"agg": "count", "as": "n"}], "join": join}


async def test_a_left_join_keeps_its_rows(sides: Sides) -> None:
    body = joined(sides, "left")
    whole = await sides.ask(**body)
    assert whole["data"] == [{"host": "a", "n": 1, "m.cpu": 1.5}, {"host": "b", "n": 1, "m.cpu": None}]
    assert whole["meta"]["partial"] is False
    await sides.proxy.set(DOWN)
    with pytest.raises(StoreError) as failed:
        await sides.ask(**body)
    assert failed.value.source == "far"
    rest = await sides.ask(**body, options={"partial": True})
    assert rest["columns"] == whole["columns"]
    assert rest["data"] == [{"host": "a", "n": 1, "m.cpu": None}, {"host": "b", "n": 1, "m.cpu": None}]
    assert rest["meta"]["partial"] is True
    assert {one["source"]: one["status"] for one in rest["meta"]["sources"]} == {
        "near": "ok",
        "far": failed.value.code.name,
    }
    assert [one["source"] for one in rest["meta"]["warnings"]] == ["far"]


@pytest.mark.parametrize("how", ["inner", "semi", "anti"])
async def test_what_cannot_be_told_without_a_side_is_an_error(sides: Sides, how: str) -> None:
    body = joined(sides, how)
    await sides.ask(**body)
    await sides.proxy.set(DOWN)
    with pytest.raises(StoreError) as failed:
        await sides.ask(**body, options={"partial": True})
    assert failed.value.source == "far"


async def test_a_left_side_that_is_down_is_an_error(sides: Sides) -> None:
    right = {"from": NEAR, "select": ["host"]}
    body = {"from": sides.cpu, "select": ["host"], "join": [{"how": "left", "as": "m", "with": right, "on": ["host"]}]}
    await sides.ask(**body)
    await sides.proxy.set(DOWN)
    with pytest.raises(StoreError):
        await sides.ask(**body, options={"partial": True})


async def test_a_union_goes_on_without_one(sides: Sides) -> None:
    body = {
        "union": [{"from": NEAR, "select": ["host"]}, {"from": sides.cpu, "select": ["host"]}],
        "order_by": ["host", "source"],
    }
    assert len((await sides.ask(**body))["data"]) == 3
    await sides.proxy.set(DOWN)
    with pytest.raises(StoreError):
        await sides.ask(**body)
    rest = await sides.ask(**body, options={"partial": True})
    assert rest["data"] == [{"host": "a", "source": "near/logs"}, {"host": "b", "source": "near/logs"}]
    assert rest["meta"]["partial"] is True


async def test_a_side_cut_short_is_never_taken_for_the_whole(sides: Sides) -> None:
    body = joined(sides, "left")
    whole = await sides.ask(**body)
    for cut in (1, 40, 150, 200, 300):
        await sides.proxy.set(Fault(cut=cut))
        try:
            answer = await sides.ask(**body, options={"partial": True})
        except StoreError:
            continue
        assert answer["data"] == whole["data"] or answer["meta"]["partial"] is True
