"""Order and limit: brought next to the scan, then done by the store. A limit never passes a residual or inexact filter,
since only a scan without any stands right below it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from query.backend import Capabilities, Ordering, Pushdown
from query.plan import Attempt, Filter, Limit, Merge, Order, Output, Plan, Project, Scan, Sort
from query.rules.attempts import lifted
from query.rules.rewrite import absorbing, with_inputs


def sink_order(node: Plan, capabilities: Mapping[str, Capabilities]) -> Plan:
    """Orders and limits before it computes, where the order needs nothing computed; joins limits."""
    match node:
        case Limit(Limit(child, inner), outer):
            return Limit(child, min(inner, outer))
        case Limit(Project(child, outputs), count):
            return Project(sink_order(Limit(child, count), capabilities), outputs)
        case Sort(Project(child, outputs), order) if _plain(order, outputs):
            return Project(sink_order(Sort(child, order), capabilities), outputs)
        case _:
            return node


def _plain(order: tuple[Order, ...], outputs: tuple[Output, ...]) -> bool:
    computed = {output.name for output in outputs if output.expression is not None}
    return not any(key.field in computed for key in order)


def push_order_limit(plan: Plan, capabilities: Mapping[str, Capabilities]) -> Plan:
    """Moves an order with a limit, a limit alone, or an order alone into the scan right below it."""
    match plan:
        case Limit(Sort(Scan() as scan, order), count):
            return _absorb(plan, scan, Ordering(order, count), capabilities)
        case Limit(Scan() as scan, count):
            return _absorb(plan, scan, Ordering((), count), capabilities)
        case Sort(Scan() as scan, order):
            return _absorb(plan, scan, Ordering(order, None), capabilities)
        case Sort(Filter(Scan() as scan, where), order):
            # Filters keep the order of rows; a limit behind them then ends the scan early.
            sorted_ = _absorb(Sort(scan, order), scan, Ordering(order, None), capabilities)
            return Filter(sorted_, where) if isinstance(sorted_, Scan) else plan
        case Limit(Sort(Merge() as merge, order), count):
            parts = _of_parts(merge, lambda part: Limit(Sort(part, order), count), capabilities)
            return Limit(Sort(parts, order), count)
        case Limit(Merge() as merge, count):
            return Limit(_of_parts(merge, lambda part: Limit(part, count), capabilities), count)
        case _:
            node = with_inputs(plan, lambda child: push_order_limit(child, capabilities))
            return lifted(node, lambda way: way) or node


def _absorb(plan: Plan, scan: Scan, ordering: Ordering, capabilities: Mapping[str, Capabilities]) -> Plan:
    if scan.order or scan.limit is not None or not _orders_groups(scan, ordering.order):
        return plan
    verdict = capabilities[scan.source.instance].pushdown(ordering, scan)
    if verdict.level is not Pushdown.EXACT:
        return plan
    pushed = absorbing(scan, order=ordering.order, limit=ordering.limit)
    return Attempt(pushed, plan, verdict.reason) if verdict.checked else pushed


def _orders_groups(scan: Scan, order: tuple[Order, ...]) -> bool:
    """Stores order groups by keys alone."""
    return scan.group is None or {key.field for key in order} <= {key.name for key in scan.group.keys}


def _of_parts(merge: Merge, first: Callable[[Plan], Plan], capabilities: Mapping[str, Capabilities]) -> Merge:
    """Only the first rows of each part, where its store finds them; widening keeps the order of values."""
    found = [push_order_limit(first(part), capabilities) for part in merge.inputs]
    kept = zip(found, merge.inputs, strict=True)
    return Merge(tuple(new if isinstance(new, Scan | Attempt) else old for new, old in kept), merge.table)
