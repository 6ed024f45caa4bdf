"""What writes do to one index inside a transaction: documents in bulk, and guarded changes of single ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from libs.errors import ConflictError, HostMonitorError, NotFoundError, RequestError
from query.document_store import Change, Changed, Document, Revision
from query.embedded.document_json import DocumentFault
from query.embedded.document_merge import merged
from query.embedded.document_parser import parse_document
from query.embedded.document_writer import Batch, Held, checked_id
from query.embedded.documents_state import DocumentsState, Index

Cursor = duckdb.DuckDBPyConnection


@dataclass(frozen=True, slots=True)
class DocumentWrite:
    """Some documents of one caller. With `replace` an existing id is written over."""

    documents: Sequence[Document]
    replace: bool


class IndexTarget:
    """The writer's target for one index (`key`: instance and name)."""

    def __init__(self, state: DocumentsState, key: tuple[str, str]) -> None:
        self.state = state
        self.key = key

    def apply(self, cursor: Cursor, payloads: Sequence[DocumentWrite | Change]) -> Sequence[Any]:
        """One outcome a payload: a list of entries, or what became of a change; NotFoundError when the index has gone."""
        index = self.state.indices.get(self.key)
        if index is None:
            missing = NotFoundError(f"There is no index {self.key[1]!r}.", code="INDEX_UNKNOWN", source=self.key[0])
            return [missing] * len(payloads)
        batch = Batch(cursor, index, set(_ids(payloads)))
        changes = _Changes(batch, _patched(cursor, index, payloads))
        outcomes = [
            [batch.take(document, payload.replace) for document in payload.documents]
            if isinstance(payload, DocumentWrite)
            else changes.outcome(payload)
            for payload in payloads
        ]
        batch.store()
        self.state.touch(index)
        return outcomes


class _Changes:
    """Decides on guarded changes; `sources` are the stored ones of the documents to patch."""

    def __init__(self, batch: Batch, sources: Mapping[str, str]) -> None:
        self._batch = batch
        self._index = batch.index
        self._sources = sources

    def outcome(self, change: Change) -> Changed | HostMonitorError:
        """It waits for the batch to be stored; an error has done nothing."""
        try:
            return self._outcome(change)
        except DocumentFault as fault:
            message = f"The document does not fit: {fault.reason}."
            return RequestError(message, code="VALUE_INVALID", source=self._index.instance)

    def _outcome(self, change: Change) -> Changed | HostMonitorError:
        identifier = checked_id(change.id)
        held = self._batch.held.get(identifier)
        if not self._as_expected(change, held):
            if change.action == "put":  # what does not fit is told first, as by Elasticsearch
                parse_document(change.source, self._index.mapping, identifier)
            return ConflictError(
                f"The document {identifier[:60]!r} is not as it was expected to be.",
                code="PRECONDITION_FAILED", source=self._index.instance, hint="read it again, then repeat",
            )  # fmt: skip
        if change.action == "put":
            return self._changed(
                identifier, self._batch.put(identifier, change.source), "created" if held is None else "updated"
            )
        if held is None:
            message = f"There is no document {identifier[:60]!r} in {self._index.name!r}."
            return NotFoundError(message, code="DOCUMENT_UNKNOWN", source=self._index.instance)
        if change.action == "delete":
            return self._changed(identifier, self._batch.remove(identifier), "deleted")
        source = merged(self._source(identifier), change.source)
        if source is None:
            return self._changed(identifier, held, "noop")
        return self._changed(identifier, self._batch.put(identifier, source), "updated")

    def _as_expected(self, change: Change, held: Held | None) -> bool:
        expected = change.expected
        if isinstance(expected, Revision):
            return held is not None and expected == Revision(self._index.uuid, held.seq)
        return expected is None or held is None

    def _changed(self, identifier: str, held: Held, result: Any) -> Changed:
        return Changed(identifier, held.version, Revision(self._index.uuid, held.seq), result)

    def _source(self, identifier: str) -> bytes:
        pending = self._batch.pending(identifier)
        return self._sources[identifier].encode() if pending is None else pending


def _ids(payloads: Iterable[DocumentWrite | Change]) -> Iterable[str]:
    for payload in payloads:
        if isinstance(payload, Change):
            yield payload.id
        else:
            yield from (document.id for document in payload.documents if document.id is not None)


def _patched(cursor: Cursor, index: Index, payloads: Iterable[DocumentWrite | Change]) -> Mapping[str, str]:
    """The stored sources of what is to be patched, by id."""
    ids = [one.id for one in payloads if isinstance(one, Change) and one.action == "patch"]
    if not ids:
        return {}
    sql = f"SELECT _id, _source FROM {index.table} WHERE _id IN (SELECT unnest(?::VARCHAR[]))"
    return dict(cursor.execute(sql, [ids]).fetchall())
