"""Walking and rebuilding plans."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import assert_never

from query.expr import Predicate
from query.plan import (
    Aggregate,
    Attempt,
    Fill,
    Filter,
    Grouping,
    Limit,
    Merge,
    Order,
    Output,
    Plan,
    Project,
    Scan,
    Sort,
)
from query.plan_joins import Join, Narrowed, Over, Top, Union
from query.schema import joined_name

Step = Callable[[Plan], Plan]


def bottom_up(plan: Plan, step: Step) -> Plan:
    """The plan with `step` applied to every node, inputs first. What is unchanged stays the same object."""
    if isinstance(plan, Scan):
        return step(plan)
    return step(with_inputs(plan, lambda child: bottom_up(child, step)))


def with_inputs(plan: Plan, change: Step) -> Plan:
    """The node over its changed inputs."""
    if isinstance(plan, Scan):
        return plan
    if isinstance(plan, Merge):
        changed = tuple(change(item) for item in plan.inputs)
        return plan if _same(changed, plan.inputs) else Merge(changed, plan.table)
    if isinstance(plan, Attempt):
        both = (change(plan.pushed), change(plan.otherwise))
        return plan if _same(both, (plan.pushed, plan.otherwise)) else replace(plan, pushed=both[0], otherwise=both[1])
    if isinstance(plan, Join):
        sides = (change(plan.left), change(plan.right))
        return plan if _same(sides, (plan.left, plan.right)) else replace(plan, left=sides[0], right=sides[1])
    if isinstance(plan, Union):
        parts = tuple(change(item) for item in plan.inputs)
        return plan if _same(parts, plan.inputs) else Union(parts, plan.labels)
    child = change(plan.input)
    return plan if child is plan.input else _over(plan, child)


def _over(plan: Filter | Aggregate | Fill | Over | Project | Top | Sort | Limit | Narrowed, child: Plan) -> Plan:
    """The node over another input; by constructors, for dataclasses.replace costs ten times as much."""
    match plan:
        case Limit():
            return Limit(child, plan.count)
        case Sort():
            return Sort(child, plan.order)
        case Filter():
            return Filter(child, plan.where)
        case Project():
            return Project(child, plan.outputs)
        case Aggregate():
            return Aggregate(child, plan.group)
        case Fill() | Over() | Top() | Narrowed():
            return replace(plan, input=child)
        case _:
            assert_never(plan)


def _same(left: tuple[Plan, ...], right: tuple[Plan, ...]) -> bool:
    return all(a is b for a, b in zip(left, right, strict=True))


def absorbing(
    scan: Scan,
    columns: tuple[str, ...] | None = None,
    where: Predicate | None = None,
    group: Grouping | None = None,
    order: tuple[Order, ...] = (),
    limit: int | None = None,
) -> Scan:
    """The scan with what is given in the place of what it had; the rest as it was."""
    return Scan(
        scan.source,
        scan.columns if columns is None else columns,
        where or scan.where,
        group or scan.group,
        order or scan.order,
        scan.limit if limit is None else limit,
        scan.bounds,
        scan.table,
    )


def output_names(plan: Plan) -> tuple[str, ...]:
    """The names of a node's output columns."""
    match plan:
        case Scan(group=None):
            return plan.columns
        case Scan(group=group):
            assert group is not None
            return tuple(one.name for one in group.keys + group.aggregates)
        case Merge(items, _):
            return output_names(items[0])
        case Attempt(_, otherwise, _):
            return output_names(otherwise)
        case Aggregate(_, group):
            return tuple(one.name for one in group.keys + group.aggregates)
        case Project(_, outputs):
            return tuple(output.name for output in outputs)
        case Filter(child) | Sort(child) | Limit(child):
            return output_names(child)
        case Fill() | Top() | Narrowed():
            return output_names(plan.input)
        case Over(child, items):
            return output_names(child) + tuple(item.name for item in items)
        case Join(left, right):
            return output_names(left) + tuple(joined_name(plan.alias, name) for name in added_by(plan, right))
        case Union(items, _):
            return tuple(dict.fromkeys([*(name for item in items for name in output_names(item)), "source"]))
        case _:
            assert_never(plan)


def picks(outputs: tuple[Output, ...]) -> bool:
    """Whether the outputs are columns as they are."""
    return all(output.expression is None for output in outputs)


def added_by(join: Join, right: Plan) -> tuple[str, ...]:
    """The right side's columns that the join answers."""
    keys = {key.right for key in join.on}
    return tuple(name for name in output_names(right) if name not in keys) if join.widens else ()
