"""The keys of one side of a join in SQL."""

from __future__ import annotations

from query.plan import Plan
from query.plan_joins import KeyLink
from query.sql.join_keys import normalized
from query.sql.plan import block_of
from query.sql.statement import Block, Build, Leaf, Statement, named, numbered


def keys_statement(given: Plan, leaf: Leaf, links: tuple[KeyLink, ...], most: int) -> Statement:
    """Each combination of the links' values that a row of `given` has, once, one more than `most` at the most; those with a
    null match nothing and are left out."""
    build = Build(leaf, groups=0)
    block = build.open(block_of(build, given))
    cells = [block.cells[link.given] for link in links]
    listed = ", ".join(
        f"{normalized(cell.sql, cell.type, link.normalize)} AS c{at}"
        for at, (cell, link) in enumerate(zip(cells, links, strict=True))
    )
    where = f" WHERE {' AND '.join(block.where)}" if block.where else ""
    rows = build.table(f"SELECT {listed} FROM {block.source}{where}")
    present = " AND ".join(f"c{at} IS NOT NULL" for at in range(len(links)))
    keys = build.table(f"SELECT DISTINCT * FROM {rows} WHERE {present}")
    columns = tuple(named(cell, f"k{at}").column for at, cell in enumerate(cells))  # one column may be in two links
    return build.statement(Block(keys, numbered(keys, columns), limit=str(most + 1)))
