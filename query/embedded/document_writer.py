"""Writes of documents to one index: parsed, typed, checked for their ids, inserted together."""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from libs.errors import NotFoundError
from query.document_store import Document
from query.embedded.catalogue import ColumnDef, add_columns, make_multi, mark_ignored
from query.embedded.document_json import DocumentFault
from query.embedded.document_parser import Parsed, attach, parse_document
from query.embedded.documents_state import DocumentsState, Index
from query.embedded.mapping import Node, ObjectNode
from query.embedded.staging import staged

Cursor = duckdb.DuckDBPyConnection
Json = Any

MAX_ID_BYTES = 512
FIXED = (
    "_id VARCHAR PRIMARY KEY, _seq BIGINT NOT NULL, _version BIGINT NOT NULL, _bytes INTEGER NOT NULL, _source VARCHAR NOT NULL, "
    "_ignored INTEGER[]"
)


@dataclass(frozen=True, slots=True)
class DocumentWrite:
    """Some documents of one caller. With `replace` an existing id is written over."""

    documents: Sequence[Document]
    replace: bool


@dataclass(slots=True)
class _Row:
    id: str
    version: int
    source: str
    size: int  # bytes of the source
    parsed: Parsed


def new_id() -> str:
    """20 characters, as Elasticsearch's own ids, that grow with time."""
    return base64.urlsafe_b64encode(int(time.time() * 1000).to_bytes(6, "big") + os.urandom(9)).decode()


class IndexTarget:
    """The writer's target for one index (`key`: instance and name)."""

    def __init__(self, state: DocumentsState, key: tuple[str, str]) -> None:
        self.state = state
        self.key = key

    def apply(self, cursor: Cursor, payloads: Sequence[DocumentWrite]) -> Sequence[Any]:
        """One list of entries a payload, or NotFoundError when the index has gone meanwhile."""
        index = self.state.indices.get(self.key)
        if index is None:
            missing = NotFoundError(f"There is no index {self.key[1]!r}.", code="INDEX_UNKNOWN", source=self.key[0])
            return [missing] * len(payloads)
        given = {document.id for write in payloads for document in write.documents if document.id is not None}
        batch = _Batch(cursor, index, _versions(cursor, index, given))
        outcomes = [[batch.take(document, write.replace) for document in write.documents] for write in payloads]
        batch.store()
        self.state.touch(index)
        return outcomes


def _versions(cursor: Cursor, index: Index, ids: set[str]) -> dict[str, int]:
    """The versions of those of the ids that exist."""
    if not ids:
        return {}
    marks = ", ".join("?" * len(ids)) if len(ids) <= 200 else "SELECT unnest(?::VARCHAR[])"
    params: list[Any] = list(ids) if len(ids) <= 200 else [list(ids)]
    return dict(cursor.execute(f"SELECT _id, _version FROM {index.table} WHERE _id IN ({marks})", params).fetchall())


class _Batch:
    """The rows of one transaction for one index."""

    def __init__(self, cursor: Cursor, index: Index, versions: dict[str, int]) -> None:
        self.cursor, self.index, self.versions = cursor, index, versions
        self.stored = frozenset(versions)
        self.rows: dict[str, _Row] = {}
        self.remapped = False

    def take(self, document: Document, replace: bool) -> dict[str, Json]:
        """The document's entry in the answer; its row waits for `store`."""
        try:
            return self._take(document, replace)
        except DocumentFault as fault:
            return {"_id": document.id, "status": 400, "error": {"type": fault.kind, "reason": fault.reason}}

    def _take(self, document: Document, replace: bool) -> dict[str, Json]:
        identifier = new_id() if document.id is None else _checked(document.id)
        parsed = parse_document(document.source, self.index.mapping, identifier)
        version = self.versions.get(identifier, 0)
        if version and not replace:
            reason = f"[{identifier}]: version conflict, document already exists (current version [{version}])"
            return {
                "_id": identifier,
                "status": 409,
                "error": {"type": "version_conflict_engine_exception", "reason": reason},
            }
        if parsed.added:
            self._extend(attach(parsed, self.index.mapping))
        self._widen(parsed)
        self.rows.pop(identifier, None)
        self.rows[identifier] = _Row(identifier, version + 1, document.source.decode(), len(document.source), parsed)
        self.versions[identifier] = version + 1
        result, status = ("updated", 200) if version else ("created", 201)
        return {"_id": identifier, "_version": version + 1, "result": result, "status": status}

    def _extend(self, nodes: Sequence[Node]) -> None:
        """Columns for what dynamic mapping has added."""
        index = self.index
        fresh = [index.new_column(leaf) for node in nodes for leaf in columns_for(node)]
        add_columns(self.cursor, index.table, index.id, fresh, index.rows)
        self.index.reshaped = self.remapped = True

    def _widen(self, parsed: Parsed) -> None:
        columns = self.index.columns
        for path, value in parsed.values.items():
            if type(value) is list and not columns[path].multi and columns[path].type not in ("nested", "flattened"):
                make_multi(self.cursor, self.index.table, self.index.id, columns[path])
                self.index.reshaped = True
        fresh = [columns[path] for path in parsed.ignored if path in columns and not columns[path].ignored]
        if fresh:
            mark_ignored(self.cursor, self.index.id, fresh)
            self.index.reshaped = True

    def store(self) -> None:
        """Writes the rows, and the mapping when it has changed."""
        index, rows = self.index, list(self.rows.values())
        if self.remapped:
            text = json.dumps(index.mapping.root.raw)
            self.cursor.execute("UPDATE hm_indices SET mappings = ? WHERE id = ?", [text, index.id])
        if not rows:
            return
        replaced = [row.id for row in rows if row.id in self.stored]
        if replaced:
            old = self.cursor.execute(
                f"DELETE FROM {index.table} WHERE _id IN (SELECT unnest(?::VARCHAR[])) RETURNING _bytes", [replaced]
            ).fetchall()
            index.size -= sum(size for (size,) in old)
        columns = self._columns(rows)
        names = ", ".join(columns)
        with staged(self.cursor, columns, len(rows)) as stage:
            self.cursor.execute(f"INSERT INTO {index.table}({names}) SELECT {names} FROM {stage}")
        index.sequence += len(rows)
        index.rows += len(rows) - len(replaced)
        index.size += sum(row.size for row in rows)

    def _columns(self, rows: Sequence[_Row]) -> dict[str, tuple[str, Sequence[Any]]]:
        first = self.index.sequence
        numbers = self.index.columns
        columns: dict[str, tuple[str, Sequence[Any]]] = {
            "_id": ("VARCHAR", [row.id for row in rows]),
            "_seq": ("BIGINT", range(first, first + len(rows))),
            "_version": ("BIGINT", [row.version for row in rows]),
            "_bytes": ("INTEGER", [row.size for row in rows]),
            "_source": ("VARCHAR", [row.source for row in rows]),
        }
        if any(row.parsed.ignored for row in rows):
            columns["_ignored"] = (
                "INTEGER[]",
                [sorted(numbers[path].number for path in row.parsed.ignored) or None for row in rows],
            )
        used = {path for row in rows for path in row.parsed.values}
        for path in used:
            column = numbers[path]
            values = [row.parsed.values.get(path) for row in rows]
            columns[column.physical] = (column.declared, _cells(column, values))
        return columns


def _cells(column: ColumnDef, values: list[Any]) -> list[Any]:
    if column.multi:
        return [value if value is None or type(value) is list else [value] for value in values]
    if column.type in ("nested", "flattened"):
        return [_joined(value) if type(value) is list else value for value in values]
    return values


def _joined(texts: list[str]) -> str:
    """One JSON list of what stood in several objects of an array."""
    return "[" + ",".join(texts) + "]"


def columns_for(node: Node) -> tuple[Node, ...]:
    """The members that need a column (or, sharing their parent's, a number) of their own."""
    if isinstance(node, ObjectNode):
        return (node,) if node.is_json else ()
    return (node, *node.subs)


def _checked(identifier: str) -> str:
    length = len(identifier.encode())
    if length > MAX_ID_BYTES:
        raise DocumentFault(
            "illegal_argument_exception",
            f"id [{identifier[:60]}…] is too long, must be no longer than {MAX_ID_BYTES} bytes but was: {length}",
        )
    if not identifier:
        raise DocumentFault("illegal_argument_exception", "if _id is specified it must not be empty")
    return identifier
