"""`first` and `last`: the value at the least or the greatest time, as the one top hit of a bucket. Pure.

Rows count that have a time and a value; of several at that time the greatest value does, which the store sorts as we do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from libs.result import Cell
from query.es import single
from query.es.mapping import EsField
from query.es.predicates import Clause, native_of
from query.es.rows import sortable
from query.plan import Aggregation, Scan


def unfit_for_ends(aggregate: Aggregation, scan: Scan) -> str:
    """Why the store has no exact `first` or `last` here; empty when it has."""
    assert aggregate.field is not None
    if aggregate.time is None:
        return "the source has no time"
    fields = [scan.typed(aggregate.field), scan.typed(aggregate.time)]
    if any(field.type.multi for field in fields):
        return "lists have no one value at a time"
    return next((reason for field in fields if (reason := sortable(native_of(field)))), "")


def end_request(aggregate: Aggregation, scan: Scan) -> Clause:
    """The aggregation: those rows alone, and of them one hit."""
    assert aggregate.field is not None
    assert aggregate.time is not None
    value, time = native_of(scan.typed(aggregate.field)), native_of(scan.typed(aggregate.time))
    hit = {
        "size": 1,
        "sort": [{time.path: "asc" if aggregate.function == "first" else "desc"}, {value.path: "desc"}],
        "_source": False,
    }
    present: list[Clause] = [{"exists": {"field": path}} for path in dict.fromkeys((value.path, time.path))]
    return {"filter": {"bool": {"filter": present}}, "aggs": {"hit": {"top_hits": hit}}}


def end_value(native: EsField) -> Callable[[Mapping[str, Any]], Cell]:
    """The value out of the aggregation's answer, where the hit was sorted by it; None of nothing."""
    convert = _OF_SORT.get(native.kind, _same)

    def value(found: Mapping[str, Any]) -> Cell:
        hits = found["hit"]["hits"]["hits"]
        return convert(hits[0]["sort"][1]) if hits else None

    return value


def _same(value: Any) -> Cell:
    cell: Cell = value
    return cell


_OF_SORT: Mapping[str, Callable[[Any], Cell]] = {
    "boolean": bool,
    "double": lambda value: float(value) + 0.0,
    "float": lambda value: single.shortest(float(value)),
}
