"""Costs told before running: rows from a count, groups from the values of the keys, buckets from range and width, joined
rows from both; on every store, and the arithmetic of it at the ends of int64."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.pipeline import Prepared, Services, explained, prepare, pull, run
from libs.context import Limits, RequestContext
from libs.errors import CostError, StoreError
from libs.result import INT64, STRING, TIMESTAMP, Batch, Column, Schema
from operator_.engine import Engine
from operator_.foresight import Foresight, ForesightOperator, Remembered
from parser.json_body import parse_body
from query.backend import Capabilities, InstanceConfig, Query
from query.catalog import Field, SourceRef, Table
from query.costs import SLACK, Facts, GroupsDemand, JoinDemand, RowsDemand, demands
from query.factory import QueryFactory, open_backend
from query.forecast import Forecast, forecast
from query.plan import Aggregate, Bounds, BucketKey, CalendarUnit, FieldKey, Fill, Grouping, Plan, Scan
from query.plan_joins import Join, JoinKey
from unittest_.conformance.data import NOW
from unittest_.conformance.mix_stores import DOCS, ES, INFLUX, STORES, MixStores
from unittest_.conformance.stores import StoreId
from unittest_.recording_proxy import recording

DAY = {"from": "2026-11-22T00:00:00Z", "to": "2026-11-23T00:00:00Z"}
COUNT = {"agg": "count", "as": "n"}


# Arithmetic

SOURCE = SourceRef("s", ("t",))
FIELDS = {"host": Field("host", STRING), "rack": Field("rack", STRING), "time": Field("time", TIMESTAMP, "time")}
LOWEST, HIGHEST = -(2**63), 2**63 - 1
counts = st.integers(0, 2**63 - 1)
instants = st.integers(LOWEST, HIGHEST)
widths = st.one_of(st.integers(1, 2**33).map(lambda s: s * 10**9), st.sampled_from(["1d", "1w", "1M", "1y"]))


def scan_of(start: int | None, end: int | None, rows: int | None = None) -> Scan:
    table = Table(SOURCE, "series", FIELDS, "time", rows=rows)
    return Scan(SOURCE, ("time", "host", "rack"), bounds=Bounds("time", start, end), table=table)


def groups_of(scan: Scan, width: int | CalendarUnit, fill: bool = False) -> GroupsDemand:
    bucket = BucketKey("time", width, "t")
    assert scan.bounds is not None
    start, end = scan.bounds.start or 0, scan.bounds.end or 0
    filled = Fill(scan, "null", bucket, ("host",), (), (), start, end) if fill else None
    return GroupsDemand(scan, (FieldKey("host"), FieldKey("rack"), bucket), filled)


@given(instants, instants, widths, counts, counts, counts, instants, instants, st.booleans())
def test_no_range_overflows_or_turns_negative(
    start: int, end: int, width: Any, rows: int, hosts: int, racks: int, first: int, last: int, fill: bool
) -> None:
    demand = groups_of(scan_of(start, end), width, fill)
    facts = Facts(rows, {"host": hosts, "rack": racks}, first=first, last=last, approximate=True)
    found = forecast(demand, {demand.scan: facts}, Limits())
    assert found is not None
    assert 0 <= found.at_least <= found.estimate
    assert json.loads(json.dumps(found.told())) == found.told()
    if found.refused:
        assert str(found.limit) in found.error().message


def test_the_whole_of_int64_in_seconds() -> None:
    demand = groups_of(scan_of(LOWEST, HIGHEST), 10**9, fill=True)
    facts = Facts(2**62, {"host": 2**40, "rack": 2**62})
    found = forecast(demand, {demand.scan: facts}, Limits())
    assert found is not None
    seconds = (HIGHEST - 1) // 10**9 - LOWEST // 10**9 + 1
    assert found.at_least == 2**62 * seconds > 2**64
    assert found.refused
    unfilled = forecast(replace(demand, fill=None), {demand.scan: facts}, Limits())
    assert unfilled is not None
    assert unfilled.at_least == unfilled.estimate == 2**62


@given(counts, counts, st.integers(0, 2**63 - 1), st.sampled_from(["inner", "left"]))
def test_joined_rows_of_any_size(left: int, right: int, keys: int, how: Any) -> None:
    one, other = scan_of(0, 1), scan_of(0, 2)
    demand = JoinDemand(Join(one, other, how, (JoinKey("host", "host"),), "m", many=True), one, other)
    facts = {one: Facts(left, {"host": keys}), other: Facts(right, {"host": 1})}
    found = forecast(demand, facts, Limits())
    assert found is not None
    assert 0 <= found.at_least <= found.estimate <= max(left, left * right)


def test_keys_of_one_row_are_not_multiplied() -> None:
    """A host has one rack: 1,000 hosts in 1,000 racks are no million groups."""
    demand = GroupsDemand(scan_of(None, None), (FieldKey("host"), FieldKey("rack")))
    found = forecast(demand, {demand.scan: Facts(10**9, {"host": 1000, "rack": 1000})}, Limits())
    assert found is not None
    assert (found.at_least, found.estimate) == (1000, 1000)


def test_what_is_sure_is_refused_at_the_limit_and_what_is_estimated_far_past_it() -> None:
    sure = Forecast("groups", "", 101, 101, 100)
    assert sure.refused
    assert not replace(sure, at_least=100, estimate=SLACK * 100).refused
    assert replace(sure, at_least=0, estimate=SLACK * 100 + 1).refused


def test_buckets_are_those_that_can_hold_rows() -> None:
    """Ten years by the second, of which there are rows in a minute."""
    demand = GroupsDemand(scan_of(0, 10 * 365 * 86_400 * 10**9), (BucketKey("time", 10**9, "t"),))
    facts = Facts(10**7, {}, first=5 * 10**9, last=64 * 10**9)
    found = forecast(demand, {demand.scan: facts}, Limits())
    assert found is not None
    assert (found.at_least, found.estimate) == (1, 60)


def test_a_row_is_in_no_more_groups_than_its_lists_can_hold_values() -> None:
    """Ninety rows in twenty days of seconds, of a list with two values at the most."""
    fields = {**FIELDS, "flags": Field("flags", replace(STRING, multi=True))}
    table = Table(SOURCE, "documents", fields, "time")
    scan = Scan(SOURCE, ("time", "flags"), bounds=Bounds("time", 0, 20 * 86_400 * 10**9), table=table)
    demand = GroupsDemand(scan, (FieldKey("flags"), BucketKey("time", 10**9, "t")))
    found = forecast(demand, {scan: Facts(90, {"flags": 2}, first=0, last=20 * 86_400 * 10**9 - 1)}, Limits())
    assert found is not None
    assert found.estimate == 180


def test_what_the_catalogue_bounds_demands_nothing() -> None:
    by_host = Grouping((FieldKey("host"),), ())
    hours = Grouping((BucketKey("time", 3600 * 10**9, "t"),), ())
    few, many, unknown = scan_of(0, 86_400 * 10**9, 99), scan_of(0, 86_400 * 10**9, 10**7), scan_of(0, 86_400 * 10**9)
    limits = Limits(groups=100, rows_fetched=10**7)
    assert demands(replace(few, group=by_host), limits) == ()
    assert demands(replace(unknown, group=hours), limits) == ()
    assert demands(replace(many, group=by_host, limit=100), limits) == ()
    assert demands(unknown, limits) == ()  # a stream
    assert demands(Aggregate(many, hours), limits) == ()
    assert demands(replace(many, group=by_host), limits) == (GroupsDemand(many, by_host.keys),)
    assert demands(Aggregate(unknown, hours), limits) == (RowsDemand((unknown,)),)


# On every store


@pytest.fixture(scope="module")
async def stores(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[MixStores]:
    opened = MixStores(tmp_path_factory.mktemp("costs"), f"costs-{uuid.uuid4().hex[:8]}")
    yield opened
    await opened.close()


def within(stores: MixStores, **small: Any) -> Services:
    return replace(stores.services, limits=replace(Limits(), **small), remembered=Remembered())


async def prepared(services: Services, body: Any) -> tuple[Prepared, RequestContext]:
    context = services.new_context()
    context.now_ns = NOW
    return await prepare(parse_body(json.dumps(body).encode()), services, context), context


async def refusal(services: Services, body: Any) -> CostError:
    """The error of a query that was told to cost too much before any of it was sent."""
    found, context = await prepared(services, body)
    with pytest.raises(CostError) as caught:
        await pull(found, context)
    assert context.sources == [], "a scan has run"
    assert caught.value.message.startswith("The query would cost ")
    assert caught.value.issues[0].hint
    return caught.value


def timed(store: StoreId, width: str) -> dict[str, Any]:
    return {"time_bucket": width, "field": "@timestamp" if store.kind == "documents" else "time", "as": "t"}


@pytest.mark.parametrize("store", STORES, ids=str)
async def test_groups_are_told_before(stores: MixStores, store: StoreId) -> None:
    source = await stores.source(store, "access")
    body = {"from": source, "group_by": ["host", timed(store, "1s")], "select": [COUNT], "time_range": DAY}
    body["order_by"] = ["n"]
    error = await refusal(within(stores, groups=20), body)
    assert "groups (" in error.message
    assert "'host'" in error.message
    assert "the limit is 20" in error.message
    assert error.source == str(store)
    services = within(stores, groups=1000)
    page, _ = await run(parse_body(json.dumps(body).encode()), services, services.new_context())
    assert sum(batch.length for batch in page.batches) > 20


@pytest.mark.parametrize("store", STORES, ids=str)
async def test_filled_groups_are_told_before(stores: MixStores, store: StoreId) -> None:
    source = await stores.source(store, "access")
    body = {"from": source, "group_by": ["host", timed(store, "1h")], "select": [COUNT], "time_range": DAY}
    error = await refusal(within(stores, groups=50), body | {"fill": {"mode": "null"}})
    assert "at least" in error.message
    assert "24 buckets of 't'" in error.message


@pytest.mark.parametrize("store", STORES, ids=str)
async def test_rows_are_told_before(stores: MixStores, store: StoreId) -> None:
    source = await stores.source(store, "access")
    rows = {"from": source, "select": ["host"], "where": {"field": "host", "op": "exists", "value": True}}
    side = {"how": "anti", "with": rows, "on": ["host"], "as": "m"}
    error = await refusal(within(stores, rows_fetched=100), rows | {"join": [side], "then": {"select": [COUNT]}})
    assert "at least" in error.message
    assert "rows fetched" in error.message


@pytest.mark.parametrize("store", [ES, DOCS], ids=str)
async def test_joined_rows_are_told_before(stores: MixStores, store: StoreId) -> None:
    source = await stores.source(store, "access")
    side = {
        "how": "inner",
        "as": "m",
        "with": {"from": source, "select": ["host", "path"]},
        "on": ["host"],
        "many": True,
    }
    body = {"from": source, "select": ["host"], "join": [side]}
    error = await refusal(within(stores, joined_rows=100), body)
    assert "joined rows" in error.message
    assert error.issues[0].pointer == "/join/0"


@pytest.mark.parametrize("store", STORES, ids=str)
async def test_the_ends_of_time(stores: MixStores, store: StoreId) -> None:
    """All of int64 by the second: the groups that there are, but no absent ones."""
    source = await stores.source(store, "access")
    ends = {"from": "1677-09-21T00:12:44Z", "to": "2262-04-11T23:47:16Z"}
    body: dict[str, Any] = {"from": source, "group_by": ["host", timed(store, "1s")], "select": [COUNT]}
    body |= {"time_range": ends, "order_by": ["n"], "limit": 1000}
    services = within(stores, groups=1000)
    page, _ = await run(parse_body(json.dumps(body).encode()), services, services.new_context())
    assert sum(batch.length for batch in page.batches) > 100
    error = await refusal(within(stores, groups=5), body)
    assert "-" not in error.message.split("(")[0]
    with pytest.raises(CostError, match="18446744072 buckets"):
        await prepared(services, body | {"fill": {"mode": "null"}})


@pytest.mark.parametrize("store", STORES, ids=str)
async def test_explain_shows_what_was_estimated(stores: MixStores, store: StoreId) -> None:
    source = await stores.source(store, "access")
    body: dict[str, Any] = {"from": source, "group_by": ["host"], "select": [COUNT], "order_by": ["n"]}
    services = within(stores, groups=10)
    for _ in range(2):
        told = (await explained(parse_body(json.dumps(body).encode()), services, services.new_context()))["estimate"]
        ((asked,), failed) = told["asked"], told["failed"]
        assert (asked["what"], asked["limit"], asked["refused"], failed) == ("groups", 10, False, [])
        assert 4 <= asked["at_least"] <= asked["estimate"] <= 5
    plain = await explained(parse_body(json.dumps({"from": source}).encode()), services, services.new_context())
    assert plain["estimate"]["asked"] == []


async def test_a_page_asks_for_nothing_beside(stores: MixStores, es_url: str, tmp_path: Path) -> None:
    """One search for a page of documents, one for its groups by key; a second one where groups are ordered by a count, but
    once a minute."""
    source = await stores.source(ES, "access")
    async with recording(es_url) as proxy:
        backend = open_backend("es", InstanceConfig("es", "documents", proxy.url, str(tmp_path), catalog_seconds=60))
        engine = Engine(tmp_path / "spill")
        services = Services(QueryFactory([backend]), engine, Limits(groups=150))

        async def searches(body: Any) -> int:
            proxy.clear()
            question = parse_body(json.dumps({"from": {"source": "es", "index": source["index"]}, **body}).encode())
            await run(question, services, services.new_context())
            return proxy.received.count(b"/_search")

        await searches({})
        groups = {"group_by": ["host"], "select": [COUNT]}
        assert await searches({"limit": 10}) == 1
        assert await searches({"limit": 10, "where": {"field": "host", "op": "eq", "value": "web-1"}}) == 1
        assert await searches(groups) == 1
        assert await searches(groups | {"order_by": ["n"]}) == 2
        assert await searches(groups | {"order_by": [{"field": "n", "dir": "desc"}]}) == 1
        await backend.close()
        engine.close()


# What fails, or takes long


class Failing:
    """A probe's query that fails, or never answers."""

    schema: Schema = ()

    def __init__(self, error: Exception | None) -> None:
        self.error, self.begun = error, 0

    def compile(self, plan: Plan) -> Mapping[Scan, Query]:
        assert isinstance(plan, Scan)
        return {plan: self}

    def explain(self) -> object:
        return None

    async def stream(self, context: RequestContext) -> AsyncIterator[Batch]:
        self.begun += 1
        if self.error is not None:
            raise self.error
        await asyncio.sleep(60)
        yield Batch((), [])


@pytest.mark.parametrize("store", [INFLUX, DOCS], ids=str)
@pytest.mark.parametrize("error", [StoreError("It fell over.", source="x"), None], ids=["fails", "hangs"])
async def test_an_estimate_that_fails_fails_no_query(
    stores: MixStores, store: StoreId, error: Exception | None
) -> None:
    source = await stores.source(store, "access")
    body = {"from": source, "group_by": ["host"], "select": [COUNT], "order_by": ["n"]}
    services = within(stores, groups=10)
    found, context = await prepared(services, body)
    expected = (await pull(found, context)).batches
    assert found.ahead is not None
    failing = Failing(error)
    ahead = replace(found.ahead, compiler=failing, remembered=Remembered())
    assert isinstance(found.operator, ForesightOperator)
    context = services.new_context()
    context.deadline = time.monotonic() + 2.0
    page = await pull(replace(found, operator=ForesightOperator(found.operator.input, ahead)), context)
    assert [b.rows() for b in page.batches] == [b.rows() for b in expected]
    assert failing.begun == 1
    (warning,) = context.warnings
    assert (warning.code, warning.source) == ("ESTIMATE_FAILED", str(store))
    assert ("fell over" if error else "took too long") in warning.message


class Together:
    """Probes' queries that answer once both have been asked."""

    schema: Schema = (Column("rows", INT64),)

    def __init__(self) -> None:
        self.both = asyncio.Barrier(2)

    def compile(self, plan: Plan) -> Mapping[Scan, Query]:
        assert isinstance(plan, Scan)
        return {plan: self}

    def explain(self) -> object:
        return None

    async def stream(self, context: RequestContext) -> AsyncIterator[Batch]:
        await self.both.wait()
        yield Batch(self.schema, [[3]])


async def test_all_sides_are_asked_at_once() -> None:
    sides = scan_of(0, 1), scan_of(0, 2)
    able = Capabilities(aggregates=frozenset({"count"}))
    ahead = Foresight((RowsDemand(sides),), {"s": able}, Together(), Remembered())
    context = RequestContext(deadline=time.monotonic() + 8.0)
    (found,) = await ahead.forecasts(context)
    assert (found.at_least, context.warnings) == (6, [])


def test_what_is_remembered_is_by_source_keys_and_filter() -> None:
    remembered = Remembered()
    hour = GroupsDemand(scan_of(0, 3600 * 10**9), (FieldKey("host"), BucketKey("time", 60 * 10**9, "t")))
    week = replace(hour, scan=scan_of(0, 7 * 86_400 * 10**9))
    assert not remembered.suffices(hour, 10**5)
    remembered.keep(hour, Facts(10**6, {"host": 500}))
    assert remembered.suffices(hour, 10**5)
    assert not remembered.suffices(week, 10**5)  # some 5 million groups: to be asked again
    assert not remembered.suffices(replace(hour, keys=(FieldKey("rack"),)), 10**5)
    assert not remembered.suffices(RowsDemand((hour.scan,)), 10**5)
    assert not remembered.suffices(hour, 499)
