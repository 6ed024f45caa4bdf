"""InfluxDB as a backend, on a real server: what is pushed is exact, what is read is whole, what fails is told."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from libs.context import Limits, RequestContext
from libs.errors import CostError, NotFoundError, RequestError
from libs.result import INT64, TIMESTAMP
from parser.json_body import parse_body
from query.backend import InstanceConfig, NotProven, Ordering, Point, Pushdown
from query.bind import bind
from query.catalog import SourceRef, Table
from query.expr import And, Compare, Predicate, leaves
from query.influx import open_backend
from query.influx.capabilities import InfluxCapabilities
from query.influx.store import InfluxStore
from query.plan import Aggregate, Aggregation, FieldKey, Filter, Grouping, Order, Plan, Scan, inputs
from unittest_.conformance.data import NOW, DataSet, data_sets
from unittest_.conformance.random_filters import filters, named
from unittest_.recording_proxy import RecordingProxy
from unittest_.reference import answer
from unittest_.reference.filters import compile_filter
from unittest_.reference.times import instant, written

WEEK = 7 * 86_400 * 10**9
SLOW = settings(
    max_examples=150, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)


def context(**limits: Any) -> RequestContext:
    return RequestContext(now_ns=NOW, deadline=time.monotonic() + 60, limits=Limits(**limits))


@pytest.fixture(scope="module")
async def store(influx_url: str) -> AsyncIterator[InfluxStore]:
    backend = open_backend(InstanceConfig("influx", "series", influx_url, ""))
    yield cast(InfluxStore, backend)
    await backend.close()


@pytest.fixture(scope="module")
async def db(store: InfluxStore) -> AsyncIterator[str]:
    name = f"backend-{uuid.uuid4().hex[:8]}"
    await store.create_database(name, context())
    yield name
    await store.drop_database(name, context())


@pytest.fixture(scope="module")
async def tables(store: InfluxStore, db: str) -> dict[str, Table]:
    """The shared data sets, a measurement each."""
    found = {}
    for data in data_sets().values():
        if data.points:
            points = [Point(data.name, point.tags, point.fields, point.time) for point in data.points]
            report = await store.write(db, points, context())
            assert (report.written, report.dropped) == (len(points), 0)
            found[data.name] = await store.table(SourceRef("influx", (db, data.name)), context())
    return found


async def rows(store: InfluxStore, scan: Scan, **limits: Any) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = []
    async for batch in store.compile(scan).stream(context(**limits)):
        assert batch.length
        found += batch.rows()
    return found


def held(row: dict[str, Any], columns: Sequence[str]) -> tuple[Any, ...]:
    return tuple(row.get(name) for name in columns)


def ordered(found: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return sorted(found, key=repr)


# Rows


@pytest.mark.parametrize("name", [name for name, data in data_sets().items() if data.points])
async def test_no_point_is_lost(name: str, store: InfluxStore, tables: dict[str, Table]) -> None:
    """Whatever the columns: InfluxDB leaves out the points that have none of the fields it is asked for."""
    data, table = data_sets()[name], tables[name]
    reference = data.tables["series"]
    assert {field: member.type.name.value for field, member in table.fields.items()} == {
        field: spec.type for field, spec in reference.fields.items()
    }
    choices = [table.visible(), (), *((field,) for field in table.fields)]
    for columns in choices:
        found = await rows(store, Scan(table.source, columns, table=table))
        assert ordered(found) == ordered([held(row, columns) for row in reference.rows])


async def test_types_and_instants_are_exact(store: InfluxStore, db: str) -> None:
    """G49: int64, float64 and nanoseconds, 0 and before 1970 included."""
    limits = [0, 1, -1, 10**9, 2**63 - 2, -(2**63) + 2, 1_795_687_200_123_456_789, -1_795_687_200_123_456_789]
    numbers = [0.0, 1.0, -1.0, 0.1, 1e300, 5e-324, 1.7976931348623157e308, 2.0**53 + 2, 1e21, 123456789.123456789]
    wholes = [0, 1, -1, 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63), 10**18]
    points = [
        Point("exact", {}, {"f": f, "i": i, "s": f"{f} {i}"}, t)
        for t, f, i in zip(limits, itertools.cycle(numbers), itertools.cycle(wholes), strict=False)
    ]
    await store.write(db, points, context())
    table = await store.table(SourceRef("influx", (db, "exact")), context())
    found = await rows(store, Scan(table.source, ("time", "f", "i", "s"), table=table))
    assert found == sorted((p.time, *p.fields.values()) for p in points)
    assert {type(value) for row in found for value in row[1:2]} == {float}


async def test_shards_that_type_a_field_differently(store: InfluxStore, db: str) -> None:
    lines = f'mixed n=1i 1\nmixed n=2.5 {WEEK * 3}\nmixed,t=a c=1i 2\nmixed,t=b c="x" {WEEK * 3 + 1}\nmixed t="f" 3'
    await store.write_lines(db, "mixed", lines.encode(), "ns", context())
    table = await store.table(SourceRef("influx", (db, "mixed")), context())
    assert table.fields["n"].type.name.value == "float64"
    assert table.conflicts == {"c": ("int64", "string")}
    assert table.ambiguous == {"t"}
    found = await rows(store, Scan(table.source, ("time", "n"), table=table))
    assert found == [(1, 1.0), (2, None), (3, None), (WEEK * 3, 2.5), (WEEK * 3 + 1, None)]
    leaf = Compare("n", "gt", 1.0, table.fields["n"].type)
    assert store.capabilities.pushdown(leaf, Scan(table.source, table=table)).level is Pushdown.UNSUPPORTED


async def test_order_and_limit(store: InfluxStore, tables: dict[str, Table]) -> None:
    table = tables["access"]
    every = sorted(row["time"] for row in data_sets()["access"].tables["series"].rows)
    for descending in (False, True):
        order = (Order("time", descending),)
        wanted = sorted(every, reverse=descending)
        for limit in (1, 7, None):
            scan = Scan(table.source, ("time",), order=order, limit=limit, table=table)
            assert [time for (time,) in await rows(store, scan)] == wanted[:limit]
    assert len(await rows(store, Scan(table.source, (), limit=5, table=table))) == 5
    assert await rows(store, Scan(table.source, (), limit=0, table=table)) == []
    scan = Scan(table.source, table=table)
    assert store.capabilities.pushdown(Ordering((Order("time"),), 5), scan).level is Pushdown.EXACT
    others: list[tuple[Order, ...]] = [(Order("host"),), (Order("time"), Order("host"))]
    for other in others:
        assert store.capabilities.pushdown(Ordering(other, 5), scan).level is Pushdown.UNSUPPORTED


# Filters: what is declared exact is exact


def predicate_of(plan: Plan) -> Predicate | None:
    if isinstance(plan, Filter):
        return plan.where
    return next((found for child in inputs(plan) if (found := predicate_of(child)) is not None), None)


def bound_filter(node: dict[str, Any], table: Table) -> Predicate | None:
    question = parse_body(json.dumps({"where": node}).encode(), "influx", table.source.target)
    return predicate_of(bind(question, {table.source: table}, NOW, Limits()).plan)


def is_exact(predicate: Predicate, scan: Scan) -> bool:
    able = InfluxCapabilities()
    parts = predicate.items if isinstance(predicate, And) else (predicate,)
    return all(able.pushdown(leaf, scan).level is Pushdown.EXACT for leaf in leaves(predicate)) and all(
        able.composed(part, scan).level is Pushdown.EXACT for part in parts
    )


async def check_filter(node: dict[str, Any], data: DataSet, table: Table, store: InfluxStore) -> bool:
    """Whether it was pushed; then its rows are the reference's."""
    reference = data.tables["series"]
    predicate = bound_filter(node, table)
    scan = Scan(table.source, table.visible(), where=predicate, table=table)
    if predicate is not None and not is_exact(predicate, scan):
        return False
    test = compile_filter(node, reference.fields, NOW)
    found = await rows(store, scan)
    assert ordered(found) == ordered([held(row, scan.columns) for row in reference.rows if test(row)])
    return True


def filter_property(name: str) -> Any:
    data = data_sets()[name]

    @SLOW
    @given(node=filters(named(data.tables["series"], {})))
    async def test(node: dict[str, Any], store: InfluxStore, tables: dict[str, Table]) -> None:
        event(f"pushed: {await check_filter(node, data, tables[name], store)}")

    return test


test_filters_over_access = filter_property("access")
test_filters_over_odd = filter_property("odd")
test_filters_over_nanos = filter_property("nanos")


# Groups: what is declared exact is exact, or says that it proves nothing


def aggregate_of(plan: Plan) -> Aggregate:
    if isinstance(plan, Aggregate):
        return plan
    (child,) = inputs(plan)
    return aggregate_of(child)


def grouped_bodies(data: DataSet) -> st.SearchStrategy[dict[str, Any]]:
    reference = data.tables["series"]
    tags = [name for name, spec in reference.fields.items() if spec.role == "tag"]
    numbers = [name for name, spec in reference.fields.items() if spec.type in ("int64", "float64")]
    members = [name for name, spec in reference.fields.items() if spec.role == "plain"]
    times = sorted({row["time"] for row in reference.rows if abs(row["time"]) < 2**61})
    bucket = st.sampled_from(["1s", "7s", "5m", "1h", "1d", "36h"]).map(
        lambda width: {"time_bucket": width, "field": "time", "as": "t"}
    )
    aggregate = st.one_of(
        st.just({"agg": "count"}),
        st.sampled_from([*members, "time"]).map(lambda name: {"agg": "count", "field": name}),
        st.tuples(st.sampled_from(["sum", "avg", "min", "max"]), st.sampled_from(numbers)).map(
            lambda pair: {"agg": pair[0], "field": pair[1]}
        ),
    )

    @st.composite
    def one(draw: st.DrawFn) -> dict[str, Any]:
        keys: list[Any] = draw(st.lists(st.sampled_from(tags), unique=True, max_size=2))
        if draw(st.booleans()):
            keys.append(draw(bucket))
        start, end = sorted(draw(st.tuples(st.sampled_from(times), st.sampled_from(times))))
        body: dict[str, Any] = {"time_range": {"from": written(start), "to": written(end + 1)}, "group_by": keys}
        found = draw(st.lists(aggregate, min_size=1, max_size=3))
        body["select"] = [{**item, "as": f"a{place}"} for place, item in enumerate(found)]
        body["limit"] = 10_000
        if draw(st.booleans()):
            body["where"] = draw(filters(named(reference, {}), 1))
        return body

    return one()


def close_to(expected: Any, got: Any) -> bool:
    if isinstance(expected, float) and isinstance(got, float):
        return expected == pytest.approx(got, rel=1e-9, abs=1e-6)
    return type(expected) is type(got) and bool(expected == got)


async def check_groups(body: dict[str, Any], data: DataSet, table: Table, store: InfluxStore) -> str:
    """How it ended: "unsupported", "not proven", or "exact" when the rows are the reference's."""
    question = parse_body(json.dumps(body).encode(), "influx", table.source.target)
    found = aggregate_of(bind(question, {table.source: table}, NOW, Limits()).plan)
    predicate = predicate_of(found)
    scan = Scan(table.source, where=predicate, table=table)
    if predicate is not None and not is_exact(predicate, scan):
        return "unsupported"
    if store.capabilities.pushdown(found.group, scan).level is not Pushdown.EXACT:
        return "unsupported"
    try:
        got = await rows(store, replace(scan, group=found.group))
    except NotProven:
        return "not proven"
    names = [key.name for key in found.group.keys] + [one.name for one in found.group.aggregates]
    width = len(found.group.keys)
    expected = answer(body, {"": data.tables["series"]}, NOW).ranked
    wanted = {}
    for row in expected:
        key = tuple(instant(row[name], NOW) if name == "t" and row[name] else row[name] for name in names[:width])
        wanted[key] = [row[name] for name in names[width:]]
    assert len(got) == len(wanted)
    for group in got:
        cells = wanted[group[:width]]
        assert all(close_to(value, cell) for value, cell in zip(cells, group[width:], strict=True)), (group, cells)
    return "exact"


def group_property(name: str) -> Any:
    data = data_sets()[name]

    @SLOW
    @given(body=grouped_bodies(data))
    async def test(body: dict[str, Any], store: InfluxStore, tables: dict[str, Table]) -> None:
        event(await check_groups(body, data, tables[name], store))

    return test


test_groups_over_access = group_property("access")
test_groups_over_odd = group_property("odd")
test_groups_over_nanos = group_property("nanos")


async def test_sums_that_prove_nothing(store: InfluxStore, db: str) -> None:
    """InfluxDB wraps integers in silence, and has no word for an infinity."""
    big = [Point("big", {}, {"i": 2**62, "f": 1.7e308, "g": 1}, number) for number in range(3)]
    await store.write(db, big, context())
    table = await store.table(SourceRef("influx", (db, "big")), context())
    for field in ("i", "f"):
        kind = table.fields[field].type
        group = Grouping((), (Aggregation("sum", field, "n", type=kind),))
        with pytest.raises(NotProven):
            await rows(store, Scan(table.source, group=group, table=table))
    group = Grouping((), (Aggregation("max", "i", "n", type=table.fields["i"].type),))
    assert await rows(store, Scan(table.source, group=group, table=table)) == [(2**62,)]


async def test_rows_are_counted_only_where_a_field_is_in_all(store: InfluxStore, db: str) -> None:
    group = Grouping((), (Aggregation("count", None, "n", type=INT64),))
    lone = [Point("lone", {}, {"f": 1.0} if number % 2 else {"g": 1.0}, number) for number in range(4)]
    await store.write(db, lone, context())
    table = await store.table(SourceRef("influx", (db, "lone")), context())
    with pytest.raises(NotProven):
        await rows(store, Scan(table.source, group=group, table=table))
    await store.write(db, [Point("lone", {}, {"f": 2.0}, number) for number in range(4)], context())
    assert await rows(store, Scan(table.source, group=group, table=table)) == [(4,)]
    empty = Compare("time", "gt", 100, TIMESTAMP)
    assert await rows(store, Scan(table.source, where=empty, group=group, table=table)) == [(0,)]


async def test_limits_of_rows_and_groups(store: InfluxStore, tables: dict[str, Table]) -> None:
    table = tables["access"]
    held_rows = len(data_sets()["access"].tables["series"].rows)
    scan = Scan(table.source, ("time",), table=table)
    assert len(await rows(store, scan, rows_fetched=held_rows)) == held_rows
    with pytest.raises(CostError):
        await rows(store, scan, rows_fetched=held_rows - 1)
    group = Grouping((FieldKey("host"),), (Aggregation("count", "status", "n", type=INT64),))
    with pytest.raises(CostError):
        await rows(store, replace(scan, columns=(), group=group), groups=1)


async def test_leaving_early_stops_the_statement(store: InfluxStore, db: str) -> None:
    """G20: nothing of a query that nobody reads stays behind in the store."""
    await store.write_lines(db, "long", b"\n".join(b"long v=%d %d" % (n, n) for n in range(200_000)), "ns", context())
    table = await store.table(SourceRef("influx", (db, "long")), context())
    stream = store.compile(Scan(table.source, table.visible(), table=table)).stream(context())
    async with aclosing(cast("AsyncGenerator[Any, None]", stream)) as batches:
        first = await anext(batches)
        assert 0 < first.length <= 10_000
    running: list[str] = []
    for _ in range(50):
        result = await store.client.ask("SHOW QUERIES", context())
        running = [row[1] for one in result.get("series", []) for row in one["values"]]
        if not any('FROM "long"' in text or "FROM long" in text for text in running):
            return
        await asyncio.sleep(0.1)
    pytest.fail(f"still running: {running}")


async def test_the_catalogue_is_kept_for_a_while(influx_url: str, db: str, store: InfluxStore) -> None:
    proxy = RecordingProxy(influx_url)
    await proxy.start()
    other = cast(InfluxStore, open_backend(InstanceConfig("influx", "series", proxy.url, "", catalog_seconds=60)))
    source = SourceRef("influx", (db, "kept"))
    try:
        with pytest.raises(NotFoundError) as found:
            await other.table(source, context())
        assert found.value.code.name == "MEASUREMENT_UNKNOWN"
        await other.write(db, [Point("kept", {}, {"v": 1})], context())
        await other.table(source, context())
        proxy.clear()
        assert "v" in (await other.table(source, context())).fields
        assert proxy.received == b""
        await other.write(db, [Point("kept", {}, {"w": 1})], context())
        assert "w" in (await other.table(source, context())).fields
        proxy.clear()
        for target in ((db, ""), ("..", "m"), (db, "\n"), (db, "_series")):
            with pytest.raises(RequestError):
                await other.table(SourceRef("influx", target), context())
        assert proxy.received == b""
        with pytest.raises(NotFoundError) as found:
            await other.table(SourceRef("influx", ("nowhere", "m")), context())
        assert found.value.code.name == "DATABASE_UNKNOWN"
        asked = RequestContext(
            id="abc-1", traceparent="00-" + "a" * 32 + "-" + "b" * 16 + "-01", deadline=time.monotonic() + 9
        )
        await other.ping(asked)
        assert b"X-Request-ID: abc-1\r\n" in proxy.received
        assert b"traceparent: 00-aaaa" in proxy.received
    finally:
        await other.close()
        await proxy.stop()
