"""A scan as one statement over the embedded tables, and its running."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from libs.arrow_batch import ArrowBatch
from libs.arrow_rows import Params
from libs.context import RequestContext
from libs.errors import CostError, RequestError
from libs.result import Batch, Schema
from query.backend import CatalogStale
from query.embedded.readers import Reader, TablesChanged
from query.embedded.store import Store
from query.sql import NULLED, SCALED, OverflowedAggregate, Statement

Json = Any
BATCH_ROWS = 10_000


@dataclass(frozen=True, slots=True)
class Check:
    """A statement that counts the rows whose values of `fields` were ignored by their index."""

    sql: str
    params: Mapping[str, Any]
    fields: tuple[str, ...]


@dataclass(frozen=True)
class EmbeddedQuery:
    """One compiled statement, immutable. `grouped` says which limit its rows count against, `arrow` that its batches are to
    stay Arrow."""

    store: Store
    source: str
    statement: Statement
    grouped: bool
    check: Check | None = None
    arrow: bool = False

    @property
    def schema(self) -> Schema:
        return self.statement.schema

    def columnar(self) -> EmbeddedQuery:
        """See query.backend.Columnar. Groups stay as they are: their numbers come in wider types."""
        return self if self.grouped or not self.schema else replace(self, arrow=True)

    def explain(self) -> Json:
        return {"sql": self.statement.sql, "parameters": dict(self.statement.params)}

    async def stream(self, context: RequestContext) -> AsyncIterator[Batch]:
        """Raises CatalogStale (a table was changed since compiling), RequestError (VALUE_IGNORED), CostError, StoreError."""
        limit = context.limits.groups if self.grouped else context.limits.rows_fetched
        total = 0
        async with aclosing(self._batches(context)) as batches:
            async for batch in batches:
                total += batch.length
                if total > limit:
                    raise self._too_many(limit)
                context.fetched(self.source, batch.weight())
                yield batch

    async def _batches(self, context: RequestContext) -> AsyncGenerator[Batch]:
        async with self.store.readers.reader(context, self.source) as reader:
            await self._start(reader, context)
            if not self.arrow:
                while rows := await reader.fetch(BATCH_ROWS):
                    # A statement of no columns has one all the same.
                    yield Batch(self.schema, list(zip(*rows, strict=True))[: len(self.schema)], len(rows))
                return
            while (array := await reader.fetch_array()) is not None:
                yield ArrowBatch(self.schema, array, 0, array.length)

    async def _start(self, reader: Reader, context: RequestContext) -> None:
        try:
            if self.check is not None:
                await self._look_for_ignored(self.check, reader, context)
            arrow = partial(reader.execute_arrow, rows=BATCH_ROWS)
            await self._begin(arrow if self.arrow else reader.execute, context)
        except TablesChanged as error:
            raise CatalogStale(str(error)) from error

    async def _begin(self, begin: Callable[[str, Params], Awaitable[None]], context: RequestContext) -> None:
        sql, params = self.statement.sql, self.statement.params
        with suppress(OverflowedAggregate):
            return await begin(sql, params)
        try:
            await begin(sql, {**params, **SCALED})
        except OverflowedAggregate as error:
            error.warn(context, self.source)
            await begin(sql, {**params, **NULLED})

    async def _look_for_ignored(self, check: Check, reader: Reader, context: RequestContext) -> None:
        ((found,),) = await reader.all(check.sql, check.params)
        if not found:
            return
        names = ", ".join(check.fields)
        message = f"{found} documents have a value of {names} that their index ignored."
        if not context.partial_allowed:
            raise RequestError(message, code="VALUE_IGNORED", hint="options.partial takes such values as missing")
        context.warn("VALUE_IGNORED", message, self.source)

    def _too_many(self, limit: int) -> CostError:
        what = "groups" if self.grouped else "rows"
        return CostError(
            f"The query takes more than {limit} {what} from {self.source!r}.",
            hint="narrow the time range or the filter",
        )
