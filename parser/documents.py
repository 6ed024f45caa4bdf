"""Bodies of documents to write: one object, a JSON array, or NDJSON, as query.backend.Document each.

Each document stays the text that was sent, so that the store keeps what was sent; only where an `_id` stands behind other
members it is written anew, without it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from itertools import repeat
from typing import Any

import orjson

from libs.errors import RequestError
from libs.issues import Issues
from parser.decode import decode, find_duplicates
from query.document_store import Document
from query.plain_documents import PlainDocuments

MAX_ISSUES = 20
_AT_ONCE = 500
_MAX_ID_BYTES = 512  # Elasticsearch's own limit
_LEADING_ID = re.compile(rb'\{\s*"_id"\s*:\s*"(?:[^"\\]|\\.)*+"\s*(?:,|(?=\}))', re.DOTALL)
_BLANKS = re.compile(r"[ \t\r\n]*+")
_SHAPE = 'like {"host": "web-1"}'


def parse_document(body: bytes) -> Document:
    """The one document of a body. Raises RequestError (JSON_INVALID, TOO_DEEP, DUPLICATE_KEY, VALUE_INVALID)."""
    issues = Issues()
    document = _document(decode(body), body.strip(), "", issues)
    issues.raise_any()
    assert document is not None
    return document


def parse_array(body: bytes) -> list[Document]:
    """The documents of a JSON array. All issues at once (the first twenty)."""
    values = decode(body)
    if not isinstance(values, list):
        hint = "send an array of objects, or NDJSON as application/x-ndjson"
        raise RequestError("The body is not an array.", code="BODY_INVALID", pointer="", hint=hint)
    issues = Issues()
    found: list[Document] = []
    for at, (value, raw) in enumerate(zip(values, _elements(body, values), strict=True)):
        _gather(_document(value, raw, f"/{at}", issues), found)
        if len(issues.found) >= MAX_ISSUES:
            break
    return _all(found, issues)


def parse_ndjson(body: bytes) -> Sequence[Document]:
    """The documents of NDJSON: one object a line, empty lines ignored. Pointers count the documents, from 0."""
    return _plain(body) or careful_ndjson(body)


def _plain(body: bytes) -> PlainDocuments | None:
    """The documents of lines that have nothing wrong with them and no `_id`; None for any others."""
    lines = list(filter(None, map(bytes.strip, body.split(b"\n"))))
    # A few at a time: thousands of decoded documents at once keep the garbage collector busy.
    for start in range(0, len(lines), _AT_ONCE):
        try:
            values = list(map(orjson.loads, lines[start : start + _AT_ONCE]))
        except orjson.JSONDecodeError:
            return None
        if set(map(type, values)) != {dict} or any(map(dict.__contains__, values, repeat("_id"))):
            return None
    return PlainDocuments(lines)


def careful_ndjson(body: bytes) -> list[Document]:
    """As `parse_ndjson`, for documents of any kind, one by one."""
    issues = Issues()
    return _all(_carefully(body, 0, issues), issues)


def read_piece(piece: bytes, first: int, issues: Issues) -> Sequence[Document]:
    """The documents of one piece of a long NDJSON body, maybe none; `first` of them stand before it. What is wrong is added
    to `issues`."""
    return _plain(piece) or _carefully(piece, first, issues)


def count_lines(piece: bytes) -> int:
    """How many lines of NDJSON are not empty."""
    return sum(map(bool, map(bytes.strip, piece.split(b"\n"))))


def _carefully(body: bytes, first: int, issues: Issues) -> list[Document]:
    found: list[Document] = []
    at = first
    for line in body.split(b"\n"):
        raw = line.strip()
        if not raw:
            continue
        try:
            value = orjson.loads(raw)
        except orjson.JSONDecodeError as error:
            message = f"document {at + 1} is not JSON: {error.msg} (column {error.colno})"
            issues.add("JSON_INVALID", message, f"/{at}", "one object a line")
        else:
            _gather(_document(value, raw, f"/{at}", issues), found)
        if len(issues.found) >= MAX_ISSUES:
            break
        at += 1
    return found


def _gather(document: Document | None, found: list[Document]) -> None:
    if document is not None:
        found.append(document)


def _all(found: list[Document], issues: Issues) -> list[Document]:
    issues.raise_any()
    if not found:
        raise RequestError(
            "There is no document in the body.", code="BODY_INVALID", pointer="", hint="send one or more"
        )
    return found


def _elements(body: bytes, values: list[Any]) -> list[bytes]:
    """The text of each element of an array; the array was decoded before, so it is right."""
    try:
        compact = [orjson.dumps(value) for value in values]
    except orjson.JSONEncodeError:
        # It writes less deeply than it reads.
        compact = []
    if sum(map(len, compact)) + len(compact) + 1 == len(body) and b"".join((b"[", b",".join(compact), b"]")) == body:
        return compact
    text = body.decode()
    scan = json.JSONDecoder().raw_decode
    found: list[bytes] = []
    at = _behind_blanks(text, text.index("[") + 1)
    for _ in values:
        try:
            _value, end = scan(text, at)
        except (RecursionError, ValueError):
            # Deeper, or with longer numbers, than the standard library reads.
            message = f"Document {len(found)} is nested too deeply, or holds a number that is too long."
            raise RequestError(message, code="TOO_DEEP", pointer=f"/{len(found)}", hint="nest it less") from None
        found.append(text[at:end].encode())
        at = _behind_blanks(text, _behind_blanks(text, end) + 1)
    return found


def _behind_blanks(text: str, at: int) -> int:
    match = _BLANKS.match(text, at)
    return at if match is None else match.end()


def _document(value: Any, raw: bytes, at: str, issues: Issues) -> Document | None:
    if not isinstance(value, dict):
        issues.add("VALUE_INVALID", "a document is an object", at, _SHAPE)
        return None
    if "_id" not in value:
        return Document(raw)
    identity = value["_id"]
    if not isinstance(identity, str) or not identity or len(identity.encode()) > _MAX_ID_BYTES:
        hint = f"a string of 1 to {_MAX_ID_BYTES} bytes"
        issues.add("VALUE_INVALID", "this cannot be a document's id", f"{at}/_id", hint)
        return None
    leading = _LEADING_ID.match(raw)
    if leading is not None:
        return Document(b"{" + raw[leading.end() :], identity)
    return Document(_without_id(raw, at, issues), identity)


def _without_id(raw: bytes, at: str, issues: Issues) -> bytes:
    """The document's text anew; its integers stay exact, and a member that stands twice is a fault."""
    repeated = Issues()
    find_duplicates(raw, repeated)
    for issue in repeated.found:
        issues.add(issue.code, issue.message, at + issue.pointer, issue.hint)
    if repeated.found:
        return b""
    value = json.loads(raw)
    del value["_id"]
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
