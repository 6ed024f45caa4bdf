"""The seam to a store of documents: what the routes of a documents instance need beyond queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from libs.context import RequestContext
from query.backend import Backend, Json
from query.by_filter import ByFilter
from query.index_metadata import IndexMetadata


@dataclass(frozen=True, slots=True)
class Document:
    """A document to write: its JSON text as it was sent (one object), and its id when the sender chose one."""

    source: bytes
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Revision:
    """What a store versions a document by: after every write to it another one, that it never had before.

    `index` is the unique id of the index, so that one made anew under its name shares no revision with it. `seq_no` and
    `primary_term` as Elasticsearch counts writes; the embedded store's own sequence has one term, 1.
    """

    index: str
    seq_no: int
    primary_term: int = 1


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """A document as it is now, in whatever state queries see it: the JSON text of its source, its count of writes."""

    id: str
    source: bytes
    version: int
    revision: Revision


@dataclass(frozen=True, slots=True)
class Change:
    """A change of one document by its id (1 to 512 bytes of UTF-8).

    put: `source` (one JSON object) becomes the document. patch: the members of `source` are merged into it as
    Elasticsearch's partial update does: objects member by member, all else replaced, null is a value. delete: it goes.
    It is done only where the document is as `expected`: at just this revision, "absent" (for put), or anyhow (None).
    """

    action: Literal["put", "patch", "delete"]
    id: str
    source: bytes = b""
    expected: Revision | Literal["absent"] | None = None


@dataclass(frozen=True, slots=True)
class Changed:
    """How a change was done; of a patch that says nothing new "noop", which keeps the revision."""

    id: str
    version: int
    revision: Revision
    result: Literal["created", "updated", "deleted", "noop"]


class DocumentStore(Backend, IndexMetadata, Protocol):
    """What the fixed routes of documents need. Answers are JSON values in Elasticsearch's own form.

    Every index name is checked here, before anything is sent (RequestError NAME_INVALID): no patterns, lists, dots, dates.
    """

    async def nodes(self, context: RequestContext) -> Json:
        """{"cluster_name", "nodes": {id: {…}}}"""
        ...

    async def indices(self, context: RequestContext) -> Sequence[Mapping[str, Json]]:
        """[{"index", "status": "open"|"close", "health", "docs", "bytes", "created"}], by name; hidden ones left out."""
        ...

    async def create_index(
        self, index: str, settings: Mapping[str, Json], mappings: Mapping[str, Json], context: RequestContext
    ) -> Json:
        """{"_index", "acknowledged"}. Raises ConflictError (ALREADY_EXISTS), RequestError (MAPPING_INVALID)."""
        ...

    async def describe_index(self, index: str, context: RequestContext) -> Json:
        """{"settings", "mappings"} as they were given (and as dynamic mapping has extended them)."""
        ...

    async def delete_index(self, index: str, context: RequestContext) -> Json:
        """{"acknowledged"}. Exactly that one."""
        ...

    async def search(self, index: str, dsl: Mapping[str, Json], context: RequestContext) -> Json:
        """The store's own answer of `_search`, `hits.total` as {"value", "relation"}; or its text, as an orjson.Fragment. The
        DSL has been checked against the allow-list."""
        ...

    async def insert(self, index: str, document: Document, refresh: bool, context: RequestContext) -> Json:
        """{"_index", "_id", "_version", "result": "created"}."""
        ...

    async def bulk(
        self,
        index: str,
        documents: Sequence[Document],
        refresh: bool,
        context: RequestContext,
        replace: bool = False,
    ) -> Sequence[Mapping[str, Json]]:
        """One entry a document, in order: {"_id", "_version", "result", "status"} or {"status", "error": {"type", "reason"}}.
        A document with an id that exists already is a 409 entry (F23: duplicates are stored once), with `replace` it is
        replaced. A write to an unknown index is NotFoundError (INDEX_UNKNOWN), never creates it; so does `insert`."""
        ...

    async def document(self, index: str, identifier: str, context: RequestContext) -> StoredDocument:
        """The document as the last write left it, refreshed or not. Raises NotFoundError (INDEX_UNKNOWN, DOCUMENT_UNKNOWN)."""
        ...

    async def change(self, index: str, change: Change, refresh: bool, context: RequestContext) -> Changed:
        """Done as a whole, or not at all. Raises ConflictError (PRECONDITION_FAILED: it is not as expected), NotFoundError
        (DOCUMENT_UNKNOWN: nothing to patch or delete; INDEX_UNKNOWN: no index is made), RequestError (VALUE_INVALID: it does
        not fit the mapping; UNSUPPORTED: an alias of several indices), StoreError."""
        ...

    @property
    def by_filter(self) -> ByFilter:
        """How it changes all documents that a filter matches."""
        ...

    async def count(self, index: str, context: RequestContext) -> int:
        """How many documents exactly this index holds, those not yet refreshed too. Raises NotFoundError (INDEX_UNKNOWN),
        RequestError (UNSUPPORTED: it is an alias)."""
        ...
