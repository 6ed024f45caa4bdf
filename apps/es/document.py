"""One document by its id: read, made or replaced, patched, deleted; entity tags guard against lost updates."""

from __future__ import annotations

import unicodedata
from typing import Any

import orjson
from sanic import HTTPResponse, Request

from apps.es.models import WriteQuery
from apps.es.resources import DocumentResource, namespace
from apps.es.revisions import current, tag_of, write
from libs.errors import RequestError
from libs.rest import Reply
from libs.rest.conditions import check_write, not_modified, quoted
from libs.rest.dry_run import DRY_RUN, DryRunQuery, counted
from parser.documents import parse_document
from query.document_store import Change, Changed

_MOST_ID_BYTES = 512  # Elasticsearch's own limit
_SOURCE = {"@timestamp": "2026-11-22T10:00:00Z", "host": "web-1", "status": 503}
_FOUND = {"_index": "access", "_id": "w2k8", "_version": 1, "found": True, "_source": _SOURCE}
_DONE = {"_index": "access", "_id": "w2k8", "_version": 2}


class DeleteQuery(WriteQuery, DryRunQuery):
    """Of a deletion."""


@namespace.route("/<index>/doc/<id>")
@namespace.route("/index/<index>/doc/<id>", suffix="Full")
@namespace.param("id", "A document's id, percent-encoded: 1 to 512 bytes of UTF-8", example="w2k8")
class OneDocument(DocumentResource):
    @namespace.doc(
        "A document by its id",
        operation_id="getDocument",
        description="As the last write left it, whether refreshed or not.",
    )
    @namespace.header("If-None-Match", "An ETag: 304 while the document is still that one")
    @namespace.returns(200, dict[str, Any], "The document, and its ETag", example=_FOUND)
    @namespace.returns(304, None, "It is what the client holds (If-None-Match)")
    @namespace.fails("NAME_INVALID", "INDEX_UNKNOWN", "DOCUMENT_UNKNOWN", "UNSUPPORTED")
    @namespace.allow("read")
    async def get(self, request: Request, index: str, id: str) -> HTTPResponse | Reply:
        found = await self.store.document(index, checked_id(id), self.unfiltered("one document"))
        tag = tag_of(found.revision)
        headers = {"etag": quoted(tag), "cache-control": "private, no-cache"}
        known = not_modified(request, tag, headers)
        if known is not None:
            return known
        about = {"_index": index, "_id": found.id, "_version": found.version, "found": True}
        return Reply(about | {"_source": orjson.Fragment(found.source)}, 200, headers)

    @namespace.doc(
        "Make or replace a document",
        operation_id="putDocument",
        description="`If-None-Match: *` only makes; `If-Match` only replaces what has that ETag.",
    )
    @namespace.expect(dict[str, Any], example=_SOURCE, validate=False)
    @namespace.query(WriteQuery)
    @namespace.header("If-Match", "An ETag that the document must have")
    @namespace.header("If-None-Match", "`*`: the document must not be there")
    @namespace.returns(200, dict[str, Any], "Replaced", example=_DONE | {"result": "updated"})
    @namespace.returns(201, dict[str, Any], "Made", example=_DONE | {"_version": 1, "result": "created"})
    @namespace.fails("NAME_INVALID", "INDEX_UNKNOWN", "VALUE_INVALID", "PRECONDITION_FAILED", "CONFLICT", "UNSUPPORTED")
    @namespace.allow("write")
    async def put(self, request: Request, index: str, id: str, query: WriteQuery) -> Reply:
        change = Change("put", checked_id(id), source_of(request.body, id))
        return _done(index, await self._changed(request, index, change, query))

    @namespace.doc(
        "Change some members of a document",
        operation_id="patchDocument",
        description="The body's members are merged into the document as Elasticsearch's partial update does: objects member "
        "by member; texts, numbers, lists and null replace what was there. No other write is lost: without `If-Match` the "
        "members go into the document as it is by then. What says nothing new writes nothing (`noop`).",
    )
    @namespace.expect(dict[str, Any], example={"status": 200}, validate=False)
    @namespace.query(WriteQuery)
    @namespace.header("If-Match", "An ETag that the document must have")
    @namespace.returns(200, dict[str, Any], "Changed", example=_DONE | {"result": "updated"})
    @namespace.fails(
        "NAME_INVALID",
        "INDEX_UNKNOWN",
        "DOCUMENT_UNKNOWN",
        "VALUE_INVALID",
        "PRECONDITION_FAILED",
        "CONFLICT",
        "UNSUPPORTED",
    )
    @namespace.allow("write")
    async def patch(self, request: Request, index: str, id: str, query: WriteQuery) -> Reply:
        change = Change("patch", checked_id(id), source_of(request.body, id))
        return _done(index, await self._changed(request, index, change, query))

    @namespace.doc("Delete a document", operation_id="deleteDocument")
    @namespace.query(DeleteQuery)
    @namespace.header("If-Match", "An ETag that the document must have")
    @namespace.returns(
        200,
        dict[str, Any],
        "Deleted",
        examples={"deleted": _DONE | {"result": "deleted"}, "dry run": DRY_RUN},
    )
    @namespace.fails(
        "NAME_INVALID", "INDEX_UNKNOWN", "DOCUMENT_UNKNOWN", "PRECONDITION_FAILED", "CONFLICT", "UNSUPPORTED"
    )
    @namespace.allow("write")
    async def delete(self, request: Request, index: str, id: str, query: DeleteQuery) -> Any:
        change = Change("delete", checked_id(id))
        if query.dry_run:
            held = await current(self.store, index, change, self.unfiltered("one document"))
            check_write(request)(None if held is None else tag_of(held.revision))
            return counted(1)
        done = await self._changed(request, index, change, query)
        return {"_index": index, "_id": done.id, "_version": done.version, "result": done.result}

    async def _changed(self, request: Request, index: str, change: Change, query: WriteQuery) -> Changed:
        context = self.unfiltered("one document")
        return await write(self.store, request, index, change, query.refresh, context)


def _done(index: str, done: Changed) -> Reply:
    about = {"_index": index, "_id": done.id, "_version": done.version, "result": done.result}
    return Reply(about, 201 if done.result == "created" else 200, {"etag": quoted(tag_of(done.revision))})


def checked_id(identifier: str) -> str:
    """The id itself. Raises RequestError (NAME_INVALID): too long, control characters, or what a gateway could read as a
    path to elsewhere."""
    odd = any(unicodedata.category(character) == "Cc" for character in identifier)
    parts = unicodedata.normalize("NFKC", identifier).replace("\\", "/").split("/")
    if odd or not 0 < len(identifier.encode()) <= _MOST_ID_BYTES or not {".", ".."}.isdisjoint(parts):
        raise RequestError(
            f"{identifier[:60]!r} cannot be a document's id here.",
            code="NAME_INVALID",
            pointer="path/id",
            hint="1 to 512 bytes of UTF-8 without control characters, and without the parts '.' and '..' between slashes",
        )
    return identifier


def source_of(body: bytes, identifier: str) -> bytes:
    """The JSON object of a body, without an `_id`, which may only say the path's again. Raises RequestError."""
    document = parse_document(body)
    if document.id not in (None, identifier):
        raise RequestError(
            f"The body's _id is not that of the path ({identifier[:60]!r}).",
            code="VALUE_INVALID",
            pointer="/_id",
            hint="leave _id out of the body",
        )
    return document.source
