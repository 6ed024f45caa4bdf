"""Bodies of `_bulk`, and the entries of its answer, as text. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import orjson

from query.document_store import Document
from query.plain_documents import PlainDocuments, StoredItems

BATCH_BYTES = 16 * 1024 * 1024
# Two halves are indexed at the same time; below this the second request costs more than that gains.
HALVED_BYTES = 256 * 1024
LONGEST_ID = 512
# What filter_path leaves of an answer, and of each document that was stored; the ids are Elasticsearch's own.
_HEAD = re.compile(rb'\{"errors":false,"took":[0-9]++,"items":\[')
_STORED = re.compile(
    rb'\{"(?:create|index)":(\{"_id":"[A-Za-z0-9_-]++","_version":[0-9]++,"result":"created","status":201\})\}'
)


def batches(documents: Sequence[Document], action: bytes) -> Iterator[tuple[bytes, Sequence[Document]]]:
    """Bodies of some 16 MB at the most, each with its documents; those without ids in two at least, where there are many."""
    if isinstance(documents, PlainDocuments):
        return _plain_batches(documents, action)
    return _batches(documents, action)


def _plain_batches(documents: PlainDocuments, action: bytes) -> Iterator[tuple[bytes, Sequence[Document]]]:
    line = b'{"' + action + b'":{}}\n'
    size = sum(map(len, documents.sources)) + len(line) * len(documents)
    count = max(1 if size < HALVED_BYTES else 2, -(-size // BATCH_BYTES))
    step = max(1, -(-len(documents) // count))
    for start in range(0, len(documents), step):
        part = documents[start : start + step]
        yield line + (b"\n" + line).join(part.sources) + b"\n", part


def _batches(documents: Sequence[Document], action: bytes) -> Iterator[tuple[bytes, Sequence[Document]]]:
    plain = b'{"' + action + b'":{}}\n'
    named = b'{"' + action + b'":{"_id":'
    lines: list[bytes] = []
    size = start = 0
    for at, document in enumerate(documents):
        source = document.source
        if size + len(source) > BATCH_BYTES and lines:
            yield b"".join(lines), documents[start:at]
            lines, size, start = [], 0, at
        if document.id is None:
            lines.append(plain)
        elif fits(document):
            lines.append(named + orjson.dumps(document.id) + b"}}\n")
        else:
            continue
        # A line break in valid JSON is a blank between its tokens.
        lines.append(source if b"\n" not in source else source.replace(b"\n", b" "))
        lines.append(b"\n")
        size += len(source) + 64
    if start < len(documents):
        yield b"".join(lines), documents[start:]


def fits(document: Document) -> bool:
    return document.id is None or 0 < len(document.id.encode("utf-8", "replace")) <= LONGEST_ID


def all_stored(answer: bytes, action: bytes, count: int) -> StoredItems | None:
    """The entries of an answer that says of each of `count` documents that it was stored anew; None for any other."""
    head = _HEAD.match(answer)
    texts = _STORED.findall(answer)
    if head is None or len(texts) != count:
        return None
    between = b'},{"' + action + b'":'
    told = answer[: head.end()] + between[2:] + between.join(texts) + b"}]}"
    return StoredItems(texts) if told == answer else None
