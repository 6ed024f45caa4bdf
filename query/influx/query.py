"""Compiled scans, bound to their instance."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial

from libs.context import RequestContext
from libs.conversion import in_thread
from libs.errors import CostError
from libs.result import Batch, Schema
from query.backend import Json, NotProven
from query.influx.client import CHUNK_ROWS, InfluxClient, request_of, table_request_of
from query.influx.compile import RowsRequest
from query.influx.decode import NotFinite, columns, series, unreadable
from query.influx.folding import Folded
from query.influx.groups import GroupsRequest
from query.influx.table_text import Rows, pieces

_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class InfluxRows:
    """One SELECT of points."""

    request: RowsRequest
    client: InfluxClient

    @property
    def schema(self) -> Schema:
        return self.request.schema

    def explain(self) -> Json:
        if self.request.statement is None:
            return {"nothing": "no point can match"}
        told = table_request_of if self.request.as_table else request_of
        return told(self.request.statement, self.request.db)

    async def stream(self, context: RequestContext) -> AsyncIterator[Batch]:
        if self.request.statement is None:
            return
        left = context.limits.rows_fetched
        async with aclosing(self._batches(self.request.statement, context)) as batches:
            async for batch in batches:
                left -= batch.length
                if left < 0:
                    raise too_many_rows(context.limits.rows_fetched, self.client.name)
                yield batch

    async def _batches(self, statement: str, context: RequestContext) -> AsyncGenerator[Batch]:
        request, source = self.request, self.client.name
        if request.as_table:
            told = True
            async with aclosing(self._of_table(statement, context)) as batches:
                async for batch in batches:
                    if batch is None:
                        told = False
                    else:
                        yield batch
            if told:
                return
        async with aclosing(self.client.parts(statement, request.db, context)) as parts:
            async for part in parts:
                for one in series(part, source):
                    rows = one.get("values") or []
                    if rows:
                        cells = columns(rows, request.positions, request.types, source)
                        yield Batch(request.schema, cells, len(rows))

    async def _of_table(self, statement: str, context: RequestContext) -> AsyncGenerator[Batch | None]:
        """None where the CSV of this server proves nothing."""
        request = self.request
        rows = Rows(self.client.name, request.schema, request.positions, request.types, request.width)
        try:
            async with aclosing(self.client.blocks(statement, request.db, request.width, context)) as blocks:
                async for block in blocks:
                    if block is None:
                        yield None
                        return
                    for piece in pieces(block):
                        for batch in await in_thread(partial(rows.batches, piece)):
                            yield batch
        finally:
            rows.close()


@dataclass(frozen=True, slots=True)
class InfluxGroups:
    """One SELECT of groups; a second statement where counting rows needs a proof."""

    request: GroupsRequest
    client: InfluxClient

    @property
    def schema(self) -> Schema:
        return self.request.schema

    def explain(self) -> Json:
        request = self.request
        if request.statement is None:
            return {"nothing": "no point can match"}
        asked: dict[str, Json] = request_of(request.statement, request.db)
        if request.proof is not None:
            asked["proof"] = f"{request.proof} AND (the field with the most values is present)"
        return asked

    async def stream(self, context: RequestContext) -> AsyncIterator[Batch]:
        """Raises NotProven when what came cannot be shown to be exact, CostError past the limit of groups."""
        batch = (await self._folded(context)).batch()
        for start in range(0, batch.length, CHUNK_ROWS):
            yield batch.slice(start, start + CHUNK_ROWS)

    async def _folded(self, context: RequestContext) -> Folded:
        """The groups, proven. Points that are written meanwhile spoil the proof: then both are asked for again."""
        for _ in range(_ATTEMPTS):
            folded = Folded(self.request, self.client.name)
            if self.request.statement is None:
                return folded
            try:
                await self._fetch(self.request.statement, folded, context)
            except NotFinite as error:
                raise NotProven("a sum is past the largest number") from error
            if self.request.proof is None or await self._proven(folded.totals(), context):
                return folded
        raise NotProven("points are written faster than they are counted")

    async def _fetch(self, statement: str, folded: Folded, context: RequestContext) -> None:
        source, limit = self.client.name, context.limits.groups
        async with aclosing(self.client.parts(statement, self.request.db, context)) as parts:
            async for part in parts:
                for one in series(part, source):
                    folded.add(one)
                if len(folded.groups) > limit:
                    raise CostError(
                        f"The query makes more than {limit} groups.",
                        hint="Narrow the time range or the filter, group by fewer keys, or use wider buckets.",
                        source=source,
                    )

    async def _proven(self, totals: list[int], context: RequestContext) -> bool:
        """The field with the most values is in every row: where it is present, no field has fewer values. Raises NotProven
        when one has; False when one has more than before."""
        request, source = self.request, self.client.name
        most = max(totals)
        if not most or sum(1 for total in totals if total) == 1:
            return True
        result = await self.client.ask(request.proof_of(request.fields[totals.index(most)]), context, request.db)
        rows = [row for one in series(result, source) for row in one.get("values", [])]
        counts = [value or 0 for value in rows[0][1:]] if rows else [0] * len(totals)
        if len(rows) > 1 or len(counts) != len(totals):
            raise unreadable(source, "its rows are not what was asked for")
        if any(count < total for count, total in zip(counts, totals, strict=True)):
            raise NotProven("no field is in every row")
        return counts == totals


def too_many_rows(limit: int, source: str) -> CostError:
    return CostError(
        f"The query reads more than {limit} points of {source!r}.",
        hint="Narrow the time range or the filter, or raise the limit of rows fetched.",
        source=source,
    )
