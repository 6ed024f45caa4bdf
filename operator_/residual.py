"""What is left of a plan once the stores have done their part: a plan over named inputs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from libs.context import RequestContext
from libs.result import Batch, Schema
from operator_.base import Operator
from query.plan import Attempt, Filter, Plan, Project, Scan
from query.plan_joins import Narrowed
from query.sql import Cell, Relation, Statement, keys_statement, lower

Leaf = Scan | Attempt | Narrowed


@dataclass(frozen=True)
class Residual:
    """A plan whose leaves are named inputs. Plain data, so that another engine could run it elsewhere."""

    plan: Plan
    names: Mapping[Leaf, str]

    def lower(self, schemas: Mapping[str, Schema]) -> Statement:
        """One statement over tables of the inputs' names, whose columns are c0, c1, …; a limit of groups is to be set."""
        return lower(self.plan, self._relations(schemas), groups=0)

    def keys(self, node: Narrowed, schemas: Mapping[str, Schema]) -> Statement:
        """The keys that a narrowed leaf waits for, over the inputs of the side that gives them."""
        return keys_statement(node.given, self._relations(schemas), node.links, node.most)

    def _relations(self, schemas: Mapping[str, Schema]) -> Callable[[Leaf], Relation]:
        def relation(leaf: Leaf) -> Relation:
            name = self.names[leaf]
            cells = (Cell(f"{name}.c{at}", column) for at, column in enumerate(schemas[name]))
            return Relation(name, tuple(cells))

        return relation


class ResidualEngine(Protocol):
    """What runs residuals. The one there is, is DuckDB in this process (operator_.engine)."""

    def run(
        self, statement: Statement, inputs: Mapping[str, Operator], context: RequestContext
    ) -> AsyncIterator[Batch]: ...

    def run_each(
        self, statement: Statement, inputs: Mapping[str, Operator], context: RequestContext
    ) -> AsyncIterator[Batch]: ...


class ResidualOperator:
    """A residual over its inputs, run by an engine."""

    def __init__(self, residual: Residual, inputs: Mapping[str, Operator], engine: ResidualEngine) -> None:
        self.residual, self.inputs, self.engine = residual, inputs, engine
        self.statement = residual.lower({name: operator.schema for name, operator in inputs.items()})

    @property
    def schema(self) -> Schema:
        return self.statement.schema

    def execute(self, context: RequestContext) -> AsyncIterator[Batch]:
        run = self.engine.run_each if rowwise(self.residual.plan) else self.engine.run
        return run(self.statement, self.inputs, context)


def rowwise(plan: Plan) -> bool:
    """Whether each row of the plan comes from one row of its only input."""
    match plan:
        case Filter(child) | Project(child):
            return isinstance(child, Scan | Attempt) or rowwise(child)
        case _:
            return False
