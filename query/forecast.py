"""What stores told of their rows, as a forecast of what a plan will cost. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Literal, assert_never

from libs.buckets import bucket_count
from libs.context import Limits
from libs.errors import CostError
from libs.result import NS_PER, Batch
from query.catalog import SourceRef
from query.costs import SLACK, Demand, Facts, GroupsDemand, JoinDemand, Probe, RowsDemand
from query.plan import BucketKey, Scan

Json = Any
What = Literal["rows fetched", "groups", "joined rows"]
_HINTS: dict[What, str] = {
    "rows fetched": "narrow the time range or the filter, or use only what the store can do by itself (/explain tells why not)",
    "groups": "use wider buckets or a narrower time range, fewer keys, or a narrower filter",
    "joined rows": "join by more keys, group a side by its keys first, or narrow either side",
}


@dataclass(frozen=True, slots=True)
class Forecast:
    """How many of something a plan makes: `at_least` for sure, `estimate` as far as the figures tell. `of` says of what."""

    what: What
    of: str
    at_least: int
    estimate: int
    limit: int
    at: str = ""
    source: str | None = None

    @property
    def refused(self) -> bool:
        """Whether it is sure to pass the limit, or estimated to pass it by far."""
        return self.at_least > self.limit or self.estimate > SLACK * self.limit

    def error(self) -> CostError:
        figure = f"at least {self.at_least}" if self.at_least > self.limit else f"some {self.estimate}"
        return CostError(
            f"The query would cost {figure} {self.what} ({self.of}); the limit is {self.limit}.",
            pointer=self.at,
            hint=_HINTS[self.what],
            source=self.source,
        )

    def told(self) -> dict[str, Json]:
        """As JSON, for explain."""
        told = {"what": self.what, "of": self.of, "at_least": self.at_least, "estimate": self.estimate}
        return {**told, "limit": self.limit, "refused": self.refused}


def forecast(demand: Demand, facts: Mapping[Scan, Facts], limits: Limits) -> Forecast | None:
    """None where no store has told what it needs."""
    match demand:
        case RowsDemand(scans):
            return _rows(scans, facts, limits)
        case GroupsDemand():
            known = facts.get(demand.scan)
            return _groups(demand, known, limits) if known is not None else None
        case JoinDemand():
            return _joined(demand, facts, limits)
        case _:
            assert_never(demand)


def _rows(scans: Sequence[Scan], facts: Mapping[Scan, Facts], limits: Limits) -> Forecast | None:
    known = {scan: facts[scan].rows for scan in scans if scan in facts}
    if not known:
        return None
    rows = sum(known.values())
    of = " + ".join(f"{count} of {_named(scan.source)}" for scan, count in known.items())
    source = scans[0].source.instance if len(scans) == 1 else None
    return Forecast("rows fetched", of, rows, rows, limits.rows_fetched, source=source)


def _groups(demand: GroupsDemand, facts: Facts, limits: Limits) -> Forecast | None:
    """Keys of one row depend on each other as they like (a host and its rack), so that there are as many combinations as the
    store says, or as many as one of them has values; a bucket is met by each of them."""
    counted = [(name, facts.distinct[name]) for name in demand.fields if facts.distinct and name in facts.distinct]
    if demand.fields and not counted and facts.combinations is None:
        return None
    others, surely = others_of(demand, facts)
    parts = [f"{count} of {name!r}" for name, count in counted]
    if facts.combinations is not None:
        parts = [f"{facts.combinations} of {' and '.join(map(repr, demand.fields))}"]
    buckets = [_buckets(key, demand, facts) for key in demand.buckets]
    parts += [f"{count} buckets of {key.name!r}" for key, count in zip(demand.buckets, buckets, strict=True)]
    estimate = others * prod(buckets)
    if demand.fill is not None:
        surely *= prod(buckets)
    else:
        each = _groups_of_a_row(demand, facts)
        estimate = estimate if each is None else min(estimate, facts.rows * each)
    at = next((key.at for key in demand.keys if key.at), "/group_by")
    of = f"{', '.join(parts)} in {facts.rows} rows"
    source = demand.scan.source.instance
    return Forecast("groups", of, surely, max(estimate, surely), limits.groups, at, source)


def _groups_of_a_row(demand: GroupsDemand, facts: Facts) -> int | None:
    """How many groups one row may be in: one, but for lists, of which it may hold every value that there is. None where
    that is not known."""
    typed = demand.scan.typed
    if any(typed(key.field).type.multi for key in demand.buckets):
        return None
    lists = [name for name in demand.fields if typed(name).type.multi]
    if any(name not in (facts.distinct or {}) for name in lists):
        return None
    return prod(max((facts.distinct or {})[name], 1) for name in lists)


def others_of(demand: GroupsDemand, facts: Facts) -> tuple[int, int]:
    """The combinations of the keys that are no buckets, and how many there are for sure."""
    if not demand.fields:
        return 1, min(1, facts.rows)
    if facts.combinations is not None:
        return facts.combinations, facts.combinations
    most = max(((facts.distinct or {}).get(name, 0) for name in demand.fields), default=0)
    return most, most - most // 20 if facts.approximate else most


def _buckets(key: BucketKey, demand: GroupsDemand, facts: Facts) -> int:
    """The buckets of the range, as far as there are rows in it unless the absent ones are filled."""
    bounds = demand.scan.bounds if demand.scan.bounds and demand.scan.bounds.field == key.field else None
    start, end = (bounds.start, bounds.end) if bounds is not None else (None, None)
    if demand.fill is not None:
        return bucket_count(demand.fill.start, demand.fill.end, key.width)
    if facts.first is not None and facts.last is not None:
        start = facts.first if start is None else max(start, facts.first)
        end = facts.last + 1 if end is None else min(end, facts.last + 1)
    if start is None or end is None:
        return max(facts.rows, 1)
    return max(bucket_count(start, end, key.width), 1)


def _joined(demand: JoinDemand, facts: Mapping[Scan, Facts], limits: Limits) -> Forecast | None:
    """As if every key of the side with fewer were met, and each as often as any other."""
    left, right = facts.get(demand.left), facts.get(demand.right)
    if left is None or right is None:
        return None
    values = [(left.distinct or {}).get(key.left) for key in demand.join.on]
    values += [(right.distinct or {}).get(key.right) for key in demand.join.on]
    found = [value for value in values if value is not None]
    if len(found) < len(values):
        return None
    rows = left.rows * right.rows // max(*found, 1)
    at_least = left.rows if demand.join.how == "left" else 0
    of = f"{left.rows} rows with {right.rows} of {demand.join.alias!r}, by {max(*found, 1)} keys"
    return Forecast("joined rows", of, at_least, max(rows, at_least), limits.joined_rows, demand.join.at)


def _named(source: SourceRef) -> str:
    return "/".join((source.instance, *source.target))


def facts_of(probe: Probe, batches: Sequence[Batch]) -> Facts:
    """What the answer to a probe says."""
    rows: list[tuple[Any, ...]] = [row for batch in batches for row in batch.rows()]
    if probe.grouped:
        return Facts(sum(row[-1] or 0 for row in rows), combinations=len(rows))
    if not rows:
        return Facts()
    schema = batches[0].schema
    cells = {column.name: cell for column, cell in zip(schema, rows[0], strict=True)}
    ends: dict[str, int | None] = {}
    for column in schema:
        if column.name in ("first", "last"):
            per = NS_PER[column.type.unit]
            cell = cells[column.name]
            ends[column.name] = None if cell is None else cell * per + (per - 1 if column.name == "last" else 0)
    return Facts(
        cells["rows"] or 0,
        {name: cells[f"d{at}"] or 0 for at, name in enumerate(probe.fields)},
        first=ends.get("first"),
        last=ends.get("last"),
        approximate=any(column.approximate for column in schema),
    )
