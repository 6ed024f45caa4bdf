"""A side of a join with the other side's keys in its scans: where they can go, and what is asked for then. Pure.

A condition may keep more rows than can match, never fewer, and of a group either all rows or none: it stands on what the
scan's groups are keyed by, and a time bucket is asked for whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from query.backend import Capabilities, Pushdown
from query.catalog import Field
from query.expr import Compare, Predicate, conjunction, conjuncts, leaves
from query.plan import (
    Aggregate,
    Attempt,
    BucketKey,
    Fill,
    Filter,
    Grouping,
    Merge,
    Plan,
    Project,
    Scan,
    Sort,
)
from query.plan_joins import Join, Narrowed, Over, Top
from query.rules.rewrite import absorbing, output_names, with_inputs


@dataclass(frozen=True, slots=True)
class Target:
    """Where a column of a plan comes from: a scan's field, or the buckets of one."""

    column: str
    bucket: BucketKey | None = None


Targets = tuple[Target, ...]
# What a scan is asked for by its targets; None where it cannot be.
AtScan = Callable[[Scan, tuple[Field, ...], Targets], Predicate | None]


@dataclass(frozen=True, slots=True)
class Narrower:
    """Puts into every scan under a plan what `asked` says; with `strict` none may be left out."""

    asked: AtScan
    capabilities: Mapping[str, Capabilities]
    strict: bool

    def narrowed(self, plan: Plan, targets: Targets) -> Plan | None:
        """None where not every target leads to scans that take it."""
        match plan:
            case Scan():
                return self._scan(plan, targets)
            case Filter() | Sort():
                return self._below(plan, targets)
            case Project(_, outputs):
                plain = {output.name for output in outputs if output.expression is None}
                return self._below(plan, targets) if plain.issuperset(_names(targets)) else None
            case Aggregate(_, group):
                found = _through(group, targets)
                return self._below(plan, found) if found is not None else None
            case Fill() | Over():
                return self._below(plan, targets) if set(plan.keys).issuperset(_names(targets)) else None
            case Top(_, per=per):
                return self._below(plan, targets) if set(per).issuperset(_names(targets)) else None
            case Attempt(pushed, otherwise):
                first, second = self.narrowed(pushed, targets), self.narrowed(otherwise, targets)
                if first is None or (second is None and self.strict):
                    return None
                return replace(plan, pushed=first, otherwise=second or otherwise)
            case Merge(items, table):
                return self._parts(items, table, targets)
            case Join(left):
                # Of a join that looks for keys that fan out, no left row may be kept from it.
                free = plan.many or plan.unique or not plan.widens
                if not free or not set(output_names(left)).issuperset(_names(targets)):
                    return None
                found_left = self.narrowed(left, targets)
                return _over(plan, found_left) if found_left is not None else None
            case _:
                return None

    def _below(self, plan: Plan, targets: Targets) -> Plan | None:
        found: list[Plan | None] = []

        def change(child: Plan) -> Plan:
            found.append(self.narrowed(child, targets))
            return found[-1] or child

        changed = with_inputs(plan, change)
        return None if None in found else changed

    def _parts(self, items: tuple[Plan, ...], table: object, targets: Targets) -> Plan | None:
        parts = [self.narrowed(item, targets) for item in items]
        if not any(parts) or (self.strict and not all(parts)):
            return None
        return Merge(tuple(new or old for new, old in zip(parts, items, strict=True)), table)  # type: ignore[arg-type]

    def _scan(self, scan: Scan, targets: Targets) -> Scan | None:
        if scan.limit is not None:
            return None
        at = targets if scan.group is None else _through(scan.group, targets)
        if at is None:
            return None
        found = self.asked(scan, tuple(scan.typed(target.column) for target in at), at)
        if found is None or not takes(found, scan, self.capabilities[scan.source.instance]):
            return None
        where = conjunction((*conjuncts(scan.where), *(conjuncts(found) or (found,))))
        return absorbing(scan, where=where)


def _over(join: Join, left: Plan) -> Join:
    """The join over another left side, whose keys its right side may wait for."""
    right = replace(join.right, given=left) if isinstance(join.right, Narrowed) else join.right
    return replace(join, left=left, right=right)


def _names(targets: Targets) -> list[str]:
    return [target.column for target in targets]


def _through(group: Grouping, targets: Targets) -> Targets | None:
    """The targets below a grouping, whose keys they must be; None for a bucket of buckets."""
    keys = {key.name: key for key in group.keys}
    found = []
    for target in targets:
        key = keys.get(target.column)
        if key is None or (isinstance(key, BucketKey) and target.bucket is not None):
            return None
        found.append(Target(key.field, key if isinstance(key, BucketKey) else target.bucket))
    return tuple(found)


def takes(predicate: Predicate, scan: Scan, able: Capabilities) -> bool:
    """Whether the store does all of it exactly, and knows that beforehand."""
    rows = replace(scan, group=None, order=())
    verdicts = [able.pushdown(leaf, rows) for leaf in leaves(predicate)]
    if not isinstance(predicate, Compare):
        verdicts += [able.composed(one, rows) for one in conjuncts(predicate)]
    return all(one.level is Pushdown.EXACT and not one.checked for one in verdicts)
