"""Binds one join: its keys and their types, its buckets, the times of an as-of join, and the names that come of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from libs.issues import Issues
from libs.result import TypeName
from query.bind_base import Side
from query.bind_names import check_sortable
from query.catalog import Field
from query.plan_joins import Asof, Join, JoinKey
from query.question import AsofClause, JoinClause, JoinOn
from query.schema import joined_name


def join_sides(left: Side, right: Side, clause: JoinClause, issues: Issues) -> Side:
    """The joined side; faults go to the issues."""
    for pair in clause.on:
        _check_pair(pair, left, right, clause, issues)
    _check_texts(clause, left, issues)
    asof = _asof(clause.asof, left, right, issues) if clause.asof is not None else None
    keys = {pair.right for pair in clause.on}
    told_apart = keys | ({asof.right} if asof is not None else set())
    join = Join(
        left.plan,
        right.plan,
        clause.how,
        tuple(JoinKey(pair.left, pair.right) for pair in clause.on),
        clause.alias,
        many=clause.many,
        unique=right.keys is not None and right.keys <= told_apart and not clause.normalize,
        normalize=clause.normalize,
        asof=asof,
        at=clause.at,
    )
    added = [name for name in right.outputs if name not in keys] if join.widens else []
    names = {name: joined_name(clause.alias, name) for name in added}
    taken = [new for new in names.values() if new in left.outputs or new in left.hidden]
    if taken:
        message = f"The join makes a second column {taken[0][:100]!r}."
        issues.add("NAME_CLASH", message, clause.at + "/as", "give the join another name with `as`")
    outputs = {**left.outputs, **{new: replace(right.outputs[old], name=new) for old, new in names.items()}}
    buckets = {names[name]: bucket for name, bucket in right.buckets.items() if name in names}
    return replace(
        left,
        plan=join,
        outputs=outputs,
        buckets={**left.buckets, **buckets},
        keys=None if clause.many else left.keys,
    )


def _output(name: str, outputs: Mapping[str, Field], side: str, at: str, issues: Issues) -> Field | None:
    """The output of a side that can be a key."""
    found = outputs.get(name)
    if found is None:
        hint = issues.nearest(name, outputs) or "select it there"
        issues.add("FIELD_UNKNOWN", f"The {side} side answers no column {name[:100]!r}.", at, hint)
        return None
    if found.type.multi:
        message = f"{name[:100]!r} of the {side} side holds several values; a key holds one."
        issues.add("TYPE_MISMATCH", message, at, "group by it first: each value is a group")
        return None
    return found if check_sortable(found, at, issues) else None


def _check_pair(pair: JoinOn, left: Side, right: Side, clause: JoinClause, issues: Issues) -> None:
    """Whether two columns can be compared for equality."""
    a = _output(pair.left, left.outputs, "left", pair.at, issues)
    b = _output(pair.right, right.outputs, "right", pair.at, issues)
    if a is None or b is None:
        return
    if a.type.name is not b.type.name and not (a.type.numeric and b.type.numeric):
        message = f"{pair.left[:100]!r} holds {a.type.name}, {pair.right[:100]!r} holds {b.type.name}."
        issues.add("JOIN_INVALID", message, pair.at, "join by keys of one type")
        return
    one, other = left.buckets.get(pair.left), right.buckets.get(pair.right)
    if (one and (one.width, one.tz)) != (other and (other.width, other.tz)):
        message = f"{pair.left[:100]!r} and {pair.right[:100]!r} are not the starts of equal buckets."
        issues.add("BUCKET_INVALID", message, pair.at, "use the same `time_bucket` and `tz` on both sides, or `asof`")


def _check_texts(clause: JoinClause, left: Side, issues: Issues) -> None:
    found = [left.outputs[pair.left] for pair in clause.on if pair.left in left.outputs]
    if clause.normalize and not any(field.type.name is TypeName.STRING for field in found):
        message = "`normalize` changes texts, and no key is one."
        issues.add("JOIN_INVALID", message, clause.at + "/normalize", "leave it away")


def _asof(clause: AsofClause, left: Side, right: Side, issues: Issues) -> Asof:
    for name, side, outputs in (("left", "left", left.outputs), ("right", "right", right.outputs)):
        column = clause.left if name == "left" else clause.right
        field = _output(column, outputs, side, f"{clause.at}/{name}", issues)
        if field is not None and field.type.name is not TypeName.TIMESTAMP:
            message = f"{column[:100]!r} holds {field.type.name}, not times."
            issues.add("TYPE_MISMATCH", message, f"{clause.at}/{name}", "name a timestamp")
    return Asof(clause.left, clause.right, clause.direction, clause.tolerance_ns)
