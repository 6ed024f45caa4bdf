"""A scan of rows as one InfluxQL statement. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from libs.result import Column, Schema, Type
from query.backend import UnsupportedPart
from query.catalog import Field
from query.expr import And, Compare, Or, Predicate
from query.influx.conditions import condition, split_time
from query.influx.quote import identifier
from query.influx.table import TIME, Measurement, tag, typed
from query.plan import Scan


@dataclass(frozen=True, slots=True)
class RowsRequest:
    """`statement` is None when nothing can match: nothing is sent then. `positions` are the answer's columns that make
    the output's, whose types are `types`. `width` counts the answer's columns; `as_table`: many rows may come, and CSV tells
    each of their values."""

    db: str
    statement: str | None
    schema: Schema
    positions: tuple[int, ...]
    types: tuple[Type, ...]
    width: int = 0
    as_table: bool = False


def compile_rows(scan: Scan) -> RowsRequest:
    """Raises UnsupportedPart for what InfluxQL cannot say exactly."""
    measurement = measurement_of(scan)
    where = where_clause(scan)
    selected = _selection(scan, measurement)
    members = [scan.typed(name) for name in scan.columns]
    statement = None
    if where is not None and scan.limit != 0:
        statement = f"SELECT {', '.join(selected)} FROM {identifier(measurement.name)} WHERE {where}"
        statement += _order(scan)
        if scan.limit is not None:
            statement += f" LIMIT {scan.limit}"
    places = {text: index + 1 for index, text in enumerate(selected)}
    return RowsRequest(
        measurement.db,
        statement,
        tuple(Column(member.name, member.type, scan.source.instance) for member in members),
        tuple(0 if member.role == "time" else places[_read(member)] for member in members),
        tuple(member.type for member in members),
        len(selected) + 1,
        scan.limit is None and bool(members) and not any(text.endswith("::string") for text in selected),
    )


def measurement_of(scan: Scan) -> Measurement:
    """This backend's own part of the scan's table."""
    assert scan.table is not None
    native = scan.table.native
    assert isinstance(native, Measurement)
    return native


def where_clause(scan: Scan) -> str | None:
    """The whole WHERE clause: both bounds of time, always, and the condition. None when nothing can match."""
    first, last, rest = split_time(scan.where)
    said = condition(rest, scan)
    if first > last or said == "false":
        return None
    bounds = f"{TIME} >= {first} AND {TIME} <= {last}"
    return bounds if said is None else f"{bounds} AND {said}"


def guaranteed(predicate: Predicate | None, scan: Scan) -> frozenset[str]:
    """Fields that every point has which the predicate lets through."""
    match predicate:
        case Compare(field=name, op=op, value=value) if scan.typed(name).role == "field":
            return frozenset() if op == "exists" and not value else frozenset((name,))
        case And(items):
            return frozenset().union(*(guaranteed(item, scan) for item in items))
        case Or(items) if items:
            return frozenset.intersection(*(guaranteed(item, scan) for item in items))
        case _:
            return frozenset()


def _selection(scan: Scan, measurement: Measurement) -> tuple[str, ...]:
    """What is selected: the columns, and enough fields for every point to come: InfluxDB leaves out the points that have
    none of the selected fields."""
    members = [scan.typed(name) for name in scan.columns if name != TIME]
    wanted = dict.fromkeys(map(_read, members))
    sure = guaranteed(scan.where, scan)
    if not sure:
        wanted.update(dict.fromkeys(measurement.presence))
    elif not sure.intersection(scan.columns):
        wanted[_read(scan.typed(min(sure)))] = None
    return tuple(wanted)


def _read(member: Field) -> str:
    return tag(member.name) if member.role == "tag" else typed(member.name, str(member.native))


def _order(scan: Scan) -> str:
    """Without one the points come by time ascending."""
    match scan.order:
        case ():
            return ""
        case (order,) if order.field == TIME:
            return " ORDER BY time DESC" if order.descending else " ORDER BY time ASC"
        case _:
            raise UnsupportedPart("InfluxDB orders by time alone")
