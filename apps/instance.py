"""What the resources of one instance are made with."""

from __future__ import annotations

from dataclasses import dataclass

from apps.pipeline import Services
from query.backend import SeriesStore
from query.document_store import DocumentStore


@dataclass(frozen=True, slots=True)
class DocumentInstance:
    """`ingest_bytes` bounds a body of documents, after decompression."""

    name: str
    store: DocumentStore
    services: Services
    ingest_bytes: int


@dataclass(frozen=True, slots=True)
class SeriesInstance:
    name: str
    store: SeriesStore
    services: Services
    ingest_bytes: int
