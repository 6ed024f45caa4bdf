"""Where a plan decides by what a store only estimates: filters, orders, tops and joins on approximate columns. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from libs.result import Column
from query.backend import Query
from query.expr import leaves, names
from query.plan import Filter, Plan, Project, Scan, Sort, inputs
from query.plan_joins import Join, Top
from query.rules.rewrite import added_by
from query.schema import joined_name


@dataclass(frozen=True, slots=True)
class Use:
    """`what` is decided by the column, whose values come from `source`."""

    what: str
    column: str
    source: str | None

    @property
    def message(self) -> str:
        return f"{self.what} by {self.column!r}, which is approximate; `options.exact` computes it exactly."


_Columns = dict[str, Column]


def approximate_uses(plan: Plan, queries: Mapping[Scan, Query]) -> tuple[Use, ...]:
    """Each use once, inner ones first. `queries` are the plan's scans compiled."""
    if not any(scan.group is not None and _estimated(query) for scan, query in queries.items()):
        return ()
    found: dict[Use, None] = {}
    _walk(plan, queries, found)
    return tuple(found)


def _estimated(query: Query) -> _Columns:
    return {column.name: column for column in query.schema if column.approximate}


def _walk(plan: Plan, queries: Mapping[Scan, Query], found: dict[Use, None]) -> _Columns:
    """The plan's approximate columns, its uses of such noted."""
    if isinstance(plan, Scan):
        return _estimated(queries[plan])
    below = [_walk(child, queries, found) for child in inputs(plan)]
    held = {name: column for columns in below for name, column in columns.items()}
    match plan:
        case Filter(_, where):
            _note("Rows are chosen", (leaf.field for leaf in leaves(where)), held, found)
        case Sort(_, order):
            _note("Rows are ordered", (key.field for key in order), held, found)
        case Top():
            _note("The first rows are chosen", (plan.by,), held, found)
        case Join():
            return _joined(plan, below[0], below[1], found)
        case Project():
            return _projected(plan, held)
        case _:
            pass
    return held


def _note(what: str, read: Iterable[str], held: _Columns, found: dict[Use, None]) -> None:
    for name in read:
        if name in held:
            found[Use(what, name, held[name].source)] = None


def _joined(join: Join, left: _Columns, right: _Columns, found: dict[Use, None]) -> _Columns:
    what = "Rows are joined"
    _note(what, (key.left for key in join.on), left, found)
    _note(what, (key.right for key in join.on), right, found)
    if join.asof is not None:
        _note(what, (join.asof.left,), left, found)
        _note(what, (join.asof.right,), right, found)
    added = {joined_name(join.alias, name): right[name] for name in added_by(join, join.right) if name in right}
    return {**left, **added}


def _projected(plan: Project, held: _Columns) -> _Columns:
    seen = dict(held)
    for output in plan.outputs:
        if output.expression is not None:
            read = [seen[name] for name in names(output.expression) if name in seen]
            seen.pop(output.name, None)
            if read:
                seen[output.name] = read[0]
    return {output.name: seen[output.name] for output in plan.outputs if output.name in seen}
