"""Lookup tables: typed strictly, replaced atomically, kept over restarts, and a source as any other."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from apps.pipeline import Services, run
from config.limits import LimitsSettings
from libs.context import RequestContext
from libs.errors import RequestError
from libs.result import Batch, Column, Type, TypeName
from libs.state import State
from middlewares.format import page_response
from operator_.engine import Engine
from parser.json_body import parse_body
from parser.lookup_body import parse_csv, parse_rows
from query.factory import QueryFactory
from query.lookup import LookupBackend, LookupTables
from unittest_.conformance.case import Case, bound
from unittest_.conformance.cases import cases
from unittest_.conformance.data import NOW, data_sets
from unittest_.conformance.stores import new_context
from unittest_.live import Client, service
from unittest_.reference import answer, differences
from unittest_.reference.tables import Table

CSV = {"content-type": "text/csv"}
OWNERS = 'host,owner,most,since,active\r\nweb-1,ann,80.5,2026-01-02T03:04:05Z,true\r\nweb-2,"b, o",90,,false\r\n'


def typed(batch: Batch) -> dict[str, tuple[str, list[Any]]]:
    columns = zip(batch.schema, batch.columns, strict=True)
    return {column.name: (column.type.name.value, list(cells)) for column, cells in columns}


@pytest.mark.parametrize(
    ("cells", "kind", "values"),
    [
        (["1", "-2", ""], "int64", [1, -2, None]),
        (["9223372036854775807"], "int64", [2**63 - 1]),
        (["9223372036854775808"], "float64", [2.0**63]),
        (["9223372036854775809"], "string", ["9223372036854775809"]),
        (["1", "2.5", "1e3"], "float64", [1.0, 2.5, 1000.0]),
        (["9007199254740993", "0.5"], "string", ["9007199254740993", "0.5"]),
        (["1e999"], "string", ["1e999"]),
        (["NaN"], "string", ["NaN"]),
        (["007", "1"], "string", ["007", "1"]),
        (["+1"], "string", ["+1"]),
        (["1 "], "string", ["1 "]),
        (["true", "false", ""], "boolean", [True, False, None]),
        (["True"], "string", ["True"]),
        (["true", "1"], "string", ["true", "1"]),
        (["1970-01-01T00:00:00.000000001Z", "1970-01-01T01:00:00+01:00"], "timestamp", [1, 0]),
        (["2026-11-22"], "string", ["2026-11-22"]),
        (["now"], "string", ["now"]),
        (["9999-01-01T00:00:00Z"], "string", ["9999-01-01T00:00:00Z"]),
        (["a,b", 'c"d', "e\nf"], "string", ["a,b", 'c"d', "e\nf"]),
        (["", ""], "string", [None, None]),
    ],
)  # fmt: skip
def test_columns_of_csv_get_the_type_of_all_their_cells(cells: list[str], kind: str, values: list[Any]) -> None:
    lines = ["n,c", *(f'{at},"' + cell.replace('"', '""') + '"' for at, cell in enumerate(cells))]
    assert typed(parse_csv("\r\n".join(lines).encode(), 100))["c"] == (kind, values)


@pytest.mark.parametrize(
    ("cells", "kind", "values"),
    [
        ([1, None, -2], "int64", [1, None, -2]),
        ([1, 2.5], "float64", [1.0, 2.5]),
        ([True, None], "boolean", [True, None]),
        (["1"], "string", ["1"]),
        (["1970-01-01T00:00:00Z", None], "timestamp", [0, None]),
        (["1970-01-01T00:00:00Z", "x"], "string", ["1970-01-01T00:00:00Z", "x"]),
        ([None], "string", [None]),
    ],
)
def test_columns_of_json_keep_json_s_types(cells: list[Any], kind: str, values: list[Any]) -> None:
    body = json.dumps([{"n": 1, "c": cell} for cell in cells]).encode()
    assert typed(parse_rows(body, 100))["c"] == (kind, values)


def test_absent_members_are_missing() -> None:
    assert typed(parse_rows(b'[{"a": 1}, {"b": "x"}]', 100)) == {
        "a": ("int64", [1, None]),
        "b": ("string", [None, "x"]),
    }


@pytest.mark.parametrize(
    ("body", "code", "pointer"),
    [
        (b'{"a": 1}', "BODY_INVALID", ""),
        (b"[1]", "BODY_INVALID", ""),
        (b"[]", "BODY_INVALID", ""),
        (b"[{}]", "BODY_INVALID", ""),
        (b"[", "JSON_INVALID", ""),
        (b'[{"a": 1, "a": 2}]', "DUPLICATE_KEY", "/0/a"),
        (b'[{"a": [1]}]', "VALUE_INVALID", "/0/a"),
        (b'[{"a": 1}, {"a": "x"}]', "VALUE_INVALID", "/1/a"),
        (b'[{"a": true}, {"a": 1}]', "VALUE_INVALID", "/1/a"),
        (b'[{"a": 9223372036854775808}]', "NUMBER_OUT_OF_RANGE", "/0/a"),
        (b'[{"a": 9007199254740993}, {"a": 0.5}]', "NUMBER_OUT_OF_RANGE", "/0/a"),
        (b'[{"": 1}]', "BODY_INVALID", ""),
        (b'[{"a=b": 1}]', "BODY_INVALID", ""),
        (b"[" + b",".join([b'{"a": 1}'] * 101) + b"]", "TOO_MANY_VALUES", ""),
    ],
)
def test_wrong_rows_are_refused(body: bytes, code: str, pointer: str) -> None:
    with pytest.raises(RequestError) as caught:
        parse_rows(body, 100)
    assert [(issue.code, issue.pointer) for issue in caught.value.issues] == [(code, pointer)]
    assert caught.value.issues[0].hint


@pytest.mark.parametrize(
    ("body", "code", "pointer"),
    [
        (b"\n\n", "BODY_INVALID", ""),
        (b"\xff\xff", "BODY_INVALID", ""),
        (b"{", "BODY_INVALID", ""),
        (b"a,a\n1,2", "NAME_CLASH", ""),
        (b"a,b\n1,2\n1", "VALUE_INVALID", "/1"),
        (b'a\n"x', "BODY_INVALID", ""),
        (b"a\n" + b"1\n" * 101, "TOO_MANY_VALUES", ""),
        (",".join(f"a{at}" for at in range(257)).encode(), "TOO_MANY_VALUES", ""),
    ],
)
def test_wrong_csv_is_refused(body: bytes, code: str, pointer: str) -> None:
    with pytest.raises(RequestError) as caught:
        parse_csv(body, 100)
    assert [(issue.code, issue.pointer) for issue in caught.value.issues] == [(code, pointer)]


@pytest.fixture(scope="module")
async def client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    limits = LimitsSettings(lookups=5, lookup_rows=1000)
    async with service(tmp_path_factory.mktemp("lookup"), limits=limits) as client:
        yield client


async def test_a_table_is_made_read_replaced_and_deleted(client: Client) -> None:
    status, made = await client.send("PUT", "/mix/lookup/owners", data=OWNERS, headers=CSV)
    assert (status, made["data"]["version"], made["data"]["length"]) == (201, 1, 2)
    types = {column["name"]: column["type"] for column in made["data"]["columns"]}
    assert types == {"host": "string", "owner": "string", "most": "float64", "since": "timestamp", "active": "boolean"}
    found = (await client.ok("GET", "/mix/lookup/owners"))["data"]
    assert found["rows"] == [
        {"host": "web-1", "owner": "ann", "most": 80.5, "since": "2026-01-02T03:04:05Z", "active": True},
        {"host": "web-2", "owner": "b, o", "most": 90.0, "since": None, "active": False},
    ]
    status, replaced = await client.send("PUT", "/mix/lookup/owners", json=[{"host": "web-3"}])
    assert (status, replaced["data"]["version"], replaced["data"]["columns"]) == (
        200, 2, [{"name": "host", "type": "string"}]
    )  # fmt: skip
    assert [one["name"] for one in (await client.ok("GET", "/mix/lookup"))["data"]] == ["owners"]
    await client.ok("DELETE", "/mix/lookup/owners")
    assert (await client.ok("GET", "/mix/lookup"))["data"] == []
    for method in ("GET", "DELETE"):
        status, refused = await client.send(method, "/mix/lookup/owners")
        assert (status, refused["code"]) == (404, "LOOKUP_UNKNOWN")


async def test_tags_spare_transfers_and_guard_updates(client: Client) -> None:
    async def send(method: str, headers: dict[str, str], **more: Any) -> tuple[int, str]:
        url = f"{client.url}/mix/lookup/tagged"
        async with client.session.request(method, url, headers=headers, **more) as response:
            return response.status, response.headers.get("ETag", "")

    rows: dict[str, Any] = {"json": [{"a": 1}]}
    assert await send("PUT", {"If-Match": "*"}, **rows) == (412, "")
    status, tag = await send("PUT", {"If-None-Match": "*"}, **rows)
    assert status == 201
    assert await send("PUT", {"If-None-Match": "*"}, **rows) == (412, "")
    assert await send("GET", {}) == (200, tag)
    assert await send("GET", {"If-None-Match": tag}) == (304, tag)
    assert await send("GET", {"If-None-Match": '"other"'}) == (200, tag)
    assert await send("PUT", {"If-Match": '"other"'}, **rows) == (412, "")
    changes = [send("PUT", {"If-Match": tag}, json=[{"a": number}]) for number in range(10, 20)]
    statuses = [status for status, _ in await asyncio.gather(*changes)]
    assert sorted(statuses) == [200] + [412] * 9
    assert await send("DELETE", {"If-Match": tag}) == (412, "")
    assert (await send("DELETE", {}))[0] == 200


async def test_caps_and_names(client: Client) -> None:
    for name in ("Owners", "a.b", "-a", "a" * 65, "%20"):
        status, refused = await client.send("PUT", f"/mix/lookup/{name}", json=[{"a": 1}])
        assert (status, refused["errors"][0]["pointer"]) == (400, "path/lookup")
    status, refused = await client.send("PUT", "/mix/lookup/big", json=[{"a": 1}] * 1001)
    assert (status, refused["code"]) == (422, "TOO_MANY_VALUES")
    for number in range(5):
        await client.ok("PUT", f"/mix/lookup/n{number}", json=[{"a": 1}])
    status, refused = await client.send("PUT", "/mix/lookup/n5", json=[{"a": 1}])
    assert (status, refused["code"]) == (422, "TOO_MANY_VALUES")
    for number in range(5):
        await client.ok("PUT", f"/mix/lookup/n{number}", json=[{"a": 2}])
        await client.ok("DELETE", f"/mix/lookup/n{number}")


async def test_any_query_reads_it(client: Client) -> None:
    await client.ok("PUT", "/mix/lookup/owners", data=OWNERS, headers=CSV)
    source = {"source": "mix", "lookup": "owners"}
    body = {
        "from": source,
        "where": {"field": "most", "op": "gt", "value": 10},
        "group_by": ["active"],
        "select": [{"agg": "max", "field": "most", "as": "m"}],
        "having": {"field": "m", "op": "gte", "value": 90},
    }
    assert (await client.ok("POST", "/mix/query", json=body))["data"] == [{"active": False, "m": 90.0}]
    canonical = (await client.ok("POST", "/mix/query/validate", json=body))["data"]
    assert canonical["from"] == source
    explained = (await client.ok("POST", "/mix/query/explain", json=body))["data"]
    assert '"lookup": "owners"' in json.dumps(explained)
    status, refused = await client.send("POST", "/mix/query", json={"from": {"source": "mix", "lookup": "nothing"}})
    assert (status, refused["code"]) == (404, "LOOKUP_UNKNOWN")
    status, refused = await client.send(
        "POST", "/mix/query", json=body | {"where": {"field": "mst", "op": "eq", "value": 1}}
    )
    assert (status, refused["code"]) == (422, "FIELD_UNKNOWN")
    # The next query sees the next version.
    await client.ok("PUT", "/mix/lookup/owners", json=[{"most": 7}])
    assert (await client.ok("POST", "/mix/query", json={"from": source}))["data"] == [{"most": 7}]
    await client.ok("DELETE", "/mix/lookup/owners")


async def test_a_metric_against_an_owner_s_threshold(client: Client) -> None:
    await client.ok("PUT", "/influx/shop")
    lines = "cpu,host=web-1 usage=81 1795687200000000000\ncpu,host=web-2 usage=85 1795687200000000000\n"
    await client.ok("POST", "/influx/shop/cpu/points", data=lines, headers={"content-type": "text/plain"})
    await client.ok("PUT", "/mix/lookup/owners", data=OWNERS, headers=CSV)
    body = {
        "from": {"source": "influx", "db": "shop", "measurement": "cpu"},
        "group_by": ["host"],
        "select": [{"agg": "max", "field": "usage", "as": "usage"}],
        "join": [{
            "how": "left", "as": "o", "on": ["host"],
            "with": {"from": {"source": "mix", "lookup": "owners"}, "select": ["host", "owner", "most"]},
        }],
        "then": {"select": ["host", "o.owner", {"expr": "usage - `o.most`", "as": "over"}]},
    }  # fmt: skip
    found = await client.ok("POST", "/mix/query", json=body)
    assert found["data"] == [
        {"host": "web-1", "o.owner": "ann", "over": 0.5},
        {"host": "web-2", "o.owner": "b, o", "over": -5.0},
    ]


async def test_a_table_outlives_the_service(tmp_path: Path) -> None:
    async with service(tmp_path) as client:
        await client.ok("PUT", "/mix/lookup/owners", data=OWNERS, headers=CSV)
        before = (await client.ok("GET", "/mix/lookup/owners"))["data"]
    async with service(tmp_path) as client:
        assert (await client.ok("GET", "/mix/lookup/owners"))["data"] == before
        status, again = await client.send("PUT", "/mix/lookup/owners", data=OWNERS, headers=CSV)
        assert (status, again["data"]["version"]) == (200, 2)


APPLIES = [one for one in cases() if "series" in one.kinds and one.error is None]


@pytest.fixture(scope="module")
async def services(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Services]:
    folder = tmp_path_factory.mktemp("conformance")
    state, engine = State(folder), Engine(folder / "spill")
    await state.open()
    tables = LookupTables(state)
    for name, data in data_sets().items():
        if "series" in data.kinds:
            await tables.put(name, _batch(data.tables["series"]), lambda tag: None)
    yield Services(QueryFactory([], [LookupBackend(tables)]), engine, RequestContext().limits)
    engine.close()
    await state.close()


def _batch(table: Table) -> Batch:
    schema = tuple(Column(name, Type(TypeName(table.fields[name].type))) for name in table.every_field)
    return Batch(schema, [[row.get(column.name) for row in table.rows] for column in schema], len(table.rows))


@pytest.mark.parametrize("case", APPLIES, ids=lambda case: case.name)
async def test_the_suite_s_cases_over_plain_columns(services: Services, case: Case) -> None:
    body = bound(case.body, "time")
    context = new_context()
    page, _ = await run(parse_body(json.dumps(body).encode(), "mix", (case.data,)), services, context)
    found = json.loads(page_response(page, context, 0.0, "objects").body or b"")
    assert differences(answer(body, {"": data_sets()[case.data].tables["series"]}, NOW), found) == []
