"""The stores that the suite runs on: every folder of `query` with a `testing.py` beside its backend.

What the suite expects of a backend's testing.py:

    KINDS: tuple[Kind, ...]            the kinds that it serves
    ADDRESS: str | None                the environment variable with a real server's address; None when it needs none
    KNOWN_LIMITS: Mapping[str, str]    case names (or `random`) with a reason: "notimpl: …", "notyet: …" or "never: …".
                                       They are strict expected failures: one that passes fails the suite.
    OPTIONS: Mapping[str, object]      optional: `options` of the InstanceConfig
    async def load(backend, data, name, context) -> target
                                       optional: puts a data set (`.properties`, `.documents`, `.points`) under a name of
                                       its own and answers the SourceRef's target. Without it the backend's own writes
                                       are used: create_index and bulk, or create_database and write.
    async def unload(backend, target, context) -> None
                                       optional: takes it away again. Without it delete_index or drop_database.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import query
from apps.pipeline import Services, run
from libs.context import RequestContext
from middlewares.format import page_response
from operator_.engine import Engine
from parser.json_body import parse_body
from query.backend import Backend, InstanceConfig, Point, SeriesStore
from query.catalog import Kind
from query.document_store import Document, DocumentStore
from query.factory import QueryFactory, open_backend
from unittest_.conformance.case import bound
from unittest_.conformance.data import NOW, DataSet

INSTANCE = "tested"
MEASUREMENT = "content"
REMEDY = "run `make test`, or `python -m dev.stores start` and then `eval $(python -m dev.stores env)`"
_CHUNK = 1000


@dataclass(frozen=True)
class StoreId:
    """One kind of one backend's folder."""

    folder: str
    kind: Kind

    def __str__(self) -> str:
        return f"{self.folder}-{self.kind}"

    @property
    def testing(self) -> ModuleType:
        return import_module(f"query.{self.folder}.testing")

    @property
    def known_limits(self) -> Mapping[str, str]:
        return cast("Mapping[str, str]", self.testing.KNOWN_LIMITS)


def store_ids() -> list[StoreId]:
    """All stores there are, by name."""
    return sorted(_found(), key=str)


def _found() -> Iterator[StoreId]:
    for root in query.__path__:
        for path in Path(root).glob("*/testing.py"):
            for kind in import_module(f"query.{path.parent.name}.testing").KINDS:
                yield StoreId(path.parent.name, kind)


@dataclass
class Store:
    """An opened store, its data sets loaded as they are asked for."""

    id: StoreId
    backend: Backend
    engine: Engine
    prefix: str
    targets: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def open(cls, store: StoreId, folder: Path, prefix: str) -> Store:
        variable = store.testing.ADDRESS
        url = os.environ.get(variable, "").rstrip("/") if variable else None
        assert url != "", f"{variable} is not set: {REMEDY}"
        options = dict(getattr(store.testing, "OPTIONS", {}))
        config = InstanceConfig(INSTANCE, store.kind, url, str(folder / "data"), options=options)
        return cls(store, open_backend(store.folder, config), Engine(folder / "spill"), prefix)

    async def ask(self, data: DataSet, body: Mapping[str, Any]) -> dict[str, Any]:
        """The JSON of the answer to a body (`$time` in it named), through the whole walk. Raises RequestError."""
        return await self.ask_bytes(data, json.dumps(bound(body, data.time_field(self.id.kind))).encode())

    async def ask_bytes(self, data: DataSet, body: bytes) -> dict[str, Any]:
        context = new_context()
        target = await self.target(data)
        services = Services(QueryFactory([self.backend]), self.engine, context.limits)
        page, _ = await run(parse_body(body, INSTANCE, target), services, context)
        answer = page_response(page, context, 0.0, "objects")
        decoded: dict[str, Any] = json.loads(answer.body or b"")
        return decoded

    async def target(self, data: DataSet) -> tuple[str, ...]:
        if data.name not in self.targets:
            load = getattr(self.id.testing, "load", load_by_writing)
            self.targets[data.name] = await load(self.backend, data, f"{self.prefix}-{data.name}", new_context())
        return self.targets[data.name]

    async def close(self) -> None:
        unload = getattr(self.id.testing, "unload", unload_by_dropping)
        for target in self.targets.values():
            await unload(self.backend, target, new_context())
        await self.backend.close()
        self.engine.close()


def new_context() -> RequestContext:
    """A request at the suite's own now, with time enough."""
    return RequestContext(now_ns=NOW, deadline=time.monotonic() + 60)


async def load_by_writing(backend: Backend, data: DataSet, name: str, context: RequestContext) -> tuple[str, ...]:
    """Writes a data set through the backend's own writes; a new index or database of that name."""
    if backend.kind == "documents":
        documents = cast(DocumentStore, backend)
        await documents.create_index(name, {}, {"dynamic": "strict", "properties": dict(data.properties)}, context)
        items = [Document(json.dumps(source).encode(), identifier) for identifier, source in data.documents]
        for part in _parts(items):
            report = await documents.bulk(name, part, True, context)
            assert all(item["status"] == 201 for item in report), [item for item in report if item["status"] != 201][:3]
        return (name,)
    series = cast(SeriesStore, backend)
    await series.create_database(name, context)
    points = [Point(MEASUREMENT, point.tags, point.fields, point.time) for point in data.points or ()]
    for part in _parts(points):
        written = await series.write(name, part, context)
        assert (written.written, written.dropped) == (len(part), 0), written
    return (name, MEASUREMENT)


async def unload_by_dropping(backend: Backend, target: tuple[str, ...], context: RequestContext) -> None:
    if backend.kind == "documents":
        await cast(DocumentStore, backend).delete_index(target[0], context)
    else:
        await cast(SeriesStore, backend).drop_database(target[0], context)


def _parts(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), _CHUNK):
        yield items[start : start + _CHUNK]
