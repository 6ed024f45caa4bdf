"""Groups and aggregates in SQL."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from libs.result import Type, TypeName
from query.expr import leaves
from query.plan import Aggregation, BucketKey, FieldKey, Grouping
from query.schema import grouped
from query.sql.arithmetic import finite
from query.sql.bucket import with_bucket
from query.sql.failure import OVERFLOW
from query.sql.predicate import condition
from query.sql.statement import Block, Build, Cell, numbered

# What is computed in doubles over floats.
_SCALED = frozenset({"sum", "avg", "stddev"})
# Powers of two, so exact: sums of the largest doubles, and squares of them, stay finite on the way.
_SUMS, _SQUARES = 2.0**-64, 2.0**-600


def group_block(build: Build, block: Block, group: Grouping) -> Block:
    """One row a group, keys first. Without keys one row, also of nothing."""
    columns = grouped(block.columns, group)
    block = _plain(build, build.open(block), group)
    names = [f"\0key{at}" for at in range(len(group.keys))]
    for name, key in zip(names, group.keys, strict=True):
        block = _with_key(build, block, key, name)
    keys = tuple(block.cells[name].sql for name in names)
    values = tuple(aggregate(build, one, block.cells) for one in group.aggregates)
    outputs = ", ".join(f"{sql} AS c{at}" for at, sql in enumerate(keys + values))
    sql = f"SELECT {outputs} FROM {block.source}"
    if block.where:
        sql += " WHERE " + " AND ".join(block.where)
    if keys:
        sql += " GROUP BY " + ", ".join(str(at + 1) for at in range(len(keys)))
    table = build.table(sql)
    where: tuple[str, ...] = ()
    if keys and build.groups is not None:
        where += (groups_within(build, f"SELECT count(*) FROM {table}"),)
    cells = numbered(table, columns)
    scaled = [one.name for one in group.aggregates if _may_overflow(one, block.cells)]
    if scaled:
        where += (_finite_only(build, table, [cells[name].sql for name in scaled]),)
        cells |= {name: replace(cells[name], sql=finite(cells[name].sql), plain=False) for name in scaled}
    return Block(table, cells, where)


def _may_overflow(one: Aggregation, cells: Mapping[str, Cell]) -> bool:
    if one.field is None or one.function not in _SCALED:
        return False
    return cells[one.field].type.name is TypeName.FLOAT64


def _finite_only(build: Build, table: str, values: Sequence[str]) -> str:
    """A condition that fails the statement where a value is past the greatest double, or was on the way, unless its
    parameter `overflow` is true: it is run again with `scaled`, and then with both, null being answered with a warning
    (rule 18)."""
    build.params["overflow"] = False
    past = " OR ".join(f"NOT isfinite({sql})" for sql in values)
    found = f"NOT $overflow AND (SELECT bool_or({past}) FROM {table})"
    return f"CASE WHEN {found} THEN error('{OVERFLOW}') ELSE TRUE END"


def groups_within(build: Build, count: str) -> str:
    """A condition that fails the statement when a scalar query answers more than its parameter `groups`."""
    build.params["groups"] = build.groups
    return f"CASE WHEN ({count}) > $groups THEN error('COST_EXCEEDED groups ' || $groups::VARCHAR) ELSE TRUE END"


def _plain(build: Build, block: Block, group: Grouping) -> Block:
    read = {key.field for key in group.keys}
    for one in group.aggregates:
        read |= {name for name in (one.field, one.time) if name is not None}
        read |= {leaf.field for leaf in leaves(one.where)}
    block = Block(block.source, block.cells, block.where)
    return block if all(block.cells[name].plain for name in read) else build.nest(block)


def _with_key(build: Build, block: Block, key: FieldKey | BucketKey, name: str) -> Block:
    if isinstance(key, BucketKey):
        return with_bucket(build, block, key, name)
    cell = block.cells[key.field]
    column = replace(cell.column, name=name, type=cell.type.single())
    if not cell.type.multi:
        cells = {**block.cells, name: Cell(_positive_zero(cell.sql, cell.type), column, plain=False)}
        return Block(block.source, cells, block.where)
    values = cell.sql
    if cell.type.name is TypeName.FLOAT64:
        values = f"list_transform({values}, lambda v: v + 0.0)"
    each = f"unnest(coalesce(list_distinct({values}), [NULL]))"
    return build.nest(Block(block.source, {**block.cells, name: Cell(each, column, plain=False)}, block.where))


def _positive_zero(sql: str, kind: Type) -> str:
    return f"({sql} + 0.0)" if kind.name is TypeName.FLOAT64 else sql


@dataclass(frozen=True, slots=True)
class Over:
    """What an aggregate is taken over: the field's SQL and type, and the FILTER clause of its rows."""

    sql: str
    type: Type
    condition: str | None
    build: Build
    aggregation: Aggregation
    time: Cell | None

    @property
    def float(self) -> bool:
        return self.type.name is TypeName.FLOAT64

    def rows(self, *more: str) -> str:
        parts = [part for part in (self.condition, *more) if part is not None]
        return f" FILTER (WHERE {' AND '.join(parts)})" if parts else ""

    def call(self, function: str, scale: str = "") -> str:
        """A DuckDB aggregate over all values of the rows, numbers scaled first."""
        if not self.type.multi:
            return f"{function}({self.sql}{scale}){self.rows()}"
        return f"list_aggregate({self.values(scale)}, '{function}')"

    def values(self, scale: str = "") -> str:
        """All values of a multi-valued field, in one list."""
        gathered = f"flatten(list({self.sql}){self.rows(f'{self.sql} IS NOT NULL')})"
        return f"list_transform({gathered}, lambda v: v{scale})" if scale else gathered


def aggregate(build: Build, one: Aggregation, cells: Mapping[str, Cell]) -> str:
    """One aggregate over the cells of a group's rows."""
    restriction = condition(build, one.where, cells) if one.where is not None else None
    if one.field is None:
        return "count(*)" + (f" FILTER (WHERE {restriction})" if restriction is not None else "")
    cell = cells[one.field]
    time = cells[one.time] if one.time is not None else None
    return AGGREGATES[one.function](Over(cell.sql, cell.type, restriction, build, one, time))


def _count(over: Over) -> str:
    return f"count({over.sql}){over.rows()}"


def _count_distinct(over: Over) -> str:
    if not over.type.multi:
        return f"nullif(count(DISTINCT {over.sql}){over.rows()}, 0)"
    return f"nullif(list_unique({over.values(' + 0.0' if over.float else '')})::BIGINT, 0)"


def _scaled(over: Over, function: str, scale: float = _SUMS) -> str:
    """A float aggregate that is proportional to its values; with the parameter `scaled`, taken at a smaller scale where it
    overflows on the way. Not finite where the value itself is past the greatest double."""
    over.build.params["scaled"] = False
    direct, small = over.call(function), over.call(function, f"::DOUBLE * {scale!r}::DOUBLE")
    whole = f"coalesce({finite(direct)}, {small} / {scale!r}::DOUBLE)"
    # The engine drops the branch that the parameter rules out, and what it would have computed.
    return f"(CASE WHEN $scaled THEN {whole} ELSE {direct} END + 0.0)"


def _sum(over: Over) -> str:
    # Integers add up in 128 bits; the cast fails past int64.
    return _scaled(over, "fsum") if over.float else f"{over.call('sum')}::BIGINT"


def _avg(over: Over) -> str:
    return _scaled(over, "favg") if over.float else over.call("avg")


def _stddev(over: Over) -> str:
    return _scaled(over, "stddev_samp", _SQUARES)


def _least(over: Over) -> str:
    return _extreme(over, "min")


def _greatest(over: Over) -> str:
    return _extreme(over, "max")


def _extreme(over: Over, function: str) -> str:
    value = f"list_{function}({over.sql})" if over.type.multi else over.sql
    return _positive_zero(f"{function}({value}){over.rows()}", over.type)


def _percentile(over: Over) -> str:
    p = 50.0 if over.aggregation.function == "median" else over.aggregation.p
    assert p is not None
    fraction = f"{over.build.bind(p / 100)}::DOUBLE"
    if not over.type.multi:
        return f"(quantile_cont({over.sql}::DOUBLE, {fraction}){over.rows()} + 0.0)"
    return f"(list_aggregate({over.values('::DOUBLE')}, 'quantile_cont', {fraction}) + 0.0)"


def _first(over: Over) -> str:
    return _at_edge(over, "list_min", "~")


def _last(over: Over) -> str:
    return _at_edge(over, "list_max", "")


def _at_edge(over: Over, pick: str, sign: str) -> str:
    """The value at the edge of time, at equal times the greater one; `~` turns time around without overflow."""
    assert over.time is not None
    instant = f"{pick}({over.time.sql})" if over.time.type.multi else over.time.sql
    value = f"list_max({over.sql})" if over.type.multi else over.sql
    rows = over.rows(f"{over.time.sql} IS NOT NULL", f"{over.sql} IS NOT NULL")
    pair = f"max({{'t': {sign}{instant}, 'v': {_positive_zero(value, over.type)}}}){rows}"
    return f"struct_extract({pair}, 'v')"


AGGREGATES: dict[str, Callable[[Over], str]] = {
    "count": _count,
    "count_distinct": _count_distinct,
    "sum": _sum,
    "avg": _avg,
    "min": _least,
    "max": _greatest,
    "median": _percentile,
    "percentile": _percentile,
    "stddev": _stddev,
    "first": _first,
    "last": _last,
}
