"""A page's plan as that of the whole result: for streams. Pure."""

from __future__ import annotations

from dataclasses import replace

from query.plan import Ask, Attempt, Filter, Limit, Plan, Project, Scan, Sort
from query.question import Question

_BEYOND = 2**31 - 1


def whole(ask: Ask, question: Question) -> Ask:
    """Every row: no limit unless the body gives one, and rows of one source in the store's own order unless it asks for
    another. Groups, joined rows and rows of a union keep their order: they are all held here before the first goes out.
    """
    rows = not (question.grouped or question.joins or question.union)
    unordered = rows and not question.order_by
    if rows and not unordered and question.limit is None:
        return unlimited(ask, question)
    return replace(ask, plan=_bare(ask.plan, question.limit, unordered))


def unlimited(ask: Ask, question: Question) -> Ask:
    """Every row in the page's own order, for the pages behind the first. A limit beyond any result lets a store that
    orders only up to one do it."""
    rows = not (question.grouped or question.joins or question.union)
    return replace(ask, plan=_lifted(ask.plan, rows))


def _lifted(plan: Plan, rows: bool) -> Plan:
    match plan:
        case Project(child, outputs):
            return Project(_lifted(child, rows), outputs)
        case Limit(child, _):
            return Limit(child, _BEYOND) if rows else child
        case _:
            return plan


def _bare(plan: Plan, limit: int | None, unordered: bool) -> Plan:
    """Down the last steps, which alone are the page's own."""
    match plan:
        case Project(child, outputs):
            return Project(_bare(child, limit, unordered), outputs)
        case Limit(child, _):
            below = child.input if unordered and isinstance(child, Sort) else child
            return below if limit is None else Limit(below, limit)
        case _:
            return plan


def flows(plan: Plan) -> bool:
    """Whether the plan's rows pass through without being held: one source's, each row made of one of its rows."""
    match plan:
        case Scan(group=group):
            return group is None
        case Filter(child) | Project(child) | Limit(child):
            return flows(child)
        case Attempt(pushed, otherwise):
            return flows(pushed) and flows(otherwise)
        case _:
            return False
