"""What of a plan's cost the catalogue does not bound: what to ask a store about it before the plan runs, and what the answers
foretell. Pure.

A plan that no count could refuse has no demands: one page of rows that its store limits, groups of a small source, few
buckets. For each of the others one request a source is made (`probe`): how many rows the filter leaves, how many values
each key has, the first and the last time. What is sure to pass a limit is refused; what is only estimated, from several
figures, may be off: it is refused past SLACK times the limit, and else held to it while it runs. Python's integers neither
overflow nor turn negative, whatever the range.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod

from libs.buckets import bucket_count
from libs.context import Limits
from libs.result import INT64, TypeName
from query.backend import Capabilities, Pushdown
from query.plan import (
    Aggregate,
    Aggregation,
    Attempt,
    BucketKey,
    FieldKey,
    Fill,
    Grouping,
    Key,
    Limit,
    Plan,
    Project,
    Scan,
    Sort,
    inputs,
)
from query.plan_joins import Join, Narrowed
from query.whole import flows

SLACK = 10
_UNKNOWN = 2**200  # more than anything can be
_BOOLEANS = 3  # true, false, missing


@dataclass(frozen=True, slots=True)
class RowsDemand:
    """The scans whose rows are all fetched."""

    scans: tuple[Scan, ...]


@dataclass(frozen=True, slots=True)
class GroupsDemand:
    """The groups of a scan's rows, absent buckets among them where they are filled."""

    scan: Scan
    keys: tuple[Key, ...]
    fill: Fill | None = None

    @property
    def fields(self) -> tuple[str, ...]:
        return tuple(key.field for key in self.keys if isinstance(key, FieldKey))

    @property
    def buckets(self) -> tuple[BucketKey, ...]:
        return tuple(key for key in self.keys if isinstance(key, BucketKey))


@dataclass(frozen=True, slots=True)
class JoinDemand:
    """The rows of a join with `many`, each side the rows of one scan."""

    join: Join
    left: Scan
    right: Scan


Demand = RowsDemand | GroupsDemand | JoinDemand


def demands(plan: Plan, limits: Limits) -> tuple[Demand, ...]:
    """What could pass a limit as far as the catalogue tells. Rows that only pass through are bounded while they do."""
    if flows(plan):
        return ()
    found: list[Demand] = []
    fetched: list[Scan] = []
    waiting: list[tuple[Plan, Fill | None]] = [(plan, None)]
    while waiting:
        node, fill = waiting.pop()
        match node:
            case Narrowed():  # how much of it is fetched shows when the keys are there
                continue
            case Limit(child) if flows(child):  # it is pulled no further than needed
                continue
            case Attempt(within_limits=True):  # there is another way, should it cost too much
                continue
            case Attempt(pushed):
                waiting.append((pushed, fill))
                continue
            case Scan(group=None, limit=None):
                fetched.append(node)
            case Scan(group=Grouping(keys)) if node.limit is None or node.limit > limits.groups:
                _add_groups(found, GroupsDemand(_rows_of(node), keys, fill), limits)
            case Aggregate(child, group):
                base = _base(child)
                if base is not None:
                    _add_groups(found, GroupsDemand(base, group.keys, fill), limits)
            case Join(many=True, widens=True):
                _add_join(found, node, limits)
        below = node if isinstance(node, Fill) else fill if isinstance(node, Project) else None
        waiting += [(child, below) for child in inputs(node)]
    once = tuple(dict.fromkeys(fetched))
    if once and sum(map(_held, once)) > limits.rows_fetched:
        found.insert(0, RowsDemand(once))
    return tuple(found)


def _add_groups(found: list[Demand], demand: GroupsDemand, limits: Limits) -> None:
    if demand.keys and groups_at_most(demand) > limits.groups:
        found.append(demand)


def _add_join(found: list[Demand], join: Join, limits: Limits) -> None:
    left, right = _base(join.left), _base(join.right)
    if left is None or right is None or join.asof is not None:
        return
    named = all(key.left in left.columns and key.right in right.columns for key in join.on)
    if named and _held(left) * _held(right) > limits.joined_rows:
        found.append(JoinDemand(join, left, right))


def _base(plan: Plan) -> Scan | None:
    """The scan whose rows the plan has, each once; None where it is not that simple."""
    match plan:
        case Scan(group=None, limit=None):
            return plan
        case Attempt(pushed):
            return _base(pushed)
        case Sort(child):
            return _base(child)
        case Project(child, outputs) if all(output.expression is None for output in outputs):
            return _base(child)
        case _:
            return None


def _rows_of(scan: Scan) -> Scan:
    """The rows that a scan groups."""
    return replace(scan, group=None, order=(), limit=None)


def _held(scan: Scan) -> int:
    """The rows that the scan has at the most."""
    rows = scan.table.rows if scan.table is not None else None
    return _UNKNOWN if rows is None else rows


def groups_at_most(demand: GroupsDemand) -> int:
    """By the time range, the keys' types and the rows there are."""
    bounded = prod(_values_at_most(key, demand.scan) for key in demand.keys)
    if demand.fill is not None or any(demand.scan.typed(name).type.multi for name in demand.fields):
        return bounded
    return min(bounded, _held(demand.scan))


def _values_at_most(key: Key, scan: Scan) -> int:
    if isinstance(key, BucketKey):
        bounds = scan.bounds
        if bounds is None or bounds.field != key.field or bounds.start is None or bounds.end is None:
            return _UNKNOWN
        return bucket_count(bounds.start, bounds.end, key.width)
    return _BOOLEANS if scan.typed(key.field).type.name is TypeName.BOOLEAN else _UNKNOWN


@dataclass(frozen=True, slots=True)
class Facts:
    """What a store told of a scan's rows: how many there are at the least, the different values of fields (`approximate`: give
    or take a few in a hundred), how many combinations of all of them, and the first and last time in nanoseconds."""

    rows: int = 0
    distinct: Mapping[str, int] | None = None
    combinations: int | None = None
    first: int | None = None
    last: int | None = None
    approximate: bool = False


@dataclass(frozen=True, slots=True)
class Probe:
    """One request for facts: `scan` groups nothing, or by `fields`, which are else counted one by one."""

    base: Scan
    scan: Scan
    fields: tuple[str, ...]
    time: str | None = None

    @property
    def grouped(self) -> bool:
        assert self.scan.group is not None
        return bool(self.scan.group.keys)


def probe(base: Scan, wanted: tuple[Demand, ...], able: Capabilities) -> Probe | None:
    """The request that tells most of what is wanted of a scan's rows; None where the store can tell nothing without reading
    them."""
    fields: dict[str, None] = {}
    times: dict[str, None] = {}
    for one in wanted:
        if isinstance(one, GroupsDemand) and one.scan == base:
            fields.update(dict.fromkeys(one.fields))
            times.update(dict.fromkeys(key.field for key in one.buckets))
        elif isinstance(one, JoinDemand):
            fields.update({key.left: None for key in one.join.on if one.left == base})
            fields.update({key.right: None for key in one.join.on if one.right == base})
    names = tuple(fields)
    counted = _count(base, able)
    if counted is None:
        return None
    distinct = [_aggregation("count_distinct", name, f"d{at}", base) for at, name in enumerate(names)]
    if not _takes(able, base, Grouping((), (counted, *distinct))):
        keys = Grouping(tuple(FieldKey(name) for name in names), (counted,))
        if names and _takes(able, base, keys):
            return Probe(base, replace(base, group=keys, order=(), limit=None), names)
        return Probe(base, replace(base, group=Grouping((), (counted,))), ())
    time = next(iter(times), None)
    ends = [_aggregation("min", time, "first", base), _aggregation("max", time, "last", base)] if time else []
    if not _takes(able, base, Grouping((), (counted, *distinct, *ends))):
        ends, time = [], None
    return Probe(base, replace(base, group=Grouping((), (counted, *distinct, *ends))), names, time)


def _count(base: Scan, able: Capabilities) -> Aggregation | None:
    """The count of rows, or that of a field, which is no greater, where the store cannot count rows without a proof."""
    rows = Aggregation("count", None, "rows", type=INT64)
    if _takes(able, base, Grouping((), (rows,))):
        return rows
    assert base.table is not None
    for name, field in base.table.fields.items():
        if field.role == "field":
            count = Aggregation("count", name, "rows", type=INT64)
            if _takes(able, base, Grouping((), (count,))):
                return count
    return None


def _aggregation(function: str, field: str, name: str, base: Scan) -> Aggregation:
    kind = INT64 if function == "count_distinct" else base.typed(field).type.single()
    return Aggregation(function, field, name, type=kind)  # type: ignore[arg-type]


def _takes(able: Capabilities, base: Scan, group: Grouping) -> bool:
    verdict = able.pushdown(group, base)
    return verdict.level is Pushdown.EXACT and not verdict.checked
