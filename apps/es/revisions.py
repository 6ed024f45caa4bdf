"""Entity tags of documents, and writes that hold to them: If-Match and If-None-Match against what the store versions by."""

from __future__ import annotations

import base64
import binascii
from dataclasses import replace
from typing import Literal

from sanic import Request

from libs.context import RequestContext
from libs.errors import ConflictError, NotFoundError
from libs.rest.conditions import check_write
from query.document_store import Change, Changed, DocumentStore, Revision, StoredDocument

# How often a write is tried that others overtook: only `If-Match: *` and lists of tags outlive another's write.
ATTEMPTS = 8


def tag_of(revision: Revision) -> str:
    """The entity tag of a revision; clients need not read it."""
    text = f"{revision.seq_no} {revision.primary_term} {revision.index}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def revision_of(tag: str) -> Revision | None:
    """What `tag_of` made a tag of; None for any other text."""
    try:
        text = base64.b64decode(tag + "=" * (-len(tag) % 4), altchars="-_", validate=True).decode("ascii")
        seq_no, primary_term, index = text.split(" ")
        found = Revision(index, int(seq_no), int(primary_term))
    except (binascii.Error, ValueError):
        return None
    return found if tag_of(found) == tag else None


def first_expected(request: Request, action: str) -> Revision | Literal["absent"] | None:
    """What the headers alone say that the document has to be; None: anything, or that takes a look at it."""
    wanted, unwanted = request.headers.get("if-match"), request.headers.get("if-none-match")
    if unwanted is not None:
        return "absent" if action == "put" and wanted is None and unwanted.strip() == "*" else None
    tag = (wanted or "").strip()
    return revision_of(tag[1:-1]) if len(tag) > 1 and tag[0] == tag[-1] == '"' else None


async def current(store: DocumentStore, index: str, change: Change, context: RequestContext) -> StoredDocument | None:
    """The document as it is; None where a put may make it. Raises NotFoundError."""
    try:
        return await store.document(index, change.id, context)
    except NotFoundError as error:
        if error.code.name == "DOCUMENT_UNKNOWN" and change.action == "put":
            return None
        raise


async def write(
    store: DocumentStore, request: Request, index: str, change: Change, refresh: bool, context: RequestContext
) -> Changed:
    """Does a change as the request's conditions ask. Raises ConflictError (PRECONDITION_FAILED, CONFLICT), NotFoundError
    (also where a condition names a document that is not there to be patched or deleted), RequestError, StoreError."""
    check = check_write(request)
    conditional = "if-match" in request.headers or "if-none-match" in request.headers
    expected = first_expected(request, change.action)
    for _ in range(ATTEMPTS):
        if conditional and expected is None:
            held = await current(store, index, change, context)
            check(None if held is None else tag_of(held.revision))
            expected = "absent" if held is None else held.revision
        try:
            return await store.change(index, replace(change, expected=expected), refresh, context)
        except ConflictError as error:
            if error.code.name != "PRECONDITION_FAILED":
                raise
        expected = None
    raise ConflictError(
        f"Others kept changing the document {change.id[:60]!r}.", code="CONFLICT", hint="read it again, then repeat"
    )
