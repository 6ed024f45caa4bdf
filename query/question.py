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
from query.plan_joins import Direction, How, Normalization, OverFunction


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


@dataclass(frozen=True, slots=True)
class SelectOver:
    """Along the time bucket, in each series; `window` is in buckets."""

    function: OverFunction
    of: str
    window: int | None
    name: str
    at: str = member(default="", compare=False)


SelectItem = SelectField | Aggregation | SelectExpression | SelectOver


@dataclass(frozen=True, slots=True)
class FillClause:
    mode: FillMode
    value: float | int | None = None
    at: str = member(default="/fill", compare=False)


@dataclass(frozen=True, slots=True)
class TopClause:
    """The first `n` groups by the output `by`, in each combination of the keys `per`."""

    by: str
    n: int
    per: tuple[str, ...] = ()
    descending: bool = True
    at: str = member(default="/top", compare=False)


@dataclass(frozen=True, slots=True)
class Then:
    """What shapes joined rows, or those of a union, further."""

    where: Predicate | None = None
    group_by: tuple[Key, ...] = ()
    select: tuple[SelectItem, ...] | None = None
    having: Predicate | None = None
    top: TopClause | None = None
    order_by: tuple[Order, ...] = ()
    at: str = member(default="/then", compare=False)


@dataclass(frozen=True, slots=True)
class JoinOn:
    left: str
    right: str
    at: str = member(default="", compare=False)


@dataclass(frozen=True, slots=True)
class AsofClause:
    """`tolerance_ns` is inclusive."""

    left: str
    right: str
    direction: Direction
    tolerance_ns: int
    at: str = member(default="", compare=False)


@dataclass(frozen=True, slots=True)
class JoinClause:
    """`right` is the question of `with`, which has no limit unless it says one; `alias` prefixes its columns."""

    how: How
    alias: str
    right: Question
    on: tuple[JoinOn, ...] = ()
    many: bool = False
    normalize: tuple[Normalization, ...] = ()
    asof: AsofClause | None = None
    at: str = member(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Question:
    """One query. `select` None means every field. `limit` None means the default (100).

    With `joins`, all but `order_by` and `limit` shape the left side; those two apply to what `then` makes of the joined rows.
    With `union` there is no source of its own, and none of the clauses that would shape its rows.
    """

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
    top: TopClause | None = None
    joins: tuple[JoinClause, ...] = ()
    then: Then | None = None
    union: tuple[Question, ...] = ()
    at: str = member(default="", compare=False)

    @property
    def grouped(self) -> bool:
        """Whether it answers groups: with keys, or with any aggregate selected."""
        return bool(self.group_by) or any(isinstance(item, Aggregation) for item in self.select or ())


def sources(question: Question) -> tuple[SourceRef, ...]:
    """Every source that the question reads, each once, the left ones first."""
    if not question.joins and not question.union:
        return (question.source,)
    found = [] if question.union else [question.source]
    for part in (*question.union, *(clause.right for clause in question.joins)):
        found += sources(part)
    return tuple(dict.fromkeys(found))
