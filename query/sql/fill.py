"""Absent buckets in SQL."""

from __future__ import annotations

from libs.buckets import bucket_starts
from libs.result import NS_PER, Unit
from query.exact_operands import HIGHEST, LOWEST
from query.plan import Fill
from query.schema import filled
from query.sql.aggregate import groups_within
from query.sql.quote import column_type
from query.sql.statement import Block, Build, Cell, numbered


def fill_block(build: Build, block: Block, fill: Fill) -> Block:
    """The groups and their absent buckets, nulls replaced as the mode says. A series runs over all its rows that have a
    bucket, those outside the range too (a row may have several times); the null bucket is a series of its own."""
    block = build.nest(Block(block.source, block.cells, block.where, limit=block.limit))
    grid = _grid(build, block, fill)
    joined = build.table(_complete(block, grid, fill))
    cells = numbered(joined, block.columns)
    if fill.mode in ("none", "null"):
        return Block(joined, cells)
    outputs = {column.name: column for column in filled(block.columns, fill)}
    touched = set(fill.values) - set(fill.counts)
    replaced = {
        name: Cell(_replaced(build, cells, name, fill), outputs[name], plain=False) if name in touched else cell
        for name, cell in cells.items()
    }
    return build.nest(Block(joined, replaced))


def _grid(build: Build, block: Block, fill: Fill) -> str:
    """A table of every series in every bucket: the other keys as k0, k1, …, the bucket as b."""
    keys = [block.cells[name].sql for name in fill.keys]
    buckets = build.table(f"SELECT unnest({_starts(build, fill, block.cells[fill.bucket.name].type.unit)}) AS b")
    if not keys:
        return buckets
    listed = ", ".join(f"{sql} AS k{at}" for at, sql in enumerate(keys))
    series = build.table(f"SELECT DISTINCT {listed} FROM {block.source}")
    guard = ""
    if build.groups is not None:
        count = f"SELECT (SELECT count(*) FROM {series})::HUGEINT * (SELECT count(*) FROM {buckets})"
        guard = f" WHERE {groups_within(build, count)}"
    return build.table(f"SELECT * FROM {series} CROSS JOIN {buckets}{guard}")


def _starts(build: Build, fill: Fill, unit: Unit) -> str:
    """The starts of the range's buckets, as a list in the bucket's unit."""
    per, width = NS_PER[unit], fill.bucket.width
    # What the field cannot hold has no bucket; the first one may start before what it can.
    start, end = max(fill.start, LOWEST * per), min(fill.end, (HIGHEST + 1) * per)
    if not isinstance(width, int) or start // width * width < LOWEST * per:
        found = bucket_starts(start, end, width, fill.bucket.tz)
        return f"{build.bind([max(at // per, LOWEST) for at in found])}::BIGINT[]"
    # Up to the last start: the end may be one past int64.
    steps = (start // width * width // per, (end - 1) // width * width // per + 1, width // per)
    return "range({}::BIGINT, {}::BIGINT, {}::BIGINT)".format(*map(build.bind, steps))


def _complete(block: Block, grid: str, fill: Fill) -> str:
    """The groups joined to the grid, both wholly: counts of what is absent are 0, the rest is null."""
    bucket = block.cells[fill.bucket.name].sql
    on = [f"{bucket} = {grid}.b"]
    outputs = []
    places = {name: at for at, name in enumerate(fill.keys)}
    for at, (name, cell) in enumerate(block.cells.items()):
        sql = cell.sql
        if name == fill.bucket.name:
            sql = f"coalesce({sql}, {grid}.b)"
        elif name in places:
            on.append(f"{sql} IS NOT DISTINCT FROM {grid}.k{places[name]}")
            sql = f"coalesce({sql}, {grid}.k{places[name]})"
        elif name in fill.counts:
            sql = f"coalesce({sql}, 0)"
        outputs.append(f"{sql} AS c{at}")
    return f"SELECT {', '.join(outputs)} FROM {block.source} FULL JOIN {grid} ON {' AND '.join(on)}"


def _replaced(build: Build, cells: dict[str, Cell], name: str, fill: Fill) -> str:
    cell = cells[name]
    if fill.mode == "value":
        return f"coalesce({cell.sql}, {build.bind(fill.value)}::{column_type(cell.type)})"
    bucket = cells[fill.bucket.name].sql
    series = ", ".join([f"{bucket} IS NULL", *(cells[key].sql for key in fill.keys)])
    over = f"OVER (PARTITION BY {series} ORDER BY {bucket} ROWS BETWEEN"
    before = f"{over} UNBOUNDED PRECEDING AND CURRENT ROW)"
    if fill.mode == "previous":
        return f"last_value({cell.sql} IGNORE NULLS) {before}"
    if not cell.type.numeric:
        return cell.sql
    after = f"{over} CURRENT ROW AND UNBOUNDED FOLLOWING)"
    return _interpolated(cell.sql, bucket, before, after)


def _interpolated(value: str, time: str, before: str, after: str) -> str:
    """On the line between the neighbours that have a value; null where either is missing."""
    known = f"CASE WHEN {value} IS NOT NULL THEN {time} END"
    a, b = f"last_value({value} IGNORE NULLS) {before}", f"first_value({value} IGNORE NULLS) {after}"
    t, u = f"last_value({known} IGNORE NULLS) {before}", f"first_value({known} IGNORE NULLS) {after}"
    part = f"(({time} - {t})::DOUBLE / ({u} - {t})::DOUBLE)"
    return (
        f"(CASE WHEN {value} IS NOT NULL THEN {value}::DOUBLE "
        f"ELSE ({a})::DOUBLE + (({b})::DOUBLE - ({a})::DOUBLE) * {part} END + 0.0)"
    )
