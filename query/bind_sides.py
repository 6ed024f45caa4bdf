"""Binds a question of any shape: over one source, over joined sides, over a union; and what `then` makes of those."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from libs.issues import Issues
from query.bind_base import Base, Binding, Side
from query.bind_groups import bind_groups
from query.bind_join import join_sides
from query.bind_names import OutputNames, SourceFields, bind_predicate, check_sortable
from query.bind_rows import bind_rows
from query.bind_source import Span, bind_time_range, scan_of
from query.bind_union import unite
from query.catalog import SourceRef, Table
from query.expr import Predicate, conjunction, conjuncts, leaves
from query.plan import Bounds, Filter, Limit, Order, Output, Plan, Project, Sort
from query.plan_joins import Join
from query.question import Question
from query.rules.rewrite import output_names

_NOWHERE = SourceRef("", ())
# The conjuncts of `then`'s filter, each with the columns that it names.
_Parts = Sequence[tuple[frozenset[str], Predicate]]


def bind_side(question: Question, binding: Binding, inherited: Bounds | None, count: int | None) -> Side:
    """The question's rows: the first `count` in its order, or all in none. `inherited` bounds hold for a side without a time
    range. Faults go to the binding's issues. Raises CostError."""
    if not question.joins and not question.union:
        return _single(question, binding, inherited, count)
    if question.union:
        parts = [(part, bind_side(part, binding, inherited, part.limit)) for part in question.union]
        combined = unite(parts, binding.issues)
    else:
        combined = _joined(question, binding, inherited)
    if question.then is not None:
        return _shaped_again(question, combined, binding, count)
    return _ordered(question, combined, binding.issues, count)


def _single(
    question: Question,
    binding: Binding,
    inherited: Bounds | None,
    count: int | None,
    beside: tuple[Order, ...] | None = (),
) -> Side:
    """The question's own source, without its joins."""
    fields = SourceFields(binding.catalog[question.source], binding.issues)
    span = bind_time_range(question.time_range, fields, binding.now_ns, inherited)
    where = span.where
    forced = binding.forced.get(question.source.instance)
    if forced is not None:
        where = conjunction(conjuncts(where) + _forced(forced, question, fields, binding.now_ns))
    if question.where is not None:
        asked = bind_predicate(question.where, fields.use, binding.now_ns, binding.issues)
        where = conjunction(conjuncts(where) + conjuncts(asked))
    table = fields.table
    order = (span.time,) if span.time is not None else ()
    base = Base(fields, lambda columns: scan_of(table, columns, span.bounds), span, where, order)
    return _steps(question, base, binding, count, beside)


def _steps(
    question: Question, base: Base, binding: Binding, count: int | None, beside: tuple[Order, ...] | None = ()
) -> Side:
    if question.grouped:
        return bind_groups(question, base, count, binding.now_ns, binding.limits)
    return bind_rows(question, base, count, beside, binding.alone)


def _forced(
    forced: tuple[Predicate, ...], question: Question, fields: SourceFields, now_ns: int
) -> tuple[Predicate, ...]:
    """The conjuncts bound to the source's fields. A source that lacks one of them is refused: nothing could be told from
    the rows that it keeps."""
    issues = Issues()
    inner = SourceFields(fields.table, issues)
    bound = [bind_predicate(one, inner.use, now_ns, issues) for one in forced]
    fields.used.update(inner.used)
    if issues.found:
        message = "Your rows are chosen by a field that this source does not have."
        fields.issues.add("FIELD_UNKNOWN", message, question.at + "/from", "ask for another source")
    return tuple(part for one in bound for part in conjuncts(one))


def _joined(question: Question, binding: Binding, inherited: Bounds | None) -> Side:
    prefixes = tuple(clause.alias + "." for clause in question.joins)
    beside: tuple[Order, ...] | None = ()
    if question.then is None:
        beside = tuple(key for key in question.order_by if not key.field.startswith(prefixes)) or None
    side = _single(question, binding, inherited, None, beside)
    for clause in question.joins:
        bounds = side.bounds
        if bounds is not None and clause.asof is not None:
            bounds = _widened(bounds, clause.asof.direction, clause.asof.tolerance_ns)
        right = bind_side(clause.right, binding, bounds, clause.right.limit)
        side = join_sides(side, right, clause, binding.issues)
    return side


def _widened(bounds: Bounds, direction: str, tolerance: int) -> Bounds:
    """The bounds in which an as-of match can be."""
    start, end = bounds.start, bounds.end
    if start is not None and direction != "forward":
        start -= tolerance
    if end is not None and direction != "backward":
        end += tolerance
    return Bounds(bounds.field, start, end)


def _shaped_again(question: Question, combined: Side, binding: Binding, count: int | None) -> Side:
    """The steps of `then` over the combined rows; the order is then's own, or the question's."""
    then = question.then
    assert then is not None
    columns = {name: replace(one, hidden=False) if one.hidden else one for name, one in combined.outputs.items()}
    fields = SourceFields(Table(_NOWHERE, "documents", columns, combined.time), binding.issues)
    parts = [
        (
            frozenset(leaf.field for leaf in leaves(part)),
            bind_predicate(part, fields.use, binding.now_ns, binding.issues),
        )
        for part in conjuncts(then.where)
    ]
    plan, rest = _early(combined.plan, parts)
    where = conjunction(tuple(one for part in rest for one in conjuncts(part)))
    order = tuple(name for name in combined.order if name in combined.outputs)
    base = Base(fields, lambda columns: plan, Span(combined.time), where, order, combined.buckets)
    steps = Question(
        _NOWHERE,
        group_by=then.group_by,
        select=then.select,
        having=then.having,
        order_by=then.order_by or question.order_by,
        top=then.top,
        at=then.at,
    )
    return replace(_steps(steps, base, binding, count), label=combined.label)


def _early(plan: Plan, parts: _Parts) -> tuple[Plan, tuple[Predicate, ...]]:
    """Conjuncts are taken as soon as all that they name is there: those over a join's left side choose among its rows
    before they are joined, and keys fan out among the rows that are left. Answers what waits for the whole."""
    held = set(output_names(plan.left)) if isinstance(plan, Join) else set()
    below = [part for part in parts if part[0] <= held]
    rest = tuple(part[1] for part in parts if part not in below)
    if not isinstance(plan, Join) or not below:
        return plan, rest
    left, waiting = _early(plan.left, below)
    where = conjunction(tuple(one for part in waiting for one in conjuncts(part)))
    return replace(plan, left=Filter(left, where) if where is not None else left), rest


def _ordered(question: Question, side: Side, issues: Issues, count: int | None) -> Side:
    """The combined rows in the question's order, by outputs or by what stands beside them."""
    if count is None:
        return side if not side.hidden else replace(side, plan=_shown(side.plan, side), hidden={})
    names = OutputNames(issues)
    names.known.update(side.hidden)
    names.known.update(side.outputs)
    for key in question.order_by:
        field = names.use(key.field, key.at)
        if field is not None:
            check_sortable(field, key.at, issues)
    order = question.order_by or tuple(Order(name) for name in side.order if name in names.known)
    plan = Limit(Sort(side.plan, order) if order else side.plan, count)
    return replace(side, plan=_shown(plan, side), hidden={})


def _shown(plan: Plan, side: Side) -> Plan:
    return Project(plan, tuple(Output(name) for name in side.outputs))
