"""Scans and the requests that Elasticsearch gets for them: golden cases, each also taken by the real server.

`python -m unittest_.test_es_compile` writes query/es/testdata/ anew; the difference is then read by someone.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from libs.context import RequestContext
from libs.result import BOOLEAN, FLOAT64, INT64, STRING, TIMESTAMP, TIMESTAMP_MS, Type
from query.backend import InstanceConfig, Ordering, Pushdown, UnsupportedPart
from query.catalog import SourceRef, Table
from query.es.backend import EsBackend
from query.es.catalog import table_of
from query.expr import FALSE, TRUE, And, Compare, Not, Op, Operand, Or, Predicate
from query.plan import Aggregation, BucketKey, FieldKey, Grouping, Order, Scan

INDEX = "golden-compile"
SOURCE = SourceRef("es", (INDEX,))
GOLDEN = Path(__file__).parent.parent / "query" / "es" / "testdata"
SETTINGS = {"number_of_replicas": 0, "analysis": {"normalizer": {"low": {"type": "custom", "filter": ["lowercase"]}}}}
MAPPINGS: dict[str, Any] = {
    "properties": {
        "@timestamp": {"type": "date"},
        "nanos": {"type": "date_nanos"},
        "host": {"type": "keyword"},
        "low": {"type": "keyword", "normalizer": "low"},
        "path": {"type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": 256}}},
        "body": {"type": "text"},
        "status": {"type": "short"},
        "bytes": {"type": "long"},
        "latency": {"type": "double"},
        "load": {"type": "float"},
        "half": {"type": "half_float"},
        "cached": {"type": "boolean"},
        "addr": {"type": "ip"},
        "stored": {"type": "keyword", "index": False, "doc_values": False},
        "geo": {"properties": {"city": {"type": "keyword"}}},
        "items": {"type": "nested", "properties": {"sku": {"type": "keyword"}}},
    }
}
T = 1_700_000_000_000


def table() -> Table:
    return table_of(SOURCE, INDEX, {INDEX: MAPPINGS})


def leaf(field: str, op: Op, value: Operand) -> Compare:
    return Compare(field, op, value, table().fields[field].type)


def rows(where: Predicate | None = None, *, columns: tuple[str, ...] = ("_id", "host"), **more: Any) -> Scan:
    return Scan(SOURCE, columns, where=where, table=table(), **{"limit": 11, **more})


def groups(*aggregates: Aggregation, keys: tuple[Any, ...] = (), **more: Any) -> Scan:
    return Scan(SOURCE, (), group=Grouping(keys, aggregates), table=table(), **more)


def agg(function: Any, field: str | None = None, name: str = "n", **more: Any) -> Aggregation:
    return Aggregation(function, field, name, **more)


CASES: dict[str, Scan] = {
    "rows": rows(columns=("_id", "@timestamp", "host", "path", "latency")),
    "rows_ids_alone": rows(columns=("_id",)),
    "rows_through_fields": rows(columns=("low", "half", "host")),
    "rows_of_a_whole_scan": rows(limit=None),
    "rows_ordered": rows(order=(Order("@timestamp", True), Order("path"))),
    "rows_ordered_by_integers": rows(order=(Order("bytes"), Order("nanos", True))),
    "rows_ordered_by_floats": rows(order=(Order("latency"), Order("host"))),
    "where_true_and_false": rows(And((TRUE, FALSE))),
    "where_not": rows(Not(Or((leaf("host", "eq", "a"), leaf("cached", "eq", True))))),
    "where_ne_and_nin": rows(And((leaf("host", "ne", "a"), leaf("status", "nin", (200, 304))))),
    "where_exists": rows(
        And((leaf("path", "exists", True), leaf("_id", "exists", True), leaf("addr", "exists", False)))
    ),
    "where_ids": rows(leaf("_id", "in", ("a", "b/c", ""))),
    "where_no_ids": rows(leaf("_id", "eq", "")),
    "where_text": rows(Or((leaf("path", "eq", "/a"), leaf("path", "ne", "/b"), leaf("body", "match", "quick fox")))),
    "where_phrase": rows(leaf("path", "match_phrase", "quick fox")),
    "where_strings": rows(
        And((leaf("host", "gte", "a"), leaf("host", "lt", "b"), leaf("geo.city", "between", ("a", "é"))))
    ),
    "where_addresses": rows(leaf("addr", "in", ("10.0.0.1", "2001:db8::1"))),
    "where_integers_past_their_width": rows(
        Or((leaf("status", "eq", 40000), leaf("status", "in", (200, 40000)), leaf("status", "lt", 40000)))
    ),
    "where_integers": rows(And((leaf("bytes", "between", (-(2**63), 2**63 - 1)), leaf("status", "gt", -40000)))),
    "where_zero": rows(And((leaf("latency", "eq", 0.0), leaf("latency", "lte", 0.0), leaf("latency", "gt", 0.0)))),
    "where_not_zero": rows(
        Or((leaf("latency", "lt", 0.0), leaf("latency", "gte", 0.0), leaf("latency", "in", (0.0, 1.5))))
    ),
    "where_single_floats": rows(Or((leaf("load", "eq", 0.1), leaf("load", "eq", 0.10000001), leaf("load", "lt", 0.1)))),
    "where_beyond_single_floats": rows(And((leaf("load", "lt", 1e300), leaf("load", "gt", -1e300)))),
    "where_no_single_float": rows(Or((leaf("load", "gt", 1e300), leaf("load", "in", (1e300, 0.3))))),
    "where_times": rows(Or((leaf("@timestamp", "between", (-1, T)), leaf("@timestamp", "in", (0, T))))),
    "where_nanoseconds": rows(
        Or(
            (
                leaf("nanos", "lt", T * 10**6 + 1),
                leaf("nanos", "gte", -1),
                leaf("nanos", "eq", 1),
                leaf("nanos", "lt", 0),
            )
        )
    ),
    "where_patterns": rows(
        And((leaf("host", "starts_with", "we*b"), leaf("host", "contains", "*?\\"), leaf("host", "ends_with", "-1")))
    ),
    "where_empty_patterns": rows(And((leaf("host", "starts_with", ""), leaf("path", "contains", "")))),
    "where_like": rows(Or((leaf("host", "like", "a%b_*"), leaf("host", "like", "a\\%b"), leaf("host", "like", "")))),
    "where_ilike": rows(leaf("host", "ilike", "Web-%é")),
    "where_regex": rows(leaf("host", "regex", '^web-[0-9]{1,3}|(db|ca?che)\\.x$|"@#&<>~')),
    "groups_without_keys": groups(
        agg("count"), agg("sum", "bytes", "s"), agg("avg", "bytes", "a"), agg("max", "load", "m")
    ),
    "groups_of_nothing_asked": groups(keys=(FieldKey("host"),)),
    "groups_by_keys": groups(
        agg("count"),
        agg("count", "path", "c"),
        agg("stddev", "latency", "d"),
        keys=(FieldKey("host"), FieldKey("path"), FieldKey("addr"), FieldKey("cached"), FieldKey("@timestamp")),
    ),
    "groups_by_time": groups(
        agg("min", "@timestamp", "m"), keys=(BucketKey("@timestamp", 60 * 10**9, "t", unit="ms"), FieldKey("host"))
    ),
    "groups_by_calendar": groups(agg("count"), keys=(BucketKey("nanos", "1M", "t"),)),
    "groups_by_days_of_a_zone": groups(
        agg("max", "@timestamp", "m"), keys=(BucketKey("@timestamp", "1d", "t", "Europe/Berlin", "ms"),)
    ),
    "groups_first_and_last": groups(
        agg("first", "path", "f", time="@timestamp"),
        agg("last", "nanos", "l", time="@timestamp", where=leaf("cached", "eq", True)),
        keys=(FieldKey("host"),),
    ),
    "groups_estimated": groups(
        agg("count_distinct", "path", "d"), agg("median", "load", "m"), agg("percentile", "bytes", "p", p=99.9)
    ),
    "groups_with_filters": groups(
        agg("count", where=leaf("status", "gte", 500)),
        agg("sum", "bytes", "s", where=leaf("host", "eq", "a")),
        agg("avg", "bytes", "a", where=leaf("host", "eq", "a")),
        keys=(FieldKey("host"),),
        where=leaf("cached", "eq", True),
    ),
    "groups_first_of_them": groups(
        agg("count"), keys=(FieldKey("host"), FieldKey("status")), order=(Order("status", True),), limit=5
    ),
}

REFUSED: dict[str, Scan] = {
    "a normalizer": rows(leaf("low", "eq", "a")),
    "a half float": rows(leaf("half", "gt", 1.0)),
    "text without keywords": rows(leaf("body", "eq", "a")),
    "match on a keyword": rows(leaf("host", "match", "a")),
    "a field that is not indexed": rows(leaf("stored", "eq", "a")),
    "presence of a field that is not indexed": rows(leaf("stored", "exists", True)),
    "presence of nested objects": rows(leaf("items", "exists", True)),
    "addresses by order": rows(leaf("addr", "gt", "10.0.0.1")),
    "a pattern that is too long": rows(leaf("host", "regex", "(a|b)" * 400)),
    "order by addresses": rows(order=(Order("addr"),)),
    "order by ids": rows(order=(Order("_id"),)),
    "order by text": rows(order=(Order("body"),)),
    "order of a whole scan": rows(order=(Order("host"),), limit=None),
    "extremes of nanoseconds": groups(agg("max", "nanos")),
    "distinct ids": groups(agg("count_distinct", "_id")),
    "the first address": groups(agg("first", "addr", time="@timestamp")),
    "the last of a coerced field": groups(agg("last", "low", time="@timestamp")),
    "groups by nanoseconds": groups(agg("count"), keys=(FieldKey("nanos"),)),
    "groups by order of a count": groups(agg("count"), keys=(FieldKey("host"),), order=(Order("n"),), limit=5),
}


@pytest.fixture(scope="module")
async def backend(es_url: str) -> AsyncIterator[EsBackend]:
    opened = EsBackend(InstanceConfig("es", "documents", es_url, ""))
    await opened.create_index(INDEX, SETTINGS, MAPPINGS, RequestContext())
    yield opened
    await opened.delete_index(INDEX, RequestContext())
    await opened.close()


def requests(opened: EsBackend) -> dict[str, Any]:
    return {name: opened.compile(scan).explain() for name, scan in CASES.items()}


@pytest.mark.parametrize("name", CASES)
async def test_golden(name: str, backend: EsBackend) -> None:
    expected = json.loads((GOLDEN / f"{name}.json").read_text("utf-8"))
    assert json.loads(json.dumps(backend.compile(CASES[name]).explain())) == expected


@pytest.mark.parametrize("name", CASES)
async def test_taken_by_the_server(name: str, backend: EsBackend) -> None:
    async for batch in backend.compile(CASES[name]).stream(RequestContext()):
        assert [column.name for column in batch.schema] == [
            column.name for column in backend.compile(CASES[name]).schema
        ]


def test_golden_files_have_cases() -> None:
    assert {path.stem for path in GOLDEN.glob("*.json")} == set(CASES)


@pytest.mark.parametrize("name", REFUSED)
async def test_refused(name: str, backend: EsBackend) -> None:
    """What is declared unsupported is refused by `compile`, with a reason."""
    scan = REFUSED[name]
    with pytest.raises(UnsupportedPart):
        backend.compile(scan)
    part = scan.group or scan.where or Ordering(scan.order, scan.limit)
    if scan.group is not None and scan.order:
        part = Ordering(scan.order, scan.limit)
    assert not isinstance(part, And | Or | Not)
    bare = Scan(SOURCE, scan.columns, group=scan.group if isinstance(part, Ordering) else None, table=scan.table)
    verdict = backend.capabilities.pushdown(part, bare)
    assert verdict.level is Pushdown.UNSUPPORTED
    assert verdict.reason


def test_estimates_say_so(es_url: str) -> None:
    """Rule 12: on the column, and to who plans."""
    opened = EsBackend(InstanceConfig("es", "documents", es_url, ""))
    scan = groups(agg("count"), agg("median", "latency", "m"), agg("count_distinct", "host", "d"))
    assert [column.approximate for column in opened.compile(scan).schema] == [False, True, True]
    assert scan.group is not None
    assert opened.capabilities.pushdown(scan.group, Scan(SOURCE, table=scan.table)).approximate


def test_types() -> None:
    kinds: dict[str, Type] = {
        "@timestamp": TIMESTAMP_MS,
        "nanos": TIMESTAMP,
        "host": STRING,
        "path": STRING,
        "status": INT64,
        "load": FLOAT64,
        "cached": BOOLEAN,
        "addr": STRING,
        "geo.city": STRING,
    }
    fields = table().fields
    assert {name: fields[name].type for name in kinds} == kinds
    assert not fields["body"].exact
    assert fields["path.keyword"].hidden
    assert next(iter(fields)) == "_id"


def write() -> None:
    """The golden files, from what is compiled now."""
    GOLDEN.mkdir(exist_ok=True)
    for path in GOLDEN.glob("*.json"):
        path.unlink()
    for name, request in requests(EsBackend(InstanceConfig("es", "documents", None, ""))).items():
        (GOLDEN / f"{name}.json").write_text(json.dumps(request, indent=1, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    write()
