"""A whole scan by point in time, page by page: the next one is fetched while one is read, in a thread.

A page is read as columns by the engine (query/es/columnar.py); one that it cannot prove, value by value (query/es/rows.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing, suppress
from functools import partial
from typing import Any

import orjson

from libs.context import RequestContext
from libs.conversion import NotConverted, in_thread
from libs.errors import StoreError
from libs.result import Batch, Cell, Schema
from query.backend import NotProven
from query.es.columnar import ColumnarDecoder
from query.es.pages import Page, cut, parsed
from query.es.rows import NeedsFields
from query.es.search import Asked, EsSource, close_point, kept_alive, open_point, search_bytes, too_many

_FIRST_PAGE = 1000
Columns = Callable[[list[Any], frozenset[str], RequestContext], list[Sequence[Cell]]]


class Walk:
    """`body` answers a page's request, `columns` reads hits value by value, `columnar` reads them by the engine where it
    can. `size` is the limit, None for all."""

    def __init__(
        self,
        source: EsSource,
        asked: Asked,
        size: int | None,
        schema: Schema,
        body: Callable[[frozenset[str], int], dict[str, Any]],
        columns: Columns,
        columnar: str | None,
    ) -> None:
        self._source, self._asked, self._size, self._schema = source, asked, size, schema
        self._body, self._columns, self._columnar = body, columns, columnar
        self._by_fields: frozenset[str] = frozenset()
        self._point: dict[str, str] = {}

    async def batches(self, context: RequestContext) -> AsyncGenerator[Batch]:
        """Raises CostError before the first row where there are more than may be fetched; else as Query.stream does."""
        self._point = await open_point(self._source, self._asked, context)
        decoder = None if self._columnar is None else ColumnarDecoder(self._schema, self._columnar)
        try:
            async with aclosing(self._pages(decoder, context)) as pages:
                async for batch in pages:
                    yield batch
        finally:
            if decoder is not None:
                decoder.close()
            await asyncio.shield(close_point(self._source, self._point, context))

    async def _pages(self, decoder: ColumnarDecoder | None, context: RequestContext) -> AsyncGenerator[Batch]:
        left, after, size = self._size, None, min(self._source.page_rows, _FIRST_PAGE)
        page = await self._page(size, None, context)
        total = page.head["hits"]["total"]["value"]
        if min(total, total if left is None else left) > context.limits.rows_fetched:
            raise too_many(self._source, context)
        asked = 0
        while True:
            here, following, next_size = after, None, size
            asked += size
            if asked < total and page.last is not None and (left is None or left > size):
                after = page.last
                next_size = self._next_size(size, len(page.content))
                following = asyncio.create_task(self._page(next_size, after, context))
                await asyncio.sleep(0)
            try:
                rows = 0
                for batch in await self._read(page, size, here, decoder, context):
                    rows += batch.length
                    taken = batch if left is None or batch.length <= left else batch.slice(0, left)
                    left = None if left is None else left - taken.length
                    if taken.length:
                        yield taken
                if following is None or rows < size:
                    return
                page, size = await following, next_size
            finally:
                if following is not None and not following.done():
                    following.cancel()
                    with suppress(asyncio.CancelledError, StoreError, NotProven):
                        await following

    def _next_size(self, rows: int, weight: int) -> int:
        """As many rows as weigh what a page may."""
        fitting = self._source.page_bytes * rows // max(weight, 1)
        return max(1, min(self._source.page_rows, fitting))

    async def _page(self, size: int, after: Any, context: RequestContext) -> Page:
        by_fields = self._by_fields
        body = self._body(by_fields, size)
        body["pit"] = {"id": self._point["id"], "keep_alive": kept_alive(self._source, context)}
        if after is None:
            body["track_total_hits"] = min(context.limits.rows_fetched + 1, 2**31 - 1)
        else:
            body["search_after"] = after
        path = "/_search?allow_partial_search_results=true"
        content = await search_bytes(self._source, self._asked, path, orjson.dumps(body), context)
        page = cut(content, by_fields)
        if page is None:
            answer = self._source.client.parsed(content)
            with self._source.client.reading():
                page = parsed(content, answer, by_fields)
        self._source.client.check_partial(page.head, context)
        self._point["id"] = page.head.get("pit_id", self._point["id"])
        return page

    async def _read(
        self, page: Page, size: int, here: Any, decoder: ColumnarDecoder | None, context: RequestContext
    ) -> Sequence[Batch]:
        """The page's rows. Where it has to be asked anew, `here` is what it came after."""
        if decoder is not None and page.stop and not page.by_fields and not page.ignoring:
            with suppress(NotConverted):
                return await in_thread(partial(decoder.batches, page.content, page.start, page.stop))
        while True:
            try:
                return await in_thread(partial(self._by_value, page, context))
            except NeedsFields as needed:
                self._by_fields = needed.names
                page = await self._page(size, here, context)

    def _by_value(self, page: Page, context: RequestContext) -> list[Batch]:
        answer = self._source.client.parsed(page.content)
        with self._source.client.reading():
            hits = answer["hits"]["hits"]
        columns = self._columns(hits, page.by_fields, context)
        return [Batch(self._schema, columns, len(hits))]
