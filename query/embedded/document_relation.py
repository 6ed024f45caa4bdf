"""A scan of documents as SQL over the tables of its indices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from libs.result import INT64, Column, Type
from query.catalog import Field, SourceRef, Table
from query.embedded.documents_state import IndexView, StoredField
from query.embedded.query import Check
from query.expr import Compare, leaves
from query.plan import Attempt, Order, Scan
from query.plan_joins import Narrowed
from query.sql import Cell, Relation, Statement, lower, unfold

TIME_FIELD = "@timestamp"
SEQUENCE = "\x00seq"  # no field can have this name: the order of writing, the last key of every sort
Seen = Sequence[IndexView]


@dataclass(frozen=True, slots=True)
class Indices:
    """`native` of a table: the indices its rows are in, all of one type a field."""

    views: tuple[IndexView, ...]


def table_of(source: SourceRef, views: Seen) -> Table:
    """The table of one index, or of those that a pattern names."""
    parts: tuple[Table, ...] = ()
    fields: dict[str, Field] = {}
    conflicts: dict[str, tuple[str, ...]] = {}
    for view in views:
        for name, member in view.fields.items():
            _merge(fields, conflicts, name, member)
    if conflicts or any(_differs(fields, view) for view in views):
        parts = tuple(_one(SourceRef(source.instance, (view.name,)), (view,), view.fields) for view in views)
    table = _one(source, tuple(views), fields)
    return replace(table, parts=parts, conflicts=conflicts)


def _differs(fields: Mapping[str, Field], view: IndexView) -> bool:
    """Whether an index types some field otherwise than the whole does."""
    return any(
        fields[name].type.single() != member.type.single() for name, member in view.fields.items() if name in fields
    )


def _one(source: SourceRef, views: tuple[IndexView, ...], fields: Mapping[str, Field]) -> Table:
    time = fields.get(TIME_FIELD)
    time_field = TIME_FIELD if time is not None and time.type.name.value == "timestamp" else None
    rows = sum(view.rows for view in views)
    return Table(source, "documents", fields, time_field=time_field, rows=rows, native=Indices(views))


def _merge(fields: dict[str, Field], conflicts: dict[str, tuple[str, ...]], name: str, member: Field) -> None:
    """Widens a field by how another index types it: int64 with float64, ms with ns; other pairs conflict."""
    known = fields.get(name)
    if name in conflicts:
        conflicts[name] = tuple(sorted({*conflicts[name], member.type.name.value}))
        return
    if known is None:
        fields[name] = member
        return
    a, b = known.type, member.type
    if a.single() == b.single():
        merged = a.single()
    elif a.numeric and b.numeric:
        merged = a.single() if a.name.value == "float64" else b.single()
    elif a.name == b.name:  # timestamps of two units
        merged = replace(a.single(), unit="ns")
    else:
        conflicts[name] = tuple(sorted({a.name.value, b.name.value}))
        del fields[name]
        return
    ops = known.ops if member.ops is None else member.ops if known.ops is None else known.ops & member.ops
    fields[name] = replace(
        known,
        type=Type(merged.name, a.multi or b.multi, merged.unit),
        exact=known.exact and member.exact,
        analysed=known.analysed or member.analysed,
        ops=ops,
        hidden=known.hidden and member.hidden,
    )


def compiled(scan: Scan) -> Statement:
    """The statement of a scan, with the order of writing as the last key of its sort."""
    if scan.group is None and scan.order:
        scan = replace(scan, order=(*scan.order, Order(SEQUENCE)))
    return lower(unfold(scan), relation)


def relation(scan: Scan | Attempt | Narrowed) -> Relation:
    """The rows of a bare scan."""
    assert isinstance(scan, Scan)
    assert scan.table is not None
    assert isinstance(scan.table.native, Indices)
    views = scan.table.native.views
    fields = [(name, scan.table.fields.get(name)) for name in scan.columns]
    if len(views) == 1:
        cells = tuple(_cell(name, member, views[0], scan.source.instance) for name, member in fields)
        return Relation(f"{views[0].table} AS t", cells)
    selects = (_select(fields, view) for view in views)
    sql = "(" + " UNION ALL ".join(selects) + ") AS t"
    return Relation(
        sql, tuple(_outer(at, name, member, scan.source.instance) for at, (name, member) in enumerate(fields))
    )


def _cell(name: str, member: Field | None, view: IndexView, source: str) -> Cell:
    if member is None:
        return Cell("t._seq", Column(name, INT64, source))
    sql, plain = _expression(member, view)
    return Cell(sql, Column(name, member.type, source), plain)


def _outer(at: int, name: str, member: Field | None, source: str) -> Cell:
    return Cell(f"t.x{at}", Column(name, INT64 if member is None else member.type, source))


def _select(fields: Iterable[tuple[str, Field | None]], view: IndexView) -> str:
    outputs = []
    for at, (_, member) in enumerate(fields):
        sql = "t._seq" if member is None else _expression(member, view)[0]
        outputs.append(f"{sql} AS x{at}")
    return f"SELECT {', '.join(outputs) or '1'} FROM {view.table} AS t"


SQL_TYPES = {
    "boolean": "BOOLEAN",
    "int64": "BIGINT",
    "float64": "DOUBLE",
    "string": "VARCHAR",
    "timestamp": "BIGINT",
    "json": "VARCHAR",
}


def _expression(member: Field, view: IndexView) -> tuple[str, bool]:
    """A field's values in one index's table, as a list where the whole table's are; plain or not."""
    own = view.fields.get(member.name)
    if own is None:
        kind = SQL_TYPES[member.type.name.value]
        return f"NULL::{kind}{'[]' if member.type.multi else ''}", True
    assert isinstance(own.native, StoredField)
    sql, plain = own.native.sql, own.native.above is None
    if member.type.multi and not own.type.multi:
        sql, plain = f"CASE WHEN {sql} IS NULL THEN NULL ELSE [{sql}] END", False
    return sql, plain


def _numbers(numbers: Iterable[int]) -> str:
    return "[" + ", ".join(map(str, numbers)) + "]::INTEGER[]"


_OWN_TEXT = frozenset({"exists", "match", "match_phrase"})


def ignored_check(scan: Scan) -> Check | None:
    """What to look for before a scan whose fields have lost values to their index; None when none has."""
    table = scan.table
    assert table is not None
    assert isinstance(table.native, Indices)
    shown = set(scan.columns) if scan.group is None else set()
    compared = {one.field for one in _compared(scan) if one.op not in _OWN_TEXT}
    shown |= {one.field for one in _compared(scan)}
    if scan.group is not None:
        compared |= {key.field for key in scan.group.keys}
        compared |= {a.field for a in scan.group.aggregates if a.field is not None and a.function != "count"}
        shown |= {a.field for a in scan.group.aggregates if a.field is not None}
    compared |= {key.field for key in scan.order}
    names: set[str] = set()
    parts: list[str] = []
    for view in table.native.views:
        numbers: set[int] = set()
        for name in (shown | compared) & view.fields.keys():
            native = view.fields[name].native
            assert isinstance(native, StoredField)
            lost = native.ignored + (native.keyword if name in compared else ())
            names |= {name} if lost else set()
            numbers.update(lost)
        if numbers:
            bounds = _within(scan, view)
            parts.append(
                f"SELECT count(*) AS n FROM {view.table} AS t WHERE list_has_any(t._ignored, {_numbers(sorted(numbers))}){bounds}"
            )
    if not parts:
        return None
    return Check(f"SELECT sum(n)::BIGINT FROM ({' UNION ALL '.join(parts)})", {}, tuple(sorted(names)))


def _compared(scan: Scan) -> Iterable[Compare]:
    yield from leaves(scan.where)
    for aggregate in scan.group.aggregates if scan.group is not None else ():
        yield from leaves(aggregate.where)


def _within(scan: Scan, view: IndexView) -> str:
    """The scan's time range as a condition, where the field is one that can hold it."""
    if scan.bounds is None:
        return ""
    member = view.fields.get(scan.bounds.field)
    if member is None or member.type.multi or not isinstance(member.native, StoredField):
        return ""
    per = 1_000_000 if member.type.unit == "ms" else 1
    sql = ""
    if scan.bounds.start is not None:
        sql += f" AND t.{member.native.column} >= {-(-scan.bounds.start // per)}"
    if scan.bounds.end is not None:
        sql += f" AND t.{member.native.column} < {-(-scan.bounds.end // per)}"
    return sql
