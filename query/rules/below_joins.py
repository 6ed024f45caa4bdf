"""Aggregates below joins: the left side is grouped by its store before it is joined, and the groups are put together after.

Exact where each left row meets one right row at the most (no `many`), for what folds without rounding: counts, sums and means
of integers, extremes. Where those groups pass a limit that the rows would not, the rows are taken all the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from libs.result import INT64, Column, TypeName
from query.backend import Capabilities
from query.estimates import estimate
from query.expr import Binary, Name, leaves
from query.plan import (
    Aggregate,
    Aggregation,
    Attempt,
    BucketKey,
    FieldKey,
    Filter,
    Grouping,
    Key,
    Output,
    Plan,
    Project,
    Scan,
)
from query.plan_joins import Estimate, Join
from query.rules.groups import push_group
from query.rules.rewrite import output_names, picks
from query.schema import schema_of

_FEW = 1_000  # rows that are fetched as fast as they are grouped


def group_below_join(node: Plan, capabilities: Mapping[str, Capabilities]) -> Plan:
    """An attempt of the groups made early, beside the aggregate as it stands."""
    if not isinstance(node, Aggregate) or not node.group.keys:
        return node
    spine = _spine(node.input)
    scan = _rows(spine[-1])
    if len(spine) < 2 or scan is None:
        return node
    split = _split(node.group, spine, scan)
    if split is None:
        return node
    early = push_group(Aggregate(scan, Grouping(split.keys, split.partial)), capabilities)
    rows, groups = estimate(scan), estimate(early)
    if isinstance(early, Aggregate) or not pays(rows, groups):
        return node
    grouped = Aggregate(_rebuilt(spine, early), Grouping(split.final_keys, split.final))
    pushed = Project(grouped, split.outputs) if any(one.expression is not None for one in split.outputs) else grouped
    reason = f"grouped below the join: {groups.rows} groups of {rows.rows} rows are estimated"
    return Attempt(pushed, node, reason, within_limits=True)


def pays(rows: Estimate, groups: Estimate) -> bool:
    return rows.rows >= _FEW and groups.rows * 2 <= rows.rows


def _spine(plan: Plan) -> list[Plan]:
    """Joins and what filters their rows, from the last down to the leftmost side, which comes last; that alone where a join
    may multiply or choose rows."""
    found: list[Plan] = []
    node = plan
    while True:
        if isinstance(node, Join):
            if node.how == "asof" or (node.many and node.widens):
                return [node]
            found.append(node)
            node = node.left
        elif isinstance(node, Filter) and isinstance(node.input, Join | Filter):
            found.append(node)
            node = node.input
        else:
            return [*found, node]


def _rows(plan: Plan) -> Scan | None:
    """The scan that answers all rows of a side, its filter taken whole by the store."""
    while isinstance(plan, Project) and picks(plan.outputs):
        plan = plan.input
    return plan if isinstance(plan, Scan) and plan.group is None and plan.limit is None else None


def _rebuilt(spine: list[Plan], base: Plan) -> Plan:
    plan = base
    for node in reversed(spine[:-1]):
        if isinstance(node, Join):
            plan = replace(node, left=plan)
        else:
            assert isinstance(node, Filter)
            plan = Filter(plan, node.where)
    return plan


@dataclass(frozen=True, slots=True)
class _Split:
    """Keys and aggregates of the left side, and those over the joined groups, with what is computed of them."""

    keys: tuple[Key, ...]
    partial: tuple[Aggregation, ...]
    final_keys: tuple[Key, ...]
    final: tuple[Aggregation, ...]
    outputs: tuple[Output, ...]


def _split(group: Grouping, spine: list[Plan], scan: Scan) -> _Split | None:
    held = {column.name: column for column in schema_of(spine[-1])}
    keys = _early_keys(group, spine, held)
    if keys is None:
        return None
    folded = [_folded(one, held, scan) for one in group.aggregates]
    parts = [one for one in folded if one is not None]
    if len(parts) < len(folded):
        return None
    final_keys = tuple(FieldKey(key.name, key.at) if key.field in held else key for key in group.keys)
    outputs = [Output(key.name) for key in final_keys] + [one.output for one in parts]
    partial = {one.name: one for fold in parts for one in fold.partial}
    if partial.keys() & {*_joined_names(spine), *(key.name for key in group.keys)}:
        return None
    final = {one.name: one for fold in parts for one in fold.final}
    return _Split(keys, tuple(partial.values()), final_keys, tuple(final.values()), tuple(outputs))


def _early_keys(group: Grouping, spine: list[Plan], held: Mapping[str, Column]) -> tuple[Key, ...] | None:
    """The left side's columns that joins, filters and the groups read; None where one cannot be a key, or names clash."""
    needed: dict[str, Key] = {}
    for node in spine[:-1]:
        read = [key.left for key in node.on] if isinstance(node, Join) else []
        read += [leaf.field for leaf in leaves(node.where)] if isinstance(node, Filter) else []
        needed.update((name, FieldKey(name)) for name in read if name in held)
    for key in group.keys:
        if key.field in held:
            if isinstance(key, BucketKey) and (key.name in needed or key.name in _joined_names(spine)):
                return None
            needed[key.name] = key
    single = all(
        not held[key.field].type.multi and held[key.field].type.name is not TypeName.JSON for key in needed.values()
    )
    return tuple(needed.values()) if single and needed else None


def _joined_names(spine: list[Plan]) -> tuple[str, ...]:
    return output_names(spine[0])


@dataclass(frozen=True, slots=True)
class _Fold:
    partial: tuple[Aggregation, ...]
    final: tuple[Aggregation, ...]
    output: Output


def _folded(one: Aggregation, held: Mapping[str, Column], scan: Scan) -> _Fold | None:
    """An aggregate of the left side in two steps; None where it does not fold exactly."""
    read = {leaf.field for leaf in leaves(one.where)} | ({one.field} if one.field is not None else set())
    if not read <= held.keys():
        return None
    column = held[one.field] if one.field is not None else None
    if column is not None and column.type.multi:
        return None
    whole = column is not None and column.type.name is TypeName.INT64
    early, plain = f"early {one.name}", Output(one.name, at=one.at)
    match one.function:
        case "count":
            counted = replace(one, name=early, type=INT64)
            return _Fold((counted,), (Aggregation("sum", early, one.name, type=INT64),), plain)
        case "sum" if whole:
            summed = replace(one, name=early, type=INT64)
            return _Fold((summed,), (Aggregation("sum", early, one.name, type=INT64),), plain)
        case "min" | "max":
            return _Fold((replace(one, name=early),), (replace(one, field=early, where=None),), plain)
        case "avg" if whole:
            sums, counts = f"{early} sum", f"{early} count"
            both = (
                replace(one, function="sum", name=sums, type=INT64),
                replace(one, function="count", name=counts, type=INT64),
            )
            final = tuple(Aggregation("sum", name, name, type=INT64) for name in (sums, counts))
            return _Fold(both, final, Output(one.name, Binary("/", Name(sums), Name(counts)), one.at))
        case _:
            return None
