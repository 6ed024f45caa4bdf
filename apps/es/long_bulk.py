"""Documents of a body that memory should not hold: checked piece by piece, then written piece by piece.

Nothing is sent before the whole body is known to be right. What became of each document waits in a file as well, since
the answer begins with whether any failed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field

import orjson

from apps.es import once
from apps.ingest import apart
from libs.context import RequestContext
from libs.errors import HostMonitorError, RequestError
from libs.issues import Issues
from libs.overflow import Overflow
from parser.documents import MAX_ISSUES, count_lines, read_piece
from parser.record_ends import whole_documents
from query.backend import Json
from query.document_store import Document, DocumentStore
from query.plain_documents import StoredItems

Entries = Sequence[Mapping[str, Json]]


async def check(body: Overflow) -> int:
    """How many documents a body of NDJSON holds. Raises RequestError with all issues (the first twenty) at once."""
    issues = Issues()
    count = 0
    async for piece in body.pieces(whole_documents):
        documents = await apart(len(piece), read_piece, piece, count, issues)
        if len(issues.found) >= MAX_ISSUES:
            break
        count += count_lines(piece) if issues.found else len(documents)
    issues.raise_any()
    if not count:
        message = "There is no document in the body."
        raise RequestError(message, code="BODY_INVALID", pointer="", hint="send one or more")
    return count


@dataclass
class LongBulk:
    """Writes the documents of a checked body. `begin` is called before each piece; `items` takes what became of each
    document, in order, as the members of an array."""

    store: DocumentStore
    index: str
    refresh: bool
    replace: bool
    context: RequestContext
    begin: Callable[[], None]
    items: Overflow
    failed: bool = field(default=False, init=False)
    _failure: HostMonitorError | None = field(default=None, init=False)

    async def write(self, body: Overflow) -> None:
        """Raises what the store raises before anything is stored; from then on, the entries tell it."""
        async for piece in body.pieces(whole_documents):
            documents = await apart(len(piece), read_piece, piece, 0, Issues())
            if documents:
                await self._note(await self._entries(documents))

    async def _entries(self, documents: Sequence[Document]) -> Entries:
        """Nothing more is sent once the store has failed."""
        if self._failure is None:
            self.begin()
            try:
                return await once.bulk(self.store, self.index, documents, self.refresh, self.context, self.replace)
            except HostMonitorError as error:
                if not self.items.size:
                    raise
                self._failure = error
        told = {"type": self._failure.code.name.lower(), "reason": self._failure.message}
        once.unfinished()
        return [{"status": self._failure.status, "error": told}] * len(documents)

    async def _note(self, entries: Entries) -> None:
        if isinstance(entries, StoredItems):
            texts = entries.texts
        else:
            self.failed = self.failed or any("error" in entry for entry in entries)
            texts = [orjson.dumps(entry) for entry in entries]
        if self.items.size:
            await self.items.write(b",")
        await self.items.write(b",".join(texts))


async def answer(failed: bool, items: Overflow) -> AsyncIterator[bytes]:
    """The body of the answer."""
    yield b'{"errors":' + (b"true" if failed else b"false") + b',"items":['
    async for piece in items.pieces():
        yield piece
    yield b"]}"
