"""Binds a question that answers rows: Scan, Filter, Sort, Limit, Project."""

from __future__ import annotations

from libs.result import FLOAT64
from query.bind_names import SourceFields, check_expression, check_sortable, clash, columns_of
from query.bind_source import Span, scan_of
from query.catalog import Field
from query.expr import Predicate
from query.plan import Filter, Limit, Order, Output, Plan, Project, Sort
from query.question import Question, SelectExpression, SelectField


def bind_rows(question: Question, fields: SourceFields, span: Span, where: Predicate | None, count: int) -> Plan:
    """The plan of rows; faults go to the issues of `fields`, and the plan counts for nothing then."""
    outputs = _every_field(fields) if question.select is None else _selected(question, fields)
    computed = {output.name for output in outputs if output.expression is not None}
    order = _order(question, fields, span, computed)
    names = tuple(output.name for output in outputs if output.expression is None)
    plan = scan_of(question, fields.table, columns_of(names, fields), span.bounds)
    if where is not None:
        plan = Filter(plan, where)
    if not any(key.field in computed for key in order):
        return Project(Limit(Sort(plan, order) if order else plan, count), outputs)
    # An expression that rows are ordered by is computed first, beside the other fields that the order reads.
    listed = {output.name for output in outputs}
    beside = tuple(Output(key.field, at=key.at) for key in order if key.field not in listed)
    plan = Limit(Sort(Project(plan, outputs + beside), order), count)
    return Project(plan, tuple(Output(output.name, at=output.at) for output in outputs))


def _every_field(fields: SourceFields) -> tuple[Output, ...]:
    table = fields.table
    for name in (*table.conflicts, *table.ambiguous):
        fields.use(name, "")
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
            raise AssertionError("a question with an aggregate answers groups")
        if output.name in outputs:
            clash(output.name, item.at + "/as" if output.expression is not None else item.at, fields.issues)
        elif output.expression is not None:
            computed[output.name] = Field(output.name, FLOAT64)
        outputs.setdefault(output.name, output)
    return tuple(outputs.values())


def _order(question: Question, fields: SourceFields, span: Span, computed: set[str]) -> tuple[Order, ...]:
    if not question.order_by:
        if span.time is None:
            return ()
        fields.use(span.time, question.at)
        return (Order(span.time),)
    for key in question.order_by:
        if key.field in computed:
            continue
        field = fields.use(key.field, key.at)
        if field is not None:
            check_sortable(field, key.at, fields.issues)
    return question.order_by
