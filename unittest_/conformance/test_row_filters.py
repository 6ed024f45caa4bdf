"""A caller's forced row filter reaches every side of every join and union: planted canaries of another tenant never come out (T26, G38)."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from libs.context import Principal, RequestContext, RowFilter
from libs.errors import RequestError
from query.backend import Point
from query.document_store import Document
from unittest_.conformance.case import Body, agg, count, leaf
from unittest_.conformance.mix_stores import DOCS, SERIES, MixStores

BODIES = 150
TENANTS = ("blue", "green")
# What may not be seen: it stands in every text of the other tenant's rows.
CANARY = "canary"
_NOW = 1_795_000_000_000_000_000
_MINUTE = 60_000_000_000


def _member(tenant: str, at: int) -> dict[str, str]:
    return {"tenant": tenant, "host": f"{tenant}-{CANARY}-{at % 4}", "kind": "all"}


@pytest.fixture(scope="module")
async def stores(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[MixStores]:
    opened = MixStores(tmp_path_factory.mktemp("filters"), f"filters-{uuid.uuid4().hex[:8]}")
    docs: Any = opened.backends[DOCS]
    series: Any = opened.backends[SERIES]
    keyword = {"type": "keyword"}
    properties = {
        "@timestamp": {"type": "date"},
        "tenant": keyword,
        "host": keyword,
        "kind": keyword,
        "n": {"type": "long"},
    }
    await docs.create_index("logs", {}, {"properties": properties}, RequestContext())
    await docs.create_index("bare", {}, {"properties": {"host": keyword}}, RequestContext())
    await series.create_database("metrics", RequestContext())
    rows = [(tenant, at) for at in range(20) for tenant in TENANTS]
    made = [{"@timestamp": (_NOW + at * _MINUTE) // 1_000_000, **_member(tenant, at), "n": at} for tenant, at in rows]
    await docs.bulk("logs", [Document(json.dumps(one).encode(), None) for one in made], True, RequestContext())
    points = [Point("m", _member(tenant, at), {"n": at}, _NOW + at * _MINUTE) for tenant, at in rows]
    await series.write("metrics", points, RequestContext())
    yield opened
    await opened.close()


def caller(tenant: str) -> Principal:
    where = leaf("tenant", "eq", tenant)
    return Principal(tenant, (RowFilter(str(DOCS), where), RowFilter(str(SERIES), where)))


LOGS = {"source": str(DOCS), "index": "logs"}
METRICS = {"source": str(SERIES), "db": "metrics", "measurement": "m"}
_LIFTS: tuple[Body, ...] = (
    {"or": [leaf("tenant", "exists", True), leaf("tenant", "exists", False)]},
    {"not": leaf("tenant", "eq", "nobody")},
    {"not": {"and": [leaf("tenant", "eq", "blue"), leaf("tenant", "eq", "green")]}},
    leaf("tenant", "in", list(TENANTS)),
)


def _query(rng: random.Random, depth: int) -> Body:
    """A random query of rows or groups, with joins and unions in it."""
    if depth < 3 and rng.random() < 0.15:
        parts = [_query(rng, depth + 1), _query(rng, depth + 1)]
        return {"union": parts, "then": {"select": ["host", "tenant", "kind"]}}
    source = rng.choice((LOGS, LOGS, METRICS))
    if source is LOGS and rng.random() < 0.3:
        source = {**LOGS, "index": "lo*"}
    body: Body = {"from": source}
    if rng.random() < 0.5:
        body["where"] = rng.choice(_LIFTS)
    if rng.random() < 0.5:
        body |= {
            "group_by": ["host", "tenant", "kind"],
            "select": [count("k", where=rng.choice(_LIFTS)), agg("max", "n", "most")],
        }
    else:
        body["select"] = ["host", "tenant", "kind"]
    if depth < 3 and rng.random() < 0.6:
        how = rng.choice(("inner", "left", "semi", "anti"))
        on = rng.choice((["kind"], ["host"], ["kind", "tenant"]))
        body["join"] = [{"how": how, "as": "m", "with": _query(rng, depth + 1), "on": on, "many": True}]
        if depth:
            body["then"] = {"select": ["host", "tenant", "kind"]}
        elif rng.random() < 0.5:
            body["then"] = {"where": rng.choice(_LIFTS)}
    if depth and rng.random() < 0.3:
        body["limit"] = 10
    return body


def _joins(body: Mapping[str, Any]) -> int:
    inner = [*body.get("union", ()), *(one["with"] for one in body.get("join", ()))]
    return len(body.get("join", ())) + sum(map(_joins, inner))


@pytest.mark.parametrize("tenant", TENANTS)
async def test_no_clause_lifts_the_filter(tenant: str, stores: MixStores) -> None:
    rng = random.Random(26)
    other = next(one for one in TENANTS if one != tenant)
    seen = joined = 0
    while seen < BODIES:
        body = {**_query(rng, 0), "limit": 500}
        if _joins(body) > 4:
            continue
        seen += 1
        joined += bool(_joins(body))
        answer = await stores.ask(body, caller(tenant))
        assert f"{other}-{CANARY}" not in json.dumps(answer["data"]), body
        assert not any(other == cell for row in answer["data"] for cell in row.values()), body
    assert joined > BODIES // 3


async def test_the_filter_counts(stores: MixStores) -> None:
    """The same body tells each caller of its own rows alone, and one without a filter of all."""
    body = {"from": LOGS, "select": [count()]}
    assert (await stores.ask(body))["data"] == [{"n": 40}]
    for tenant in TENANTS:
        assert (await stores.ask(body, caller(tenant)))["data"] == [{"n": 20}]


async def test_an_anti_join_does_not_tell_of_the_others(stores: MixStores) -> None:
    """Rows that the caller cannot see are not there for an anti join either."""
    side = {"from": METRICS, "group_by": ["kind"], "select": [count()], "where": leaf("tenant", "eq", "green")}
    body = {
        "from": LOGS,
        "group_by": ["kind"],
        "select": [count()],
        "join": [{"how": "anti", "with": side, "on": ["kind"]}],
    }
    assert (await stores.ask(body, caller("blue")))["data"] == [{"kind": "all", "n": 20}]
    assert (await stores.ask(body, caller("green")))["data"] == []


async def test_a_source_without_the_field_is_refused(stores: MixStores) -> None:
    body = {"from": LOGS, "select": ["host"], "join": [
        {"how": "left", "as": "b", "with": {"from": {**LOGS, "index": "bare"}, "select": ["host"]}, "on": ["host"]}
    ]}  # fmt: skip
    with pytest.raises(RequestError) as refused:
        await stores.ask(body, caller("blue"))
    assert [(issue.code, issue.pointer) for issue in refused.value.issues] == [("FIELD_UNKNOWN", "/join/0/with/from")]
