"""Binds a union: one schema of all parts, and the column that tells them apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from libs.issues import Issues
from libs.result import STRING
from query.bind_base import Side
from query.catalog import Field
from query.plan_joins import Union
from query.question import Question
from query.schema import widened

SOURCE = "source"


def unite(parts: Sequence[tuple[Question, Side]], issues: Issues) -> Side:
    """The union of the parts; faults go to the issues."""
    outputs: dict[str, Field] = {}
    for question, side in parts:
        if SOURCE in side.outputs:
            message = "The union adds a column 'source', and this query answers one too."
            issues.add("NAME_CLASH", message, question.at, "leave it out of `select`, or compute another")
        for name, field in side.outputs.items():
            outputs[name] = _both(outputs[name], field, question, issues) if name in outputs else field
    sides = [side for _, side in parts]
    outputs.pop(SOURCE, None)
    outputs[SOURCE] = Field(SOURCE, STRING)
    plan = Union(tuple(side.plan for side in sides), tuple(_label(question, side) for question, side in parts))
    times = {side.time for side in sides}
    return Side(
        plan,
        outputs,
        times.pop() if len(times) == 1 else None,
        tuple(name for name in sides[0].order if all(name in side.order and name in side.outputs for side in sides)),
        buckets={
            name: bucket
            for name, bucket in sides[0].buckets.items()
            if all(_same(bucket, side.buckets.get(name)) for side in sides)
        },
        label=_label(*parts[0]),
    )


def _both(one: Field, other: Field, question: Question, issues: Issues) -> Field:
    kind = widened(one.type, other.type)
    if kind is None:
        message = f"{one.name[:100]!r} holds {one.type.name} in a query before, and {other.type.name} in this."
        issues.add("FIELD_TYPE_CONFLICT", message, question.at, "leave it out of one of them")
        return one
    ops = one.ops if one.ops == other.ops else None
    return replace(
        one, type=kind, exact=one.exact and other.exact, ops=ops, address=one.address and other.address, native=None
    )


def _same(one: object, other: object) -> bool:
    widths = [(getattr(each, "width", None), getattr(each, "tz", None)) for each in (one, other)]
    return widths[0] == widths[1]


def _label(question: Question, side: Side) -> str:
    return side.label or "/".join((question.source.instance, *question.source.target))
