"""Attempts: what stands behind one is carried into both of its ways, so that each is planned whole."""

from __future__ import annotations

from query.plan import Attempt, Plan
from query.rules.rewrite import Step, with_inputs


def lifted(node: Plan, after: Step) -> Plan | None:
    """The attempt of the node over either way, `after` applied to both; None for a node that stands on no attempt."""
    attempt = getattr(node, "input", None)
    if isinstance(attempt, Attempt):
        pushed = with_inputs(node, lambda _: attempt.pushed)
        otherwise = with_inputs(node, lambda _: attempt.otherwise)
        return Attempt(after(pushed), after(otherwise), attempt.reason, attempt.within_limits)
    return None
