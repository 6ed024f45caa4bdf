"""Plan nodes as SQL: one small function a node, found by its type in NODES."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from libs.result import Column
from query.expr import conjuncts, leaves
from query.expr import names as names_of
from query.plan import Aggregate, Attempt, Fill, Filter, Limit, Merge, Order, Output, Plan, Project, Scan, Sort
from query.plan_joins import Join, Narrowed, Over, Top, Union
from query.schema import computed
from query.sql.aggregate import group_block
from query.sql.arithmetic import expression
from query.sql.fill import fill_block
from query.sql.join import join_block
from query.sql.merge import merge_blocks, union_blocks
from query.sql.predicate import condition
from query.sql.statement import Block, Build, Cell, Leaf, Sorting, Statement
from query.sql.window import over_block, top_block


def lower(plan: Plan, leaf: Leaf, groups: int | None = None) -> Statement:
    """The plan as one SELECT over what `leaf` answers for each scan (and attempt). More than `groups` groups fail it;
    the parameter of that name may be set anew before running."""
    build = Build(leaf, groups)
    return build.statement(block_of(build, plan))


def block_of(build: Build, plan: Plan) -> Block:
    return NODES[type(plan)](build, plan)


def unfold(scan: Scan) -> Plan:
    """What the scan has absorbed as nodes over a bare scan, whose columns are all that they read."""
    needed = list(scan.columns) if scan.group is None else []
    needed += [one.field for one in leaves(scan.where)]
    if scan.group is not None:
        needed += [key.field for key in scan.group.keys]
        for aggregate in scan.group.aggregates:
            needed += [name for name in (aggregate.field, aggregate.time) if name is not None]
            needed += [one.field for one in leaves(aggregate.where)]
    else:
        needed += [key.field for key in scan.order]
    columns = tuple(dict.fromkeys(needed))
    plan: Plan = Scan(scan.source, columns, bounds=scan.bounds, table=scan.table)
    plan = Filter(plan, scan.where) if scan.where is not None else plan
    plan = Aggregate(plan, scan.group) if scan.group is not None else plan
    plan = Sort(plan, scan.order) if scan.order else plan
    plan = Limit(plan, scan.limit) if scan.limit is not None else plan
    if scan.group is None and columns != scan.columns:
        plan = Project(plan, tuple(Output(name) for name in scan.columns))
    return plan


def _leaf(build: Build, scan: Scan | Attempt | Narrowed) -> Block:
    relation = build.leaf(scan)
    build.params.update(relation.params)
    return Block(relation.sql, {cell.column.name: cell for cell in relation.cells})


def _filter(build: Build, node: Filter) -> Block:
    block = _cheap(build, build.open(block_of(build, node.input)), {one.field for one in leaves(node.where)})
    parts = tuple(condition(build, part, block.cells) for part in conjuncts(node.where))
    return Block(block.source, block.cells, (*block.where, *parts), block.order)


def _cheap(build: Build, block: Block, read: set[str]) -> Block:
    """A block where the cells to be read are plain, so that nothing is computed twice."""
    return block if all(block.cells[name].plain for name in read) else build.nest(block)


def _sort(build: Build, node: Sort) -> Block:
    block = build.open(block_of(build, node.input))
    keys = tuple(_sorting(block, key) for key in node.order)
    return Block(block.source, block.cells, block.where, keys + block.order)


def _sorting(block: Block, key: Order) -> Sorting:
    cell = block.cells[key.field]
    if not cell.type.multi:
        return Sorting(cell.sql, key.descending)
    return Sorting(f"{'list_max' if key.descending else 'list_min'}({cell.sql})", key.descending)


def _limit(build: Build, node: Limit) -> Block:
    block = build.open(block_of(build, node.input))
    return Block(block.source, block.cells, block.where, block.order, f"{build.bind(node.count)}::BIGINT")


def _project(build: Build, node: Project) -> Block:
    block = block_of(build, node.input)
    for output in node.outputs:
        if output.expression is None:
            continue
        read = names_of(output.expression)
        block = _cheap(build, block, set(read))
        column: Column = computed(output.name, [block.cells[name].column for name in read])
        cell = Cell(expression(build, output.expression, block.cells), column, plain=False)
        cells = {**block.cells, output.name: cell}
        block = Block(block.source, cells, block.where, block.order, block.limit)
    cells = {output.name: block.cells[output.name] for output in node.outputs}
    return Block(block.source, cells, block.where, block.order, block.limit)


def _aggregate(build: Build, node: Aggregate) -> Block:
    return group_block(build, block_of(build, node.input), node.group)


def _fill(build: Build, node: Fill) -> Block:
    return fill_block(build, block_of(build, node.input), node)


def _merge(build: Build, node: Merge) -> Block:
    return merge_blocks(build, [block_of(build, part) for part in node.inputs], node.table)


def _join(build: Build, node: Join) -> Block:
    return join_block(build, block_of(build, node.left), block_of(build, node.right), node)


def _union(build: Build, node: Union) -> Block:
    return union_blocks(build, [block_of(build, part) for part in node.inputs], node.labels)


def _over(build: Build, node: Over) -> Block:
    return over_block(build, block_of(build, node.input), node)


def _top(build: Build, node: Top) -> Block:
    return top_block(build, block_of(build, node.input), node)


NODES: dict[type, Callable[[Build, Any], Block]] = {
    Scan: _leaf,
    Attempt: _leaf,
    Narrowed: _leaf,
    Merge: _merge,
    Filter: _filter,
    Aggregate: _aggregate,
    Fill: _fill,
    Sort: _sort,
    Limit: _limit,
    Project: _project,
    Join: _join,
    Union: _union,
    Over: _over,
    Top: _top,
}
