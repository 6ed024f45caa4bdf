"""Only the columns that somebody behind needs, and no step that changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from query.backend import Capabilities
from query.expr import leaves, names
from query.plan import Aggregate, Attempt, Fill, Filter, Grouping, Merge, Output, Plan, Project, Scan, Sort
from query.plan_joins import Join, Over, Top, Union
from query.rules.rewrite import absorbing, added_by, bottom_up, output_names, picks, with_inputs
from query.schema import joined_name


def prune_columns(plan: Plan, capabilities: Mapping[str, Capabilities]) -> Plan:
    """Scans fetch what is needed behind them, outputs first and in their order."""
    return _exactly(plan, output_names(plan))


def _exactly(plan: Plan, needed: tuple[str, ...]) -> Plan:
    """The pruned node, answering exactly these columns."""
    plan = _pruned(plan, needed)
    return plan if output_names(plan) == needed else Project(plan, tuple(Output(name) for name in needed))


def _pruned(plan: Plan, needed: tuple[str, ...]) -> Plan:
    match plan:
        case Scan(group=None):
            return plan if plan.columns == needed else absorbing(plan, columns=needed)
        case Scan():
            return plan
        case Merge() | Attempt():
            return with_inputs(plan, lambda child: _exactly(child, needed))
        case Filter(_, where):
            below = _with(needed, (leaf.field for leaf in leaves(where)))
        case Sort(_, order):
            below = _with(needed, (key.field for key in order))
        case Aggregate(_, group):
            below = grouping_reads(group)
        case Join():
            return _pruned_join(plan, needed)
        case Union(items, labels):
            return Union(tuple(_exactly(item, _among(needed, item)) for item in items), labels)
        case Fill() | Over():
            below = output_names(plan.input)
        case Top():
            below = _with(needed, (plan.by, *plan.keys))
        case Project(_, outputs):
            if picks(outputs) and tuple(output.name for output in outputs) != needed:
                plan = replace(plan, outputs=tuple(output for output in outputs if output.name in needed))
            below = _project_reads(plan)
        case _:
            below = needed
    return with_inputs(plan, lambda child: _pruned(child, below))


def _pruned_join(join: Join, needed: tuple[str, ...]) -> Plan:
    """Each side fetches what is needed of it, and what it is joined by."""
    times = (join.asof.left, join.asof.right) if join.asof is not None else None
    left = _with(_among(needed, join.left), (key.left for key in join.on))
    right = tuple(key.right for key in join.on)
    right += tuple(name for name in added_by(join, join.right) if joined_name(join.alias, name) in needed)
    if times is not None:
        left, right = _with(left, times[:1]), _with(right, times[1:])
    sides = (_exactly(join.left, left), _exactly(join.right, _with(right, ())))
    return replace(join, left=sides[0], right=sides[1])


def _among(needed: tuple[str, ...], plan: Plan) -> tuple[str, ...]:
    held = set(output_names(plan))
    return tuple(name for name in needed if name in held)


def grouping_reads(group: Grouping) -> tuple[str, ...]:
    """The fields that groups are made from."""
    reads = [key.field for key in group.keys]
    for one in group.aggregates:
        reads += [name for name in (one.field, one.time) if name is not None]
        reads += [leaf.field for leaf in leaves(one.where)]
    return tuple(dict.fromkeys(reads))


def _project_reads(plan: Project) -> tuple[str, ...]:
    """The input's columns that the outputs are made from; an earlier output hides a column of its name."""
    reads: list[str] = []
    computed: set[str] = set()
    for output in plan.outputs:
        if output.expression is None:
            reads.append(output.name)
        else:
            reads += [name for name in names(output.expression) if name not in computed]
            computed.add(output.name)
    return tuple(dict.fromkeys(reads))


def _with(needed: tuple[str, ...], more: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*needed, *more)))


def drop_projects(plan: Plan, capabilities: Mapping[str, Capabilities]) -> Plan:
    """Leaves out projections to what is there already, and joins those that only pick."""
    return bottom_up(plan, _drop)


def _drop(node: Plan) -> Plan:
    match node:
        case Project(Project(child, inner), outer) if picks(inner):
            return _drop(Project(child, outer))
        case Project(child, outputs) if picks(outputs) and output_names(node) == output_names(child):
            return child
        case _:
            return node
