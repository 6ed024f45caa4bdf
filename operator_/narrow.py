"""A side of a join that is asked for by the other side's keys, once those are there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass

from libs.context import RequestContext
from libs.result import Batch, Schema
from operator_.base import Operator
from operator_.several import SeveralOperator
from operator_.tolerant import TolerantOperator
from query.backend import Capabilities
from query.key_parts import Rows
from query.narrowed_plans import narrowed_plans
from query.plan import Plan
from query.plan_joins import Narrowed
from query.sql import Statement


@dataclass(frozen=True, slots=True)
class Wait:
    """The inputs to wait for, and the statements over them that answer the keys of a node, the closest first; `patience`: the
    rows of one of them that are waited for at the most. `plain`: the one input is the side that gives the keys."""

    inputs: frozenset[str]
    asked: tuple[tuple[Narrowed, Statement], ...]
    patience: int
    plain: bool


class NarrowOperator:
    """`whole` is the side without keys, `make` the operator of a plan with some. `spared`: an answer may do without it."""

    def __init__(
        self,
        node: Narrowed,
        whole: Operator,
        make: Callable[[Plan], Operator],
        capabilities: Mapping[str, Capabilities],
        wait: Wait,
        spared: bool,
    ) -> None:
        self.node, self.make, self.capabilities, self.wait, self.spared = node, make, capabilities, wait, spared
        self.whole = TolerantOperator(whole) if spared else whole

    @property
    def schema(self) -> Schema:
        return self.whole.schema

    def execute(self, context: RequestContext) -> AsyncIterator[Batch]:
        """Without any keys: the whole side."""
        return self.whole.execute(context)

    async def execute_by(
        self, ask: Callable[[Narrowed, Statement], Awaitable[Rows]], context: RequestContext
    ) -> AsyncIterator[Batch]:
        """What shares the keys that `ask` answers for a statement over the inputs; the whole side where they are too many, or
        where no store takes them."""
        for node, statement in self.wait.asked:
            rows = await ask(node, statement)
            if len(rows) <= node.most:
                return self._sharing(node, statement, rows, context)
        return self.execute_whole(context)

    def execute_whole(self, context: RequestContext) -> AsyncIterator[Batch]:
        """All of it, since its keys are too many to be waited for."""
        context.notes.append(f"more than {self.node.most} keys of {_asked(self.node)}: the whole side was fetched")
        return self.execute(context)

    def _sharing(
        self, node: Narrowed, statement: Statement, rows: Rows, context: RequestContext
    ) -> AsyncIterator[Batch]:
        types = [column.type for column in statement.schema]
        plans = narrowed_plans(node, types, rows, self.capabilities)
        if plans is None:
            context.notes.append(f"no store takes these {len(rows)} keys of {_asked(node)}: the whole side was fetched")
            return self.execute(context)
        context.notes.append(f"{len(rows)} keys of {_asked(node)} were asked for in {len(plans)} request(s)")
        operators = [self.make(plan) for plan in plans]
        found = operators[0] if len(operators) == 1 else SeveralOperator(operators)
        return (TolerantOperator(found) if self.spared else found).execute(context)


def _asked(node: Narrowed) -> str:
    return ", ".join(link.asked for link in node.links)
