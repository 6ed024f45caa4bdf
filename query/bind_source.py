"""The source of a bound question: its time range as a conjunct, and its scan, or one scan for each part."""

from __future__ import annotations

from dataclasses import dataclass, replace

from libs.issues import Issues
from libs.result import NS_PER, TypeName
from libs.times import TIME_HINT, parse_time
from query.bind_names import SourceFields
from query.catalog import Field, Table
from query.exact_operands import HIGHEST, LOWEST, integer_leaf
from query.expr import FALSE, Compare, Op, Predicate
from query.plan import Bounds, Merge, Plan, Scan
from query.question import TimeRange


@dataclass(frozen=True, slots=True)
class Span:
    """`time` is the field that orders rows, `first` and `last`; None when there is none."""

    time: str | None
    bounds: Bounds | None = None
    where: Predicate | None = None


def bind_time_range(
    asked: TimeRange | None, fields: SourceFields, now_ns: int, inherited: Bounds | None = None
) -> Span:
    """The range as a predicate in the field's own unit, and as bounds in nanoseconds. Without one, the `inherited` bounds
    hold for the source's own time field."""
    table = fields.table
    if asked is None:
        return _default_span(fields, inherited)
    name = asked.field or table.time_field
    if name is None:
        fields.issues.add(
            "FIELD_UNKNOWN", "The source has no time field of its own.", asked.at, "name one as time_range.field"
        )
        return Span(None)
    start = _instant(asked.start, asked.at + "/from", now_ns, fields.issues)
    end = _instant(asked.end, asked.at + "/to", now_ns, fields.issues)
    if start is not None and end is not None and start >= end:
        fields.issues.add(
            "RANGE_INVALID", "The time range is empty: `from` is not before `to`.", asked.at, "put the earlier first"
        )
    field = fields.use(name, asked.at + "/field" if asked.field else asked.at)
    if field is None:
        return Span(None)
    if field.type.name is not TypeName.TIMESTAMP:
        fields.issues.add(
            "TYPE_MISMATCH", f"{name!r} holds {field.type.name}, not times.", asked.at + "/field", "name a timestamp"
        )
        return Span(None)
    if start is None and end is None:
        return Span(name)
    return Span(name, Bounds(name, start, end), _within(field, start, end, asked.at))


def _default_span(fields: SourceFields, inherited: Bounds | None) -> Span:
    name = fields.table.time_field
    field = fields.table.fields.get(name) if name is not None else None
    if name is None or field is None:
        return Span(None)
    if inherited is None or field.type.name is not TypeName.TIMESTAMP:
        return Span(name)
    fields.used[name] = field
    bounds = Bounds(name, inherited.start, inherited.end)
    return Span(name, bounds, _within(field, bounds.start, bounds.end, ""))


def _instant(text: str | None, at: str, now_ns: int, issues: Issues) -> int | None:
    if text is None:
        return None
    try:
        return parse_time(text, now_ns)
    except ValueError as error:
        issues.add("TIME_INVALID", f"{error}.", at, TIME_HINT)
        return None


def _within(field: Field, start: int | None, end: int | None, at: str) -> Predicate:
    """From `start` to before `end`, as whole units of the field: both bounds round up."""
    per = NS_PER[field.type.unit]
    low = -(-start // per) if start is not None else None
    high = -(-end // per) if end is not None else None
    if low is None or high is None:
        op: Op = "lt" if low is None else "gte"
        bound = high if low is None else low
        assert bound is not None
        return integer_leaf(Compare(field.name, op, "", at=at), field.type, [(bound, True)])
    low, high = max(low, LOWEST), min(high - 1, HIGHEST)
    return Compare(field.name, "between", (low, high), field.type, at) if low <= high else FALSE


def scan_of(table: Table, columns: tuple[str, ...], bounds: Bounds | None) -> Plan:
    """One scan; or a merge of one for each part, where the parts type a used field differently."""
    if not table.parts or not any(_differs(table, name) for name in columns):
        return Scan(table.source, columns, bounds=bounds, table=table)
    return Merge(
        tuple(
            Scan(part.source, columns, bounds=bounds, table=_with_columns(part, table, columns)) for part in table.parts
        ),
        table,
    )


def _differs(table: Table, name: str) -> bool:
    kinds = {
        (found.type.name, found.type.unit, found.exact, found.analysed, found.ops)
        for part in table.parts
        if (found := part.fields.get(name)) is not None
    }
    return len(kinds) > 1


def _with_columns(part: Table, whole: Table, columns: tuple[str, ...]) -> Table:
    """A field that a part lacks keeps its widened type there: it is missing in every row."""
    absent = {name: whole.fields[name] for name in columns if name not in part.fields}
    return replace(part, fields={**part.fields, **absent}) if absent else part
