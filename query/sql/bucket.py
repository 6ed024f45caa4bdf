"""Time buckets in SQL, on integers alone: DuckDB's own bucketing rounds, and its // truncates towards zero."""

from __future__ import annotations

from libs.result import INT64, NS_PER, TIMESTAMP, Column, Type
from libs.times import NS_PER_SECOND
from query.exact_operands import LOWEST
from query.plan import BucketKey, CalendarUnit
from query.sql.statement import Block, Build, Cell, numbered
from query.sql.zone import CYCLE, LAST
from query.sql.zone_pieces import pieces

_DAY = 86_400
_FIXED = {"1d": (_DAY, 0), "1w": (7 * _DAY, 4 * _DAY)}  # seconds, and a start: 1970-01-05 was a Monday
# Written so that each step is an int64.
_LEAST = f"({LOWEST + 1} - 1)"
_TRUNCATE = {"1M": "month", "1y": "year"}
# Cells on the way, under names that no field can have.
_ROW, _INSTANT, _SECOND, _SHIFT, _IMAGE = "\0row", "\0instant", "\0second", "\0shift", "\0image"


def with_bucket(build: Build, block: Block, key: BucketKey, name: str) -> Block:
    """The block with a cell `name`: the bucket's start, in the field's unit. A row with several instants is there once for
    each of their buckets."""
    field = block.cells[key.field]
    column = Column(name, Type(TIMESTAMP.name, unit=field.type.unit), field.column.source)
    if isinstance(key.width, int) or key.tz == "UTC":
        return _in_utc(build, block, key, column)
    if field.type.multi:
        return _each_in_zone(build, block, key, column)
    return _in_zone(build, block, key, field, column)


def _in_utc(build: Build, block: Block, key: BucketKey, column: Column) -> Block:
    field = block.cells[key.field]
    if not field.type.multi:
        return _add(block, column, _start(build, field.sql, key))
    starts = f"list_distinct(list_transform({field.sql}, lambda t: {_start(build, 't', key)}))"
    return build.nest(_add(block, column, f"unnest(coalesce({starts}, [NULL]))"))


def _start(build: Build, instant: str, key: BucketKey) -> str:
    """The start of the bucket that holds an instant, in UTC."""
    if isinstance(key.width, int):
        bound = f"{build.bind(key.width // NS_PER[key.unit])}::BIGINT"
        return _less(instant, _modulo(instant, bound))
    per_second = NS_PER_SECOND // NS_PER[key.unit]
    if key.width in _FIXED:
        width, origin = (seconds * per_second for seconds in _FIXED[key.width])
        return _less(instant, _modulo(f"({instant} % {width} - {origin})", str(width)))
    return _in_units(_date(_floored(instant, per_second), key.width), per_second)


def _less(instant: str, part: str) -> str:
    """The instant less a part of a bucket; the least instant there is, where the bucket starts before it."""
    return f"(greatest({instant}, {_LEAST} + {part}) - {part})"


def _in_units(second: str, per_second: int) -> str:
    """A start in the field's unit; the least there is, where the bucket starts before it."""
    if per_second < NS_PER_SECOND:
        return f"({second} * {per_second})"
    return f"(CASE WHEN {second} < {LOWEST // per_second + 1} THEN {_LEAST} ELSE {second} * {per_second} END)"


def _modulo(sql: str, width: str) -> str:
    """The remainder that is never negative."""
    return f"((({sql} % {width}) + {width}) % {width})"


def _floored(sql: str, width: int) -> str:
    # Below the least multiple there is nothing to subtract from.
    return f"(({sql} // {width}) - CASE WHEN {sql} % {width} < 0 THEN 1 ELSE 0 END)"


def _date(second: str, unit: CalendarUnit) -> str:
    """The start of the month or year, seconds in, seconds out."""
    return f"(epoch_us(date_trunc('{_TRUNCATE[unit]}', make_timestamp({second} * 1000000))) // 1000000)"


def _each_in_zone(build: Build, block: Block, key: BucketKey, column: Column) -> Block:
    row = Column(_ROW, INT64)
    kept = (*block.cells, _ROW, column.name)
    block = build.nest(_add(block, row, "row_number() OVER ()"))
    instant = Column(_INSTANT, column.type)
    block = build.nest(_add(block, instant, f"unnest(coalesce({block.cells[key.field].sql}, [NULL]))"))
    block = _in_zone(build, block, key, block.cells[_INSTANT], column)
    block = Block(block.source, {name: block.cells[name] for name in kept}, block.where)
    table = build.table(block.select(distinct=True))
    return Block(table, numbered(table, block.columns))


def _in_zone(build: Build, block: Block, key: BucketKey, field: Cell, column: Column) -> Block:
    """Looks up the zone's piece that holds each instant, and floors the local clock within it."""
    assert not isinstance(key.width, int)
    per_second = NS_PER_SECOND // NS_PER[column.type.unit]
    block = build.nest(_add(block, Column(_SECOND, INT64), _floored(field.sql, per_second)))
    second = block.cells[_SECOND].sql
    cycles = f"(CASE WHEN {second} >= {LAST} THEN ({second} - {LAST}) // {CYCLE} + 1 ELSE 0 END)"
    block = _add(block, Column(_SHIFT, INT64), f"({cycles} * {CYCLE})")
    block = build.nest(_add(block, Column(_IMAGE, INT64), f"({second} - {cycles} * {CYCLE})"))
    image, shift = block.cells[_IMAGE].sql, block.cells[_SHIFT].sql
    zone = build.table(_pieces(build, key.width, key.tz))
    floor = f"({_floor_local(f'({image} + {zone}.lead)', key.width)} - {zone}.lead)"
    start = f"CASE WHEN {image} < {zone}.first_edge THEN {zone}.begun ELSE greatest({floor}, {zone}.first_edge) END"
    joined = f"{block.source} ASOF LEFT JOIN {zone} ON {image} >= {zone}.since"
    return _add(Block(joined, block.cells), column, _in_units(f"(({start}) + {shift})", per_second))


def _floor_local(second: str, unit: CalendarUnit) -> str:
    if unit not in _FIXED:
        return _date(second, unit)
    width, origin = _FIXED[unit]
    return f"({second} - {_modulo(f'({second} - {origin})', str(width))})"


def _pieces(build: Build, unit: CalendarUnit, tz: str) -> str:
    found = pieces(unit, tz)
    lists = {"since": found.at, "lead": found.offset, "begun": found.begun, "first_edge": found.first_edge}
    return "SELECT " + ", ".join(f"unnest({build.bind(list(v))}::BIGINT[]) AS {name}" for name, v in lists.items())


def _add(block: Block, column: Column, sql: str) -> Block:
    return Block(block.source, {**block.cells, column.name: Cell(sql, column, plain=False)}, block.where)
