"""The parts of a source, and the inputs of a union, under widened types in SQL."""

from __future__ import annotations

from dataclasses import replace

from libs.result import NS_PER, Column, Type, TypeName
from query.catalog import Table
from query.schema import united
from query.sql.quote import column_type
from query.sql.statement import Block, Build, Cell, numbered


def merge_blocks(build: Build, blocks: list[Block], table: Table) -> Block:
    """All rows of the blocks, in the first one's columns; what a block lacks is null."""
    columns = tuple(_widened(column, table) for column in blocks[0].columns)
    selects = [f"({_as(block, columns).select()})" for block in blocks]
    name = build.table(" UNION ALL ".join(selects))
    return Block(name, numbered(name, columns))


def union_blocks(build: Build, blocks: list[Block], labels: tuple[str, ...]) -> Block:
    """All rows of the blocks in the union's columns, the last of which holds the block's label."""
    columns = united([block.columns for block in blocks])
    selects = []
    for block, label in zip(blocks, labels, strict=True):
        cells = {**block.cells, columns[-1].name: Cell(f"{build.bind(label)}::VARCHAR", columns[-1])}
        whole = Block(block.source, cells, block.where, block.order, block.limit)
        selects.append(f"({_as(whole, columns).select()})")
    name = build.table(" UNION ALL ".join(selects))
    return Block(name, numbered(name, columns))


def _widened(column: Column, table: Table) -> Column:
    field = table.fields.get(column.name)
    return replace(column, type=field.type) if field is not None else column


def _as(block: Block, columns: tuple[Column, ...]) -> Block:
    cells = {column.name: Cell(_cast(block.cells.get(column.name), column.type), column) for column in columns}
    return Block(block.source, cells, block.where, block.order, block.limit)


def _cast(cell: Cell | None, kind: Type) -> str:
    if cell is None:
        return f"NULL::{column_type(kind)}"
    sql = cell.sql
    if cell.type.multi and kind.multi and _scale(cell.type, kind) != 1:
        return f"list_transform({sql}, lambda v: v * {_scale(cell.type, kind)})"
    if (scale := _scale(cell.type, kind)) != 1:
        sql = f"({sql} * {scale})"
    if kind.multi and not cell.type.multi:
        sql = f"(CASE WHEN {sql} IS NOT NULL THEN [{sql}] END)"
    return f"{sql}::{column_type(kind)}"


def _scale(held: Type, wanted: Type) -> int:
    """Units of `wanted` in one of `held`."""
    if held.name is not TypeName.TIMESTAMP:
        return 1
    return NS_PER[held.unit] // NS_PER[wanted.unit]
