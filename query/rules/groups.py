"""Groups made by the store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from query.backend import Capabilities, Pushdown
from query.plan import Aggregate, Attempt, Fill, Filter, Limit, Plan, Project, Scan, Sort
from query.rules.rewrite import bottom_up, with_inputs


def push_group(plan: Plan, capabilities: Mapping[str, Capabilities]) -> Plan:
    """Moves an aggregate into the scan right below it: no residual filter stands between. A `checked` verdict becomes an
    attempt, with the rows' way beside it."""

    def step(node: Plan) -> Plan:
        match node:
            case Aggregate(Scan(group=None, order=(), limit=None) as scan, group):
                verdict = capabilities[scan.source.instance].pushdown(group, scan)
                if verdict.level is not Pushdown.EXACT:
                    return node
                pushed = replace(scan, columns=(), group=group)
                return Attempt(pushed, node, verdict.reason) if verdict.checked else pushed
            case _:
                return node

    return bottom_up(plan, step)


def lift_attempts(plan: Plan, capabilities: Mapping[str, Capabilities]) -> Plan:
    """Carries what stands behind an attempt into both of its ways, so that each is planned whole."""

    def step(node: Plan) -> Plan:
        if isinstance(node, Filter | Fill | Project | Sort | Limit | Aggregate) and isinstance(node.input, Attempt):
            attempt = node.input
            return Attempt(
                with_inputs(node, lambda _: attempt.pushed),
                with_inputs(node, lambda _: attempt.otherwise),
                attempt.reason,
            )
        return node

    return bottom_up(plan, step)
