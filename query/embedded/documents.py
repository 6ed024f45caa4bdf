"""Documents on the embedded store: indices, writes, searches and queries, with Elasticsearch's behaviour."""

from __future__ import annotations

import base64
import copy
import json
import os
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import duckdb

from libs.context import RequestContext
from libs.errors import ConflictError, RequestError
from query.backend import Query
from query.catalog import SourceRef, Table
from query.document_store import Document
from query.embedded.by_filter import EmbeddedChanges
from query.embedded.catalogue import drop_table, next_id, note_columns
from query.embedded.document_changes import DocumentWrite, IndexTarget
from query.embedded.document_relation import compiled, ignored_check, table_of
from query.embedded.document_writer import FIXED
from query.embedded.documents_state import Index
from query.embedded.index_settings import read_settings
from query.embedded.mapping import Leaf, read_mapping, walk
from query.embedded.query import EmbeddedQuery
from query.embedded.readers import TablesChanged
from query.embedded.search import read_search
from query.embedded.search_several import Searches
from query.embedded.single_documents import SingleDocuments
from query.names import exact_index, index_or_pattern
from query.plan import Scan

Cursor = duckdb.DuckDBPyConnection
Json = Any
BULK_PART = 2_000  # documents in one write to the store, so that small writes of others come in between


class EmbeddedDocuments(SingleDocuments):
    """A DocumentStore."""

    async def table(self, source: SourceRef, context: RequestContext) -> Table:
        name = index_or_pattern(source.target[0], "/from/index")
        return table_of(source, self._matching(name) if "*" in name else self._views(name))

    def compile(self, scan: Scan) -> Query:
        self.capabilities.require(scan)
        check = ignored_check(scan)
        return EmbeddedQuery(self.store, self.name, compiled(scan), scan.group is not None, check)

    async def nodes(self, context: RequestContext) -> Json:
        node = {
            "name": "embedded",
            "version": f"duckdb-{duckdb.__version__}",
            "roles": ["data", "ingest", "master"],
            "uptime_in_seconds": self.uptime_seconds,
        }
        return {
            "_nodes": {"total": 1, "successful": 1, "failed": 0},
            "cluster_name": "hostmonitor-embedded",
            "nodes": {"embedded": node},
        }

    async def indices(self, context: RequestContext) -> Sequence[Mapping[str, Json]]:
        self.store.check()
        return [
            {
                "index": view.name,
                "status": "open",
                "health": "green",
                "docs": view.rows,
                "bytes": view.size,
                "created": _instant(view.created_ms),
            }
            for _, view in sorted(self.store.documents.views.items())
            if view.instance == self.name
        ]

    async def create_index(
        self, index: str, settings: Mapping[str, Json], mappings: Mapping[str, Json], context: RequestContext
    ) -> Json:
        exact_index(index, "/index")
        words = read_settings(settings)
        read_mapping(copy.deepcopy(dict(mappings)), words.normalizers, words.max_fields)

        def create(cursor: Cursor) -> None:
            if (self.name, index) in self.store.documents.indices:
                raise ConflictError(f"The index {index!r} exists already.", code="ALREADY_EXISTS", source=self.name)
            if (self.name, index) in self.store.documents.aliases.held:
                raise ConflictError(f"An alias is called {index!r}.", code="ALREADY_EXISTS", source=self.name)
            raw = copy.deepcopy(dict(mappings))
            made = Index(
                next_id(cursor),
                self.name,
                index,
                base64.urlsafe_b64encode(os.urandom(16)).decode().rstrip("="),
                time.time_ns() // 1_000_000,
                settings,
                read_mapping(raw, words.normalizers, words.max_fields),
                {},
            )
            _make(cursor, made)
            self.store.documents.add(made)

        await self.store.writer.change(create, context, self.name)
        return {"_index": index, "acknowledged": True}

    async def describe_index(self, index: str, context: RequestContext) -> Json:
        view = self._exactly(exact_index(index))
        return {"settings": view.settings, "mappings": json.loads(view.mappings)}

    async def delete_index(self, index: str, context: RequestContext) -> Json:
        exact_index(index)

        def delete(cursor: Cursor) -> None:
            gone = self.store.documents.indices.get((self.name, index))
            if gone is None and (named := self.store.documents.aliases.held.get((self.name, index))):
                raise self._alias(index, named)
            if gone is None:
                raise self._unknown(index)
            self.store.documents.aliases.index_gone(cursor, (self.name, index))
            drop_table(cursor, gone.table, gone.id)
            cursor.execute("DELETE FROM hm_indices WHERE id = ?", [gone.id])
            self.store.documents.remove(gone)

        await self.store.writer.change(delete, context, self.name)
        return {"acknowledged": True}

    async def search(self, index: str, dsl: Mapping[str, Json], context: RequestContext) -> Json:
        exact_index(index)
        started = time.monotonic()
        try:
            answer = await self._search_once(index, dsl, context)
        except TablesChanged:  # between reading the catalogue and the table; once more, with what it is now
            answer = await self._search_once(index, dsl, context)
        answer["took"] = int((time.monotonic() - started) * 1000)
        return answer

    async def insert(self, index: str, document: Document, refresh: bool, context: RequestContext) -> Json:
        (entry,) = await self.bulk(index, [document], refresh, context)
        if "error" not in entry:
            return {"_index": index} | {name: entry[name] for name in ("_id", "_version", "result")}
        reason = entry["error"]["reason"]
        if entry["status"] == 409:
            raise ConflictError(reason, source=self.name, hint="send another _id, or none")
        raise RequestError(reason, code="VALUE_INVALID", pointer="", source=self.name)

    async def bulk(
        self,
        index: str,
        documents: Sequence[Document],
        refresh: bool,
        context: RequestContext,
        replace: bool = False,
    ) -> Sequence[Mapping[str, Json]]:
        views = self._views(exact_index(index))
        if len(views) > 1:
            return [_no_write_index(index)] * len(documents)
        key = (self.name, views[0].name)
        target = IndexTarget(self.store.documents, key)
        entries: list[Mapping[str, Json]] = []
        for start in range(0, len(documents), BULK_PART):
            part = documents[start : start + BULK_PART]
            size = sum(len(document.source) for document in part)
            write = DocumentWrite(part, replace)
            entries += await self.store.writer.submit(("documents", key), target, write, size, context, self.name)
        return entries

    @property
    def by_filter(self) -> EmbeddedChanges:
        return EmbeddedChanges(self.store, self.name, self._view)

    async def _search_once(self, index: str, dsl: Mapping[str, Json], context: RequestContext) -> dict[str, Json]:
        found = Searches([(view, read_search(dsl, view, f"i{at}q")) for at, view in enumerate(self._views(index))])
        statement, params = found.statement()
        async with self.store.readers.reader(context, self.name) as reader:
            ((total,),) = await reader.all(*found.count())
            rows = await reader.all(statement, params) if found.size else []
        return found.answer(total, rows)


def _make(cursor: Cursor, index: Index) -> None:
    """The table of a new index, with a column for every mapped field, and its rows in the catalogue."""
    members = (
        member
        for node in walk(index.mapping.root)
        for member in ((node, *node.subs) if isinstance(node, Leaf) else (node,))
    )
    columns = [index.new_column(member) for member in members]
    note_columns(cursor, index.id, columns)
    declared = [FIXED, *(f"{column.physical} {column.declared}" for column in columns if column.sql)]
    cursor.execute(f"CREATE TABLE {index.table}({', '.join(declared)})")
    cursor.execute(
        "INSERT INTO hm_indices VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            index.id,
            index.instance,
            index.name,
            index.uuid,
            index.created_ms,
            json.dumps(dict(index.settings)),
            json.dumps(index.mapping.root.raw),
        ],
    )


def _no_write_index(alias: str) -> Mapping[str, Json]:
    """The entry of a document that an alias of several indices is given, as Elasticsearch has it."""
    reason = f"no write index is defined for alias [{alias}]. The alias points to multiple indices"
    return {"status": 400, "error": {"type": "illegal_argument_exception", "reason": reason}}


def _instant(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
