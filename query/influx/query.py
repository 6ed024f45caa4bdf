"""A compiled scan of rows, bound to its instance."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass

from libs.context import RequestContext
from libs.errors import CostError
from libs.result import Batch, Schema
from query.backend import Json
from query.influx.client import InfluxClient, request_of
from query.influx.compile import RowsRequest
from query.influx.decode import columns, series


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
        return request_of(self.request.statement, self.request.db)

    async def stream(self, context: RequestContext) -> AsyncIterator[Batch]:
        request, source = self.request, self.client.name
        if request.statement is None:
            return
        left = context.limits.rows_fetched
        async with aclosing(self.client.parts(request.statement, request.db, context)) as parts:
            async for part in parts:
                for one in series(part, source):
                    rows = one.get("values") or []
                    left -= len(rows)
                    if left < 0:
                        raise too_many_rows(context.limits.rows_fetched, source)
                    if rows:
                        cells = columns(rows, request.positions, request.types, source)
                        yield Batch(request.schema, cells, len(rows))


def too_many_rows(limit: int, source: str) -> CostError:
    return CostError(
        f"The query reads more than {limit} points of {source!r}.",
        hint="Narrow the time range or the filter, or raise the limit of rows fetched.",
        source=source,
    )
