"""One store's rows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from functools import cached_property
from typing import Protocol, runtime_checkable

from libs.context import RequestContext, SourceReport
from libs.errors import CostError, DeadlineError, StoreError
from libs.result import Batch, Schema
from operator_.base import close
from query.at_once import QueryAtOnce
from query.backend import Query


@runtime_checkable
class Columnar(Protocol):
    """A query whose rows can come as batches that stay Arrow (libs.arrow_batch)."""

    def columnar(self) -> Query:
        """The same query, whose batches do."""
        ...


def columnar(query: Query) -> Query:
    """The query for what takes Arrow as it is: the local engine, and streams."""
    return query.columnar() if isinstance(query, Columnar) else query


class ScanOperator:
    """Pulls a query: reports its source (the time it was waited for, its rows, whether it answered in part), and holds the
    limit of rows fetched.

    Raises what the query raises, CostError past `limits.rows_fetched` of all sources together, DeadlineError."""

    def __init__(self, source: str, query: Query) -> None:
        self.source = source
        self.query = query

    @property
    def schema(self) -> Schema:
        return self.query.schema

    @cached_property
    def at_once(self) -> QueryAtOnce | None:
        """The query, where one answer holds all of its rows: then `whole` does what `execute` does."""
        query = self.query
        return query if isinstance(query, QueryAtOnce) and query.at_once else None

    async def whole(self, context: RequestContext) -> Batch:
        """All rows in one batch, where the query is `at_once`."""
        assert self.at_once is not None
        report, begun = _report(context, self.source), time.monotonic()
        try:
            batch = await self.at_once.whole(context)
            report.rows += batch.length
        except StoreError as error:
            report.status = error.code.name
            raise
        finally:
            report.took_ms += round((time.monotonic() - begun) * 1000, 3)
        if self.source in context.partial_sources:
            report.status = "partial"
        _check_rows(context)
        return batch

    async def execute(self, context: RequestContext) -> AsyncIterator[Batch]:
        report, waited = _report(context, self.source), 0.0
        stream = self.query.stream(context)
        try:
            while True:
                begun = time.monotonic()
                try:
                    async with asyncio.timeout(context.remaining(self.source)):
                        batch = await anext(stream, None)
                except TimeoutError:
                    raise DeadlineError(f"{self.source!r} did not answer in time.", source=self.source) from None
                finally:
                    waited += time.monotonic() - begun
                    report.took_ms = max(report.took_ms, round(waited * 1000, 3))
                if self.source in context.partial_sources:
                    report.status = "partial"
                if batch is None:
                    return
                report.rows += batch.length
                _check_rows(context)
                yield batch
        except StoreError as error:
            report.status = error.code.name
            raise
        finally:
            await close(stream)


def _report(context: RequestContext, source: str) -> SourceReport:
    """The source's row of `meta.sources`, made when it is the first scan of it."""
    for report in context.sources:
        if report.source == source:
            return report
    report = SourceReport(source)
    context.sources.append(report)
    return report


def _check_rows(context: RequestContext) -> None:
    fetched, limit = sum(report.rows for report in context.sources), context.limits.rows_fetched
    if fetched > limit:
        raise CostError(
            f"The query fetches more than {limit} rows.",
            hint="narrow the time range or the filter, or use only what the store can group by itself (see explain)",
        )
