"""Statements that come again are planned once, and answer for what their inputs hold then."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from libs.arrow import arrow_chunks, arrow_table
from libs.context import Limits, RequestContext
from libs.errors import CostError, StoreError
from libs.result import INT64, STRING, Batch, Column
from operator_ import Engine, build
from operator_.prepared import EngineCursor, Shelf, written
from query.expr import Compare
from query.plan import Aggregate, Aggregation, FieldKey, Filter, Grouping, Limit, Order, Plan, Scan, Sort
from query.plan_joins import Join, JoinKey
from unittest_.test_engine import Feed, scan_of

ONE, TWO = scan_of("one"), scan_of("two")
BY_HOST = Grouping((FieldKey("s"),), (Aggregation("count", None, "n"), Aggregation("sum", "a", "total")))
ORDER = (Order("s"),)
PLANS: dict[str, Plan] = {
    "numbers": Limit(Sort(Aggregate(Filter(ONE, Compare("a", "gte", 2, INT64)), BY_HOST), ORDER), 100),
    "texts": Limit(Sort(Aggregate(Filter(ONE, Compare("s", "ne", "h3", STRING)), BY_HOST), ORDER), 100),
    "joined": Limit(Sort(Join(ONE, TWO, "left", (JoinKey("a", "a"),), "m"), (Order("a"),)), 200),
}
COUNTS = (5, 5, 0, 300, 120_000, 7, 1, 300)  # of which one goes to a table of its own


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = Engine(tmp_path / "spill", memory_mb=128)
    yield made
    made.close()


async def answered(plan: Plan, engine: Engine, one: int, two: int = 0, groups: int = 1000, **how: Any) -> list[Any]:
    feeds: dict[Scan, Any] = {ONE: Feed(ONE, one, **how), TWO: Feed(TWO, two)}
    context = RequestContext(limits=Limits(groups=groups, rows_fetched=200_000))
    return [row async for batch in build(plan, feeds, engine).execute(context) for row in batch.rows()]


@pytest.mark.parametrize("name", PLANS)
async def test_each_answer_is_of_its_own_inputs(engine: Engine, tmp_path: Path, name: str) -> None:
    for at, count in enumerate(COUNTS):
        fresh = Engine(tmp_path / f"fresh-{at}", memory_mb=128)
        try:
            expected = await answered(PLANS[name], fresh, count, COUNTS[-1 - at])
        finally:
            fresh.close()
        assert await answered(PLANS[name], engine, count, COUNTS[-1 - at]) == expected, (at, count)


async def test_several_at_once_have_cursors_of_their_own(engine: Engine) -> None:
    plan = PLANS["numbers"]
    for _ in range(3):
        found = await asyncio.gather(*(answered(plan, engine, count) for count in range(3, 40)))
        assert [sum(row[1] for row in rows) for rows in found] == [count - 2 for count in range(3, 40)]


async def test_a_limit_holds_each_time(engine: Engine) -> None:
    plan = PLANS["numbers"]
    for _ in range(3):
        assert len(await answered(plan, engine, 20, groups=7)) == 7
        with pytest.raises(CostError, match="more than 6 groups"):
            await answered(plan, engine, 20, groups=6)


async def test_what_failed_leaves_nothing_behind(engine: Engine) -> None:
    plan = PLANS["joined"]
    expected = await answered(plan, engine, 3, 2)
    for _ in range(3):
        with pytest.raises(StoreError):
            await answered(plan, engine, 5, 5, failure=StoreError("gone", source="one"))
        assert await answered(plan, engine, 3, 2) == expected == [(0, "h0", "h0"), (1, "h1", "h1"), (2, "h2", None)]


async def test_a_reader_that_leaves_early(engine: Engine) -> None:
    plan = PLANS["joined"]
    for _ in range(3):
        stream = build(plan, {ONE: Feed(ONE, 50), TWO: Feed(TWO, 50)}, engine).execute(RequestContext())
        assert (await anext(stream)).length == 50
        await stream.aclose()  # type: ignore[attr-defined]
        assert len(await answered(plan, engine, 50, 50)) == 50


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT a.c0, b.c0 FROM one AS a ASOF LEFT JOIN two AS b ON a.c1 = b.c1 AND a.c0 >= b.c0 ORDER BY a.c0",
        "SELECT c0, row_number() OVER (PARTITION BY c1 ORDER BY c0) FROM one ORDER BY c0",
    ],
)
def test_what_sorts_in_partitions_is_planned_each_time(engine: Engine, sql: str) -> None:
    """DuckDB 2.0 ends the second run of a prepared as-of join with an internal error, and its database with it."""
    cursor = EngineCursor(engine.cursor(), plain=False)
    for count in (3, 0, 4, 1):
        for name in ("one", "two"):
            batch = Batch((Column("a", INT64), Column("b", INT64)), [list(range(count)), [1] * count])
            cursor.register(name, arrow_table(batch.schema, arrow_chunks(batch) if count else []))
        assert len(cursor.execute(sql).fetchall()) == count


def test_what_stands_in_the_text_has_a_parameter_s_type(engine: Engine) -> None:
    values = {"a": 5, "b": -(2**31) - 1, "c": True, "d": 2**63 - 1, "e": -(2**63)}
    sql = f"SELECT {', '.join(f'typeof(${name}), ${name}' for name in values)}, '$none'"
    text = written(sql, values)
    assert text is not None
    cursor = engine.cursor()
    assert cursor.execute(text).fetchall() == cursor.execute(sql, values).fetchall()
    for other in ("x", 1.5, None, 2**63):
        assert written("SELECT $a", {"a": other}) is None


def test_what_is_kept_is_bounded(engine: Engine) -> None:
    shelf = Shelf(known=2, kept=2)
    assert [shelf.comes_again(key) for key in "aabbcab"] == [False, True, False, True, False, False, False]
    first, second, third = (EngineCursor(engine.cursor(), plain=False) for _ in range(3))
    for key, cursor in (("a", first), ("a", second), ("b", third)):
        shelf.put(key, cursor)
    assert (shelf.take("a"), shelf.take("a"), shelf.take("b")) == (second, None, third)
