"""The local engine and the operators: what they answer, and what they do when limits, deadlines and callers cut them short."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pytest

from libs.context import Limits, RequestContext
from libs.errors import CostError, DeadlineError, HostMonitorError, RequestError, StoreError
from libs.result import INT64, STRING, Batch, Column, Schema, Type
from operator_ import Engine, Operator, build
from operator_.light import LimitOperator, PickOperator
from operator_.residual import ResidualOperator
from operator_.scan import ScanOperator
from operator_.write import InsertDocuments, InsertPoints
from query.backend import CatalogStale, NotProven, Point, WriteReport
from query.catalog import Field, SourceRef, Table
from query.document_store import Document
from query.expr import Binary, Compare, Name, Number
from query.plan import (
    Aggregate,
    Aggregation,
    Attempt,
    FieldKey,
    Filter,
    Grouping,
    Limit,
    Merge,
    Order,
    Output,
    Plan,
    Project,
    Scan,
    Sort,
)

FIELDS: dict[str, Type] = {"a": INT64, "s": STRING}


def scan_of(name: str, columns: tuple[str, ...] = ("a", "s")) -> Scan:
    source = SourceRef(name, ("t",))
    return Scan(source, columns, table=Table(source, "documents", {n: Field(n, t) for n, t in FIELDS.items()}))


class Feed:
    """A query of `count` rows (a: 0, 1, …; s: h0 to h6), as slow or broken as told; it notes what happens to it."""

    def __init__(
        self,
        scan: Scan,
        count: int,
        size: int = 1000,
        delay: float = 0.0,
        failure: Exception | None = None,
        fail_at: int = 0,
    ) -> None:
        self.scan, self.count, self.size, self.delay = scan, count, size, delay
        self.failure, self.fail_at = failure, fail_at
        self.opened = self.closed = self.sent = 0

    @property
    def schema(self) -> Schema:
        return tuple(Column(name, FIELDS[name], self.scan.source.instance) for name in self.scan.columns)

    def explain(self) -> object:
        return {"count": self.count}

    async def stream(self, context: RequestContext) -> AsyncIterator[Batch]:
        self.opened += 1
        try:
            for start in range(0, self.count, self.size):
                if self.failure is not None and start >= self.fail_at:
                    raise self.failure
                await asyncio.sleep(self.delay)
                numbers = range(start, min(start + self.size, self.count))
                cells: dict[str, Sequence[Any]] = {"a": numbers, "s": [f"h{n % 7}" for n in numbers]}
                self.sent += len(numbers)
                yield Batch(self.schema, [cells[name] for name in self.scan.columns], len(numbers))
        finally:
            self.closed += 1


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    made = Engine(tmp_path_factory.mktemp("spill"), memory_mb=128)
    yield made
    made.close()


async def rows_of(operator: Operator, context: RequestContext | None = None) -> list[tuple[Any, ...]]:
    return [row async for batch in operator.execute(context or RequestContext()) for row in batch.rows()]


SCAN = scan_of("one")
BY_HOST = Grouping((FieldKey("s"),), (Aggregation("count", None, "n"), Aggregation("sum", "a", "total")))
GROUPS = Sort(Aggregate(SCAN, BY_HOST), (Order("s"),))


def one(plan: Plan, feed: Feed, engine: Engine) -> Operator:
    return build(plan, {feed.scan: feed}, engine)


# What is built


def test_what_needs_no_engine_gets_none(engine: Engine) -> None:
    feed = Feed(SCAN, 5)
    assert isinstance(one(SCAN, feed, engine), ScanOperator)
    assert isinstance(one(Limit(SCAN, 3), feed, engine), LimitOperator)
    assert isinstance(one(Project(Limit(SCAN, 3), (Output("s"),)), feed, engine), PickOperator)
    for plan in (GROUPS, Project(SCAN, (Output("x", Name("a")),)), Filter(SCAN, Compare("a", "eq", 1, INT64))):
        assert isinstance(one(plan, feed, engine), ResidualOperator)


async def test_light_operators(engine: Engine) -> None:
    feed = Feed(SCAN, 50, size=4)
    operator = one(Project(Limit(SCAN, 6), (Output("s"), Output("a"))), feed, engine)
    assert [column.name for column in operator.schema] == ["s", "a"]
    assert await rows_of(operator) == [(f"h{n % 7}", n) for n in range(6)]
    assert (feed.sent, feed.closed) == (8, 1)


# Residuals


@pytest.mark.parametrize("count", [0, 1, 999, 250_000])
async def test_groups_of_any_size(count: int, engine: Engine) -> None:
    context = RequestContext()
    found = await rows_of(one(GROUPS, Feed(SCAN, count, size=10_000), engine), context)
    assert found == [(f"h{n}", len(range(n, count, 7)), sum(range(n, count, 7))) for n in range(min(7, count))]
    (report,) = context.sources
    assert (report.source, report.rows, report.status) == ("one", count, "ok")


async def test_rows_stream_in_batches_and_in_order(engine: Engine) -> None:
    operator = one(Sort(SCAN, (Order("a", True),)), Feed(SCAN, 25_000), engine)
    batches = [batch async for batch in operator.execute(RequestContext())]
    assert [batch.length for batch in batches] == [10_000, 10_000, 5_000]
    assert [cell for batch in batches for cell in batch.columns[0]] == list(range(24_999, -1, -1))


async def test_what_needs_one_row_at_a_time_holds_one_batch(engine: Engine) -> None:
    feed = Feed(SCAN, 10**6, size=100)
    plan = Project(Filter(SCAN, Compare("a", "gte", 150, INT64)), (Output("x", Binary("*", Name("a"), Number(2))),))
    assert await rows_of(one(Limit(plan, 60), feed, engine)) == [(2.0 * n,) for n in range(150, 210)]
    assert (feed.sent, feed.closed) == (300, 1)
    whole = await rows_of(one(plan, Feed(SCAN, 25_000, size=10_000), engine))
    assert whole == [(2.0 * n,) for n in range(150, 25_000)]


async def test_inputs_are_pulled_at_once(engine: Engine) -> None:
    left, right = scan_of("left"), scan_of("right")
    assert left.table is not None
    feeds = {left: Feed(left, 3, size=1, delay=0.1), right: Feed(right, 3, size=1, delay=0.1)}
    begun = time.monotonic()
    found = await rows_of(build(Aggregate(Merge((left, right), left.table), BY_HOST), feeds, engine))
    assert time.monotonic() - begun < 0.55
    assert sorted(found) == [("h0", 2, 0), ("h1", 2, 2), ("h2", 2, 4)]


async def test_one_broken_input_ends_the_others(engine: Engine) -> None:
    left, right = scan_of("left"), scan_of("right")
    assert left.table is not None
    slow = Feed(left, 1000, size=1, delay=0.05)
    broken = Feed(right, 3, failure=StoreError("gone", source="right"))
    context = RequestContext()
    with pytest.raises(StoreError, match="gone"):
        await rows_of(build(Merge((left, right), left.table), {left: slow, right: broken}, engine), context)
    assert slow.opened == slow.closed == 1
    assert {report.source: report.status for report in context.sources} == {"left": "ok", "right": "STORE_FAILED"}


async def test_many_requests_share_the_engine(engine: Engine) -> None:
    operators = [one(GROUPS, Feed(SCAN, 100 + n), engine) for n in range(20)]
    found = await asyncio.gather(*(rows_of(operator) for operator in operators))
    assert [sum(row[1] for row in rows) for rows in found] == [100 + n for n in range(20)]


# Limits


async def test_too_many_rows(engine: Engine) -> None:
    feed = Feed(SCAN, 5000, size=100)
    with pytest.raises(CostError, match="more than 250 rows"):
        await rows_of(one(GROUPS, feed, engine), RequestContext(limits=Limits(rows_fetched=250)))
    assert (feed.sent, feed.closed) == (300, 1)


async def test_too_many_groups(engine: Engine) -> None:
    plan = Limit(Aggregate(SCAN, Grouping((FieldKey("a"),), (Aggregation("count", None, "n"),))), 1)
    context = RequestContext(limits=Limits(groups=99))
    with pytest.raises(CostError, match="more than 99 groups"):
        await rows_of(one(plan, Feed(SCAN, 100), engine), context)
    assert len(await rows_of(one(plan, Feed(SCAN, 99), engine), context)) == 1


async def test_a_number_past_int64(engine: Engine) -> None:
    async with engine.session(RequestContext()) as session:
        with pytest.raises(RequestError) as refused:
            await session.run(lambda cursor: cursor.execute("SELECT (2^40)::BIGINT * (2^40)::BIGINT").fetchall())
    assert refused.value.code.name == "NUMBER_OUT_OF_RANGE"


def test_no_request_joins_by_a_loop_over_what_looks_small(engine: Engine) -> None:
    found = engine.cursor().execute("SELECT current_setting('asof_loop_join_threshold')").fetchone()
    assert found == (0,)


async def test_memory_is_bounded_and_the_engine_lives_on(tmp_path: Path) -> None:
    small = Engine(tmp_path / "spill", memory_mb=16, spill_mb=1)
    try:
        medians = tuple(Aggregation("percentile", "a", f"p{p}", p=p) for p in (25.0, 50.0, 75.0))
        plan = Aggregate(SCAN, Grouping((), medians))
        with pytest.raises(CostError, match="memory of 16 MB"):
            await rows_of(one(plan, Feed(SCAN, 900_000, size=10_000), small))
        assert await rows_of(one(plan, Feed(SCAN, 9), small)) == [(2.0, 4.0, 6.0)]
    finally:
        small.close()


# Deadlines and cancelling


async def test_a_silent_store_meets_the_deadline(engine: Engine) -> None:
    feed = Feed(SCAN, 10, delay=30)
    begun = time.monotonic()
    with pytest.raises(DeadlineError) as late:
        await rows_of(one(GROUPS, feed, engine), RequestContext(deadline=begun + 0.2))
    assert late.value.source == "one"
    assert time.monotonic() - begun < 2
    assert feed.closed == 1


LONG = "SELECT count(*) FROM range(100000000000)"


async def test_a_long_statement_meets_the_deadline(engine: Engine) -> None:
    begun = time.monotonic()
    async with engine.session(RequestContext(deadline=begun + 0.3)) as session:
        with pytest.raises(DeadlineError):
            await session.run(lambda cursor: cursor.execute(LONG).fetchall())
    assert time.monotonic() - begun < 3


async def test_cancelling_stops_the_statement(engine: Engine) -> None:
    async def work() -> None:
        async with engine.session(RequestContext()) as session:
            await session.run(lambda cursor: cursor.execute(LONG).fetchall())

    # As many as there are threads, and two that wait for one.
    tasks = [asyncio.create_task(work()) for _ in range(4)]
    await asyncio.sleep(0.3)
    begun = time.monotonic()
    for task in tasks:
        task.cancel()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(error, asyncio.CancelledError) for error in ended)
    assert time.monotonic() - begun < 3
    assert await rows_of(one(GROUPS, Feed(SCAN, 1), engine)) == [("h0", 1, 0)]


@pytest.mark.parametrize("turns", range(7))
async def test_a_cancel_that_comes_with_the_works_end_is_not_lost(engine: Engine, turns: int) -> None:
    async with engine.session(RequestContext()) as session:
        running = asyncio.create_task(session.run(lambda cursor: cursor.execute("SELECT 1").fetchall()))
        await asyncio.sleep(0)
        time.sleep(0.05)  # noqa: ASYNC251 - the work ends while the loop stands still
        for _ in range(turns):
            await asyncio.sleep(0)
        if running.cancel():
            with pytest.raises(asyncio.CancelledError):
                await running
        else:
            assert await running == [(1,)]


async def test_a_caller_that_goes_away_closes_the_store(engine: Engine) -> None:
    feed = Feed(SCAN, 10**6, delay=0.01)
    task = asyncio.create_task(rows_of(one(GROUPS, feed, engine)))
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert feed.opened == feed.closed == 1


# Attempts


async def test_an_attempt_takes_the_other_way_before_its_first_batch(engine: Engine) -> None:
    pushed = Scan(SCAN.source, ("a",), limit=3, table=SCAN.table)
    plan = Limit(Attempt(pushed, Project(Limit(SCAN, 3), (Output("a"),)), "sums"), 2)
    unproven = Feed(pushed, 3, failure=NotProven("doubles"))
    context = RequestContext()
    operator = build(plan, {pushed: unproven, SCAN: Feed(SCAN, 10)}, engine)
    assert await rows_of(operator, context) == [(0,), (1,)]
    assert context.notes == ["sums: not proven (doubles), computed here"]
    assert [(report.source, report.rows) for report in context.sources] == [("one", 10)]
    proven = build(plan, {pushed: Feed(pushed, 3), SCAN: Feed(SCAN, 10, failure=AssertionError())}, engine)
    assert await rows_of(proven) == [(0,), (1,)]


@pytest.mark.parametrize("failure", [CatalogStale("multi"), StoreError("gone", source="one")])
async def test_other_failures_pass_an_attempt(failure: Exception, engine: Engine) -> None:
    pushed = Scan(SCAN.source, ("a",), limit=3, table=SCAN.table)
    operator = build(
        Attempt(pushed, SCAN, "sums"), {pushed: Feed(pushed, 3, failure=failure), SCAN: Feed(SCAN, 1)}, engine
    )
    with pytest.raises(type(failure)):
        await rows_of(operator)


# What the engine may reach


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM read_blob('/etc/passwd')",
        "SELECT * FROM glob('/*')",
        "SELECT * FROM sniff_csv('/etc/passwd')",
        "COPY (SELECT 1) TO 'x.csv'",
        "ATTACH 'x.db'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "EXPORT DATABASE 'x'",
        "SET enable_external_access = true",
        "SET memory_limit = '10GB'",
        "RESET lock_configuration",
        "SELECT * FROM visible_from_python",
    ],
)
def test_the_engine_reaches_nothing_outside(sql: str, engine: Engine) -> None:
    visible_from_python = [1]
    assert visible_from_python
    with engine.cursor() as cursor, pytest.raises(duckdb.Error):
        cursor.execute(sql).fetchall()


async def test_temporary_tables_end_with_their_request(engine: Engine) -> None:
    await rows_of(one(GROUPS, Feed(SCAN, 200_000, size=10_000), engine))
    with engine.cursor() as cursor, pytest.raises(duckdb.CatalogException):
        cursor.execute("SELECT * FROM input0")


# Writes


class Stored:
    """The writes of both kinds of stores, kept."""

    async def bulk(self, *given: Any) -> Sequence[dict[str, Any]]:
        self.given = given
        return [
            {"_id": "1", "_version": 1, "result": "created", "status": 201},
            {"status": 409, "error": {"type": "conflict", "reason": "there"}},
        ]

    async def write(self, *given: Any) -> WriteReport:
        return WriteReport(2, 1, ("too old",))


async def test_writes_answer_each_items_outcome() -> None:
    store: Any = Stored()
    items = [Document(b"{}"), Document(b"{}", "1")]
    assert await rows_of(InsertDocuments(store, "i", items)) == [
        (201, "1", 1, "created", None),
        (409, None, None, None, '{"type":"conflict","reason":"there"}'),
    ]
    assert await rows_of(InsertPoints(store, "db", [Point("m", {}, {"v": 1})])) == [(2, 1, '["too old"]')]


def test_errors_are_of_the_tree() -> None:
    assert issubclass(CostError, HostMonitorError)
