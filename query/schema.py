"""The output columns of every plan node: names, types and the instance that the values come from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from libs.result import FLOAT64, INT64, STRING, TIMESTAMP, Column, Schema, Type, TypeName
from query.expr import names
from query.plan import (
    Aggregate,
    Aggregation,
    Attempt,
    BucketKey,
    Fill,
    Filter,
    Grouping,
    Key,
    Limit,
    Merge,
    Output,
    Plan,
    Project,
    Scan,
    Sort,
)
from query.plan_joins import Join, Narrowed, Over, OverItem, Top, Union

_FIXED_TYPES = {
    "count": INT64,
    "count_distinct": INT64,
    "avg": FLOAT64,
    "median": FLOAT64,
    "percentile": FLOAT64,
    "stddev": FLOAT64,
}


def schema_of(plan: Plan) -> Schema:
    """The node's output columns. Only for bound plans (a scan's `table` is set)."""
    match plan:
        case Scan():
            return _scan(plan)
        case Merge(inputs, table):
            widened = {name: member.type for name, member in table.fields.items()}
            return tuple(
                Column(c.name, widened.get(c.name, c.type), c.source, c.approximate) for c in schema_of(inputs[0])
            )
        case Filter(child) | Sort(child) | Limit(child) | Top(child) | Narrowed(child):
            return schema_of(child)
        case Aggregate(child, group):
            return grouped(schema_of(child), group)
        case Fill():
            return filled(schema_of(plan.input), plan)
        case Project(child, outputs):
            return projected(schema_of(child), outputs)
        case Attempt(_, otherwise, _):
            return schema_of(otherwise)
        case Join(left, right):
            return joined(schema_of(left), schema_of(right), plan)
        case Union(items, _):
            return united([schema_of(item) for item in items])
        case Over(child, items):
            return windowed(schema_of(child), items)
        case _:
            assert_never(plan)


def _scan(scan: Scan) -> Schema:
    source = scan.source.instance
    if scan.group is None:
        return tuple(Column(name, scan.typed(name).type, source) for name in scan.columns)
    used = {k.field for k in scan.group.keys} | {a.field for a in scan.group.aggregates if a.field is not None}
    return grouped(tuple(Column(name, scan.typed(name).type, source) for name in used), scan.group, source)


def grouped(rows: Schema, group: Grouping, source: str | None = None) -> Schema:
    """The keys, then the aggregates, over rows of the given columns. `source` is that of the count of rows."""
    columns = {column.name: column for column in rows}
    sources = {column.source for column in rows}
    common = source if source is not None or len(sources) != 1 else next(iter(sources))
    return (
        *(_key(columns[key.field], key) for key in group.keys),
        *(_aggregate(columns.get(a.field) if a.field is not None else None, a, common) for a in group.aggregates),
    )


def _key(column: Column, key: Key) -> Column:
    single = column.type.single()
    kind = Type(TIMESTAMP.name, unit=single.unit) if isinstance(key, BucketKey) else single
    return Column(key.name, kind, column.source, column.approximate)


def _aggregate(column: Column | None, aggregate: Aggregation, common: str | None) -> Column:
    source = column.source if column is not None else common
    return Column(aggregate.name, aggregate_type(aggregate, column.type if column is not None else None), source)


def aggregate_type(aggregate: Aggregation, over: Type | None) -> Type:
    """The type of an aggregate over a field of type `over` (None for the count of rows)."""
    if aggregate.type is not None:
        return aggregate.type
    fixed = _FIXED_TYPES.get(aggregate.function)
    if fixed is not None or over is None:
        return fixed or INT64
    return over.single()


def filled(rows: Schema, fill: Fill) -> Schema:
    """`linear` makes numbers float64, counts apart; the other modes keep the types."""
    if fill.mode != "linear":
        return rows
    touched = set(fill.values) - set(fill.counts)
    return tuple(
        Column(c.name, FLOAT64 if c.name in touched and c.type.numeric else c.type, c.source, c.approximate)
        for c in rows
    )


def projected(rows: Schema, outputs: tuple[Output, ...]) -> Schema:
    """Columns under their own names and float64 expressions over what stands before them."""
    seen = {column.name: column for column in rows}
    for output in outputs:
        if output.expression is not None:
            read = [seen[name] for name in names(output.expression)]
            seen[output.name] = computed(output.name, read)
    return tuple(seen[output.name] for output in outputs)


def computed(name: str, read: list[Column]) -> Column:
    """An expression's column; its source is the one that all it reads comes from."""
    sources = {column.source for column in read}
    source = next(iter(sources)) if len(sources) == 1 else None
    return Column(name, FLOAT64, source, any(column.approximate for column in read))


def joined_name(alias: str, name: str) -> str:
    """What a join calls a column of its right side."""
    return f"{alias}.{name}"


def joined(left: Schema, right: Schema, join: Join) -> Schema:
    """The left's columns, then the right's but its keys."""
    if not join.widens:
        return left
    keys = {key.right for key in join.on}
    added = (
        Column(joined_name(join.alias, one.name), one.type, one.source, one.approximate)
        for one in right
        if one.name not in keys
    )
    return (*left, *added)


def united(parts: Sequence[Schema]) -> Schema:
    """Every column of any part, in the order of their first appearance, under widened types; `source` last."""
    found: dict[str, Column] = {}
    for column in (column for part in parts for column in part):
        seen = found.get(column.name)
        if seen is None:
            found[column.name] = column
            continue
        kind = widened(seen.type, column.type)
        assert kind is not None
        source = seen.source if seen.source == column.source else None
        found[column.name] = Column(column.name, kind, source, seen.approximate or column.approximate)
    return (*found.values(), Column("source", STRING))


def widened(one: Type, other: Type) -> Type | None:
    """The type that holds both: int64 with float64, `ms` with `ns`, one value with several; None when there is none."""
    multi = one.multi or other.multi
    if one.name is other.name:
        return Type(one.name, multi, one.unit if one.unit == other.unit else "ns")
    if one.numeric and other.numeric:
        return Type(TypeName.FLOAT64, multi)
    return None


def windowed(rows: Schema, items: tuple[OverItem, ...]) -> Schema:
    """The rows' columns, then a float64 for each item."""
    seen = {column.name: column for column in rows}
    for item in items:
        seen[item.name] = computed(item.name, [seen[item.of]])
    return tuple(seen.values())
