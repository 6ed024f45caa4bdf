"""Order and limit, and which rows may change places.

Missing sorts last in both directions, a multi-valued field by its least value ascending and its greatest descending. Rows with
equal sort keys are a tie class, whose order no answer promises; so are neighbours whose first different key is a float that differs by
no more than its allowed error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from unittest_.reference.tables import Answer, Column, FieldSpec, Refused, Row, Scope, values_of
from unittest_.reference.times import written


def ranked(columns: list[Column], scope: Scope, order_by: Sequence[Any], limit: int) -> Answer:
    """All rows in order, formatted for the outside."""
    items = [_item(item, scope.fields) for item in order_by]
    places = list(range(len(scope.rows)))
    keys = [[_key(row, name, descending) for name, descending in items] for row in scope.rows]
    for i in reversed(range(len(items))):
        present = [at for at in places if keys[at][i] is not None]
        present.sort(key=lambda at, i=i: keys[at][i], reverse=items[i][1])  # type: ignore[misc]
        places = present + [at for at in places if keys[at][i] is None]
    ties, tie = [], -1
    for position, at in enumerate(places):
        if position == 0 or not _tied(
            keys[places[position - 1]], keys[at], _errors(scope, places[position - 1], at, items)
        ):
            tie += 1
        ties.append(tie)
    cells = [{column.name: outside(scope.rows[at].get(column.name), column) for column in columns} for at in places]
    return Answer(columns, cells, ties, [scope.slack[at] for at in places], limit)


def _item(item: Any, fields: Mapping[str, FieldSpec]) -> tuple[str, bool]:
    if isinstance(item, str):
        item = {"field": item}
    name = item["field"]
    spec = fields.get(name)
    if spec is None:
        raise Refused("FIELD_UNKNOWN", name)
    if spec.role == "text":
        raise Refused("FIELD_NOT_FILTERABLE", name)
    if spec.type == "json":
        raise Refused("TYPE_MISMATCH", name)
    return name, item.get("dir", "asc") == "desc"


def _key(row: Row, name: str, descending: bool) -> Any:
    values = values_of(row, name)
    if not values:
        return None
    return max(values) if descending else min(values)


def _errors(scope: Scope, a: int, b: int, items: Sequence[tuple[str, bool]]) -> list[float]:
    return [scope.slack[a].get(name, 0.0) + scope.slack[b].get(name, 0.0) for name, _ in items]


def _tied(a: list[Any], b: list[Any], errors: list[float]) -> bool:
    for x, y, error in zip(a, b, errors, strict=True):
        if x != y:
            return x is not None and y is not None and error > 0 and abs(x - y) <= error
    return True


def outside(value: Any, column: Column) -> Any:
    """A cell as the answer shows it: null for a missing value, a list in a multi-valued column, a timestamp as text."""
    if value is None:
        return None
    if column.type == "timestamp":
        return [written(one) for one in value] if isinstance(value, list) else written(value)
    return value
