"""A scan as a query of Elasticsearch. Pure; raises UnsupportedPart for what the capabilities do not declare."""

from __future__ import annotations

from dataclasses import replace

from query.backend import Pushdown, Query, UnsupportedPart
from query.es.aggregates import scripted
from query.es.capabilities import ordering_verdict
from query.es.catalog import EsTable
from query.es.group_query import GroupsQuery
from query.es.groups import compile_groups, in_zones
from query.es.predicates import PATTERNS, clause, native_of, verdict
from query.es.query import RowsQuery
from query.es.rows import sort_of
from query.es.search import Asked, EsSource
from query.expr import conjuncts, leaves
from query.plan import Scan


def compile_scan(scan: Scan, source: EsSource) -> Query:
    """The query of a bound scan."""
    if scan.group is not None:
        return compile_group(scan, source)
    return compile_rows(scan, source)


def compile_rows(scan: Scan, source: EsSource) -> RowsQuery:
    """Rows: a page of them, or all."""
    judged = ordering_verdict(scan.order, scan.limit, scan) if scan.order else None
    if judged is not None and judged.level is not Pushdown.EXACT:
        raise UnsupportedPart(judged.reason)
    sort, floats = sort_of(scan.order, scan)
    asked = asked_of(scan, frozenset(key.field for key in scan.order))
    return RowsQuery(source, asked, tuple(sort), scan.limit, floats)


def compile_group(scan: Scan, source: EsSource) -> GroupsQuery:
    """Keys and aggregates, or aggregates alone."""
    group = scan.group
    assert group is not None
    deciding = {key.field for key in group.keys}
    for aggregate in group.aggregates:
        deciding |= {leaf.field for leaf in leaves(aggregate.where)}
        deciding |= {name for name in (aggregate.field, aggregate.time) if name is not None}
    asked = asked_of(scan, frozenset(deciding))
    # The store may know no zone of that name, and run no scripts.
    asked = replace(asked, refusable=asked.refusable or in_zones(group) or scripted(group.aggregates, scan))
    return GroupsQuery(source, asked, compile_groups(scan))


def asked_of(scan: Scan, deciding: frozenset[str]) -> Asked:
    """The filter of a scan; `deciding` are the further fields whose values decide the answer."""
    assert scan.table is not None
    table = scan.table
    parts = [clause(part, table) for part in conjuncts(scan.where)]
    note = table.native
    assert isinstance(note, EsTable)
    if note.wider:
        parts.insert(0, {"terms": {"_index": list(note.indices)}})
    query = None if not parts else parts[0] if len(parts) == 1 else {"bool": {"filter": parts}}
    found = leaves(scan.where)
    if scan.group is not None:
        found += tuple(leaf for aggregate in scan.group.aggregates for leaf in leaves(aggregate.where))
    used = deciding | {leaf.field for leaf in found}
    guarded = frozenset(name for field in used for name in native_of(scan.typed(field)).ignored)
    refusable = any(leaf.op in PATTERNS and verdict(leaf, scan.typed(leaf.field)).checked for leaf in found)
    return Asked(scan, query, guarded, refusable)
