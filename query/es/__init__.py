"""The Elasticsearch backend: documents of a real cluster, 8 or 9."""

from __future__ import annotations

from query.backend import InstanceConfig
from query.document_store import DocumentStore
from query.es.backend import EsBackend


def open_backend(config: InstanceConfig) -> DocumentStore:
    """Opens an instance; connections are made when they are needed. Raises ConfigError."""
    return EsBackend(config)
