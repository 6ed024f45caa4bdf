"""What both kinds share: the opened store, its capabilities, compiling and closing."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import duckdb

from libs.context import RequestContext
from query.backend import Capabilities, InstanceConfig
from query.catalog import Kind, SourceRef
from query.embedded.store import Store, acquire, release

Json = Any

_ORDERED = frozenset({"eq", "ne", "lt", "lte", "gt", "gte", "in", "nin", "between", "exists"})
_TEXTUAL = frozenset({"like", "ilike", "starts_with", "ends_with", "contains", "regex", "match", "match_phrase"})

CAPABILITIES = Capabilities(
    operators={
        "boolean": frozenset({"eq", "ne", "in", "nin", "exists"}),
        "int64": _ORDERED,
        "float64": _ORDERED,
        "timestamp": _ORDERED,
        "string": _ORDERED | _TEXTUAL,
        "json": frozenset({"exists"}),
    },
    aggregates=frozenset(
        {"count", "count_distinct", "sum", "avg", "min", "max", "median", "percentile", "stddev", "first", "last"}
    ),
    order=True,
    limit=True,
)


class EmbeddedBackend:
    """An instance on the embedded store; everything of a one-source plan is done in its DuckDB."""

    def __init__(self, config: InstanceConfig) -> None:
        """Raises ConfigError: the data directory cannot be used, or another process uses it."""
        self.name = config.name
        self.kind: Kind = config.kind
        self.region = config.region
        self.capabilities = CAPABILITIES
        self.store: Store = acquire(config)
        self._closed = False

    def forget(self, source: SourceRef) -> None:
        """Nothing is cached: the catalogue is the last commit's."""

    async def ping(self, context: RequestContext) -> Mapping[str, Json]:
        """Raises StoreError when the file cannot be read."""
        async with self.store.readers.reader(context, self.name) as reader:
            await reader.all("SELECT count(*) FROM hm_format")
        about: dict[str, Json] = {"version": f"duckdb-{duckdb.__version__}"}
        if self.store.quarantined is not None:
            about["quarantined"] = self.store.quarantined
        return about

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            release(self.store)

    @property
    def uptime_seconds(self) -> int:
        return int(time.time() - self.store.started)
