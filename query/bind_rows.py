"""Binds a question that answers rows: Scan, Filter, Sort, Limit, Project."""

from __future__ import annotations

from libs.result import FLOAT64
from query.bind_base import Base, Side
from query.bind_names import SourceFields, check_expression, check_sortable, clash, columns_of
from query.catalog import Field
from query.plan import Filter, Limit, Order, Output, Plan, Project, Sort
from query.question import Question, SelectExpression, SelectField


def bind_rows(
    question: Question, base: Base, count: int | None, beside: tuple[Order, ...] | None = (), alone: bool = False
) -> Side:
    """The rows of a question; faults go to the issues of its fields, and the side counts for nothing then. Without a
    `count` they are in no order and without a limit, and the fields that `beside` names (None: those of the default
    order) stand behind the outputs. `alone`: the side's plan is all that is asked for."""
    fields = base.fields
    outputs = _every_field(question, fields) if question.select is None else _selected(question, fields)
    computed = {output.name: Field(output.name, FLOAT64) for output in outputs if output.expression is not None}
    order = _order(question, base, computed) if count is not None else ()
    if beside is None:
        beside = tuple([Order(name, at=question.at) for name in base.order])
    if beside:
        _use(beside, fields, computed)
    plan = base.read(columns_of([output.name for output in outputs if output.expression is None], fields))
    if base.where is not None:
        plan = Filter(plan, base.where)
    if alone:
        return Side(_ordered(plan, outputs, tuple(computed), order, count, ()), computed)
    shown = {
        output.name: computed.get(output.name) or fields.used[output.name]
        for output in outputs
        if output.name in computed or output.name in fields.used
    }
    hidden = {
        key.field: fields.used[key.field] for key in beside if key.field not in shown and key.field in fields.used
    }
    return Side(
        _ordered(plan, outputs, tuple(computed), order, count, tuple(hidden)),
        shown,
        base.span.time if base.span.time in shown else None,
        base.order,
        buckets={name: bucket for name, bucket in base.buckets.items() if name in shown},
        hidden=hidden,
        bounds=base.span.bounds,
    )


def _ordered(
    plan: Plan,
    outputs: tuple[Output, ...],
    computed: tuple[str, ...],
    order: tuple[Order, ...],
    count: int | None,
    hidden: tuple[str, ...],
) -> Plan:
    if count is None:
        return Project(plan, outputs + tuple(Output(name) for name in hidden))
    if not any(key.field in computed for key in order):
        return Project(Limit(Sort(plan, order) if order else plan, count), outputs)
    # An expression that rows are ordered by is computed first, beside the other fields that the order reads.
    listed = {output.name for output in outputs}
    beside = tuple(Output(key.field, at=key.at) for key in order if key.field not in listed)
    plan = Limit(Sort(Project(plan, outputs + beside), order), count)
    return Project(plan, tuple(Output(output.name, at=output.at) for output in outputs))


def _every_field(question: Question, fields: SourceFields) -> tuple[Output, ...]:
    table = fields.table
    for name in (*table.conflicts, *table.ambiguous):
        fields.use(name, question.at)
    visible = table.visible()
    for name in visible:
        fields.used[name] = table.fields[name]
    return tuple([Output(name) for name in visible])


def _selected(question: Question, fields: SourceFields) -> tuple[Output, ...]:
    outputs: dict[str, Output] = {}
    computed: dict[str, Field] = {}
    for item in question.select or ():
        if isinstance(item, SelectField):
            fields.use(item.name, item.at)
            output = Output(item.name, at=item.at)
        elif isinstance(item, SelectExpression):
            check_expression(item.expression, item.at + "/expr", computed, fields.use, fields.issues)
            output = Output(item.name, item.expression, item.at)
        else:
            raise AssertionError("a question with an aggregate answers groups, and `over` is refused without")
        if output.name in outputs:
            clash(output.name, item.at + "/as" if output.expression is not None else item.at, fields.issues)
        elif output.expression is not None:
            computed[output.name] = Field(output.name, FLOAT64)
        outputs.setdefault(output.name, output)
    return tuple(outputs.values())


def _order(question: Question, base: Base, computed: dict[str, Field]) -> tuple[Order, ...]:
    fields = base.fields
    if not question.order_by:
        for name in base.order:
            fields.use(name, question.at)
        return tuple([Order(name) for name in base.order])
    _use(question.order_by, fields, computed)
    return question.order_by


def _use(order: tuple[Order, ...], fields: SourceFields, computed: dict[str, Field]) -> None:
    for key in order:
        field = fields.use(key.field, key.at) if key.field not in computed else None
        if field is not None:
            check_sortable(field, key.at, fields.issues)
