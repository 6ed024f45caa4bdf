"""Bodies of documents to write: one object, a JSON array, or NDJSON, as query.backend.Document each.

Each document stays the bytes that were sent, so that the store keeps what was sent; only a document that carries `_id` is
written anew, without it.
"""

from __future__ import annotations

from typing import Any

import orjson

from libs.errors import Issue, RequestError
from query.backend import Document

_MAX_ID_BYTES = 512  # Elasticsearch's own limit
_MAX_ISSUES = 20


def parse_document(body: bytes) -> Document:
    """The one document of a body. Raises RequestError (JSON_INVALID, VALUE_INVALID)."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RequestError(f"The body is not JSON: {error}.", code="JSON_INVALID", pointer="") from error
    issues: list[Issue] = []
    document = _document(value, body.strip(), "", issues)
    if document is None:
        raise RequestError.of(issues)
    return document


def parse_array(body: bytes) -> list[Document]:
    """The documents of a JSON array. All issues at once (the first twenty)."""
    try:
        values = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RequestError(f"The body is not JSON: {error}.", code="JSON_INVALID", pointer="") from error
    if not isinstance(values, list):
        hint = "send an array of objects, or NDJSON as application/x-ndjson"
        raise RequestError("The body is not an array.", code="BODY_INVALID", pointer="", hint=hint)
    issues: list[Issue] = []
    found = [_document(value, orjson.dumps(value), f"/{at}", issues) for at, value in enumerate(values)]
    return _all_or_raise(found, issues)


def parse_ndjson(body: bytes) -> list[Document]:
    """The documents of NDJSON: one object a line, empty lines ignored. Pointers count the documents, from 0."""
    lines = [line for line in body.split(b"\n") if line.strip()]
    issues: list[Issue] = []
    found: list[Document | None] = []
    for at, line in enumerate(lines):
        try:
            value = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            issues.append(Issue("JSON_INVALID", f"line {at + 1} is not JSON: {error}", f"/{at}", "one object a line"))
            continue
        found.append(_document(value, line.strip(), f"/{at}", issues))
    return _all_or_raise(found, issues)


def _all_or_raise(found: list[Document | None], issues: list[Issue]) -> list[Document]:
    if issues:
        raise RequestError.of(issues[:_MAX_ISSUES])
    if not found:
        raise RequestError(
            "There is no document in the body.", code="BODY_INVALID", pointer="", hint="send one or more"
        )
    return [document for document in found if document is not None]


def _document(value: Any, raw: bytes, at: str, issues: list[Issue]) -> Document | None:
    if not isinstance(value, dict):
        issues.append(Issue("VALUE_INVALID", "a document is an object", at, 'like {"host": "web-1"}'))
        return None
    if "_id" not in value:
        return Document(raw)
    identity = value.pop("_id")
    if not isinstance(identity, str) or not identity or len(identity.encode()) > _MAX_ID_BYTES:
        hint = f"a string of 1 to {_MAX_ID_BYTES} bytes"
        issues.append(Issue("VALUE_INVALID", "this cannot be a document's id", f"{at}/_id", hint))
        return None
    return Document(orjson.dumps(value), identity)
