"""Rows out of Elasticsearch: one page, or a whole scan by point in time (query/es/walk.py)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import orjson

from libs.context import RequestContext
from libs.result import Batch, Cell, Schema
from query.backend import Json, NotProven
from query.es.catalog import OPEN
from query.es.columnar import statement
from query.es.predicates import Clause
from query.es.rows import ListSeen, NeedsFields, RowDecoder, Unreadable
from query.es.search import (
    SEARCH,
    Asked,
    EsSource,
    check_ignored,
    ignored,
    search,
    too_many,
)
from query.es.walk import Walk

MOST_A_PAGE = 10_000


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
        if not self._paged:
            batch = await self.whole(context)
            if batch.length:
                yield batch
            return
        await check_ignored(self.source, self.asked, context)
        rows = 0
        async with aclosing(self._walk(context)) as pages:
            async for batch in pages:
                rows += batch.length
                if rows > context.limits.rows_fetched:
                    raise too_many(self.source, context)
                yield batch

    @property
    def at_once(self) -> bool:
        """See query.at_once.QueryAtOnce."""
        return not self._paged

    async def whole(self, context: RequestContext) -> Batch:
        """See query.at_once.QueryAtOnce."""
        await check_ignored(self.source, self.asked, context)
        batch = await self._one(context)
        if batch.length > context.limits.rows_fetched:
            raise too_many(self.source, context)
        return batch

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

    def _walk(self, context: RequestContext) -> AsyncGenerator[Batch]:
        columnar = self._columnar
        walk = Walk(self.source, self.asked, self.size, self.schema, self._page_body, self._columns, columnar)
        return walk.batches(context)

    @cached_property
    def _columnar(self) -> str | None:
        return statement(self.asked.scan)

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
