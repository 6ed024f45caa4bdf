"""Pushes to the stores what they do exactly.

Two laws: optimizing never changes the answer, and a limit never passes a residual or inexact filter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from query.backend import Capabilities
from query.plan import Plan
from query.rules.columns import drop_projects, prune_columns
from query.rules.filters import push_filter, simplify_filters
from query.rules.groups import lift_attempts, push_group
from query.rules.order import push_order_limit, sink_order

Rule = Callable[[Plan, Mapping[str, Capabilities]], Plan]

RULES: tuple[Rule, ...] = (
    simplify_filters,
    sink_order,
    push_filter,
    push_group,
    lift_attempts,
    sink_order,
    push_order_limit,
    lift_attempts,
    prune_columns,
    drop_projects,
)


def optimize(plan: Plan, capabilities: Mapping[str, Capabilities]) -> Plan:
    """The plan with all rules applied once, in order. `capabilities` by instance. Pure; only for bound plans."""
    for rule in RULES:
        plan = rule(plan, capabilities)
    return plan
