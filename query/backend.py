"""The seam to a store: one engine's side of it is a folder query/<name>/ whose `open_backend(config)` returns a Backend.

The contract of pushing down: whoever plans asks `Capabilities.pushdown` for each part. EXACT parts are absorbed by the
Scan and done by the store; INEXACT ones too, but a superset may come back and the part stays behind as a residual;
UNSUPPORTED ones stay behind alone, and `compile` raises UnsupportedPart when it is handed one all the same.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, NamedTuple, Protocol

from libs.context import RequestContext
from libs.result import Batch, Schema
from query.catalog import Kind, SourceRef, Table
from query.expr import Compare, Predicate, leaves
from query.plan import Grouping, Order, Scan

Json = Any  # a decoded JSON value


class Pushdown(Enum):
    EXACT = "exact"
    INEXACT = "inexact"
    UNSUPPORTED = "unsupported"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`reason` says why a part is not (wholly) pushed, for explain. `checked`: exact if what the store answers proves it,
    known only when it runs (the optimizer then plans an Attempt). `approximate`: a group's numbers may be off; it is not
    asked when the caller wants exact ones."""

    level: Pushdown
    reason: str = ""
    checked: bool = False
    approximate: bool = False


EXACT = Verdict(Pushdown.EXACT)


@dataclass(frozen=True, slots=True)
class Ordering:
    """Sort keys and a limit together: what a store does for one page of rows. An empty `order` is a bare limit."""

    order: tuple[Order, ...]
    limit: int | None


Part = Compare | Grouping | Ordering


@dataclass(frozen=True)
class Capabilities:
    """What a store can do exactly, as data: what is not declared is not pushed. `pushdown` is pure.

    `operators` maps a type's name to the operators that are exact on it. A backend whose truth is finer subclasses this
    and narrows `pushdown`. And, or, not of exact leaves are exact unless `composed` says otherwise (the optimizer asks it).
    """

    operators: Mapping[str, frozenset[str]] = field(default_factory=dict)
    aggregates: frozenset[str] = frozenset()
    order: bool = False
    limit: bool = False

    def pushdown(self, part: Part, scan: Scan) -> Verdict:
        """Answers for one part of a plan over `scan` (bound: `scan.table` is set; what it has absorbed so far counts)."""
        match part:
            case Compare(op=op, type=kind):
                if kind is not None and op in self.operators.get(kind.name.value, ()):
                    return EXACT
                return Verdict(Pushdown.UNSUPPORTED, f"{op} is not declared for this type")
            case Grouping(aggregates=aggregates):
                missing = sorted({a.function for a in aggregates} - self.aggregates)
                if not self.aggregates or missing:
                    return Verdict(Pushdown.UNSUPPORTED, "aggregates are not declared: " + ", ".join(missing))
                return EXACT
            case Ordering(order, limit):
                if (order and not self.order) or (limit is not None and not self.limit):
                    return Verdict(Pushdown.UNSUPPORTED, "ordering or limiting is not declared")
                return EXACT

    def composed(self, conjunct: Predicate, scan: Scan) -> Verdict:
        """Answers for a whole conjunct (no `and` at its top) whose leaves are all EXACT by themselves. Their and, or, not
        is exact too, but where a subclass knows better (InfluxDB has no negation that keeps missing fields)."""
        return EXACT

    def require(self, scan: Scan) -> None:
        """Raises UnsupportedPart where a leaf, the groups or the order that a scan has absorbed are not declared."""
        rows = scan if scan.group is None else replace(scan, group=None)
        parts: tuple[Part, ...] = leaves(scan.where) if scan.group is None else (*leaves(scan.where), scan.group)
        judged = [self.pushdown(part, rows) for part in parts]
        if scan.order or scan.limit is not None:
            judged.append(self.pushdown(Ordering(scan.order, scan.limit), scan))
        for verdict in judged:
            if verdict.level is Pushdown.UNSUPPORTED:
                raise UnsupportedPart(verdict.reason)


class UnsupportedPart(Exception):
    """A scan holds what its backend declared unsupported: a fault of the planner, never the caller's."""


class NotProven(Exception):
    """Raised by a query before its first batch: the store's numbers could not be proven exact; take the other way."""


class CatalogStale(Exception):
    """Raised by a query before its first batch: a row shows that the cached catalogue is out of date (a field has become
    multi-valued, say). The walk drops the cached table and starts again, once."""


class Query(Protocol):
    """One native request, compiled, immutable."""

    @property
    def schema(self) -> Schema: ...

    def explain(self) -> Json:
        """The native request, as it will be sent."""
        ...

    def stream(self, context: RequestContext) -> AsyncIterator[Batch]:
        """The rows, in batches of at most some ten thousand. Closing the iterator cancels the store's work.

        Raises StoreError (down, hangs, partial, unreadable) and CostError (more rows than `context.limits`)."""
        ...


class Backend(Protocol):
    """An opened store. `name` is the instance's."""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> Kind: ...
    @property
    def region(self) -> str | None: ...
    @property
    def capabilities(self) -> Capabilities: ...

    async def table(self, source: SourceRef, context: RequestContext) -> Table:
        """The source's fields, from a brief cache. Raises NotFoundError (INDEX_UNKNOWN, DATABASE_UNKNOWN,
        MEASUREMENT_UNKNOWN), RequestError (NAME_INVALID: nothing is sent), StoreError."""
        ...

    def forget(self, source: SourceRef) -> None:
        """Drops what is cached about a source."""
        ...

    def compile(self, scan: Scan) -> Query:
        """Pure. Raises UnsupportedPart."""
        ...

    async def ping(self, context: RequestContext) -> Mapping[str, Json]:
        """Version and the like of a store that answers. Raises StoreError."""
        ...

    async def close(self) -> None: ...


class Point(NamedTuple):
    """A point to write. `time` in nanoseconds since 1970, None for the store's own now. Field values: bool, int, float, str."""

    measurement: str
    tags: Mapping[str, str]
    fields: Mapping[str, bool | int | float | str]
    time: int | None = None


@dataclass(frozen=True, slots=True)
class WriteReport:
    """How a write of points ended: `written` of them are stored, the `dropped` ones for the `reasons`."""

    written: int
    dropped: int = 0
    reasons: tuple[str, ...] = ()


class PointDeletes(Protocol):
    """How a store deletes points. `scan` is one that query.point_deletes.deletable has let through: its `where` names tags and
    the time alone, and is all that was asked."""

    @property
    def counts(self) -> bool:
        """Whether `delete` tells how many there were, and heeds `most`."""
        ...

    async def delete(self, scan: Scan, most: int | None, context: RequestContext) -> int | None:
        """Deletes the points that the scan answers; how many those were. Raises `query.by_filter.too_many` past `most` (nothing
        is deleted then), StoreError, CatalogStale."""
        ...

    async def unseen(
        self, db: str, measurement: str | None, scan: Scan | None, context: RequestContext
    ) -> Sequence[str]:
        """Names of what holds further points that no query shows, and that a delete would take all the same: of the database,
        of the measurement, or those that the scan means. Raises StoreError."""
        ...


class SeriesStore(Backend, Protocol):
    """What the fixed routes of series need. Answers are JSON values in InfluxDB's own form ({"results": […]}).

    Database and measurement names are quoted or checked here, before anything is sent.
    """

    async def node(self, context: RequestContext) -> Json:
        """{"version", "uptime", "answers"}"""
        ...

    async def databases(self, context: RequestContext) -> Json:
        """{"results": [{"statement_id", "series": [{"name": "databases", "columns": ["name"], "values": [[name]]}]}]}"""
        ...

    async def create_database(self, db: str, context: RequestContext) -> Json: ...

    async def drop_database(self, db: str, context: RequestContext) -> Json: ...

    async def measurements(self, db: str, context: RequestContext) -> Json:
        """As `databases`, with name "measurements"; without "series" when there are none. Raises NotFoundError."""
        ...

    async def drop_measurement(self, db: str, measurement: str, context: RequestContext) -> Json: ...

    @property
    def deletes(self) -> PointDeletes: ...

    async def keys(self, db: str, measurement: str, context: RequestContext) -> Json:
        """{"tag_keys": {"name", "columns", "values": [[key]]}, "field_keys": {"name", "columns", "values": [[key, type]]}}"""
        ...

    async def write(self, db: str, points: Sequence[Point], context: RequestContext) -> WriteReport:
        """A number takes the field's type where it fits exactly (1 into a float field); a new field is an integer only when
        its value is an int. Raises NotFoundError (DATABASE_UNKNOWN), RequestError (FIELD_TYPE_CONFLICT, VALUE_INVALID,
        with the pointer /<position of the point>/fields/<name>; then nothing is written)."""
        ...

    async def write_lines(
        self, db: str, measurement: str, lines: bytes, precision: str, context: RequestContext, first: int = 1
    ) -> WriteReport:
        """Line protocol as it came, checked to hold points of `measurement` alone. `precision`: ns u ms s m h; `first` is
        the number that the first line has where a message names one."""
        ...

    def check_lines(self, measurement: str, lines: bytes, precision: str, now_ns: int, first: int = 1) -> int:
        """How many lines `write_lines` would write or drop: none of them is blank or a comment. Pure, and may be called in a
        thread. Raises RequestError (NAME_INVALID, VALUE_INVALID) where it would, but not for no line at all."""
        ...


@dataclass(frozen=True, slots=True)
class InstanceConfig:
    """What a backend is opened with. `url` is None for the embedded engine; `data_dir` is where that may keep files."""

    name: str
    kind: Kind
    url: str | None
    data_dir: str
    region: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    ca_file: str | None = None
    connections: int = 64
    catalog_seconds: float = 5.0
    memory_mb: int = 256
    threads: int = 2
    options: Mapping[str, Json] = field(default_factory=dict)
