"""What the steps of a question start from, and what they make: one side of a join, or the whole of a plain query.

Not frozen, since they are made for every request, and a frozen dataclass costs a call for each member.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from libs.context import Limits
from libs.issues import Issues
from query.bind_names import SourceFields
from query.bind_source import Span
from query.catalog import Catalog, Field
from query.expr import Predicate
from query.plan import Bounds, BucketKey, Plan

_NOTHING: Mapping[str, Any] = MappingProxyType({})


def _none() -> Mapping[str, Any]:
    return _NOTHING


@dataclass(slots=True)
class Binding:
    """What holds for all sides of a request. `forced` are the conjuncts that every scan of an instance gets, whatever the
    body says. `alone`: there is one side, and nobody asks for more of it than its plan."""

    catalog: Catalog
    now_ns: int
    limits: Limits
    issues: Issues
    forced: Mapping[str, tuple[Predicate, ...]] = field(default_factory=_none)
    alone: bool = False


@dataclass(slots=True)
class Base:
    """Rows that a question's steps work on: a source's, or joined ones. `read` answers their plan with at least the columns
    that are named, `where` is what holds for them so far, `order` names their default order."""

    fields: SourceFields
    read: Callable[[tuple[str, ...]], Plan]
    span: Span
    where: Predicate | None = None
    order: tuple[str, ...] = ()
    buckets: Mapping[str, BucketKey] = field(default_factory=_none)


@dataclass(slots=True)
class Side:
    """What a question makes. `outputs` are its columns in order; `hidden` stand beside them, for the order of joined rows.
    `buckets` are the outputs that are starts of buckets, `keys` outputs that tell its rows apart (None: not known)."""

    plan: Plan
    outputs: Mapping[str, Field]
    time: str | None = None
    order: tuple[str, ...] = ()
    keys: frozenset[str] | None = None
    buckets: Mapping[str, BucketKey] = field(default_factory=_none)
    hidden: Mapping[str, Field] = field(default_factory=_none)
    bounds: Bounds | None = None
    label: str = ""
