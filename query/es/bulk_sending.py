"""Sends the batches of one write, two at a time where their order does not matter, and puts their entries in order."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from itertools import chain

from libs.errors import HostMonitorError, StoreError
from query.backend import Json
from query.document_store import Document
from query.plain_documents import StoredItems

Entries = Sequence[Mapping[str, Json]]
Send = Callable[[bytes, Sequence[Document]], Awaitable[Entries]]


class Sending:
    """`lanes` tells how many batches may be under way at once."""

    def __init__(self, send: Send, batches: Iterator[tuple[bytes, Sequence[Document]]], lanes: int) -> None:
        self._send = send
        self._waiting = enumerate(batches)
        self._lanes = lanes
        self._parts: dict[int, Entries] = {}
        self._sent = 0
        self._failure: HostMonitorError | None = None

    async def all(self) -> Entries:
        """The entries of all documents, in order. Raises the store's error when nothing is known to be stored; else the
        entries of the documents it may concern tell it."""
        if self._lanes == 1:
            await self._lane()
        else:
            async with asyncio.TaskGroup() as lanes:
                for _ in range(self._lanes):
                    lanes.create_task(self._lane())
        if self._failure is not None and not (self._sent and isinstance(self._failure, StoreError)):
            raise self._failure
        parts = [part for _, part in sorted(self._parts.items())]
        stored = [part for part in parts if isinstance(part, StoredItems)]
        if parts and len(stored) == len(parts):
            return StoredItems(list(chain.from_iterable(part.texts for part in stored)))
        return list(chain.from_iterable(parts))

    async def _lane(self) -> None:
        for place, (body, batch) in self._waiting:
            self._parts[place] = await self._entries(body, batch)

    async def _entries(self, body: bytes, batch: Sequence[Document]) -> Entries:
        """Nothing more is sent once a batch has failed."""
        failure = self._failure
        if failure is None:
            try:
                entries = await self._send(body, batch)
                self._sent += 1
                return entries
            except HostMonitorError as error:
                self._failure = failure = error
        return [_unknown(failure)] * len(batch)


def _unknown(error: HostMonitorError) -> Mapping[str, Json]:
    """Of a document in a batch whose answer did not come: it may be stored or not."""
    return {"status": error.status, "error": {"type": error.code.name.lower(), "reason": error.message}}
