"""Groups: keys and aggregates as composite pages, or one search without keys; their buckets as columns. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from libs.buckets import bucket_start
from libs.result import Cell, Schema
from query.backend import EXACT, NotProven, Pushdown, UnsupportedPart, Verdict
from query.es import single
from query.es.aggregates import APPROXIMATE, Number, Requests, aggregate_verdict, measure
from query.es.predicates import Clause, native_of
from query.plan import BucketKey, FieldKey, Grouping, Key, Order, Scan
from query.schema import schema_of

# Raises NotProven for a bucket whose numbers may be others than ours.
Proof = Callable[[Mapping[str, Any]], None]
_KEYS = frozenset({"keyword", "text", "integer", "double", "float", "boolean", "date", "ip"})
# In whose order the store's composite keys come.
_ORDERED = _KEYS - {"ip"}
_ZERO = Verdict(Pushdown.EXACT, "the store keeps -0.0 and 0.0 apart", checked=True)
_ZONE = Verdict(Pushdown.EXACT, "the store's time zones need not be ours", checked=True)
# Sub-aggregations of a page times its groups stay below `search.max_buckets` (65,536).
_BUCKETS_A_PAGE = 60_000
_MOST_KEYS_A_PAGE = 10_000


def grouping_verdict(group: Grouping, scan: Scan) -> Verdict:
    """Whether the store makes these groups exactly: as sure as the least sure of its parts."""
    found = EXACT
    for judged in (
        *(_key_verdict(key, scan) for key in group.keys),
        *(aggregate_verdict(aggregate, scan) for aggregate in group.aggregates),
    ):
        if judged.level is not Pushdown.EXACT:
            return judged
        reason = found.reason or judged.reason
        found = Verdict(
            Pushdown.EXACT, reason, found.checked or judged.checked, found.approximate or judged.approximate
        )
    return found


def _key_verdict(key: Key, scan: Scan) -> Verdict:
    native = native_of(scan.typed(key.field))
    if not native.columnar or not native.path or native.coerced:
        return _no(key, "the field has no doc values, or not the values themselves")
    if isinstance(key, BucketKey):
        if native.kind not in ("date", "date_nanos"):
            return _no(key, "not a time")
        return EXACT if key.tz == "UTC" else _ZONE
    if native.kind not in _KEYS:
        return _no(
            key, "the store answers milliseconds" if native.kind == "date_nanos" else "the store has no such keys"
        )
    return _ZERO if native.kind in ("double", "float") else EXACT


def _no(key: Key, reason: str) -> Verdict:
    return Verdict(Pushdown.UNSUPPORTED, f"{key.name}: {reason}")


def group_order_verdict(order: Sequence[Order], limit: int | None, scan: Scan) -> Verdict:
    """The first groups by their keys."""
    assert scan.group is not None
    keys = {key.name: key for key in scan.group.keys}
    if limit is None or not order or not keys:
        return Verdict(Pushdown.UNSUPPORTED, "whole sets of groups are ordered here")
    for part in order:
        key = keys.get(part.field)
        if key is None or (isinstance(key, FieldKey) and native_of(scan.typed(key.field)).kind not in _ORDERED):
            return Verdict(Pushdown.UNSUPPORTED, f"the store cannot order groups by {part.field}")
    return EXACT


@dataclass(frozen=True, slots=True)
class GroupsRequest:
    """What a grouped scan asks. `sources` is empty without keys. `size` is a page's, `most` the limit."""

    sources: tuple[Clause, ...]
    inner: Mapping[str, Clause]
    size: int
    most: int | None
    decoder: GroupDecoder

    def body(self, query: Clause | None, after: Any = None) -> dict[str, Any]:
        """The search's body; the `after` of a page is the key that the one before ended with."""
        body: dict[str, Any] = {"size": 0, "track_total_hits": not self.sources}
        if query is not None:
            body["query"] = {"bool": {"filter": [query]}}
        if self.sources:
            composite: dict[str, Any] = {"size": self.size, "sources": list(self.sources)}
            if after is not None:
                composite["after"] = after
            body["aggs"] = {"groups": {"composite": composite}}
            if self.inner:
                body["aggs"]["groups"]["aggs"] = dict(self.inner)
        elif self.inner:
            body["aggs"] = dict(self.inner)
        return body


def compile_groups(scan: Scan) -> GroupsRequest:
    """Raises UnsupportedPart."""
    group, table = scan.group, scan.table
    assert group is not None
    assert table is not None
    judged = grouping_verdict(group, scan)
    if judged.level is Pushdown.EXACT and (scan.order or scan.limit is not None):
        judged = group_order_verdict(scan.order, scan.limit, scan)
    if judged.level is not Pushdown.EXACT:
        raise UnsupportedPart(judged.reason)
    requests = Requests()
    numbers = [measure(aggregate, scan, table, requests) for aggregate in group.aggregates]
    proofs = _zone_proofs(group, scan, requests)
    inner = requests.named
    sources = tuple(_sources(scan, group))
    size = max(1, min(_MOST_KEYS_A_PAGE, _BUCKETS_A_PAGE // (1 + len(inner))))
    if scan.limit is not None:
        size = min(size, scan.limit)
    estimated = {aggregate.name for aggregate in group.aggregates if aggregate.function in APPROXIMATE}
    schema = tuple(replace(column, approximate=column.name in estimated) for column in schema_of(scan))
    decoder = GroupDecoder(schema, [_cell(key, scan) for key in group.keys], numbers, proofs)
    return GroupsRequest(sources, inner, size, scan.limit, decoder)


def _sources(scan: Scan, group: Grouping) -> list[Clause]:
    """The keys, those that order first; named by their position among the keys."""
    directions = {part.field: "desc" if part.descending else "asc" for part in scan.order}
    ranks = {name: rank for rank, name in enumerate(directions)}
    places = sorted(range(len(group.keys)), key=lambda at: ranks.get(group.keys[at].name, len(ranks)))
    sources: list[Clause] = []
    for at in places:
        key = group.keys[at]
        kind, spec = _source(key, scan)
        spec |= {"missing_bucket": True, "missing_order": "last", "order": directions.get(key.name, "asc")}
        sources.append({str(at): {kind: spec}})
    return sources


def _source(key: Key, scan: Scan) -> tuple[str, dict[str, Any]]:
    path = native_of(scan.typed(key.field)).path
    if isinstance(key, FieldKey):
        return "terms", {"field": path}
    if isinstance(key.width, int):
        return "date_histogram", {"field": path, "fixed_interval": f"{key.width // 10**9}s"}
    spec = {"field": path, "calendar_interval": key.width}
    return "date_histogram", spec if key.tz == "UTC" else spec | {"time_zone": key.tz}


def in_zones(group: Grouping) -> bool:
    """Whether a key depends on what the store knows of time zones."""
    return any(isinstance(key, BucketKey) and key.tz != "UTC" for key in group.keys)


def _zone_proofs(group: Grouping, scan: Scan, requests: Requests) -> list[Proof]:
    """The earliest and the latest time in each bucket of a zone must lie in our bucket of that start."""
    proofs: list[Proof] = []
    for at, key in enumerate(group.keys):
        if isinstance(key, BucketKey) and key.tz != "UTC":
            path = native_of(scan.typed(key.field)).path
            ends = (requests.name({"min": {"field": path}}), requests.name({"max": {"field": path}}))
            proofs.append(_zone_proof(str(at), key, ends))
    return proofs


def _zone_proof(name: str, key: BucketKey, ends: tuple[str, str]) -> Proof:
    def prove(bucket: Mapping[str, Any]) -> None:
        start = bucket["key"][name]
        if start is not None:
            for end in ends:
                if bucket_start(int(bucket[end]["value"]) * 1_000_000, key.width, key.tz) != start * 1_000_000:
                    raise NotProven(f"a bucket of {key.tz} has other edges in the store")

    return prove


def _cell(key: Key, scan: Scan) -> Callable[[Any], Cell]:
    """From a composite key's value, which is not None."""
    if isinstance(key, BucketKey):
        return (lambda value: value * 1_000_000) if key.unit == "ns" else (lambda value: value)
    kind = native_of(scan.typed(key.field)).kind
    if kind in ("double", "float"):
        return _float_key(kind == "float")
    return lambda value: value


def _float_key(narrow: bool) -> Callable[[Any], Cell]:
    def cell(value: Any) -> Cell:
        if value == 0:
            raise NotProven("a group of zero, which may have another of -0.0 beside it")
        return single.shortest(value) if narrow else float(value)

    return cell


class GroupDecoder:
    """Buckets to columns: the keys, then the aggregates."""

    def __init__(
        self,
        schema: Schema,
        cells: Sequence[Callable[[Any], Cell]],
        numbers: Sequence[Number],
        proofs: Sequence[Proof] = (),
    ) -> None:
        self.schema = schema
        self._cells = cells
        self._numbers = numbers
        self._proofs = proofs

    def columns(self, buckets: Sequence[Mapping[str, Any]]) -> list[list[Cell]]:
        """Raises NotProven."""
        for prove in self._proofs:
            for bucket in buckets:
                prove(bucket)
        columns: list[list[Cell]] = []
        for at, cell in enumerate(self._cells):
            name = str(at)
            keys = [bucket["key"][name] for bucket in buckets]
            columns.append([None if key is None else cell(key) for key in keys])
        columns.extend([number(bucket) for bucket in buckets] for number in self._numbers)
        return columns
