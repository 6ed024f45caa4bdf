"""Stores side by side: bodies over two of them, `$a` and `$b`, asked through the whole walk and of the reference."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from apps.pipeline import Services, run
from libs.context import Principal, RequestContext
from middlewares.format import page_response
from operator_.engine import Engine
from parser.json_body import parse_body
from query.backend import Backend, InstanceConfig
from query.factory import QueryFactory, open_backend
from unittest_.conformance.data import NOW, data_sets
from unittest_.conformance.stores import StoreId, load_by_writing, unload_by_dropping
from unittest_.reference.tables import Table, source_key

ES, INFLUX = StoreId("es", "documents"), StoreId("influx", "series")
DOCS, SERIES = StoreId("embedded", "documents"), StoreId("embedded", "series")
STORES = (ES, INFLUX, DOCS, SERIES)
PAIRS = ((ES, INFLUX), (INFLUX, ES), (ES, SERIES), (DOCS, INFLUX), (DOCS, SERIES), (SERIES, SERIES))


@dataclass
class MixStores:
    """All stores as instances of one service; data sets are loaded as they are asked for."""

    folder: Path
    prefix: str
    backends: dict[StoreId, Backend] = field(default_factory=dict)
    targets: dict[tuple[StoreId, str], tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.engine = Engine(self.folder / "spill")
        for store in STORES:
            variable = store.testing.ADDRESS
            url = os.environ.get(variable, "").rstrip("/") if variable else None
            options = dict(getattr(store.testing, "OPTIONS", {}))
            config = InstanceConfig(str(store), store.kind, url, str(self.folder / str(store)), options=options)
            self.backends[store] = open_backend(store.folder, config)
        self.services = Services(QueryFactory(self.backends.values()), self.engine, RequestContext().limits)

    async def source(self, store: StoreId, name: str) -> dict[str, str]:
        """The `from` of a data set in a store."""
        if (store, name) not in self.targets:
            load = getattr(store.testing, "load", load_by_writing)
            context = RequestContext(now_ns=NOW, deadline=time.monotonic() + 60)
            target = await load(self.backends[store], data_sets()[name], f"{self.prefix}-{name}", context)
            self.targets[store, name] = target
        target = self.targets[store, name]
        if store.kind == "documents":
            return {"source": str(store), "index": target[0]}
        return {"source": str(store), "db": target[0], "measurement": target[1]}

    async def bound(self, body: Any, pair: tuple[StoreId, StoreId], sets: tuple[str, str]) -> Any:
        """The body with `"$a"` and `"$b"` as sources and `$time_a`, `$time_b` as their time fields."""
        text = json.dumps(body)
        for letter, store, name in zip("ab", pair, sets, strict=True):
            text = text.replace(f'"${letter}"', json.dumps(await self.source(store, name)))
            text = text.replace(f"$time_{letter}", data_sets()[name].time_field(store.kind))
        return json.loads(text)

    def tables(self) -> Mapping[str, Table]:
        """The reference's table of every source that has been loaded."""
        found = {}
        for (store, name), target in self.targets.items():
            parts = ("index",) if store.kind == "documents" else ("db", "measurement")
            key = source_key({"source": str(store), **dict(zip(parts, target, strict=True))})
            found[key] = data_sets()[name].tables[store.kind]
        return found

    async def ask(self, body: Any, principal: Principal | None = None) -> dict[str, Any]:
        """The JSON of the answer. Raises what the walk raises."""
        context = RequestContext(now_ns=NOW, deadline=time.monotonic() + 60, principal=principal or Principal())
        page, _ = await run(parse_body(json.dumps(body).encode()), self.services, context)
        decoded: dict[str, Any] = json.loads(page_response(page, context, 0.0, "objects").body or b"")
        return decoded

    async def close(self) -> None:
        for (store, _), target in self.targets.items():
            unload = getattr(store.testing, "unload", unload_by_dropping)
            await unload(self.backends[store], target, RequestContext())
        for backend in self.backends.values():
            await backend.close()
        self.engine.close()
