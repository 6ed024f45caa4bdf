"""Groups of a source whose parts type a used field differently: each part makes its own, which are folded here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from libs.result import FLOAT64, INT64, Type, TypeName
from query.backend import Capabilities, Pushdown
from query.catalog import Field, Table
from query.expr import Binary, Name
from query.plan import (
    Aggregate,
    AggregateName,
    Aggregation,
    Attempt,
    BucketKey,
    FieldKey,
    Grouping,
    Key,
    Merge,
    Output,
    Plan,
    Project,
    Scan,
)
from query.rules.filters import in_part
from query.rules.rewrite import absorbing, bottom_up
from query.schema import schema_of

# What each aggregate is made of in a part, and by what those fold.
_PARTIALS: Mapping[AggregateName, tuple[AggregateName, ...]] = {
    "count": ("count",),
    "sum": ("sum",),
    "min": ("min",),
    "max": ("max",),
    "avg": ("sum", "count"),
}
_FOLDS: Mapping[AggregateName, AggregateName] = {"count": "sum", "sum": "sum", "min": "min", "max": "max"}


def fold_parts(plan: Plan, capabilities: Mapping[str, Capabilities]) -> Plan:
    """Where every part can make the groups exactly, they do; where one has to prove it first, rows stand by."""

    def step(node: Plan) -> Plan:
        match node:
            case Aggregate(Merge(items), group) if all(one.function in _PARTIALS for one in group.aggregates):
                parts = [item for item in items if isinstance(item, Scan)]
                if len(parts) == len(items):
                    return _folded(node, parts, group, capabilities) or node
        return node

    return bottom_up(plan, step)


def _folded(node: Plan, parts: list[Scan], group: Grouping, capabilities: Mapping[str, Capabilities]) -> Plan | None:
    scans: list[Scan] = []
    doubts: list[str] = []
    for part in parts:
        partial = _partial(group, part)
        if part.group is not None or part.order or part.limit is not None or partial is None:
            return None
        verdict = capabilities[part.source.instance].pushdown(partial, part)
        if verdict.level is not Pushdown.EXACT:
            return None
        if verdict.checked:
            doubts.append(verdict.reason)
        scans.append(absorbing(part, columns=(), group=partial))
    folded = _fold(node, scans, group)
    return Attempt(folded, node, "; ".join(dict.fromkeys(doubts))) if doubts else folded


def _partial(group: Grouping, part: Scan) -> Grouping | None:
    """What a part makes: the keys in its own units, the partial aggregates and their filters in its own types. None where
    a filter means something else there."""
    made: list[Aggregation] = []
    for at, one in enumerate(group.aggregates):
        where = None if one.where is None else in_part(one.where, part)
        if where is None and one.where is not None:
            return None
        for function, name in _partials(one, at):
            made.append(replace(one, function=function, name=name, where=where, type=_type(function, one, part)))
    return Grouping(tuple(_own(key, part) for key in group.keys), tuple(made))


def _partials(one: Aggregation, at: int) -> list[tuple[AggregateName, str]]:
    """The partial aggregates by names that no field can have."""
    return [(function, f"\0{at}{function}") for function in _PARTIALS[one.function]]


def _own(key: Key, part: Scan) -> Key:
    return replace(key, unit=part.typed(key.field).type.unit) if isinstance(key, BucketKey) else key


def _type(function: AggregateName, one: Aggregation, part: Scan) -> Type:
    if function == "count" or one.field is None:
        return INT64
    held = part.typed(one.field).type.single()
    if function == "sum":
        return INT64 if held.name is TypeName.INT64 else FLOAT64
    return held


def _fold(node: Plan, scans: list[Scan], group: Grouping) -> Plan:
    """The parts' groups under the types of the whole, folded, and columns as before."""
    before = {column.name: column.type for column in schema_of(node)}
    held = {key.name: before[key.name] for key in group.keys}
    folds: list[Aggregation] = []
    outputs = [Output(key.name) for key in group.keys]
    for at, one in enumerate(group.aggregates):
        for function, name in _partials(one, at):
            kind = INT64 if function == "count" else before[one.name]
            held[name] = kind
            output = name if one.function == "avg" else one.name
            folds.append(Aggregation(_FOLDS[function], name, output, type=kind))
        mean = Binary("/", *(Name(name) for _, name in _partials(one, at))) if one.function == "avg" else None
        outputs.append(Output(one.name, mean))
    whole = scans[0].table
    assert whole is not None
    table = Table(whole.source, whole.kind, {name: Field(name, kind) for name, kind in held.items()})
    keys = tuple(FieldKey(key.name) for key in group.keys)
    return Project(Aggregate(Merge(tuple(scans), table), Grouping(keys, tuple(folds))), tuple(outputs))
