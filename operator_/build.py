"""A plan and its queries as operators."""

from __future__ import annotations

from collections.abc import Mapping

from operator_.attempt import AttemptOperator
from operator_.base import Operator
from operator_.light import LimitOperator, PickOperator
from operator_.residual import Residual, ResidualEngine, ResidualOperator, rowwise
from operator_.scan import ScanOperator
from operator_.tolerant import TolerantOperator
from query.backend import Query
from query.plan import Aggregate, Attempt, Fill, Limit, Plan, Project, Scan, inputs
from query.plan_joins import Join, Union


def build(plan: Plan, queries: Mapping[Scan, Query], engine: ResidualEngine) -> Operator:
    """What runs the plan: scans, attempts, and first rows and columns of them as they are; all else by the engine."""
    match plan:
        case Scan():
            return ScanOperator(plan.source.instance, queries[plan])
        case Attempt(pushed, otherwise, reason):
            return AttemptOperator(build(pushed, queries, engine), build(otherwise, queries, engine), reason)
        case Limit(child, count) if _light(child) or rowwise(child):
            return LimitOperator(build(child, queries, engine), count)
        case Project(child, outputs) if _light(plan):
            return PickOperator(build(child, queries, engine), tuple(output.name for output in outputs))
        case _:
            return _residual(plan, queries, engine)


def _light(plan: Plan) -> bool:
    """Whether the plan needs no engine of its own."""
    match plan:
        case Scan() | Attempt():
            return True
        case Limit(child):
            return _light(child)
        case Project(child, outputs):
            return _light(child) and all(output.expression is None for output in outputs)
        case _:
            return False


def _residual(plan: Plan, queries: Mapping[Scan, Query], engine: ResidualEngine) -> Operator:
    names = {leaf: f"input{at}" for at, leaf in enumerate(dict.fromkeys(_leaves(plan)))}
    operators = {name: build(leaf, queries, engine) for leaf, name in names.items()}
    for leaf in _spared(plan):
        operators[names[leaf]] = TolerantOperator(operators[names[leaf]])
    return ResidualOperator(Residual(plan, names), operators, engine)


def _leaves(plan: Plan) -> tuple[Scan | Attempt, ...]:
    """Where the residual ends: at scans and attempts, from the left."""
    if isinstance(plan, Scan | Attempt):
        return (plan,)
    return tuple(leaf for child in inputs(plan) for leaf in _leaves(child))


def _spared(plan: Plan) -> set[Scan | Attempt]:
    """The leaves that an answer may do without: those of the right sides of joins that keep every left row, with nulls, and
    of a union's parts. One that is needed elsewhere too is not among them."""
    found: set[Scan | Attempt] = set()
    needed: set[Scan | Attempt] = set()
    waiting: list[tuple[Plan, bool]] = [(plan, False)]
    while waiting:
        node, spared = waiting.pop()
        if isinstance(node, Scan | Attempt):
            (found if spared else needed).add(node)
        elif isinstance(node, Join):
            kept = node.how in ("left", "asof")
            waiting += [(node.left, spared), (node.right, kept or (spared and node.how != "anti"))]
        else:
            spared = isinstance(node, Union) or (spared and not _makes_rows_of_nothing(node))
            waiting += [(child, spared) for child in inputs(node)]
    return found - needed


def _makes_rows_of_nothing(node: Plan) -> bool:
    """Whether a source without rows would look like one that counted none."""
    return (isinstance(node, Aggregate) and not node.group.keys) or (isinstance(node, Fill) and not node.keys)
