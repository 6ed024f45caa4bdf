"""Groups over a pattern whose indices type a field differently: each part makes its own, and they are folded (rules 7 and 10)."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from apps.pipeline import Services, run
from middlewares.format import page_response
from operator_.engine import Engine
from parser.json_body import parse_body
from query import optimizer
from query.backend import InstanceConfig
from query.document_store import Document
from query.es.backend import EsBackend
from query.factory import QueryFactory
from query.rules.parts import fold_parts
from unittest_.conformance.data import NOW
from unittest_.conformance.stores import new_context
from unittest_.reference import FieldSpec, Table, answer, differences
from unittest_.reference.times import instant

INSTANCE = "tested"
PREFIX = f"parts-{uuid.uuid4().hex[:8]}"
KEYWORD = {"type": "keyword"}
# v and the time are typed differently, and one part alone has `only`.
MAPPINGS: tuple[dict[str, Any], ...] = (
    {"@timestamp": {"type": "date"}, "host": KEYWORD, "v": {"type": "integer"}, "w": {"type": "double"}},
    {"@timestamp": {"type": "date_nanos"}, "host": KEYWORD, "v": {"type": "double"}, "w": {"type": "double"}},
    {"@timestamp": {"type": "date"}, "host": KEYWORD, "v": {"type": "long"}, "w": {"type": "double"}, "only": {"type": "long"}},
)  # fmt: skip
FIELDS = {
    "_id": FieldSpec("string", role="id"),
    "@timestamp": FieldSpec("timestamp"),
    "host": FieldSpec("string"),
    "v": FieldSpec("float64"),
    "w": FieldSpec("float64"),
    "only": FieldSpec("int64"),
}
EVERY = [{"agg": "count", "as": "n"}] + [
    {"agg": name, "field": field, "as": f"{name}_{field}"}
    for name in ("count", "sum", "avg", "min", "max")
    for field in ("v", "w")
]
BUCKET = {"time_bucket": "1m", "field": "@timestamp", "as": "t"}
SPAN = {"from": "2026-11-22T09:00:00Z", "to": "2026-11-22T09:10:00Z"}
MIDDLE = "2026-11-22T09:05:00.000000001Z"
FOLDED: dict[str, dict[str, Any]] = {
    "without keys": {"select": EVERY},
    "of nothing": {"where": {"field": "host", "op": "eq", "value": "nobody"}, "select": EVERY},
    "by a key": {"group_by": ["host"], "select": EVERY},
    "by a bucket": {"group_by": [BUCKET], "select": EVERY},
    "by both, filled": {"time_range": SPAN, "group_by": ["host", BUCKET], "select": EVERY, "fill": {"mode": "linear"}},
    "by the field itself": {"group_by": ["v"], "select": [{"agg": "count", "as": "n"}], "limit": 500},
    "with filters of their own": {
        "group_by": ["host"],
        "select": [
            {"agg": "avg", "field": "v", "where": {"field": "host", "op": "ne", "value": "a"}, "as": "x"},
            {"agg": "count", "where": {"field": "w", "op": "gt", "value": 3}, "as": "y"},
        ],
    },
    "in a range of time": {"time_range": SPAN, "select": EVERY},
    "with a filter on times": {
        "select": [{"agg": "count", "where": {"field": "@timestamp", "op": "lt", "value": MIDDLE}, "as": "n"}]
    },
    "having and order": {
        "group_by": ["host"],
        "select": [{"agg": "avg", "field": "v", "as": "x"}, {"agg": "sum", "field": "w", "as": "y"}],
        "having": {"field": "x", "op": "gt", "value": -5},
        "order_by": [{"field": "y", "dir": "desc"}],
        "limit": 2,
    },
    "a field that a part lacks": {"group_by": ["host"], "select": [{"agg": "sum", "field": "only", "as": "s"}, *EVERY]},
}
ROWS: dict[str, dict[str, Any]] = {
    "a median": {"group_by": ["host"], "select": [{"agg": "median", "field": "v", "as": "m"}], "options": {"exact": True}},
    "the greatest nanosecond": {"select": [{"agg": "max", "field": "@timestamp", "as": "m"}, {"agg": "avg", "field": "v", "as": "x"}]},
    "a filter on what is typed differently": {"select": [{"agg": "count", "where": {"field": "v", "op": "gt", "value": 2}, "as": "n"}]},
}  # fmt: skip


def _documents(rng: random.Random, at: int) -> list[dict[str, Any]]:
    found = []
    for number in range(80):
        moment = f"2026-11-22T09:{rng.randrange(12):02}:{rng.randrange(60):02}.{rng.randrange(1000):03}"
        source = {
            "@timestamp": moment + ("456789Z" if at == 1 else "Z"),
            "host": rng.choice(("a", "b", None)) if number else f"own-{at}",
            "v": rng.choice((rng.uniform(-9, 9), None)) if at == 1 else rng.choice((rng.randrange(-9, 9), None)),
            "w": round(rng.uniform(-9, 9), 2),
            **({"only": number} if at == 2 else {}),
        }
        found.append({name: value for name, value in source.items() if value is not None})
    return found


@pytest.fixture(scope="module")
async def asked(es_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Services, Table]]:
    folder: Path = tmp_path_factory.mktemp("parts")
    backend, engine = EsBackend(InstanceConfig(INSTANCE, "documents", es_url, "")), Engine(folder)
    rng, rows = random.Random(12), []
    try:
        for at, properties in enumerate(MAPPINGS):
            index = f"{PREFIX}-{at}"
            await backend.create_index(index, {"number_of_replicas": 0}, {"properties": properties}, new_context())
            documents = [(f"{at}-{number}", one) for number, one in enumerate(_documents(rng, at))]
            items = [Document(json.dumps(one).encode(), key) for key, one in documents]
            assert all(item["status"] == 201 for item in await backend.bulk(index, items, True, new_context()))
            for key, one in documents:
                held = one | {"_id": key, "@timestamp": instant(one["@timestamp"], 0)}
                rows.append(held | ({"v": float(one["v"])} if "v" in one else {}))
        yield Services(QueryFactory([backend]), engine, new_context().limits), Table("documents", dict(FIELDS), rows)
    finally:
        for at in range(len(MAPPINGS)):
            await backend.delete_index(f"{PREFIX}-{at}", new_context())
        await backend.close()
        engine.close()


async def _answer(services: Services, body: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """The answer, and how many rows the store sent for it."""
    context = new_context()
    page, _ = await run(parse_body(json.dumps(body).encode(), INSTANCE, (f"{PREFIX}-*",)), services, context)
    answered: dict[str, Any] = json.loads(page_response(page, context, 0.0, "objects").body or b"")
    return answered, sum(source["rows"] for source in answered["meta"]["sources"])


@pytest.mark.parametrize("body", FOLDED.values(), ids=FOLDED)
async def test_groups_are_made_by_each_part(asked: tuple[Services, Table], body: dict[str, Any]) -> None:
    services, table = asked
    found, fetched = await _answer(services, body)
    assert not differences(answer(body, {"": table}, NOW), found)
    assert fetched < len(table.rows), "every row was fetched"


@pytest.mark.parametrize("how", ["inner", "left", "semi", "anti"])
async def test_sides_of_joins_fold_as_well(
    asked: tuple[Services, Table], how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same rows as without the rule, keys of the other side among the filters or not."""
    services, _ = asked
    side = {"from": {"source": INSTANCE, "index": f"{PREFIX}-*"}, "group_by": ["host", BUCKET], "select": EVERY[:2]}
    body = {
        "time_range": SPAN,
        "where": {"field": "host", "op": "eq", "value": "a"},
        "group_by": ["host", BUCKET],
        "select": [{"agg": "count", "as": "n"}],
        "join": [{"how": how, "as": "m", "with": side, "on": ["host", "t"]}],
    }
    found, _ = await _answer(services, body)
    monkeypatch.setattr(optimizer, "RULES", tuple(rule for rule in optimizer.RULES if rule is not fold_parts))
    expected, _ = await _answer(services, body)
    assert (found["data"], found["columns"]) == (expected["data"], expected["columns"])
    assert found["data"] or how == "anti"


@pytest.mark.parametrize("body", ROWS.values(), ids=ROWS)
async def test_what_does_not_fold_is_made_of_rows(asked: tuple[Services, Table], body: dict[str, Any]) -> None:
    services, table = asked
    found, fetched = await _answer(services, body)
    assert not differences(answer(body, {"": table}, NOW), found)
    assert fetched == 240
