"""Pushes to the stores what they do exactly.

Two laws: optimizing never changes the answer, and a limit never passes a residual or inexact filter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from query.backend import Capabilities, Part, Pushdown, Verdict
from query.expr import Predicate
from query.plan import Aggregate, Filter, Limit, Plan, Scan, Sort
from query.rules.attempts import lifted
from query.rules.below_joins import group_below_join
from query.rules.columns import drop_projects, prune_columns
from query.rules.filters import push_filter, simplify_filter
from query.rules.groups import push_group
from query.rules.keys import push_keys
from query.rules.order import push_order_limit, sink_order
from query.rules.parts import fold_parts
from query.rules.rewrite import bottom_up

Rule = Callable[[Plan, Mapping[str, Capabilities]], Plan]

# By a node's type, inputs first: a node is handed over with its inputs already as they will be.
STEPS: dict[type, tuple[Rule, ...]] = {
    Filter: (simplify_filter, push_filter),
    Aggregate: (push_group, group_below_join),
    Sort: (sink_order,),
    Limit: (sink_order,),
}
# On whole plans.
RULES: tuple[Rule, ...] = (push_order_limit, prune_columns, drop_projects, push_keys, fold_parts)


def optimize(plan: Plan, capabilities: Mapping[str, Capabilities], exact: bool = False) -> Plan:
    """The plan after STEPS and RULES, once each, in order. `capabilities` by instance; with `exact`, what a store answers
    approximately is not asked of it. Pure; only for bound plans."""
    if exact:
        capabilities = {name: ExactOnly(able) for name, able in capabilities.items()}

    def steps(node: Plan) -> Plan:
        both = lifted(node, steps)
        if both is not None:
            return both
        for step in STEPS.get(type(node), ()):
            node = step(node, capabilities)
        return node

    plan = bottom_up(plan, steps)
    for rule in RULES:
        plan = rule(plan, capabilities)
    return plan


class ExactOnly(Capabilities):
    """A store's capabilities without what it does approximately."""

    def __init__(self, able: Capabilities) -> None:
        super().__init__(able.operators, able.aggregates, able.order, able.limit)
        self._able = able

    def pushdown(self, part: Part, scan: Scan) -> Verdict:
        verdict = self._able.pushdown(part, scan)
        if verdict.approximate and verdict.level is Pushdown.EXACT:
            return Verdict(Pushdown.UNSUPPORTED, verdict.reason or "the store answers it approximately")
        return verdict

    def composed(self, conjunct: Predicate, scan: Scan) -> Verdict:
        return self._able.composed(conjunct, scan)
