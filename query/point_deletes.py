"""Deletes of the points of a measurement by tags and time: what can be asked of every store, and what of this one."""

from __future__ import annotations

from collections.abc import Sequence

from libs.issues import Issues
from query.backend import Capabilities, Pushdown
from query.catalog import Table
from query.expr import Compare, Predicate, conjuncts, leaves
from query.plan import Filter, Plan, Project, Scan, scans


def check_fields(where: Predicate | None, table: Table) -> None:
    """Raises RequestError (UNSUPPORTED) with every leaf of a filter, as it was asked, that names a field."""
    issues = Issues()
    for leaf in leaves(where):
        known = table.fields.get(leaf.field)
        if known is not None and known.role == "field":
            message = f"{leaf.field!r} is a field; points are deleted by their tags and their time."
            issues.add("UNSUPPORTED", message, leaf.at + "/field", "filter by tags and the time alone")
    issues.raise_any()


def deletable(plan: Plan, able: Capabilities) -> Scan:
    """The scan of an optimized plan of rows, where its store does all of the filter by itself. Raises RequestError
    (UNSUPPORTED) with everything that stands against it."""
    issues = Issues()
    (scan, *_) = scans(plan)
    _refuse(_left(plan), Scan(scan.source, scan.columns, table=scan.table), able, issues)
    issues.raise_any()
    return scan


def _left(plan: Plan) -> tuple[Predicate, ...]:
    """The conjuncts that the store would leave to be done here."""
    match plan:
        case Scan():
            return ()
        case Filter(child, where):
            return (*conjuncts(where), *_left(child))
        case Project(child):
            return _left(child)
        case _:
            raise AssertionError("rows without an order are scans below filters")


def _refuse(rest: Sequence[Predicate], bare: Scan, able: Capabilities, issues: Issues) -> None:
    for part in rest:
        alone = [(leaf, able.pushdown(leaf, bare)) for leaf in leaves(part)]
        told = [(leaf, verdict.reason) for leaf, verdict in alone if verdict.level is not Pushdown.EXACT]
        for leaf, reason in told:
            issues.add("UNSUPPORTED", f"{reason}.", leaf.at, "choose the points by other conditions on tags")
        if not told:
            at = part.at if isinstance(part, Compare) else "/where"
            reason = able.composed(part, bare).reason or "the store cannot do it by itself"
            issues.add("UNSUPPORTED", f"{reason}.", at, "send a delete for each part; put the time into `time_range`")
