"""Rows out of Elasticsearch: one page, or a whole scan by point in time, the next page fetched while one is decoded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import orjson

from libs.context import RequestContext
from libs.errors import StoreError
from libs.result import Batch, Cell, Schema
from query.backend import Json, NotProven
from query.es.catalog import OPEN
from query.es.predicates import Clause
from query.es.rows import ListSeen, NeedsFields, RowDecoder, Unreadable
from query.es.search import (
    SEARCH,
    Asked,
    EsSource,
    check_ignored,
    close_point,
    ignored,
    kept_alive,
    open_point,
    search,
    too_many,
)

MOST_A_PAGE = 10_000
_FIRST_PAGE = 1000


@dataclass(frozen=True)
class RowsQuery:
    """Rows of one scan. `size` is the limit, None for all; `sort` is empty where the order is the store's own.

    `zeros` are the positions in `sort` at which a zero makes the order unsure.
    """

    source: EsSource
    asked: Asked
    sort: tuple[Clause, ...]
    size: int | None
    zeros: tuple[int, ...] = ()

    @cached_property
    def decoder(self) -> RowDecoder:
        """Made once for a table and its columns."""
        prepared, columns = self.asked.table_note.prepared, self.asked.scan.columns
        decoder = prepared.get(columns)
        if not isinstance(decoder, RowDecoder):
            decoder = prepared[columns] = RowDecoder(self.asked.scan)
        return decoder

    @property
    def schema(self) -> Schema:
        return self.decoder.schema

    def explain(self) -> Json:
        """The native request; a whole scan's is that of its first page."""
        if self._paged:
            body = self._page_body(frozenset(), self.source.page_rows)
            opened = {"method": "POST", "path": f"{self.asked.path}/_pit?keep_alive={self.source.keep_alive}&{OPEN}"}
            return {"method": "POST", "path": "/_search", "body": body, "point_in_time": opened}
        return {"method": "POST", "path": self._path, "body": self._body(frozenset())}

    @property
    def _paged(self) -> bool:
        return self.size is None or self.size > MOST_A_PAGE

    @property
    def _path(self) -> str:
        return f"{self.asked.path}/_search?{SEARCH}"

    async def stream(self, context: RequestContext) -> AsyncGenerator[Batch]:
        """See query.backend.Query."""
        await check_ignored(self.source, self.asked, context)
        if not self._paged:
            batch = await self._one(context)
            if batch.length > context.limits.rows_fetched:
                raise too_many(self.source, context)
            if batch.length:
                yield batch
            return
        rows = 0
        async with aclosing(self._walk(context)) as pages:
            async for batch in pages:
                rows += batch.length
                if rows > context.limits.rows_fetched:
                    raise too_many(self.source, context)
                yield batch

    @cached_property
    def _encoded(self) -> bytes:
        return orjson.dumps(self._body(frozenset()))

    async def _one(self, context: RequestContext) -> Batch:
        by_fields: frozenset[str] = frozenset()
        body = self._encoded
        while True:
            answer, _ = await search(self.source, self.asked, self._path, body, context)
            self._check_zeros(answer)
            try:
                return self._batch(answer, by_fields, context)
            except NeedsFields as needed:
                by_fields = needed.names
                body = orjson.dumps(self._body(by_fields))

    def _check_zeros(self, answer: Any) -> None:
        for hit in answer["hits"]["hits"] if self.zeros else ():
            if any(hit["sort"][at] == 0 for at in self.zeros):
                raise NotProven("rows are ordered by a zero that may be negative, and then by another field")

    async def _walk(self, context: RequestContext) -> AsyncGenerator[Batch]:
        point = await open_point(self.source, self.asked, context)
        try:
            async with aclosing(self._pages(point, context)) as pages:
                async for batch in pages:
                    yield batch
        finally:
            await asyncio.shield(close_point(self.source, point, context))

    async def _pages(self, point: dict[str, str], context: RequestContext) -> AsyncGenerator[Batch]:
        left, after, here = self.size, None, None
        by_fields: frozenset[str] = frozenset()
        size = min(self.source.page_rows, _FIRST_PAGE)
        answer, weight = await self._page(point, by_fields, size, None, context)
        total = answer["hits"]["total"]["value"]
        if min(total, total if left is None else left) > context.limits.rows_fetched:
            raise too_many(self.source, context)
        while True:
            hits = answer["hits"]["hits"]
            taken = hits if left is None else hits[:left]
            left = None if left is None else left - len(taken)
            following = None
            here = after
            if len(hits) == size and left != 0:
                after, size = hits[-1]["sort"], self._next_size(len(hits), weight)
                following = asyncio.create_task(self._page(point, by_fields, size, after, context))
                await asyncio.sleep(0)
            try:
                columns: list[Sequence[Cell]] | None = None
                while columns is None:
                    try:
                        columns = self._columns(taken, by_fields, context)
                    except NeedsFields as needed:
                        by_fields = needed.names
                        again, _ = await self._page(point, by_fields, len(hits), here, context)
                        taken = again["hits"]["hits"][: len(taken)]
                if taken:
                    yield Batch(self.schema, columns, len(taken))
                if following is None:
                    return
                answer, weight = await following
            finally:
                if following is not None and not following.done():
                    following.cancel()
                    with suppress(asyncio.CancelledError, StoreError, NotProven):
                        await following

    def _next_size(self, rows: int, weight: int) -> int:
        """As many rows as weigh what a page may."""
        fitting = self.source.page_bytes * rows // max(weight, 1)
        return max(1, min(self.source.page_rows, fitting))

    async def _page(
        self, point: dict[str, str], by_fields: frozenset[str], size: int, after: Any, context: RequestContext
    ) -> tuple[Any, int]:
        body = self._page_body(by_fields, size)
        body["pit"] = {"id": point["id"], "keep_alive": kept_alive(self.source, context)}
        if after is None:
            body["track_total_hits"] = min(context.limits.rows_fetched + 1, 2**31 - 1)
        else:
            body["search_after"] = after
        path = "/_search?allow_partial_search_results=true"
        answer, weight = await search(self.source, self.asked, path, orjson.dumps(body), context)
        point["id"] = answer.get("pit_id", point["id"])
        return answer, weight

    def _batch(self, answer: Any, by_fields: frozenset[str], context: RequestContext) -> Batch:
        hits = answer["hits"]["hits"]
        return Batch(self.schema, self._columns(hits, by_fields, context), len(hits))

    def _columns(self, hits: list[Any], by_fields: frozenset[str], context: RequestContext) -> list[Sequence[Cell]]:
        try:
            return self.decoder.columns(hits, by_fields, lambda name: ignored(self.source, name, context))
        except ListSeen as error:
            self.source.catalog.saw_lists(self.asked.scan.source.target[0], [error.name])
            raise
        except Unreadable as error:
            raise self.source.client.unreadable(f"the values of {error.name!r} are of no known form") from None

    def _body(self, by_fields: frozenset[str]) -> dict[str, Any]:
        body: dict[str, Any] = {"size": self.size, "track_total_hits": False}
        if self.asked.query is not None:
            body["query"] = {"bool": {"filter": [self.asked.query]}}
        body["sort"] = self.sort or ("_doc",)
        body.update(self.decoder.asks(by_fields))
        return body

    def _page_body(self, by_fields: frozenset[str], size: int) -> dict[str, Any]:
        body = self._body(by_fields)
        body["size"] = size
        body["sort"] = self.sort or ("_shard_doc",)
        return body
