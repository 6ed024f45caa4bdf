"""Joins in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from libs.result import NS_PER
from query.plan_joins import Asof, Join
from query.schema import joined
from query.sql.join_keys import comparable, normalized
from query.sql.statement import Block, Build, Cell, numbered


@dataclass(frozen=True, slots=True)
class _Side:
    """One side as a table: its columns c0, c1, …, its keys k0, k1, …, and an as-of join's time t."""

    name: str
    keys: tuple[str, ...]
    block: Block


def join_block(build: Build, left: Block, right: Block, node: Join) -> Block:
    """The joined rows. That no key fans out is checked apart, whatever later steps keep of the rows."""
    left, right = build.open(left), build.open(right)
    alone = node.many or node.unique or not node.widens
    a = _side(build, left, _keys(left, right, node, "left"), _time(left, right, node, "left"))
    b = _side(build, right, _keys(right, left, node, "right"), _time(right, left, node, "right"))
    on = _equal(a, b)
    chosen: tuple[str, ...] = ()
    plain, per = a, 1
    if node.asof is not None:
        per = _per(left, right, node.asof)
        a = _with_chosen(build, a, b, node.asof, per)
        on = [*_equal(a, b), f"{a.name}.chosen = {b.name}.t"]
        chosen = ("t",)
    if not alone:
        _check_fans(build, node, a, b, on, chosen)
    elif node.many and node.widens:
        _check_rows(build, node, a, b, on, chosen)
    if node.asof is not None and node.asof.direction != "nearest" and not node.many:
        return _nearest_rows(build, plain, b, node, node.asof, per)
    return _joined(node, a, b, on)


def _keys(held: Block, other: Block, node: Join, side: str) -> list[str]:
    found = []
    for key in node.on:
        name, its = (key.left, key.right) if side == "left" else (key.right, key.left)
        cell = held.cells[name]
        found.append(comparable(normalized(cell.sql, cell.type, node.normalize), cell.type, other.cells[its].type))
    return found


def _time(held: Block, other: Block, node: Join, side: str) -> str | None:
    if node.asof is None:
        return None
    name, its = (node.asof.left, node.asof.right) if side == "left" else (node.asof.right, node.asof.left)
    return comparable(held.cells[name].sql, held.cells[name].type, other.cells[its].type)


def _per(left: Block, right: Block, asof: Asof) -> int:
    """Nanoseconds in a unit of the compared times."""
    units = {left.cells[asof.left].type.unit, right.cells[asof.right].type.unit}
    return NS_PER["ms"] if units == {"ms"} else NS_PER["ns"]


def _side(build: Build, block: Block, keys: Sequence[str], time: str | None) -> _Side:
    more = [f"{sql} AS k{at}" for at, sql in enumerate(keys)] + ([f"{time} AS t"] if time is not None else [])
    rows = Block(block.source, block.cells, block.where)
    name = build.table(rows.select(tuple(more)))
    return _Side(name, tuple(f"k{at}" for at in range(len(keys))), Block(name, numbered(name, block.columns)))


def _equal(a: _Side, b: _Side) -> list[str]:
    return [f"{a.name}.{key} = {b.name}.{key}" for key in a.keys]


def _with_chosen(build: Build, a: _Side, b: _Side, asof: Asof, per: int) -> _Side:
    """The left side with `chosen`: the nearest time of the right side within the tolerance, or NULL."""
    listed = ", ".join([*b.keys, "t"])
    times = build.table(f"SELECT DISTINCT {listed} FROM {b.name} WHERE t IS NOT NULL")
    before, after = f"{times}b", f"{times}f"
    source, near = a.name, []
    if asof.direction in ("backward", "nearest"):
        source += _nearest(a, times, before, ">=")
        near.append(f"CASE WHEN ({a.name}.t::HUGEINT - {before}.t) * {per} <= {asof.tolerance} THEN {before}.t END")
    if asof.direction in ("forward", "nearest"):
        source += _nearest(a, times, after, "<=")
        near.append(f"CASE WHEN ({after}.t::HUGEINT - {a.name}.t) * {per} <= {asof.tolerance} THEN {after}.t END")
    chosen = near[0]
    if len(near) == 2:
        closer = f"{after}.t::HUGEINT - {a.name}.t < {a.name}.t::HUGEINT - {before}.t"
        chosen = f"CASE WHEN {closer} THEN {near[1]} ELSE coalesce({near[0]}, {near[1]}) END"
    name = build.table(f"SELECT {a.name}.*, {chosen} AS chosen FROM {source}")
    return _Side(name, a.keys, Block(name, numbered(name, a.block.columns)))


def _nearest(a: _Side, times: str, alias: str, sign: str) -> str:
    on = [f"{a.name}.{key} = {alias}.{key}" for key in a.keys] + [f"{a.name}.t {sign} {alias}.t"]
    return f" ASOF LEFT JOIN {times} AS {alias} ON {' AND '.join(on)}"


def _nearest_rows(build: Build, a: _Side, b: _Side, node: Join, asof: Asof, per: int) -> Block:
    """Each left row with the one right row at the nearest time, or nulls: for joins of which it has been checked that there is
    but one at a time that is chosen."""
    name = build.table(f"SELECT * FROM {b.name} WHERE t IS NOT NULL")
    sign, first, last = (">=", name, a.name) if asof.direction == "backward" else ("<=", a.name, name)
    near = f"({last}.t::HUGEINT - {first}.t) * {per} <= {asof.tolerance}"
    keys = {key.right for key in node.on}
    added = [cell for held, cell in numbered(name, b.block.columns).items() if held not in keys]
    cells = [
        *a.block.cells.values(),
        *(Cell(f"CASE WHEN {near} THEN {cell.sql} END", cell.column, False) for cell in added),
    ]
    columns = joined(a.block.columns, b.block.columns, node)
    found = {column.name: Cell(cell.sql, column, cell.plain) for cell, column in zip(cells, columns, strict=True)}
    return Block(f"{a.name}{_nearest(a, name, name, sign)}", found)


def _check_fans(build: Build, node: Join, a: _Side, b: _Side, on: list[str], more: tuple[str, ...]) -> None:
    keys = ", ".join([*b.keys, *more])
    present = " AND ".join(f"{key} IS NOT NULL" for key in (*b.keys, *more))
    several = build.table(f"SELECT {keys} FROM {b.name} WHERE {present} GROUP BY {keys} HAVING count(*) > 1")
    met = " AND ".join(on).replace(f"{b.name}.", f"{several}.")
    check = f"SELECT 1 FROM {a.name} SEMI JOIN {several} ON {met} LIMIT 1"
    build.checks.append((check, node.alias, node.at, None, f"SELECT 1 FROM {several} LIMIT 1"))


def _check_rows(build: Build, node: Join, a: _Side, b: _Side, on: list[str], more: tuple[str, ...]) -> None:
    """Rows are counted, without their columns, until they are too many; how many they would be is then told by how often each
    side has each key, without making them."""
    how = "JOIN" if node.how == "inner" else "LEFT JOIN"
    rows = f"SELECT 1 FROM {a.name} {how} {b.name} ON {' AND '.join(on)} LIMIT ($joined + 1)"
    left, right = (*a.keys, *(("chosen",) if more else ())), (*b.keys, *more)
    held = f"SELECT {', '.join(left)}, count(*)::HUGEINT AS n FROM {a.name} GROUP BY ALL"
    met = f"SELECT {', '.join(right)}, count(*)::HUGEINT AS n FROM {b.name} GROUP BY ALL"
    equal = " AND ".join(f"l.{one} = r.{other}" for one, other in zip(left, right, strict=True))
    figure = f"SELECT sum(l.n * coalesce(r.n, 1)) FROM ({held}) AS l {how} ({met}) AS r ON {equal}"
    build.params["joined"] = 0
    check = f"SELECT 1 FROM ({rows}) HAVING count(*) > $joined"
    build.checks.append((check, node.alias, node.at, figure, None))


def _joined(node: Join, a: _Side, b: _Side, on: list[str]) -> Block:
    how = "LEFT" if node.how == "asof" else node.how.upper()
    columns = joined(a.block.columns, b.block.columns, node)
    keys = {key.right for key in node.on}
    added = [cell for name, cell in b.block.cells.items() if name not in keys] if node.widens else []
    held = [*a.block.cells.values(), *added]
    cells = {column.name: Cell(cell.sql, column) for cell, column in zip(held, columns, strict=True)}
    return Block(f"{a.name} {how} JOIN {b.name} ON {' AND '.join(on)}", cells)
