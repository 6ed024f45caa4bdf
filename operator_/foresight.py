"""Asks the stores what a plan will cost before it runs, where the catalogue does not bound it."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import Protocol

from libs.buckets import bucket_count
from libs.context import RequestContext
from libs.errors import HostMonitorError
from libs.result import Batch, Schema
from operator_.base import Operator, close
from query.backend import Capabilities, CatalogStale, NotProven, Query
from query.costs import SLACK, Demand, Facts, GroupsDemand, JoinDemand, Probe, RowsDemand, probe
from query.expr import Compare, Predicate, conjuncts
from query.forecast import Forecast, facts_of, forecast, others_of
from query.plan import Plan, Scan

# Of the time that is left, an estimate takes this part at the most.
_SHARE = 0.25
_REMEMBERED_SECONDS = 60.0
_REMEMBERED = 1_000
# What was estimated shortly before at less than this part of the limit is not asked for again.
_FAR_BELOW = 4


@dataclass(slots=True)
class Remembered:
    """How many combinations of keys a filter left of a source when it was last asked, whatever the time range, so that a
    dashboard's panels ask once a minute."""

    _found: OrderedDict[Hashable, tuple[int, float]] = field(default_factory=OrderedDict)

    def keep(self, demand: GroupsDemand, facts: Facts) -> None:
        self._found[_name(demand)] = (others_of(demand, facts)[0], time.monotonic() + _REMEMBERED_SECONDS)
        if len(self._found) > _REMEMBERED:
            self._found.popitem(last=False)

    def suffices(self, demand: Demand, limit: int) -> bool:
        """Whether the demand, by what was found, would not be refused: it is held to the limit while it runs in any case."""
        if not isinstance(demand, GroupsDemand):
            return False
        others, until = self._found.get(_name(demand), (0, 0.0))
        bounds = demand.scan.bounds
        if until < time.monotonic():
            return False
        if demand.buckets and (bounds is None or bounds.start is None or bounds.end is None):
            return False
        buckets = [bucket_count(bounds.start or 0, bounds.end or 0, key.width) for key in demand.buckets if bounds]
        slack = SLACK if demand.fill is None else 1
        return others <= limit and max(others, 1) * prod(buckets) <= slack * limit


def _name(demand: GroupsDemand) -> Hashable:
    """The source, the keys, and the filter without its time range."""
    bounds = demand.scan.bounds
    rest = (part for part in conjuncts(demand.scan.where) if not (bounds and _on(part, bounds.field)))
    return demand.scan.source, demand.fields, tuple(rest)


def _on(part: Predicate, field: str) -> bool:
    return isinstance(part, Compare) and part.field == field


class Compiler(Protocol):
    """The factory (query.factory)."""

    def compile(self, plan: Plan) -> Mapping[Scan, Query]: ...


@dataclass(frozen=True)
class Foresight:
    """The demands of a plan, and who answers them. `capabilities` by instance."""

    demands: tuple[Demand, ...]
    capabilities: Mapping[str, Capabilities]
    compiler: Compiler
    remembered: Remembered

    async def forecasts(self, context: RequestContext, anew: bool = False) -> list[Forecast]:
        """Asked of all sources at once, for a part of the time that is left, and unless `anew` nothing that was found
        shortly before. What fails foretells nothing, and is a warning."""
        open_ = [one for one in self.demands if anew or not self.remembered.suffices(one, context.limits.groups)]
        facts = await self._facts(dict.fromkeys(scan for one in open_ for scan in _scans(one)), context)
        for one in open_:
            if isinstance(one, GroupsDemand) and one.scan in facts:
                self.remembered.keep(one, facts[one.scan])
        found = [forecast(one, facts, context.limits) for one in open_]
        return [one for one in found if one is not None]

    async def _facts(self, scans: Iterable[Scan], context: RequestContext) -> dict[Scan, Facts]:
        """Of the scans whose stores can tell something, and do."""
        asked = {scan: probe(scan, self.demands, self.capabilities[scan.source.instance]) for scan in scans}
        beside = _beside(context)
        tasks = {
            scan: asyncio.ensure_future(_ask(one, self.compiler.compile(one.scan)[one.scan], beside))
            for scan, one in asked.items()
            if one is not None
        }
        try:
            await asyncio.gather(*tasks.values())
        finally:
            for task in tasks.values():
                task.cancel()
            await asyncio.gather(*tasks.values(), return_exceptions=True)
        found: dict[Scan, Facts] = {}
        for scan, task in tasks.items():
            answer = task.result()
            if isinstance(answer, Facts):
                found[scan] = answer
            else:
                source = scan.source.instance
                context.warn("ESTIMATE_FAILED", f"The cost was not estimated at {source!r}: {answer}", source)
        return found


class ForesightOperator:
    """The input, unless it is foretold to cost too much: then CostError before its first request."""

    def __init__(self, input_: Operator, ahead: Foresight) -> None:
        self.input, self.ahead = input_, ahead

    @property
    def schema(self) -> Schema:
        return self.input.schema

    async def execute(self, context: RequestContext) -> AsyncIterator[Batch]:
        for one in await self.ahead.forecasts(context):
            if one.refused:
                raise one.error()
        stream = self.input.execute(context)
        try:
            async for batch in stream:
                yield batch
        finally:
            await close(stream)


def _scans(demand: Demand) -> Sequence[Scan]:
    match demand:
        case RowsDemand(scans):
            return scans
        case GroupsDemand(scan):
            return (scan,)
        case JoinDemand(_, left, right):
            return (left, right)


async def _ask(asked: Probe, query: Query, context: RequestContext) -> Facts | str:
    """The facts, or why there are none."""
    batches = []
    try:
        async with asyncio.timeout(context.remaining()):
            stream = query.stream(context)
            try:
                async for batch in stream:
                    batches.append(batch)
            finally:
                await close(stream)
    except TimeoutError:
        return "it took too long."
    except HostMonitorError as error:
        return error.message
    except (CatalogStale, NotProven) as error:
        return f"{error}."
    return facts_of(asked, batches)


def _beside(context: RequestContext) -> RequestContext:
    """For what is asked beside the query: the same request, notices of its own, and a part of its time."""
    now = time.monotonic()
    return replace(
        context,
        deadline=min(context.deadline, now + (context.deadline - now) * _SHARE),
        warnings=[],
        sources=[],
        notes=[],
        partial_sources=set(),
        timings={},
        fetched_bytes=0,
    )
