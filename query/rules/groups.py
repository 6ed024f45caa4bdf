"""Groups made by the store."""

from __future__ import annotations

from collections.abc import Mapping

from query.backend import Capabilities, Pushdown
from query.plan import Aggregate, Attempt, Plan, Scan
from query.rules.rewrite import absorbing


def push_group(node: Plan, capabilities: Mapping[str, Capabilities]) -> Plan:
    """Moves an aggregate into the scan right below it: no residual filter stands between. A `checked` verdict becomes an
    attempt, with the rows' way beside it."""
    match node:
        case Aggregate(Scan(group=None, order=(), limit=None) as scan, group):
            verdict = capabilities[scan.source.instance].pushdown(group, scan)
            if verdict.level is not Pushdown.EXACT:
                return node
            pushed = absorbing(scan, columns=(), group=group)
            return Attempt(pushed, node, verdict.reason) if verdict.checked else pushed
        case _:
            return node
