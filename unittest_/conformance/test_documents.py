"""Rules that documents alone show: patterns over indices of different types (rule 7), and values that an index ignored (rule 4)."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from libs.errors import RequestError
from query.document_store import Document, DocumentStore
from unittest_.conformance.bodies import bodies
from unittest_.conformance.case import TIME, Body, agg, bound, bucket, count, every, leaf, negated, span
from unittest_.conformance.conftest import OpenStore
from unittest_.conformance.data import NOW, TEXT_AND_KEYWORD, DataSet
from unittest_.conformance.indexing import document_table
from unittest_.conformance.stores import Store, StoreId, new_context, store_ids
from unittest_.reference import FieldSpec, Table, answer, differences

Documents = list[tuple[str, Mapping[str, Any]]]
STORES = [store for store in store_ids() if store.kind == "documents"]
FIRST = {
    "@timestamp": {"type": "date"},
    "n": {"type": "long"},
    "x": {"type": "double"},
    "k": {"type": "keyword"},
    "b": {"type": "boolean"},
    "mixed": {"type": "long"},
}
SECOND = {
    "@timestamp": {"type": "date_nanos"},
    "n": {"type": "double"},
    "x": {"type": "float"},
    "k": TEXT_AND_KEYWORD,
    "late": {"type": "integer"},
    "mixed": {"type": "keyword"},
}
IGNORING = {
    "@timestamp": {"type": "date"},
    "code": {"type": "keyword", "ignore_above": 5},
    "n": {"type": "long", "ignore_malformed": True},
    "v": {"type": "long"},
}
IGNORED: Documents = [
    ("a", {"@timestamp": "2026-11-22T10:00:00Z", "code": "one", "n": 1, "v": 1}),
    ("b", {"@timestamp": "2026-11-22T10:00:01Z", "code": "far too long", "n": 2, "v": 2}),
    ("c", {"@timestamp": "2026-11-22T10:00:02Z", "code": "three", "n": "many", "v": 3}),
    ("d", {"@timestamp": "2026-11-22T10:00:03Z", "v": 4}),
]
HELD = {"b": "code", "c": "n"}


def _parts() -> tuple[Documents, Documents]:
    rng = random.Random(9)
    first: Documents = []
    second: Documents = []
    for at in range(60):
        second_of = at % 30
        source: dict[str, Any] = {
            "@timestamp": f"2026-11-22T09:59:{second_of:02}.{at % 4}00Z",
            "n": rng.choice((1, 2, 2**53 - 1, -3, None)),
            "x": rng.choice((0.1, 0.2, 1.5, None)),
            "k": rng.choice(("a", "b", "Ä", "a b", None)),
            "mixed": 1,
        }
        if at % 2:
            nanos = {
                "@timestamp": f"2026-11-22T09:59:{second_of:02}.{at % 4}00000{at % 3}01Z",
                "mixed": "one",
                "late": at,
            }
            second.append((f"s{at:02}", source | nanos | {"n": rng.choice((0.5, 1.0, 2, -3.25, None))}))
        else:
            first.append((f"f{at:02}", source | {"b": at % 3 == 0}))
    return first, second


def _without(documents: Documents, name: str) -> Documents:
    return [(id_, {key: value for key, value in source.items() if key != name}) for id_, source in documents]


def _merged() -> DataSet:
    """Both indices as one table: milliseconds and nanoseconds are nanoseconds, int64 and float64 float64; no `mixed`."""
    first, second = _parts()
    one = document_table({k: v for k, v in FIRST.items() if k != "mixed"}, _without(first, "mixed"))
    two = document_table({k: v for k, v in SECOND.items() if k != "mixed"}, _without(second, "mixed"))
    fields = one.fields | two.fields | {"n": FieldSpec("float64")}
    rows = [row | ({"n": float(row["n"])} if "n" in row else {}) for row in (*one.rows, *two.rows)]
    return DataSet("merged", {}, (), None, {"documents": Table("documents", fields, rows)})


MERGED = _merged()
NAMES = list(MERGED.tables["documents"].every_field)
CASES: list[Body] = [
    {"select": NAMES, "limit": 100},
    {"select": NAMES, "order_by": [{"field": TIME, "dir": "desc"}], "limit": 7},
    {"select": NAMES, "order_by": ["n", "_id"], "limit": 100},
    {"select": ["_id", "x"], "order_by": [{"field": "x", "dir": "desc"}, "_id"]},
    {"select": ["_id", "late"], "where": leaf("late", "exists", False), "order_by": ["_id"]},
    {"select": ["_id", "b"], "where": negated(leaf("b", "eq", True)), "order_by": ["_id"]},
    {"select": ["_id"], "where": leaf(TIME, "gt", "2026-11-22T09:59:11.300000001Z"), "order_by": ["_id"]},
    {"select": ["_id"], "where": leaf("n", "eq", 1), "order_by": ["_id"]},
    {"select": ["_id"], "where": every(leaf("k", "like", "a%"), leaf("x", "in", [0.1, 1.5])), "order_by": ["_id"]},
    {
        "select": [
            count(),
            agg("sum", "n"),
            agg("avg", "x"),
            agg("max", TIME, "hi"),
            agg("last", "k"),
            agg("count", "late"),
        ]
    },
    {"group_by": ["k"], "select": [count(), agg("sum", "x"), agg("min", "n"), agg("first", "n", "f")]},
    {"group_by": ["n"], "select": [count("rows")]},
    {"group_by": [bucket("10s")], "select": [count(), agg("max", TIME, "hi")]},
    {
        "time_range": span("2026-11-22T09:59:03.000000001Z", "2026-11-22T09:59:07Z"),
        "select": ["_id", TIME],
        "order_by": [TIME],
    },
]
CONFLICTS: list[Body] = [
    {"select": ["mixed"]},
    {"where": leaf("mixed", "eq", 1)},
    {"order_by": ["mixed"]},
    {"group_by": ["mixed"]},
    {"select": [agg("count_distinct", "mixed")]},
    {},
]


async def _create(store: Store, index: str, properties: Mapping[str, Any], documents: Sequence[Any]) -> None:
    backend = cast(DocumentStore, store.backend)
    await backend.create_index(index, {}, {"properties": dict(properties)}, new_context())
    items = [Document(json.dumps(source).encode(), identifier) for identifier, source in documents]
    report = await backend.bulk(index, items, True, new_context())
    assert [item["status"] for item in report] == [201] * len(items)


@pytest.fixture(params=STORES, ids=str)
async def merged(request: pytest.FixtureRequest, open_store: OpenStore) -> AsyncIterator[Store]:
    """A store whose set `merged` is a pattern over both indices, and `ignored` one that ignored values."""
    identity: StoreId = request.param
    store = open_store(identity)
    base, (first, second) = f"{store.prefix}-rules", _parts()
    indices: dict[str, tuple[Mapping[str, Any], Documents]] = {
        f"{base}-m1": (FIRST, first),
        f"{base}-m2": (SECOND, second),
        f"{base}-ignored": (IGNORING, IGNORED),
    }
    for index, (properties, documents) in indices.items():
        await _create(store, index, properties, documents)
    store.targets |= {"merged": (f"{base}-m*",), "ignored": (f"{base}-ignored",)}
    yield store
    del store.targets["merged"], store.targets["ignored"]
    for index in indices:
        await cast(DocumentStore, store.backend).delete_index(index, new_context())


async def test_patterns(merged: Store) -> None:
    for body in CASES:
        expected = answer(bound(body, "@timestamp"), MERGED.tables, NOW)
        wrong = differences(expected, await merged.ask(MERGED, body))
        assert not wrong, "\n".join([*wrong, f"the body: {body}"])


async def test_types_that_conflict(merged: Store) -> None:
    for body in CONFLICTS:
        with pytest.raises(RequestError) as refused:
            await merged.ask(MERGED, body)
        assert refused.value.code.name == "FIELD_TYPE_CONFLICT", body


@settings(
    max_examples=100,
    derandomize=True,
    database=None,
    deadline=None,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)
@given(body=bodies(MERGED))
async def test_random_patterns(body: Body, merged: Store) -> None:
    asked = bound(body, "@timestamp")
    if "select" not in asked and "group_by" not in asked:
        asked["select"] = NAMES
    expected = answer(asked, MERGED.tables, NOW)
    wrong = differences(expected, await merged.ask(MERGED, asked))
    assert not wrong, "\n".join([*wrong, f"the body: {json.dumps(asked)}"])


def _ignored() -> DataSet:
    kept = [(id_, {k: v for k, v in source.items() if HELD.get(id_) != k}) for id_, source in IGNORED]
    return DataSet("ignored", IGNORING, kept, None, {"documents": document_table(IGNORING, kept)})


USING: list[Body] = [
    {"select": ["code"]},
    {"where": leaf("code", "eq", "one"), "select": ["v"]},
    {"where": negated(leaf("n", "gt", 1)), "select": ["v"]},
    {"order_by": ["n"], "select": ["v"]},
    {"group_by": ["code"], "select": [count()]},
    {"select": [agg("sum", "n")]},
    {"select": [agg("count", "code")]},
    {"select": [count("x", where=leaf("n", "exists", False))]},
    {"select": [{"expr": "n + 1", "as": "x"}]},
    {},
]
BESIDE: list[Body] = [
    {"select": ["v", TIME]},
    {"where": leaf("v", "gt", 1), "select": ["_id"], "order_by": ["_id"]},
    {"select": [count(), agg("sum", "v")]},
    {"group_by": ["v"], "select": [count()]},
]


async def test_ignored_values_are_errors(merged: Store) -> None:
    data = _ignored()
    for body in USING:
        with pytest.raises(RequestError) as refused:
            await merged.ask(data, body)
        assert refused.value.code.name == "VALUE_IGNORED", body


async def test_ignored_values_are_missing_when_partial_is_allowed(merged: Store) -> None:
    data = _ignored()
    for body in USING:
        found = await merged.ask(data, body | {"options": {"partial": True}})
        wrong = differences(answer(bound(body, "@timestamp"), data.tables, NOW), found)
        assert not wrong, "\n".join([*wrong, f"the body: {body}"])
        assert "VALUE_IGNORED" in [warning["code"] for warning in found["meta"]["warnings"]], body


async def test_ignored_values_of_other_fields_do_not_matter(merged: Store) -> None:
    data = _ignored()
    for body in BESIDE:
        found = await merged.ask(data, body)
        assert not differences(answer(bound(body, "@timestamp"), data.tables, NOW), found), body
        assert found["meta"]["warnings"] == []
