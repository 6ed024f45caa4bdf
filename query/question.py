"""A body as it was asked: what any parser hands over, before names and types are known (`query.bind` makes the plan).

Shape only: every name is unchecked, every operand still the body's own value, every time still text. `at` fields are JSON
pointers into the body, for the errors that binding finds.
"""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field as member

from query.catalog import SourceRef
from query.expr import Arithmetic, Predicate
from query.plan import Aggregation, FillMode, Key, Options, Order


@dataclass(frozen=True, slots=True)
class TimeRange:
    """`start` and `end` are RFC 3339 or `now-1h/h`; None is open. `field` None is the kind's default."""

    start: str | None = None
    end: str | None = None
    field: str | None = None
    at: str = member(default="/time_range", compare=False)


@dataclass(frozen=True, slots=True)
class SelectField:
    name: str
    at: str = member(default="", compare=False)


@dataclass(frozen=True, slots=True)
class SelectExpression:
    """`expression` as a tree; `text` as it was written."""

    name: str
    expression: Arithmetic
    text: str = ""
    at: str = member(default="", compare=False)


SelectItem = SelectField | Aggregation | SelectExpression


@dataclass(frozen=True, slots=True)
class FillClause:
    mode: FillMode
    value: float | int | None = None
    at: str = member(default="/fill", compare=False)


@dataclass(frozen=True, slots=True)
class Question:
    """One query over one source. `select` None means every field. `limit` None means the default (100)."""

    source: SourceRef
    time_range: TimeRange | None = None
    where: Predicate | None = None
    group_by: tuple[Key, ...] = ()
    select: tuple[SelectItem, ...] | None = None
    having: Predicate | None = None
    fill: FillClause | None = None
    order_by: tuple[Order, ...] = ()
    limit: int | None = None
    options: Options = member(default_factory=Options)
    at: str = member(default="", compare=False)

    @property
    def grouped(self) -> bool:
        """Whether it answers groups: with keys, or with any aggregate selected."""
        return bool(self.group_by) or any(isinstance(item, Aggregation) for item in self.select or ())
