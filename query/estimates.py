"""How many rows a plan answers, as far as the plan and the catalogue tell before anything runs: with rules of thumb for
what filters and keys keep. Pure."""

from __future__ import annotations

from math import prod
from typing import assert_never

from libs.buckets import bucket_count
from query.expr import And, Compare, Not, Or, Predicate, conjuncts
from query.plan import (
    Aggregate,
    Attempt,
    BucketKey,
    Fill,
    Filter,
    Grouping,
    Limit,
    Merge,
    Plan,
    Project,
    Scan,
    Sort,
    scans,
)
from query.plan_joins import Estimate, Join, Narrowed, Over, Top, Union

# What is taken for the rows of a store that does not tell, and for the different values of a key.
UNKNOWN_ROWS = 1_000_000
KEY_VALUES = 100
# The share of rows that a leaf keeps.
_EQUAL, _BETWEEN, _OTHER = 0.1, 0.33, 0.9


def estimate(plan: Plan) -> Estimate:
    """Of a bound plan, optimized or not."""
    match plan:
        case Scan():
            return _scan(plan)
        case Merge(items, _) | Union(items, _):
            parts = [estimate(item) for item in items]
            words = " + ".join(dict.fromkeys(part.by for part in parts))
            return Estimate(sum(part.rows for part in parts), words, any(part.filtered for part in parts))
        case Filter(child, where):
            return _kept(estimate(child), where, plan)
        case Aggregate(child, group):
            return _groups(group, estimate(child), child)
        case Limit(child, count):
            return _limited(estimate(child), count)
        case Top(child, per=per, n=count):
            return estimate(child) if per else _limited(estimate(child), count)
        case Attempt(pushed, _, _):
            return estimate(pushed)
        case Join(left):
            return estimate(left)
        case Project(child) | Sort(child) | Fill(child) | Over(child) | Narrowed(child):
            return estimate(child)
        case _:
            assert_never(plan)


def _scan(scan: Scan) -> Estimate:
    known = scan.table.rows if scan.table is not None else None
    found = Estimate(UNKNOWN_ROWS, "unknown") if known is None else Estimate(known, "catalogue")
    found = _kept(found, scan.where, scan)
    if scan.group is not None:
        found = _groups(scan.group, found, scan)
    return found if scan.limit is None else _limited(found, scan.limit)


def _limited(found: Estimate, count: int) -> Estimate:
    return found if found.rows <= count else Estimate(count, "limit")


def _kept(found: Estimate, where: Predicate | None, plan: Plan) -> Estimate:
    """After a filter, the time range apart: both sides of a join mostly share it."""
    ranges = {scan.bounds.field for scan in scans(plan) if scan.bounds is not None}
    parts = [one for one in conjuncts(where) if not (isinstance(one, Compare) and one.field in ranges)]
    if not parts:
        return found
    share = prod(_share(one) for one in parts)
    return Estimate(round(found.rows * share), f"{found.by}, filtered", True)


def _share(predicate: Predicate) -> float:
    match predicate:
        case Compare(op="eq"):
            return _EQUAL
        case Compare(op="in", value=tuple(values)):
            return min(_OTHER, _EQUAL * len(values))
        case Compare(op="ne" | "nin" | "exists"):
            return _OTHER
        case Compare():
            return _BETWEEN
        case Not(item):
            return 1 - _share(item)
        case And(items):
            return prod(_share(item) for item in items)
        case Or(items):
            return min(1.0, sum(_share(item) for item in items))


def _groups(group: Grouping, rows: Estimate, below: Plan) -> Estimate:
    """The buckets of the range times KEY_VALUES for each other key, fewer behind a filter; never more than rows."""
    if not group.keys:
        return Estimate(1, "aggregate")
    count = 1
    bounds = {scan.bounds.field: scan.bounds for scan in scans(below) if scan.bounds is not None}
    for key in group.keys:
        found = bounds.get(key.field)
        if isinstance(key, BucketKey) and found and found.start is not None and found.end is not None:
            count *= bucket_count(found.start, found.end, key.width)
        else:
            count *= KEY_VALUES
    if rows.filtered:
        count = round(count * _BETWEEN)
    if rows.rows < count:
        return Estimate(rows.rows, f"aggregate of {rows.by}", rows.filtered)
    return Estimate(count, "aggregate, filtered" if rows.filtered else "aggregate", rows.filtered)
