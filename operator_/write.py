"""Writes of documents and points, with the outcome of each item."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import orjson

from libs.context import RequestContext
from libs.result import INT64, JSON, STRING, Batch, Cell, Column, Schema
from query.backend import Point, SeriesStore
from query.document_store import Document, DocumentStore

DOCUMENT_OUTCOME: Schema = (
    Column("status", INT64),
    Column("_id", STRING),
    Column("_version", INT64),
    Column("result", STRING),
    Column("error", JSON),
)
POINT_OUTCOME: Schema = (Column("written", INT64), Column("dropped", INT64), Column("reasons", JSON))


class InsertDocuments:
    """Writes documents to an index; a row an item, in order, its `status` as HTTP has it (a 409 for an id that exists)."""

    def __init__(
        self,
        store: DocumentStore,
        index: str,
        documents: Sequence[Document],
        refresh: bool = False,
        replace: bool = False,
    ) -> None:
        self.store, self.index, self.documents = store, index, documents
        self.refresh, self.replace = refresh, replace

    @property
    def schema(self) -> Schema:
        return DOCUMENT_OUTCOME

    async def execute(self, context: RequestContext) -> AsyncIterator[Batch]:
        items = await self.store.bulk(self.index, self.documents, self.refresh, context, self.replace)
        yield Batch(self.schema, [[_cell(item.get(c.name)) for item in items] for c in self.schema], len(items))


class InsertPoints:
    """Writes points to a database; one row with how many were written and dropped, and the reasons as a JSON list."""

    def __init__(self, store: SeriesStore, db: str, points: Sequence[Point]) -> None:
        self.store, self.db, self.points = store, db, points

    @property
    def schema(self) -> Schema:
        return POINT_OUTCOME

    async def execute(self, context: RequestContext) -> AsyncIterator[Batch]:
        report = await self.store.write(self.db, self.points, context)
        yield Batch(self.schema, [[report.written], [report.dropped], [_cell(list(report.reasons))]])


def _cell(value: Any) -> Cell:
    return orjson.dumps(value).decode() if isinstance(value, dict | list) else value
