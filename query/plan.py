"""What is asked, typed and store-free: frozen data without logic. Nodes read from the inside out, in the order
where, group, fill, over, expressions, having, top, order, limit (query-language: Steps).

    Scan ─ Filter ─ Sort ─ Limit ─ Project                                           rows
    Scan ─ Filter ─ Aggregate ─ Fill ─ Over ─ Project ─ Filter ─ Top ─ Sort ─ Limit  groups

Joins and unions (query/plan_joins.py) stand between two such rows: over both sides' own steps, below those of `then`.

A `Scan` absorbs what is pushed down to its store, so its own `where`, `group`, `order` and `limit` are empty at first.
"""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field as member
from typing import Literal, assert_never

from libs.result import Type, Unit
from query.catalog import Field, SourceRef, Table
from query.expr import Arithmetic, Predicate
from query.plan_joins import Join, Narrowed, Over, Top, Union

AggregateName = Literal[
    "count", "count_distinct", "sum", "avg", "min", "max", "median", "percentile", "stddev", "first", "last"
]
CalendarUnit = Literal["1d", "1w", "1M", "1y"]
FillMode = Literal["none", "null", "value", "previous", "linear"]


@dataclass(frozen=True, slots=True)
class FieldKey:
    """A key of `group_by`; the output has the field's name. A multi-valued field makes a row count in each value's group."""

    field: str
    at: str = member(default="", compare=False)

    @property
    def name(self) -> str:
        return self.field


@dataclass(frozen=True, slots=True)
class BucketKey:
    """A time bucket. `width` is fixed (nanoseconds, a multiple of 10^9, counted from 1970 UTC) or a calendar unit in `tz`.

    The output `name` is the bucket's start; a missing time is the null bucket. `unit` is the time field's (set by bind),
    which the output keeps.
    """

    field: str
    width: int | CalendarUnit
    name: str
    tz: str = "UTC"
    unit: Unit = "ns"
    at: str = member(default="", compare=False)


Key = FieldKey | BucketKey


@dataclass(frozen=True, slots=True)
class Aggregation:
    """One aggregate, output as `name`. `field` is None for the count of rows. `p` is 0 to 100. `where` restricts its rows.

    `type` is the result's (set by bind), `time` the field that orders `first` and `last`.
    Over a multi-valued field every value counts, but `count` counts rows that have one.
    """

    function: AggregateName
    field: str | None
    name: str
    p: float | None = None
    where: Predicate | None = None
    type: Type | None = None
    time: str | None = None
    at: str = member(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Grouping:
    """Keys and aggregates together: what an Aggregate does, and what a Scan can absorb."""

    keys: tuple[Key, ...]
    aggregates: tuple[Aggregation, ...]


@dataclass(frozen=True, slots=True)
class Order:
    """Missing sorts last both ways; a multi-valued field by its least value ascending, its greatest descending."""

    field: str
    descending: bool = False
    at: str = member(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Bounds:
    """A time range on `field`: from `start` (included) to `end` (not), nanoseconds since 1970; None is open."""

    field: str
    start: int | None
    end: int | None


@dataclass(frozen=True, slots=True)
class Scan:
    """Rows of one source. `columns` are the fields that somebody behind needs, in output order.

    Absorbed, in this order: `where`, `group` (then the output is the keys and aggregates), `order`, `limit`.
    `bounds` repeats the time range that `where` or a Filter behind already holds, for those who plan by it.
    """

    source: SourceRef
    columns: tuple[str, ...] = ()
    where: Predicate | None = None
    group: Grouping | None = None
    order: tuple[Order, ...] = ()
    limit: int | None = None
    bounds: Bounds | None = None
    table: Table | None = member(default=None, compare=False)

    def typed(self, name: str) -> Field:
        """The bound field of that name. Only for bound scans."""
        assert self.table is not None
        return self.table.fields[name]


@dataclass(frozen=True, slots=True)
class Merge:
    """The rows of inputs of one schema (parts of a pattern that type a used field differently), under widened types."""

    inputs: tuple[Plan, ...]
    table: Table = member(compare=False)


@dataclass(frozen=True, slots=True)
class Filter:
    input: Plan
    where: Predicate


@dataclass(frozen=True, slots=True)
class Aggregate:
    input: Plan
    group: Grouping


@dataclass(frozen=True, slots=True)
class Fill:
    """Adds the absent buckets of each seen combination of `keys` (all of them but the bucket) within `start`..`end`
    (nanoseconds, half open), as aggregates of nothing (`counts` are 0, the others null), then replaces every null of the
    aggregate columns `values` as `mode` says."""

    input: Plan
    mode: FillMode
    bucket: BucketKey
    keys: tuple[str, ...]
    counts: tuple[str, ...]
    values: tuple[str, ...]
    start: int
    end: int
    value: float | int | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """One column of a Project: an input column under its own name, or an expression (float64)."""

    name: str
    expression: Arithmetic | None = None
    at: str = member(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Project:
    """Outputs are computed from the left; an expression sees the input's columns and the outputs before it, outputs first."""

    input: Plan
    outputs: tuple[Output, ...]


@dataclass(frozen=True, slots=True)
class Sort:
    input: Plan
    order: tuple[Order, ...]


@dataclass(frozen=True, slots=True)
class Limit:
    input: Plan
    count: int


@dataclass(frozen=True, slots=True)
class Attempt:
    """`pushed` asks the store for what it may turn out not to know exactly: its query then raises `NotProven` before
    its first batch, and `otherwise`, which gives the same answer the longer way, runs instead; with `within_limits` also where
    `pushed` makes more groups than a query may, or numbers that do not fit."""

    pushed: Plan
    otherwise: Plan
    reason: str
    within_limits: bool = False


Plan = (
    Scan | Merge | Filter | Aggregate | Fill | Over | Project | Top | Sort | Limit | Attempt | Join | Narrowed | Union
)


@dataclass(frozen=True, slots=True)
class Options:
    """The body's `options`; `timeout` in seconds, None for the service's own; `require_fresh_ns` is how old the newest row
    of a source may be."""

    partial: bool = False
    timeout: float | None = None
    exact: bool = False
    total: bool = False
    require_fresh_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """A parsed body. The plan's limit is one more than `limit`, so that the answer can tell whether there is more."""

    plan: Plan
    limit: int
    options: Options = Options()


@dataclass(frozen=True, slots=True)
class Insert:
    """A write of documents or points to one source; `items` are the backend kind's own (query.backend)."""

    source: SourceRef
    items: tuple[object, ...]


def inputs(plan: Plan) -> tuple[Plan, ...]:
    """The node's direct inputs."""
    match plan:
        case Scan():
            return ()
        case Merge(items, _) | Union(items, _):
            return items
        case Attempt(pushed, otherwise, _):
            return (pushed, otherwise)
        case Join(left, right):
            return (left, right)
        case Filter(child) | Aggregate(child) | Fill(child) | Project(child) | Sort(child) | Limit(child):
            return (child,)
        case Over(child) | Top(child) | Narrowed(child):
            return (child,)
        case _:
            assert_never(plan)


def scans(plan: Plan) -> tuple[Scan, ...]:
    """All scans of a plan, from the left, those of attempts' other ways included."""
    if isinstance(plan, Scan):
        return (plan,)
    return tuple(scan for child in inputs(plan) for scan in scans(child))
