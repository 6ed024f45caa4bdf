"""A question and a catalogue make the typed plan: names known, operands exact, times integers. Pure, all faults at once."""

from __future__ import annotations

from libs.context import Limits
from libs.issues import Issues
from query.bind_groups import bind_groups
from query.bind_names import SourceFields, bind_predicate
from query.bind_rows import bind_rows
from query.bind_source import bind_time_range
from query.catalog import Catalog
from query.expr import Predicate, conjunction, conjuncts
from query.plan import Ask
from query.question import Question

DEFAULT_LIMIT = 100


def bind(question: Question, catalog: Catalog, now_ns: int, limits: Limits) -> Ask:
    """The plan in the order of query/plan.py, over the source's table in `catalog`.

    `now_ns` is the instant that `now` means. Raises RequestError with everything that is wrong, CostError when the
    buckets of `fill` alone pass `limits.groups`.
    """
    issues = Issues()
    fields = SourceFields(catalog[question.source], issues)
    span = bind_time_range(question.time_range, fields, now_ns)
    where = _both(span.where, question, fields, now_ns)
    limit = DEFAULT_LIMIT if question.limit is None else question.limit
    if question.grouped:
        plan = bind_groups(question, fields, span, where, limit + 1, now_ns, limits)
    else:
        plan = bind_rows(question, fields, span, where, limit + 1)
    issues.raise_any()
    return Ask(plan, limit, question.options)


def _both(span: Predicate | None, question: Question, fields: SourceFields, now_ns: int) -> Predicate | None:
    """The time range and `where`, flattened."""
    if question.where is None:
        return span
    where = bind_predicate(question.where, fields.use, now_ns, fields.issues)
    return conjunction(conjuncts(span) + conjuncts(where))
