"""Many documents without ids of their own, and what became of them, held as text: making an object of each costs more than
checking it did."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import overload

import orjson

from query.backend import Json
from query.document_store import Document


class PlainDocuments(Sequence[Document]):
    """`sources` is the JSON text of each; none has an `_id` or a line break."""

    __slots__ = ("sources",)

    def __init__(self, sources: Sequence[bytes]) -> None:
        self.sources = sources

    def __len__(self) -> int:
        return len(self.sources)

    def __iter__(self) -> Iterator[Document]:
        return map(Document, self.sources)

    @overload
    def __getitem__(self, index: int) -> Document: ...
    @overload
    def __getitem__(self, index: slice) -> PlainDocuments: ...
    def __getitem__(self, index: int | slice) -> Document | PlainDocuments:
        if isinstance(index, slice):
            return PlainDocuments(self.sources[index])
        return Document(self.sources[index])


class StoredItems(Sequence[Mapping[str, Json]]):
    """The entries of documents that were stored, every one of them (see DocumentStore.bulk); `texts` is their JSON."""

    __slots__ = ("_entries", "texts")

    def __init__(self, texts: Sequence[bytes]) -> None:
        self.texts = texts
        self._entries: list[Mapping[str, Json]] | None = None

    @property
    def json(self) -> orjson.Fragment:
        """The array of them, for a body."""
        return orjson.Fragment(b"[" + b",".join(self.texts) + b"]")

    def __len__(self) -> int:
        return len(self.texts)

    @overload
    def __getitem__(self, index: int) -> Mapping[str, Json]: ...
    @overload
    def __getitem__(self, index: slice) -> list[Mapping[str, Json]]: ...
    def __getitem__(self, index: int | slice) -> Mapping[str, Json] | list[Mapping[str, Json]]:
        if self._entries is None:
            self._entries = list(map(orjson.loads, self.texts))
        return self._entries[index]
