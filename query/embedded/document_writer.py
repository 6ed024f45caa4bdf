"""Writes of documents to one index: parsed, typed, checked for their ids, inserted together."""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from query.document_store import Document
from query.embedded.catalogue import ColumnDef, add_columns, make_multi, mark_ignored, note_sequence
from query.embedded.document_json import DocumentFault
from query.embedded.document_parser import Parsed, attach, parse_document
from query.embedded.documents_state import Index
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
class Held:
    """What a document is versioned by: how often it was written, and its place in the order of all writes."""

    version: int
    seq: int


@dataclass(slots=True)
class _Row:
    id: str
    held: Held
    source: str
    size: int  # bytes of the source
    parsed: Parsed


def new_id() -> str:
    """20 characters, as Elasticsearch's own ids, that grow with time."""
    return base64.urlsafe_b64encode(int(time.time() * 1000).to_bytes(6, "big") + os.urandom(9)).decode()


class Batch:
    """What one transaction does to the documents of one index. `held` are those of its ids that there are, by now."""

    def __init__(self, cursor: Cursor, index: Index, ids: Collection[str]) -> None:
        self.cursor, self.index = cursor, index
        self.held = _held(cursor, index, ids)
        self._stored = frozenset(self.held)
        self._rows: dict[str, _Row] = {}
        self._gone: set[str] = set()
        self._sequence = index.sequence
        self._remapped = False

    def take(self, document: Document, replace: bool) -> dict[str, Json]:
        """The document's entry in the answer; its row waits for `store`."""
        try:
            return self._take(document, replace)
        except DocumentFault as fault:
            return {"_id": document.id, "status": 400, "error": {"type": fault.kind, "reason": fault.reason}}

    def _take(self, document: Document, replace: bool) -> dict[str, Json]:
        identifier = new_id() if document.id is None else checked_id(document.id)
        held = self.held.get(identifier)
        if held is not None and not replace:
            parse_document(document.source, self.index.mapping, identifier)
            reason = f"[{identifier}]: version conflict, document already exists (current version [{held.version}])"
            return {
                "_id": identifier,
                "status": 409,
                "error": {"type": "version_conflict_engine_exception", "reason": reason},
            }
        version = self.put(identifier, document.source).version
        result, status = ("created", 201) if held is None else ("updated", 200)
        return {"_id": identifier, "_version": version, "result": result, "status": status}

    def put(self, identifier: str, source: bytes) -> Held:
        """Makes or replaces a document. Raises DocumentFault, and then has done nothing."""
        parsed = parse_document(source, self.index.mapping, identifier)
        if parsed.added:
            self._extend(attach(parsed, self.index.mapping))
        self._widen(parsed)
        earlier = self.held.get(identifier)
        held = self.held[identifier] = Held(1 if earlier is None else earlier.version + 1, self._next())
        self._rows.pop(identifier, None)
        self._rows[identifier] = _Row(identifier, held, source.decode(), len(source), parsed)
        return held

    def remove(self, identifier: str) -> Held:
        """Deletes a document that there is; answers the write that deleted it."""
        held = self.held.pop(identifier)
        self._rows.pop(identifier, None)
        self._gone.add(identifier)
        return Held(held.version + 1, self._next())

    def pending(self, identifier: str) -> bytes | None:
        """The source that this transaction has given the document, if it has."""
        row = self._rows.get(identifier)
        return None if row is None else row.source.encode()

    def _next(self) -> int:
        self._sequence += 1
        return self._sequence - 1

    def _extend(self, nodes: Sequence[Node]) -> None:
        """Columns for what dynamic mapping has added."""
        index = self.index
        fresh = [index.new_column(leaf) for node in nodes for leaf in columns_for(node)]
        add_columns(self.cursor, index.table, index.id, fresh, index.rows)
        self.index.reshaped = self._remapped = True

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
        index, rows = self.index, list(self._rows.values())
        if self._remapped:
            text = json.dumps(index.mapping.root.raw)
            self.cursor.execute("UPDATE hm_indices SET mappings = ? WHERE id = ?", [text, index.id])
        self._delete()
        if rows:
            columns = self._columns(rows)
            names = ", ".join(columns)
            with staged(self.cursor, columns, len(rows)) as stage:
                self.cursor.execute(f"INSERT INTO {index.table}({names}) SELECT {names} FROM {stage}")
        index.sequence = self._sequence
        index.rows += len(rows)
        index.size += sum(row.size for row in rows)

    def _delete(self) -> None:
        """The rows of documents that are replaced or go."""
        index = self.index
        going = [one for one in self._stored if one in self._rows or one in self._gone]
        if going:
            old = self.cursor.execute(
                f"DELETE FROM {index.table} WHERE _id IN (SELECT unnest(?::VARCHAR[])) RETURNING _bytes", [going]
            ).fetchall()
            index.size -= sum(size for (size,) in old)
            index.rows -= len(old)
        if self._gone:
            note_sequence(self.cursor, index.id, self._sequence)

    def _columns(self, rows: Sequence[_Row]) -> dict[str, tuple[str, Sequence[Any]]]:
        numbers = self.index.columns
        columns: dict[str, tuple[str, Sequence[Any]]] = {
            "_id": ("VARCHAR", [row.id for row in rows]),
            "_seq": ("BIGINT", [row.held.seq for row in rows]),
            "_version": ("BIGINT", [row.held.version for row in rows]),
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


def _held(cursor: Cursor, index: Index, ids: Collection[str]) -> dict[str, Held]:
    """Those of the ids that exist."""
    if not ids:
        return {}
    marks = ", ".join("?" * len(ids)) if len(ids) <= 200 else "SELECT unnest(?::VARCHAR[])"
    params: list[Any] = list(ids) if len(ids) <= 200 else [list(ids)]
    rows = cursor.execute(f"SELECT _id, _version, _seq FROM {index.table} WHERE _id IN ({marks})", params).fetchall()
    return {identifier: Held(version, seq) for identifier, version, seq in rows}


def columns_for(node: Node) -> tuple[Node, ...]:
    """The members that need a column (or, sharing their parent's, a number) of their own."""
    if isinstance(node, ObjectNode):
        return (node,) if node.is_json else ()
    return (node, *node.subs)


def checked_id(identifier: str) -> str:
    length = len(identifier.encode())
    if length > MAX_ID_BYTES:
        raise DocumentFault(
            "illegal_argument_exception",
            f"id [{identifier[:60]}…] is too long, must be no longer than {MAX_ID_BYTES} bytes but was: {length}",
        )
    if not identifier:
        raise DocumentFault("illegal_argument_exception", "if _id is specified it must not be empty")
    return identifier
