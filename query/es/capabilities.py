"""What is pushed down to Elasticsearch, part by part, with the reasons for what is not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from query.backend import EXACT, Capabilities, Ordering, Part, Pushdown, Verdict
from query.es.groups import group_order_verdict, grouping_verdict
from query.es.predicates import native_of, verdict
from query.es.query import MOST_A_PAGE
from query.es.rows import FLOATS, sortable
from query.expr import Compare
from query.plan import Grouping, Order, Scan

_ZERO = Verdict(Pushdown.EXACT, "the store tells -0.0 from 0.0 when it sorts", checked=True)


@dataclass(frozen=True)
class EsCapabilities(Capabilities):
    """Answers out of the fields' own notes; the maps of the base class are not used."""

    def pushdown(self, part: Part, scan: Scan) -> Verdict:
        match part:
            case Compare():
                return verdict(part, scan.typed(part.field))
            case Grouping():
                return grouping_verdict(part, scan)
            case Ordering(order, limit) if scan.group is not None:
                return group_order_verdict(order, limit, scan)
            case Ordering(order, limit):
                return ordering_verdict(order, limit, scan)
            case _:
                assert_never(part)


def ordering_verdict(order: tuple[Order, ...], limit: int | None, scan: Scan) -> Verdict:
    """Sorted rows are fetched up to a limit; a whole scan is faster sorted here."""
    if order and limit is None:
        return Verdict(Pushdown.UNSUPPORTED, "a whole scan is sorted here")
    for key in order:
        reason = sortable(native_of(scan.typed(key.field)))
        if reason:
            return Verdict(Pushdown.UNSUPPORTED, f"{key.field}: {reason}")
    if not any(native_of(scan.typed(key.field)).kind in FLOATS for key in order[:-1]):
        return EXACT
    return _ZERO if limit is not None and limit <= MOST_A_PAGE else Verdict(Pushdown.UNSUPPORTED, _ZERO.reason)
