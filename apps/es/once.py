"""Documents under an Idempotency-Key: one without `_id` takes its id from the key, so that a second run of the request, after
one that found no end, writes the same document again and not another."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from libs.context import RequestContext
from libs.errors import ConflictError
from libs.idempotency import Attempt, attempt_var
from query.backend import Json
from query.document_store import Document, DocumentStore
from query.plain_documents import StoredItems

Entries = Sequence[Mapping[str, Json]]
MOST_FAILED = 1_000
_BUSY = 429


async def bulk(
    store: DocumentStore,
    index: str,
    documents: Sequence[Document],
    refresh: bool,
    context: RequestContext,
    replace: bool = False,
) -> Entries:
    """As DocumentStore.bulk. A document that a run before has written is told as it was told then: created."""
    attempt = attempt_var.get()
    if attempt is None:
        return await store.bulk(index, documents, refresh, context, replace)
    if not isinstance(attempt.brief, _Brief):
        attempt.brief = _Brief()
    entries = await store.bulk(index, _named(documents, attempt), refresh, context, replace)
    if not isinstance(entries, StoredItems):
        entries = [_written(entry, attempt) for entry in entries]
        if any(entry["status"] >= 500 or entry["status"] == _BUSY for entry in entries):
            attempt.final = False
    attempt.brief.add(entries)
    return entries


async def insert(store: DocumentStore, index: str, document: Document, refresh: bool, context: RequestContext) -> Json:
    """As DocumentStore.insert, in the same way."""
    attempt = attempt_var.get()
    if attempt is None or document.id is not None:
        return await store.insert(index, document, refresh, context)
    (named,) = _named((document,), attempt)
    try:
        return await store.insert(index, named, refresh, context)
    except ConflictError:
        return {"_index": index, "_id": named.id, "_version": 1, "result": "created"}


def unfinished() -> None:
    """Some documents should be sent again: the request's answer is not its end."""
    attempt = attempt_var.get()
    if attempt is not None:
        attempt.final = False


def recorded(status: int, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The pieces of an answer's body, kept as they go out."""
    attempt = attempt_var.get()
    return pieces if attempt is None else attempt.recorded(status, pieces)


def _named(documents: Sequence[Document], attempt: Attempt) -> list[Document]:
    identifiers = attempt.document_ids(len(documents))
    return [
        Document(document.source, identifier) if document.id is None else document
        for document, identifier in zip(documents, identifiers, strict=True)
    ]


def _written(entry: Mapping[str, Any], attempt: Attempt) -> Mapping[str, Any]:
    if entry["status"] != 409 or not attempt.owns(entry.get("_id")):
        return entry
    return {"_id": entry["_id"], "_version": 1, "result": "created", "status": 201}


class _Brief:
    """What is kept of an answer that is too large: that so many were written, and those that were not, with their positions."""

    def __init__(self) -> None:
        self._count, self._errors = 0, False
        self._failed: list[Mapping[str, Any]] = []

    def add(self, entries: Entries) -> None:
        if not isinstance(entries, StoredItems):
            failed = [(at, entry) for at, entry in enumerate(entries, self._count) if "error" in entry]
            self._errors = self._errors or bool(failed)
            self._failed += [{"position": at, **entry} for at, entry in failed[: MOST_FAILED - len(self._failed)]]
        self._count += len(entries)

    def __call__(self) -> dict[str, Any]:
        return {"errors": self._errors, "items": self._failed, "omitted": self._count - len(self._failed)}
