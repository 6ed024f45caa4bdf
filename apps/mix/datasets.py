"""What sources hold, read from all of them at once: a source that fails is told in the context, the others answer."""

from __future__ import annotations

import asyncio
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import orjson

from apps.fields import outlined
from libs.context import RequestContext, SourceReport
from libs.errors import HostMonitorError, NotFoundError, RequestError, StoreError
from query.backend import Backend
from query.catalog import SourceRef
from query.factory import QueryFactory

# Of one source, how many questions are put to it at a time.
AT_ONCE = 8
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Dataset:
    """One thing that a query can name. `kind` is documents, series or lookup."""

    instance: str
    target: tuple[str, ...]
    kind: str
    alias_of: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, ...]:
        """Its place in the order of all."""
        return (self.instance, *self.target)

    @property
    def named(self) -> Mapping[str, str]:
        """As a body's `from` names it."""
        words = {"documents": ("index",), "series": ("db", "measurement"), "lookup": ("lookup",)}[self.kind]
        return {"source": self.instance, **dict(zip(words, self.target, strict=True))}


@dataclass(frozen=True, slots=True)
class Catalogued:
    """A dataset with its fields, or with why there are none."""

    dataset: Dataset
    time_field: str | None = None
    fields: Sequence[Mapping[str, Any]] = ()
    error: HostMonitorError | None = None


@dataclass
class Reader:
    """Reads within one request. Each source has half of the time that was left at the start, so that one which hangs
    leaves the answer its time."""

    factory: QueryFactory
    context: RequestContext
    total: dict[str, Any] = field(default_factory=dict)
    _places: dict[str, asyncio.Semaphore] = field(default_factory=dict)
    _bounded: RequestContext = field(init=False)

    def __post_init__(self) -> None:
        half = time.monotonic() + self.context.remaining() / 2
        self._bounded = replace(self.context, deadline=half)

    async def datasets(self, names: Sequence[str], prefix: str) -> list[Dataset]:
        """Of the sources by these names, all datasets whose own name starts with the prefix, in order."""
        listed = await asyncio.gather(*(self._of(self.factory.backends[name], prefix) for name in names))
        found = sorted((one for some in listed for one in some), key=lambda one: one.key)
        self.total = {"value": len(found), "relation": "gte" if self.context.partial else "eq"}
        return found

    async def catalogued(self, datasets: Sequence[Dataset]) -> list[Catalogued]:
        """Each with its fields; one that has gone since it was listed is left out."""
        found = await asyncio.gather(*map(self._fields, datasets))
        return [one for one in found if one is not None]

    async def _of(self, backend: Backend, prefix: str) -> list[Dataset]:
        started = time.perf_counter()
        report = SourceReport(backend.name)
        self.context.sources.append(report)
        try:
            found = [one for one in await self._listed(backend, prefix) if "/".join(one.target).startswith(prefix)]
        except StoreError as error:
            self._failed(backend.name, error)
            found = []
        report.took_ms, report.rows = (time.perf_counter() - started) * 1000, len(found)
        return found

    async def _listed(self, backend: Any, prefix: str) -> list[Dataset]:
        name, context = backend.name, self._bounded
        if name not in self.factory.instances:
            return [Dataset(name, (str(one["name"]),), "lookup") for one in await backend.tables.list()]
        if backend.kind == "documents":
            entries, aliases = await asyncio.gather(backend.indices(context), backend.aliases(context))
            found = [Dataset(name, (str(one["index"]),), "documents") for one in entries if one["status"] == "open"]
            return found + [Dataset(name, (one,), "documents", tuple(its)) for one, its in aliases.items()]
        databases = [db for db in _names(await backend.databases(context)) if _leads(db, prefix)]
        listed = await asyncio.gather(*(self._measurements(backend, db) for db in databases))
        return [one for some in listed for one in some]

    async def _measurements(self, backend: Any, db: str) -> list[Dataset]:
        try:
            answer = await self._in_turn(backend.name, lambda: backend.measurements(db, self._bounded))
        except NotFoundError:  # dropped since it was listed
            return []
        except RequestError as error:  # made beside this service
            self.context.warn(error.code.name, f"The database {db[:100]!r} is left out: {error.message}", backend.name)
            return []
        return [Dataset(backend.name, (db, measurement), "series") for measurement in _names(answer)]

    async def _fields(self, dataset: Dataset) -> Catalogued | None:
        source = SourceRef(dataset.instance, dataset.target)
        try:
            table = await self._in_turn(dataset.instance, lambda: self.factory.table(source, self._bounded))
        except NotFoundError:
            return None
        except RequestError as error:
            return Catalogued(dataset, error=error)
        except StoreError as error:
            self._failed(dataset.instance, error)
            return Catalogued(dataset, error=error)
        return Catalogued(dataset, table.time_field, outlined(table))

    async def _in_turn(self, name: str, ask: Callable[[], Coroutine[Any, Any, T]]) -> T:
        async with self._places.setdefault(name, asyncio.Semaphore(AT_ONCE)):
            return await ask()

    def _failed(self, name: str, error: StoreError) -> None:
        """Flags the answer, and the source's row of `meta.sources` with the error's code."""
        for report in self.context.sources:
            if report.source == name and report.status == "ok":
                report.status = error.code.name
        self.context.mark_partial(name, error.message)


def to_token(key: tuple[str, ...]) -> str:
    """A place in the order as a cursor; it says nothing that the page did not."""
    return urlsafe_b64encode(orjson.dumps(key)).decode().rstrip("=")


def from_token(token: str) -> tuple[str, ...] | None:
    """None for what is no cursor."""
    try:
        key = orjson.loads(urlsafe_b64decode(token.encode() + b"=" * (-len(token) % 4)))
    except ValueError:
        return None
    if not isinstance(key, list) or not 2 <= len(key) <= 3 or not all(isinstance(one, str) for one in key):
        return None
    return tuple(key)


def _leads(db: str, prefix: str) -> bool:
    """Whether a database can hold measurements whose name, with the database before it, starts so."""
    return f"{db}/".startswith(prefix) or prefix.startswith(f"{db}/")


def _names(answer: Any) -> list[str]:
    """The names in InfluxDB's form of a list."""
    return [row[0] for series in answer["results"][0].get("series", ()) for row in series.get("values", ())]
