"""A plan and its queries as operators."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from libs.result import Schema
from operator_.attempt import AttemptOperator
from operator_.base import Operator
from operator_.lazy import LazyOperator
from operator_.light import LimitOperator, PickOperator
from operator_.narrow import NarrowOperator, Wait
from operator_.residual import Leaf, Residual, ResidualEngine, ResidualOperator, rowwise
from operator_.scan import ScanOperator, columnar
from operator_.tolerant import TolerantOperator
from query.backend import Query
from query.factory import QueryFactory
from query.key_parts import timed
from query.plan import Aggregate, Attempt, Fill, Limit, Plan, Project, Scan, inputs
from query.plan_joins import Join, Narrowed, Union

_FEW_KEYS = 1_000  # that one request takes


def build(
    plan: Plan, queries: Mapping[Scan, Query], engine: ResidualEngine, factory: QueryFactory | None = None
) -> Operator:
    """What runs the plan: scans, attempts, and first rows and columns of them as they are; all else by the engine. The
    factory compiles what waits for keys; without one nothing does."""
    match plan:
        case Scan():
            return ScanOperator(plan.source.instance, queries[plan])
        case Attempt(pushed, otherwise, reason):
            ways = (build(pushed, queries, engine, factory), build(otherwise, queries, engine, factory))
            return AttemptOperator(*ways, reason, plan.within_limits)
        case Narrowed(child):
            return build(child, queries, engine, factory)
        case Limit(child, count) if _light(child) or rowwise(child):
            return LimitOperator(build(child, queries, engine, factory), count)
        case Project(child, outputs) if _light(plan):
            return PickOperator(build(child, queries, engine, factory), tuple(output.name for output in outputs))
        case _:
            return _residual(plan, queries, engine, factory)


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


def _residual(
    plan: Plan, queries: Mapping[Scan, Query], engine: ResidualEngine, factory: QueryFactory | None
) -> Operator:
    names = {leaf: f"input{at}" for at, leaf in enumerate(dict.fromkeys(_leaves(plan)))}
    operators = {name: _fed(leaf, queries, engine, factory) for leaf, name in names.items()}
    schemas = {name: operator.schema for name, operator in operators.items()}
    spared, residual = _spared(plan), Residual(plan, names)
    for leaf, name in names.items():
        if isinstance(leaf, Narrowed) and factory is not None:
            wait = _wait(leaf, residual, schemas)
            operators[name] = NarrowOperator(
                leaf, operators[name], partial(_made, engine, factory), factory.capabilities, wait, leaf in spared
            )
        elif leaf in spared:
            operators[name] = TolerantOperator(operators[name])
    return ResidualOperator(residual, operators, engine)


def _fed(leaf: Leaf, queries: Mapping[Scan, Query], engine: ResidualEngine, factory: QueryFactory | None) -> Operator:
    """What feeds the engine with a leaf's rows."""
    plan = leaf.input if isinstance(leaf, Narrowed) else leaf
    if isinstance(plan, Scan):
        return ScanOperator(plan.source.instance, columnar(queries[plan]))
    return build(plan, queries, engine, factory)


def _made(engine: ResidualEngine, factory: QueryFactory, plan: Plan) -> Operator:
    """Of a plan that was made while the request runs: an attempt's longer way only once it is taken."""
    if isinstance(plan, Attempt):
        otherwise = LazyOperator(partial(_made, engine, factory, plan.otherwise))
        return AttemptOperator(_made(engine, factory, plan.pushed), otherwise, plan.reason, plan.within_limits)
    return build(plan, factory.compile(plan), engine, factory)


def _wait(node: Narrowed, residual: Residual, schemas: Mapping[str, Schema]) -> Wait:
    """Inputs that are the given side itself tell by their rows how many keys there can be; others are looked at longer, and so
    are those whose rows share few keys once their times are left out."""
    leaves = _leaves(node.given)
    apart = tuple(link for link in node.links if not timed(link))
    nodes = [node]
    if 0 < len(apart) < len(node.links):
        nodes.append(replace(node, links=apart, most=min(node.most, _FEW_KEYS)))
    plain = leaves == (node.given,)
    patience = node.most if plain and len(nodes) == 1 else 10 * node.most
    asked = tuple((one, residual.keys(one, schemas)) for one in nodes)
    return Wait(frozenset(residual.names[leaf] for leaf in leaves), asked, patience, plain)


def _leaves(plan: Plan) -> tuple[Leaf, ...]:
    """Where the residual ends: at scans, attempts and sides that wait for keys, from the left."""
    if isinstance(plan, Leaf):
        return (plan,)
    return tuple(leaf for child in inputs(plan) for leaf in _leaves(child))


def _spared(plan: Plan) -> set[Leaf]:
    """The leaves that an answer may do without: those of the right sides of joins that keep every left row, with nulls, and
    of a union's parts. One that is needed elsewhere too is not among them."""
    found: set[Leaf] = set()
    needed: set[Leaf] = set()
    waiting: list[tuple[Plan, bool]] = [(plan, False)]
    while waiting:
        node, spared = waiting.pop()
        if isinstance(node, Leaf):
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
