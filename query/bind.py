"""A question and a catalogue make the typed plan: names known, operands exact, times integers. Pure, all faults at once."""

from __future__ import annotations

from collections.abc import Mapping

from libs.context import Limits
from libs.issues import Issues
from query.bind_base import Binding
from query.bind_sides import bind_side
from query.catalog import Catalog
from query.expr import Predicate
from query.plan import Ask
from query.question import Question

DEFAULT_LIMIT = 100


def bind(
    question: Question,
    catalog: Catalog,
    now_ns: int,
    limits: Limits,
    forced: Mapping[str, tuple[Predicate, ...]] | None = None,
) -> Ask:
    """The plan in the order of query/plan.py, over the sources' tables in `catalog`.

    `now_ns` is the instant that `now` means. `forced` are conjuncts, by instance, that hold for every scan of it, whatever
    the question says. Raises RequestError with everything that is wrong, CostError when the buckets of `fill` alone pass
    `limits.groups`.
    """
    issues = Issues()
    limit = DEFAULT_LIMIT if question.limit is None else question.limit
    alone = not question.joins and not question.union
    binding = Binding(catalog, now_ns, limits, issues, forced or {}, alone)
    plan = bind_side(question, binding, None, limit + 1).plan
    issues.raise_any()
    return Ask(plan, limit, question.options)
