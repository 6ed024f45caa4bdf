"""Binds a question that answers groups: Scan, Filter, Aggregate, Fill, Project, Filter, Sort, Limit."""

from __future__ import annotations

from dataclasses import replace

from libs.context import Limits
from libs.issues import Issues
from libs.result import FLOAT64, INT64, Type, TypeName
from query.bind_base import Base, Side
from query.bind_fill import with_fill
from query.bind_names import (
    OutputNames,
    SourceFields,
    bind_predicate,
    check_exact,
    check_expression,
    check_sortable,
    columns_of,
)
from query.bind_source import Span
from query.bind_windows import Windows, bind_top
from query.catalog import Field
from query.expr import conjunction, conjuncts
from query.plan import (
    Aggregate,
    Aggregation,
    BucketKey,
    FieldKey,
    Filter,
    Grouping,
    Key,
    Limit,
    Order,
    Output,
    Project,
    Sort,
)
from query.question import Question, SelectExpression, SelectField, SelectOver
from query.vocabulary import AGGREGATES


def bind_groups(question: Question, base: Base, count: int | None, now_ns: int, limits: Limits) -> Side:
    """The groups of a question; faults go to the issues of its fields, and the side counts for nothing then. Without a
    `count` they are in no order and without a limit. Raises CostError."""
    fields = base.fields
    outputs = OutputNames(fields.issues)
    keys = tuple(_key(key, fields, outputs) for key in question.group_by)
    aggregates = _aggregates(question, fields, base.span, now_ns)
    buckets = _buckets(keys, base)
    windows = Windows(question, tuple(key.name for key in keys), buckets, fields.issues)
    projected = _outputs(question, keys, aggregates, fields, outputs, windows)
    having = None
    if question.having is not None:
        having = conjunction(conjuncts(bind_predicate(question.having, outputs.use, now_ns, fields.issues)))
    read = [*(key.field for key in keys), *(one.field for one in aggregates if one.field is not None)]
    plan = base.read(columns_of(read, fields))
    plan = Aggregate(Filter(plan, base.where) if base.where is not None else plan, Grouping(keys, aggregates))
    if question.fill is not None and question.fill.mode != "none":
        plan = with_fill(plan, question.fill, keys, aggregates, base.span.bounds, limits, fields.issues)
    plan = windows.over(plan)
    if windows.items or any(output.expression is not None for output in projected):
        plan = Project(plan, projected)
    plan = Filter(plan, having) if having is not None else plan
    if question.top is not None:
        plan = bind_top(plan, question.top, keys, outputs)
    if count is not None:
        order = _order(question, keys, outputs)
        plan = Limit(Sort(plan, order) if order else plan, count)
    names = tuple([key.name for key in keys])
    time = next(iter(buckets)) if len(buckets) == 1 else None
    return Side(plan, outputs.known, time, names, frozenset(names), buckets, bounds=base.span.bounds)


def _buckets(keys: tuple[Key, ...], base: Base) -> dict[str, BucketKey]:
    """The keys that are starts of buckets; a key over such a column of joined rows is one too."""
    found: dict[str, BucketKey] = {}
    for key in keys:
        if isinstance(key, BucketKey):
            found[key.name] = key
        elif key.field in base.buckets:
            found[key.name] = replace(base.buckets[key.field], name=key.name)
    return found


def _key(key: Key, fields: SourceFields, outputs: OutputNames) -> Key:
    """The key with its unit, and its output known."""
    if isinstance(key, FieldKey):
        field = fields.use(key.field, key.at)
        if field is not None and check_sortable(field, key.at, fields.issues):
            outputs.add(replace(field, type=field.type.single()) if field.type.multi else field, key.at)
        return key
    field = fields.use(key.field, key.at + "/field")
    if field is None:
        return key
    if field.type.name is not TypeName.TIMESTAMP:
        fields.issues.add(
            "TYPE_MISMATCH", f"{key.field!r} holds {field.type.name}, not times.", key.at + "/field", "name a timestamp"
        )
    bound = BucketKey(key.field, key.width, key.name, key.tz, field.type.unit, key.at)
    outputs.add(Field(bound.name, Type(TypeName.TIMESTAMP, unit=field.type.unit)), key.at + "/as")
    return bound


def _aggregates(question: Question, fields: SourceFields, span: Span, now_ns: int) -> tuple[Aggregation, ...]:
    items = [item for item in question.select or () if isinstance(item, Aggregation)]
    return tuple([_aggregate(item, fields, span, now_ns) for item in items])


def _aggregate(item: Aggregation, fields: SourceFields, span: Span, now_ns: int) -> Aggregation:
    where = item.where
    if where is not None:
        where = conjunction(conjuncts(bind_predicate(where, fields.use, now_ns, fields.issues)))
    field = fields.use(item.field, item.at + "/field") if item.field is not None else None
    time = None
    if item.function in ("first", "last"):
        time = span.time
        if time is None:
            fields.issues.add(
                "FIELD_UNKNOWN",
                f"`{item.function}` needs a time, and the source has no time field of its own.",
                item.at + "/agg",
                "name one as time_range.field",
            )
        else:
            fields.use(time, item.at + "/agg")
    kind = INT64 if field is None else _result(item, field, fields.issues)
    return Aggregation(item.function, item.field, item.name, item.p, where, kind, time, item.at)


def _result(item: Aggregation, field: Field, issues: Issues) -> Type:
    """The aggregate's type over the field, once the field fits it."""
    word = AGGREGATES[item.function]
    if item.function != "count" and not check_exact(field, item.at + "/field", issues):
        return FLOAT64
    if field.type.name not in word.types:
        taken = " and ".join(sorted(word.types))
        issues.add(
            "TYPE_MISMATCH",
            f"`{item.function}` cannot be done on {field.name!r}, which holds {field.type.name}.",
            item.at + "/field",
            f"it takes {taken}",
        )
    match word.result:
        case "int64":
            return INT64
        case "float64":
            return FLOAT64
        case "sum":
            return INT64 if field.type.name is TypeName.INT64 else FLOAT64
        case _:
            return field.type.single()


def _outputs(
    question: Question,
    keys: tuple[Key, ...],
    aggregates: tuple[Aggregation, ...],
    fields: SourceFields,
    outputs: OutputNames,
    windows: Windows,
) -> tuple[Output, ...]:
    """All outputs in their order. An expression sees the keys and what is selected before it."""
    bound = iter(aggregates)
    linear = question.fill is not None and question.fill.mode == "linear"
    names = {key.name for key in keys}
    selected: set[str] = set()
    projected = [Output(key.name, at=key.at) for key in keys]
    for item in question.select or ():
        if isinstance(item, SelectField):
            _check_key(item, names, selected, fields.issues)
            continue
        if isinstance(item, SelectExpression):
            check_expression(item.expression, item.at + "/expr", {}, outputs.use, fields.issues)
            output, field = Output(item.name, item.expression, item.at), Field(item.name, FLOAT64)
        elif isinstance(item, SelectOver):
            windows.add(item, outputs)
            output, field = Output(item.name, at=item.at), Field(item.name, FLOAT64)
        else:
            output, field = Output(item.name, at=item.at), _aggregate_output(next(bound), linear, fields)
        outputs.add(field, item.at + "/as")
        projected.append(output)
    return tuple(projected)


def _check_key(item: SelectField, names: set[str], selected: set[str], issues: Issues) -> None:
    if item.name not in names:
        issues.add(
            "NOT_A_KEY",
            f"{item.name[:100]!r} is no key of `group_by`.",
            item.at,
            "add it to group_by, or aggregate it",
        )
    elif item.name in selected:
        issues.add("NAME_CLASH", f"{item.name!r} is selected twice.", item.at, "select it once")
    selected.add(item.name)


def _aggregate_output(item: Aggregation, linear: bool, fields: SourceFields) -> Field:
    """What `having` and expressions see of an aggregate; linear filling makes numbers float64, counts apart."""
    kind = item.type or INT64
    if linear and item.function != "count" and kind.numeric:
        kind = FLOAT64
    over = fields.used.get(item.field) if item.field is not None else None
    if over is not None and item.function in ("first", "last"):
        return Field(item.name, kind, ops=over.ops, address=over.address)
    return Field(item.name, kind)


def _order(question: Question, keys: tuple[Key, ...], outputs: OutputNames) -> tuple[Order, ...]:
    if not question.order_by:
        return tuple([Order(key.name) for key in keys])
    for key in question.order_by:
        found = outputs.use(key.field, key.at)
        if found is not None:
            check_sortable(found, key.at, outputs.issues)
    return question.order_by
