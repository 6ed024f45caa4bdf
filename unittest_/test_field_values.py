"""Fields and their values: the same questions give the same answers over documents and series, embedded and real."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest

from apps import field_values
from apps.field_values import ValuesQuery
from libs.context import ANYBODY, Principal, RowFilter, principal_var
from libs.errors import RequestError
from unittest_.live import Client, service

# Tags that a pattern, a path or a statement could mistake for something else; documents have them as keywords.
ODD_NAMES = ["a.b", "with space", "with/slash", 'quo"te', "ünï", "per%cent", "count", "value"]
HOSTS = [
    "web-1",
    "web-1",
    "web-1",
    "web-2",
    "web-2",
    "db",
    "a*b",
    "a.b",
    "a%b",
    "a_b",
    "a\\b",
    'a"b',
    "a'b",
    "a/b",
    "äb",
    "AB",
]
START = 1_795_000_000  # 2026-11-18T11:06:40Z
TENANTS = ("blue", "green")


@dataclass(frozen=True)
class Source:
    """One loaded data set: `path` leads to its routes, `time` is its time's name; `name` is the index or the database."""

    client: Client
    kind: str
    name: str

    @property
    def path(self) -> str:
        return f"/es/{self.name}" if self.kind == "documents" else f"/influx/{self.name}/m"

    @property
    def instance(self) -> str:
        return "es" if self.kind == "documents" else "influx"

    @property
    def target(self) -> tuple[str, ...]:
        return (self.name,) if self.kind == "documents" else (self.name, "m")

    async def values(self, field: str, **query: Any) -> Any:
        asked = "&".join(f"{name}={quote(str(value), safe='')}" for name, value in query.items())
        status, answer = await self.client.send("GET", f"{self.path}/fields/{quote(field, safe='')}/values?{asked}")
        return (
            answer
            if status == 200
            else (status, answer["code"], answer["errors"][0]["pointer"], answer["errors"][0]["hint"])
        )


def rows() -> list[dict[str, Any]]:
    return [
        {
            "at": START + number,
            "host": host,
            "tenant": TENANTS[number % 2],
            "n": number % 3,
            **dict.fromkeys(ODD_NAMES, host),
        }
        for number, host in enumerate(HOSTS)
    ]


async def load_documents(client: Client, name: str) -> None:
    keyword = {"type": "keyword"}
    properties: dict[str, Any] = {
        "@timestamp": {"type": "date"},
        "n": {"type": "long"},
        "text": {"type": "text"},
        "ip": {"type": "ip"},
    }
    properties |= {
        "tags": keyword,
        "both": {"type": "text", "fields": {"keyword": keyword}},
        "nest": {"type": "nested"},
    }
    properties |= dict.fromkeys(("host", "tenant", *ODD_NAMES), keyword)
    body = {"index": name, "settings": {"number_of_replicas": 0}, "mappings": {"properties": properties}}
    await client.ok("POST", "/es/index", json=body)
    documents = [{"@timestamp": row.pop("at") * 1000, "tags": [row["host"], "all"], **row} for row in rows()]
    await client.ok(
        "POST", f"/es/{name}/docs?refresh=true", json=[*documents, {"@timestamp": START * 1000, "tenant": "blue"}]
    )


async def load_points(client: Client, name: str) -> None:
    await client.ok("PUT", f"/influx/{name}")
    points = [
        {
            "time": row["at"] * 10**9,
            "tags": {one: row[one] for one in ("host", "tenant", *ODD_NAMES)},
            "fields": {"n": row["n"], "s": row["host"], "both": 1},
        }
        for row in rows()
    ]
    bare = {"time": START * 10**9, "tags": {"tenant": "blue"}, "fields": {"s2": "x"}}
    await client.ok("POST", f"/influx/{name}/m/points", json=[*points, bare])
    clash = {"tags": {"clash": "t"}, "fields": {"clash": 1}}
    await client.ok("PUT", f"/influx/{name}/odd", json=clash)


@pytest.fixture(scope="module", params=["embedded", "real"])
async def client(
    request: pytest.FixtureRequest, es_url: str, influx_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Client]:
    urls = {"es_url": es_url, "influx_url": influx_url} if request.param == "real" else {}
    async with service(tmp_path_factory.mktemp("values"), **urls) as client:
        yield client


@pytest.fixture(scope="module")
async def sources(client: Client) -> AsyncIterator[Sequence[Source]]:
    name = f"values-{uuid.uuid4().hex[:12]}"
    try:
        await load_documents(client, name)
        await load_points(client, name)
        yield (Source(client, "documents", name), Source(client, "series", name))
    finally:
        await client.send("DELETE", f"/es/{name}")
        await client.send("DELETE", f"/influx/{name}")


def ranked(values: Sequence[Any]) -> list[dict[str, Any]]:
    """The most frequent first, then in order: by code points, as everywhere."""
    return [
        {"value": value, "count": count}
        for value, count in sorted(Counter(values).items(), key=lambda one: (-one[1], one[0]))
    ]


async def test_values_are_counted_alike(sources: Sequence[Source]) -> None:
    for source in sources:
        answer = await source.values("host")
        assert answer["data"] == ranked(HOSTS), source.kind
        assert [column["name"] for column in answer["columns"]] == ["value", "count"]
        assert answer["meta"]["sources"][0]["source"] == source.instance
        assert answer["page"] == {"cursor": None, "has_more": False, "total": None}
        in_order = await source.values("host", order="value")
        assert in_order["data"] == sorted(ranked(HOSTS), key=lambda one: one["value"])
        few = await source.values("host", limit=2)
        assert (few["data"], few["page"]["has_more"]) == (ranked(HOSTS)[:2], True)
        numbers = await source.values("n")
        assert numbers["data"] == ranked([row["n"] for row in rows()])
        times = await source.values("@timestamp" if source.kind == "documents" else "time", order="value", limit=1)
        assert [one["count"] for one in times["data"]] == [2]
        assert times["data"][0]["value"].startswith("2026-11-18T11:06:40")


async def test_odd_names_of_fields(sources: Sequence[Source]) -> None:
    for source in sources:
        for name in ODD_NAMES:
            assert (await source.values(name))["data"] == ranked(HOSTS), (source.kind, name)
            starting = await source.values(name, prefix="web", order="value")
            assert starting["data"] == [{"value": "web-1", "count": 3}, {"value": "web-2", "count": 2}], (
                source.kind,
                name,
            )


async def test_a_prefix_is_a_text(sources: Sequence[Source]) -> None:
    """T8: nothing in it is a pattern, a quote or a statement."""
    prefixes = ["a", "a*", "a.", "a%", "a_", "a\\", 'a"', "a'", "a/", "ä", "A", "", "*", ".*", "' OR 1=1 --", '"; DROP DATABASE x', "\n",
                "\u2028", "web-1", "web-1x", "\U0001f600", "/.*/", "$1", "a\x00"]  # fmt: skip
    for source in sources:
        for prefix in prefixes:
            answer = await source.values("host", prefix=prefix)
            assert answer["data"] == ranked([host for host in HOSTS if host.startswith(prefix)]), (source.kind, prefix)
    assert (await sources[1].values("s", prefix="a*"))["data"] == [{"value": "a*b", "count": 1}]


async def test_a_time_range(sources: Sequence[Source]) -> None:
    bounds = {"from": "2026-11-18T11:06:41Z", "to": "2026-11-18T11:06:44Z"}
    for source in sources:
        answer = await source.values("host", **bounds)
        assert answer["data"] == ranked(HOSTS[1:4]), source.kind
        status, code, pointer, _ = await source.values("host", **{"from": "soon"})
        assert (status, code, pointer) == (422, "TIME_INVALID", "query/from")
        status, code, pointer, _ = await source.values("host", **{"from": bounds["to"], "to": bounds["from"]})
        assert (status, code) == (422, "RANGE_INVALID"), pointer
        named = await source.values("host", **bounds, time_field="n")
        assert named[1] == "TYPE_MISMATCH"


async def test_what_has_no_values_is_told(sources: Sequence[Source]) -> None:
    documents, series = sources
    for source in sources:
        status, code, pointer, hint = await source.values("hots")
        assert (status, code, pointer, hint) == (422, "FIELD_UNKNOWN", "path/field", "did you mean host?")
        status, code, pointer, _ = await source.values("n", prefix="1")
        assert (status, code, pointer) == (422, "TYPE_MISMATCH", "query/prefix")
        for query in ({"limit": 0}, {"limit": 10_001}, {"order": "size"}, {"unknown": 1}):
            assert (await source.values("host", **query))[0] == 400, query
    assert (await documents.values("host", prefix="x" * 1001))[1:3] == ("TOO_MANY_VALUES", "query/prefix")
    assert (await documents.values("text"))[1:3] == ("FIELD_NOT_FILTERABLE", "path/field")
    assert (await documents.values("nest"))[1:3] == ("TYPE_MISMATCH", "path/field")
    assert (await documents.values("ip", prefix="1"))[1:3] == ("TYPE_MISMATCH", "query/prefix")
    client, name = series.client, series.name
    status, answer = await client.send("GET", f"/influx/{name}/odd/fields/clash/values")
    assert (status, answer["code"]) == (422, "FIELD_AMBIGUOUS")
    for path in (f"/es/{name}-none", f"/influx/{name}/none", f"/influx/{name}-none/m"):
        for rest in ("fields", "fields/host/values"):
            status, answer = await client.send("GET", f"{path}/{rest}")
            assert status == 404, (path, rest, answer)


async def test_lists_count_for_each_value(sources: Sequence[Source]) -> None:
    documents = sources[0]
    answer = await documents.values("tags")
    assert answer["data"][:2] == [{"value": "all", "count": len(HOSTS)}, {"value": "web-1", "count": 3}]
    assert (await documents.values("tags", prefix="web"))["data"] == ranked(
        [one for one in HOSTS if one.startswith("web")]
    )


async def test_the_full_forms(sources: Sequence[Source]) -> None:
    client, name = sources[0].client, sources[0].name
    for kind, short in (("index", f"/es/{name}"), ("db", f"/influx/{name}/m")):
        full = short.replace("/es/", "/es/index/").replace("/influx/", "/influx/db/")
        for rest in ("fields", "fields/host/values"):
            one, other = await client.ok("GET", f"{short}/{rest}"), await client.ok("GET", f"{full}/{rest}")
            assert one["data"] == other["data"], kind


async def test_fields_say_what_can_be_done(sources: Sequence[Source]) -> None:
    documents, series = sources
    found = {}
    for source in sources:
        listed = (await source.client.ok("GET", f"{source.path}/fields"))["data"]
        found[source.kind] = {one["field"]: one for one in listed["fields"]}
        assert [one["field"] for one in listed["fields"]] == sorted(found[source.kind])
        assert listed["time_field"] == ("@timestamp" if source is documents else "time")
    every = found["documents"]
    roles = {
        "@timestamp": "time",
        "_id": "id",
        "host": "keyword",
        "text": "text",
        "both": "text",
        "n": "field",
        "nest": "field",
    }
    assert {name: every[name]["role"] for name in roles} == roles
    assert every["both.keyword"] | {"operators": []} == {
        "field": "both.keyword", "type": "string", "multi": False, "role": "keyword", "filter": True, "sort": True,
        "group": True, "full_text": False, "operators": [], "parent": "both",
    }  # fmt: skip
    uses = {name: [every[name][use] for use in ("filter", "sort", "group", "full_text")] for name in roles}
    assert uses["text"] == [False, False, False, True]
    assert uses["both"] == [True, True, True, True]
    assert uses["nest"] == [False, False, False, False]
    assert uses["host"] == uses["n"] == uses["@timestamp"] == [True, True, True, False]
    assert every["text"]["operators"] == ["exists", "match", "match_phrase"]
    assert every["ip"]["operators"] == ["eq", "ne", "in", "nin", "exists"]
    assert every["tags"]["multi"] is True
    points = found["series"]
    assert {points[name]["role"] for name in ("host", *ODD_NAMES)} == {"tag"}
    assert (points["n"]["role"], points["n"]["type"], points["s"]["type"]) == ("field", "int64", "string")
    assert (points["time"]["role"], points["time"]["type"]) == ("time", "timestamp")
    clash = (await series.client.ok("GET", f"/influx/{series.name}/odd/fields"))["data"]["fields"]
    assert [(one["field"], one["filter"]) for one in clash if one.get("ambiguous")] == [("clash", False)]


async def test_operators_that_are_told_are_taken(sources: Sequence[Source]) -> None:
    """What the list says of a field, a query confirms: every operator that it has, and none that it has not."""
    operands: dict[str, Any] = {"string": "a", "int64": 1, "float64": 1, "boolean": True, "timestamp": "now"}
    names = ("eq", "lt", "in", "between", "starts_with", "match", "exists")
    for source in sources:
        for one in (await source.client.ok("GET", f"{source.path}/fields"))["data"]["fields"]:
            if one["type"] == "json":
                continue
            for op in names:
                value = operands[one["type"]]
                value = {"in": [value], "between": [value, value], "exists": True}.get(op, value)
                if one["field"] == "ip" and op != "exists":
                    value = ["192.0.2.1"] if op == "in" else "192.0.2.1"
                body = {"where": {"field": one["field"], "op": op, "value": value}}
                status, answer = await source.client.send("POST", f"{source.path}/query/validate", json=body)
                assert (status == 200) == (op in one["operators"]), (source.kind, one["field"], op, answer)


async def test_conflicts_name_their_indices(client: Client) -> None:
    name = f"values-{uuid.uuid4().hex[:12]}"
    kinds = {"a": ("long", "keyword"), "b": ("long", "keyword"), "c": ("keyword", "keyword"), "d": ("double", "long")}
    try:
        for suffix, (first, second) in kinds.items():
            properties = {"x": {"type": first}, "y": {"type": second}, "host": {"type": "keyword"}}
            await client.ok(
                "POST", "/es/index", json={"index": f"{name}-{suffix}", "mappings": {"properties": properties}}
            )
        listed = (await client.ok("GET", f"/es/{name}-*/fields"))["data"]["fields"]
        found = {one["field"]: one for one in listed}
        assert found["x"]["conflict"] is True
        assert found["x"]["filter"] is found["x"]["sort"] is found["x"]["group"] is False
        assert found["x"]["type"] is None
        assert found["x"]["types"] == [
            {"type": "float64", "indices": [f"{name}-d"]},
            {"type": "int64", "indices": [f"{name}-a", f"{name}-b"]},
            {"type": "string", "indices": [f"{name}-c"]},
        ]
        assert "types" not in found["host"]
        status, answer = await client.send("GET", f"/es/{name}-*/fields/x/values")
        assert (status, answer["code"]) == (422, "FIELD_TYPE_CONFLICT")
        wide = (await client.ok("GET", f"/es/{name}-%2A/fields"))["data"]["fields"]
        assert wide == listed
        await client.ok("DELETE", f"/es/{name}-c")
        listed = (await client.ok("GET", f"/es/{name}-*/fields"))["data"]["fields"]
        (x,) = [one for one in listed if one["field"] == "x"]
        assert (x["type"], x["filter"], len(x["types"])) == ("float64", True, 2)
        assert "conflict" not in x
    finally:
        for suffix in kinds:
            await client.send("DELETE", f"/es/{name}-{suffix}")


async def test_a_row_filter_holds_for_values(sources: Sequence[Source]) -> None:
    """T26: another tenant's values, and counts of them, are not there; a source without the field is refused."""
    services = sources[0].client.services
    assert services is not None
    for tenant in TENANTS:
        where = {"field": "tenant", "op": "eq", "value": tenant}
        caller = Principal(tenant, tuple(RowFilter(one.instance, where) for one in sources), actions=ANYBODY.actions)
        own = [row["host"] for row in rows() if row["tenant"] == tenant]
        token = principal_var.set(caller)
        try:
            for source in sources:
                for order in ("count", "value"):
                    answer = await field_values.values(
                        services, source.instance, source.target, "host", ValuesQuery.model_validate({"order": order})
                    )
                    text = (answer.body or b"").decode()
                    shown = {host for host in HOSTS if f'"value":{_json(host)}' in text}
                    assert shown == set(own), (source.kind, tenant)
                answer = await field_values.values(
                    services, source.instance, source.target, "tenant", ValuesQuery.model_validate({})
                )
                assert next(one for one in TENANTS if one != tenant).encode() not in (answer.body or b"")
            odd = (sources[1].name, "odd")
            with pytest.raises(RequestError) as refused:
                await field_values.values(services, "influx", odd, "time", ValuesQuery.model_validate({}))
            assert refused.value.code.name == "FIELD_UNKNOWN"
        finally:
            principal_var.reset(token)


def _json(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
