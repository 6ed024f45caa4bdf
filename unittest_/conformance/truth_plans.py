"""Parts of plans: what a store may absorb, and whether a plan has it there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from query.backend import Ordering, Verdict
from query.expr import conjuncts
from query.plan import Aggregate, Attempt, Filter, Limit, Merge, Plan, Scan, Sort, inputs


@dataclass(frozen=True)
class Part:
    """What may be pushed: `holding` is `without` that has absorbed it. Of each tuple of `words` the native request has one:
    what its store may call a field, or write for an operand."""

    verdict: Verdict
    without: Scan
    holding: Scan
    words: tuple[tuple[str, ...], ...]


def nodes(plan: Plan) -> Iterator[Plan]:
    yield plan
    for child in inputs(plan):
        yield from nodes(child)


def ways(plan: Plan) -> Iterator[Plan]:
    """The plans that an attempt may run, the store's first; a plan without one is its own only way."""
    if isinstance(plan, Attempt):
        yield from ways(plan.pushed)
        yield from ways(plan.otherwise)
    else:
        assert not any(isinstance(node, Attempt) for node in nodes(plan) if not isinstance(plan, Merge))
        yield plan


def ordering(plan: Plan) -> Ordering:
    """The order and limit together, as bound."""
    limit = next(node.count for node in nodes(plan) if isinstance(node, Limit))
    return Ordering(next(node.order for node in nodes(plan) if isinstance(node, Sort)), limit)


def holds(scan: Scan, part: Part) -> bool:
    wanted = part.holding
    if wanted.order != part.without.order or wanted.limit != part.without.limit:
        return (scan.order, scan.limit) == (wanted.order, wanted.limit)
    if wanted.group != part.without.group:
        return scan.group == wanted.group
    return set(conjuncts(wanted.where)) <= set(conjuncts(scan.where))


def left_behind(plan: Plan, part: Part) -> bool:
    wanted = part.holding
    if wanted.order != part.without.order:
        return any(isinstance(node, Sort) for node in nodes(plan))
    kind = Aggregate if wanted.group != part.without.group else Filter
    return any(isinstance(node, kind) for node in nodes(plan))
