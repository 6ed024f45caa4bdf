"""G12: what a way noticed that was then given up is no part of the answer; what the way that was taken noticed is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from libs.context import RequestContext
from libs.errors import StoreError
from libs.result import Batch
from operator_ import Engine, build
from query.backend import NotProven
from query.plan import Aggregate, Attempt, Limit, Plan, Scan, Sort
from query.plan_joins import Union
from unittest_.test_engine import BY_HOST, SCAN, Feed, rows_of, scan_of

PUSHED = Scan(SCAN.source, ("a", "s"), limit=3, table=SCAN.table)


class PartialFeed(Feed):
    """Marks its answer as partial, and warns, before its first row and again at its end."""

    async def stream(self, context: RequestContext) -> AsyncIterator[Batch]:
        name = self.scan.source.instance
        for part in ("first", "last"):
            context.mark_partial(name, f"the {part} of {name} is missing")
            context.warn("VALUE_IGNORED", "a value was ignored", name)
            await asyncio.sleep(0)
            if part == "first":
                async for batch in super().stream(context):
                    yield batch


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    folder: Path = tmp_path_factory.mktemp("attempts")
    made = Engine(folder, memory_mb=128)
    yield made
    made.close()


def noticed(context: RequestContext) -> tuple[list[str], list[str], dict[str, str]]:
    """(partial sources, warnings, each source's status)."""
    return (
        sorted(context.partial_sources),
        [notice.message for notice in context.warnings],
        {report.source: report.status for report in context.sources},
    )


def unproven(at: int = 0) -> PartialFeed:
    return PartialFeed(PUSHED, 3, size=1, failure=NotProven("doubles"), fail_at=at)


@pytest.mark.parametrize(
    "shape", [lambda way: way, lambda way: Aggregate(way, BY_HOST), lambda way: Sort(Limit(way, 2), ())]
)
async def test_a_way_given_up_leaves_no_mark(engine: Engine, shape: Callable[[Plan], Plan]) -> None:
    """Also where the engine's own tasks pull it."""
    plan: Plan = Attempt(shape(PUSHED), shape(SCAN), "sums")
    context = RequestContext(partial_allowed=True)
    await rows_of(build(plan, {PUSHED: unproven(), SCAN: Feed(SCAN, 10)}, engine), context)
    assert noticed(context) == ([], [], {"one": "ok"})
    assert len(context.notes) == 1


async def test_the_way_taken_is_marked(engine: Engine) -> None:
    context = RequestContext(partial_allowed=True)
    feeds = {PUSHED: PartialFeed(PUSHED, 3), SCAN: Feed(SCAN, 10)}
    await rows_of(build(Attempt(PUSHED, SCAN, "sums"), feeds, engine), context)
    told = ["the first of one is missing", "a value was ignored", "the last of one is missing"]
    assert noticed(context) == (["one"], told, {"one": "partial"})
    context = RequestContext(partial_allowed=True)
    feeds = {PUSHED: unproven(), SCAN: PartialFeed(SCAN, 10)}
    await rows_of(build(Attempt(PUSHED, SCAN, "sums"), feeds, engine), context)
    assert noticed(context) == (["one"], told, {"one": "partial"})


async def test_an_attempt_in_an_attempt(engine: Engine) -> None:
    other = Scan(SCAN.source, ("a", "s"), limit=5, table=SCAN.table)
    inner = Attempt(PUSHED, other, "inner")
    for given_up in (True, False):
        context = RequestContext(partial_allowed=True)
        failure = NotProven("late") if given_up else None
        feeds = {PUSHED: unproven(), other: PartialFeed(other, 5, failure=failure), SCAN: Feed(SCAN, 9)}
        rows = await rows_of(build(Attempt(inner, SCAN, "outer"), feeds, engine), context)
        assert len(rows) == (9 if given_up else 5)
        assert context.partial is not given_up


async def test_another_side_of_the_same_source_keeps_its_mark(engine: Engine) -> None:
    """Both sides are pulled at once; the mark of the one is no mark of the other."""
    slow = scan_of("one", ("a",))
    plan = Union((Attempt(PUSHED, SCAN, "sums"), slow), ("x", "y"))
    for late in (0.0, 0.05):
        feeds = {PUSHED: unproven(), SCAN: Feed(SCAN, 10), slow: PartialFeed(slow, 4, delay=late)}
        context = RequestContext(partial_allowed=True)
        assert len(await rows_of(build(plan, feeds, engine), context)) == 14
        assert context.partial_sources == {"one"}
        assert "the last of one is missing" in [notice.message for notice in context.warnings]


async def test_a_failure_keeps_its_status(engine: Engine) -> None:
    other = scan_of("two", ("a",))
    plan = Union((Attempt(PUSHED, SCAN, "sums"), other), ("x", "y"))
    feeds = {
        PUSHED: Feed(PUSHED, 3),
        SCAN: Feed(SCAN, 9),
        other: Feed(other, 4, failure=StoreError("no", source="two")),
    }
    context = RequestContext(partial_allowed=True)
    await rows_of(build(plan, feeds, engine), context)
    assert noticed(context)[2] == {"one": "ok", "two": "STORE_FAILED"}
