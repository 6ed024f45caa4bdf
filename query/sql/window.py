"""`over` and `top` in SQL."""

from __future__ import annotations

from typing import assert_never

from libs.result import NS_PER, TypeName
from query.plan_joins import Over, OverItem, Top
from query.schema import computed
from query.sql.statement import Block, Build, Cell


def over_block(build: Build, block: Block, node: Over) -> Block:
    """The groups with each item along the buckets of its series; the null bucket has null."""
    for item in node.items:
        block = build.nest(Block(block.source, block.cells, block.where, limit=block.limit))
        column = computed(item.name, [block.cells[item.of].column])
        cell = Cell(_along(block, node, item), column, plain=False)
        block = Block(block.source, {**block.cells, item.name: cell})
    return build.nest(block)


def _along(block: Block, node: Over, item: OverItem) -> str:
    bucket, held = block.cells[node.bucket.name], block.cells[item.of]
    series = ", ".join([f"{bucket.sql} IS NULL", *(block.cells[key].sql for key in node.keys)])
    over = f"OVER (PARTITION BY {series} ORDER BY {bucket.sql}"
    # Integers are taken exactly, in 128 bits, and rounded once.
    wide = "HUGEINT" if held.type.name is TypeName.INT64 else "DOUBLE"
    value = f"{held.sql}::{wide}"
    match item.function:
        case "cumulative_sum":
            sql = f"(sum({value}) {over} ROWS UNBOUNDED PRECEDING))"
        case "moving_avg":
            assert item.window is not None
            sql = f"(avg({value}) {over} ROWS {item.window - 1} PRECEDING))"
        case "difference":
            sql = f"({value} - lag({value}) {over}))"
        case "rate":
            before = f"lag({value}) {over})"
            rise = f"(CASE WHEN {value} < {before} THEN {value} ELSE {value} - {before} END)"
            distance = f"(({bucket.sql} - lag({bucket.sql}) {over}))::DOUBLE * {NS_PER[bucket.type.unit]} / 1e9)"
            sql = f"({rise}::DOUBLE / {distance})"
        case _:
            assert_never(item.function)
    number = f"{sql}::DOUBLE"
    return f"(CASE WHEN {bucket.sql} IS NOT NULL THEN list_filter([{number}], lambda x: isfinite(x))[1] + 0.0 END)"


def top_block(build: Build, block: Block, node: Top) -> Block:
    """The first rows of each combination; keys tell all groups apart, so that their order is total."""
    block = build.nest(Block(block.source, block.cells, block.where, limit=block.limit))
    order = [f"{block.cells[node.by].sql} {'DESC' if node.descending else 'ASC'} NULLS LAST"]
    order += [f"{block.cells[key].sql} ASC NULLS LAST" for key in node.keys]
    parts = ", ".join(block.cells[key].sql for key in node.per)
    rank = f"row_number() OVER ({f'PARTITION BY {parts} ' if parts else ''}ORDER BY {', '.join(order)})"
    name = build.table(block.select((f"{rank} AS r",)))
    cells = {one: Cell(f"{name}.c{at}", cell.column) for at, (one, cell) in enumerate(block.cells.items())}
    return Block(name, cells, (f"{name}.r <= {build.bind(node.n)}::BIGINT",))
