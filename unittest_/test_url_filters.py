"""Rows by a URL: the same plan as the body that asks the same, and every fault at its parameter."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.demo import load_demo
from libs.context import Limits
from libs.errors import RequestError
from parser.json_body import parse_body
from parser.url_filters import at_parameters, parse_url
from query.bind import bind
from query.catalog import Field, Table
from query.plan import Ask
from query.vocabulary import OPERATORS
from unittest_.asking import LOGS, NOW, asked, leaf
from unittest_.conformance.bodies import bodies
from unittest_.conformance.case import Body, bound
from unittest_.conformance.data import data_sets
from unittest_.conformance.test_random import SHARES
from unittest_.live import Client, service
from unittest_.test_bind_suite import table_of
from unittest_.url_rendering import queries, url_body


def by_url(query: str, table: Table = LOGS) -> Ask:
    try:
        return bind(parse_url(query, table.source), {table.source: table}, NOW, Limits())
    except RequestError as error:
        raise at_parameters(error) from None


def faults(query: str) -> list[tuple[str, str]]:
    with pytest.raises(RequestError) as caught:
        by_url(query)
    assert all(issue.message for issue in caught.value.issues)
    return [(issue.code, issue.pointer) for issue in caught.value.issues]


OPERANDS: dict[str, tuple[str, str, Any]] = {
    "eq": ("status", "500", 500),
    "ne": ("ms", "-0.5", -0.5),
    "lt": ("ms", "1e3", 1e3),
    "lte": ("@timestamp", "now-1h/h", "now-1h/h"),
    "gt": ("host", "a,b(c)", "a,b(c)"),
    "gte": ("status", "9223372036854775807", 2**63 - 1),
    "in": ("host", '(a,"b,c","d\\"e\\\\f")', ["a", "b,c", 'd"e\\f']),
    "nin": ("sizes", "(1,2)", [1, 2]),
    "between": ("status", "(500,599)", [500, 599]),
    "exists": ("labels", "false", False),
    "like": ("host", "web-%", "web-%"),
    "ilike": ("host", "WEB_1", "WEB_1"),
    "starts_with": ("host", '"web', '"web'),
    "ends_with": ("host", "", ""),
    "contains": ("host", "1e5", "1e5"),
    "regex": ("host", "^web-(1|2)$", "^web-(1|2)$"),
    "match": ("body", "timed out", "timed out"),
    "match_phrase": ("body", "timed out", "timed out"),
}


@pytest.mark.parametrize("op", OPERATORS)
def test_every_operator(op: str) -> None:
    field, text, value = OPERANDS[op]
    expected = asked({"where": leaf(field, op, value)})
    assert by_url(urlencode({field: f"{op}.{text}"})) == expected
    negated = asked({"where": {"not": leaf(field, op, value)}})
    assert by_url(urlencode({field: f"not.{op}.{text}"})) == negated
    inner = text if text.startswith("(") or op == "exists" else '"' + text.replace('"', '\\"') + '"'
    assert by_url(urlencode({"or": f'("{field}".{op}.{inner})'})) == asked({"where": {"or": [leaf(field, op, value)]}})


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("", {}),
        ("cached=eq.true", {"where": leaf("cached", "eq", True)}),
        ("host=eq.true", {"where": leaf("host", "eq", "true")}),
        ("status=gte.500&status=lt.600", {"where": {"and": [leaf("status", "gte", 500), leaf("status", "lt", 600)]}}),
        (
            "not.or=(status.gte.500,and(host.eq.a,ms.not.gt.2))",
            {"where": {"not": {"or": [
                leaf("status", "gte", 500),
                {"and": [leaf("host", "eq", "a"), {"not": leaf("ms", "gt", 2)}]},
            ]}}},
        ),
        ("or=(body.keyword.eq.x)", {"where": {"or": [leaf("body.keyword", "eq", "x")]}}),
        ("from=now-1h&to=now", {"time_range": {"from": "now-1h", "to": "now"}}),
        ("from=now-1h&time_field=seen", {"time_range": {"from": "now-1h", "field": "seen"}}),
        ("select=host,%22status%22", {"select": ["host", "status"]}),
        ("select=body.keyword", {"select": ["body.keyword"]}),
        ("order=status.desc,host,ms.asc", {"order_by": [{"field": "status", "dir": "desc"}, "host", "ms"]}),
        ('order="status".desc,"host"', {"order_by": [{"field": "status", "dir": "desc"}, "host"]}),
        ("limit=7", {"limit": 7}),
        ("partial=true&timeout=5s", {"options": {"partial": True, "timeout": "5s"}}),
        ("total=true&require_fresh=5m", {"options": {"total": True, "require_fresh": "5m"}}),
    ],
)  # fmt: skip
def test_says_what_the_body_says(query: str, body: Body) -> None:
    assert by_url(query) == asked(body)


def test_a_field_called_like_a_parameter_is_filtered_within_a_group() -> None:
    table = Table(LOGS.source, "documents", {"limit": Field("limit", LOGS.fields["status"].type)})
    assert by_url("and=(limit.eq.5)&limit=3", table) == asked(
        {"where": {"and": [leaf("limit", "eq", 5)]}, "limit": 3}, table
    )


@pytest.mark.parametrize(
    ("query", "code", "name"),
    [
        ("limt=5", "REQUEST_INVALID", "limt"),
        ("=eq.5", "REQUEST_INVALID", ""),
        ("status=500", "REQUEST_INVALID", "status"),
        ("status=is.500", "OPERATOR_UNKNOWN", "status"),
        ("status=eq.five", "TYPE_MISMATCH", "status"),
        ("status=eq.0500", "TYPE_MISMATCH", "status"),
        ("status=eq.", "TYPE_MISMATCH", "status"),
        ("status=in.(1,two)", "TYPE_MISMATCH", "status"),
        ("ms=eq.NaN", "TYPE_MISMATCH", "ms"),
        ("ms=eq.1e999", "TYPE_MISMATCH", "ms"),
        ("cached=eq.1", "TYPE_MISMATCH", "cached"),
        ("cached=eq.TRUE", "TYPE_MISMATCH", "cached"),
        ("host=exists.yes", "TYPE_MISMATCH", "host"),
        ("status=like.5%25", "TYPE_MISMATCH", "status"),
        ("@timestamp=gte.yesterday", "TIME_INVALID", "@timestamp"),
        ("hots=eq.a", "FIELD_UNKNOWN", "hots"),
        ("a~b/c=eq.a", "FIELD_UNKNOWN", "a~0b~1c"),
        ("host=regex.(%3F=a)", "REGEX_UNSUPPORTED", "host"),
        ("host=in.a", "REQUEST_INVALID", "host"),
        ("host=in.()", "REQUEST_INVALID", "host"),
        ("host=in.(a,)", "REQUEST_INVALID", "host"),
        ("host=in.(a)b", "REQUEST_INVALID", "host"),
        ('host=in.("a)', "REQUEST_INVALID", "host"),
        ("status=between.(1,2,3)", "REQUEST_INVALID", "status"),
        ("status=between.(2,1)", "RANGE_INVALID", "status"),
        ("or=()", "EMPTY_NODE", "or"),
        ("or=(host.eq.a", "REQUEST_INVALID", "or"),
        ("or=(host.eq.a))", "REQUEST_INVALID", "or"),
        ("or=(host)", "REQUEST_INVALID", "or"),
        ("not.and=host.eq.a", "REQUEST_INVALID", "not.and"),
        ("or=" + "and(" * 40 + "host.eq.a" + ")" * 40, "REQUEST_INVALID", "or"),
        ("or=(" + "and(" * 40 + "host.eq.a" + ")" * 41, "TOO_DEEP", "or"),
        ("or=(" + ",".join(["host.eq.a"] * 600) + ")", "TOO_MANY_NODES", "or"),
        ("host=in.(" + ",".join(["a"] * 1001) + ")", "TOO_MANY_VALUES", "host"),
        ("host=eq." + "a" * 1001, "TOO_MANY_VALUES", "host"),
        ("limit=0", "LIMIT_INVALID", "limit"),
        ("limit=ten", "LIMIT_INVALID", "limit"),
        ("limit=1&limit=2", "REQUEST_INVALID", "limit"),
        ("select=", "REQUEST_INVALID", "select"),
        ("select=nothing", "FIELD_UNKNOWN", "select"),
        ("order=host.desc,nothing.asc", "FIELD_UNKNOWN", "order"),
        ("from=yesterday", "TIME_INVALID", "from"),
        ("to=2026-11-22T10:00:00+01:00", "TIME_INVALID", "to"),
        ("from=now&to=now-1h", "RANGE_INVALID", "from"),
        ("from=now-1h&time_field=hots", "FIELD_UNKNOWN", "time_field"),
        ("from=now-1h&time_field=host", "TYPE_MISMATCH", "time_field"),
        ("partial=maybe", "BODY_INVALID", "partial"),
        ("timeout=0s", "TIME_INVALID", "timeout"),
        ("total=yes", "BODY_INVALID", "total"),
        ("require_fresh=soon", "TIME_INVALID", "require_fresh"),
    ],
)
def test_faults_are_at_their_parameter(query: str, code: str, name: str) -> None:
    assert faults(query) == [(code, f"query/{name}")]


def test_faults_come_all_at_once() -> None:
    found = faults("host=is.a&status=eq.five&limit=0&or=(x)")
    assert [pointer for _, pointer in found] == ["query/host", "query/or", "query/limit"]
    assert len(faults("status=eq.five&cached=eq.no&select=nothing")) == 3


def test_a_text_operand_equals_no_string() -> None:
    """Whoever remembers plans by their questions must not answer a body's "500" with what a URL's 500 meant."""
    by_text = parse_url("status=eq.500", LOGS.source)
    body = json.dumps({"where": leaf("status", "eq", "500")}).encode()
    by_body = parse_body(body, LOGS.source.instance, LOGS.source.target)
    assert by_text != by_body
    assert by_text == parse_url("status=eq.500", LOGS.source)
    assert len({by_text, by_body, parse_url("status=eq.500", LOGS.source)}) == 2
    assert parse_url("status=in.(500)", LOGS.source) != parse_url("status=in.(501)", LOGS.source)


def test_a_body_stays_strict() -> None:
    with pytest.raises(RequestError) as caught:
        asked({"where": leaf("status", "eq", "500")})
    assert caught.value.code.name == "TYPE_MISMATCH"


@given(st.data())
@settings(max_examples=200, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_url_is_the_body_that_asks_the_same(drawn: st.DataObject) -> None:
    data = data_sets()[drawn.draw(st.sampled_from(sorted(SHARES)))]
    kind = drawn.draw(st.sampled_from(sorted(data.kinds)))
    body = url_body(bound(_rows_of(drawn.draw(bodies(data))), data.time_field(kind)))
    table = table_of(data, kind)
    query = drawn.draw(queries(body))
    assert by_url(query, table) == asked(body, table), query


def _rows_of(body: Body) -> Body:
    """What of a random body asks for rows: the whole, or the part of one of groups that shapes no groups."""
    items = body.get("select", [])
    grouped = "group_by" in body or any("agg" in item for item in items if isinstance(item, dict))
    if grouped:
        return {name: body[name] for name in ("where", "time_range", "limit", "options") if name in body}
    plain = [item for item in items if isinstance(item, str) or "field" in item]
    named = {item["as"] for item in items if isinstance(item, dict) and "expr" in item}
    order = [
        item for item in body.get("order_by", []) if (item if isinstance(item, str) else item["field"]) not in named
    ]
    kept = {name: value for name, value in body.items() if name not in ("select", "order_by")}
    return kept | ({"select": plain} if plain else {}) | ({"order_by": order} if order else {})


@pytest.fixture(scope="module")
async def demo(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    async with service(tmp_path_factory.mktemp("demo")) as client:
        await load_demo(client.url, hours=2, seed=1)
        yield client


@pytest.mark.parametrize("path", ["/es/access", "/es/index/access", "/influx/telegraf/cpu", "/influx/db/telegraf/cpu"])
async def test_rows_are_those_of_the_body(demo: Client, path: str) -> None:
    series = "influx" in path
    field, low = ("usage", 0) if series else ("status", 200)
    order = [{"field": field, "dir": "desc"}, "host", "time" if series else "@timestamp"]
    body = {
        "where": {"and": [leaf(field, "gte", low), leaf("host", "in", ["web-1", "web-2"])]},
        "select": ["host", field],
        "order_by": order,
        "limit": 9,
    }
    query = f"{field}=gte.{low}&host=in.(web-1,%22web-2%22)&select=host,{field}&limit=9"
    query += f"&order={field}.desc,host,{order[-1]}"
    expected = await demo.ok("POST", f"{path}/query", json=body)
    found = await demo.ok("GET", f"{path}/rows?{query}")
    assert len(found["data"]) == 9
    assert found["page"].pop("cursor")
    assert expected["page"].pop("cursor")
    assert [found[name] for name in ("columns", "data", "page")] == [
        expected[name] for name in ("columns", "data", "page")
    ]
    arrays = await demo.ok("GET", f"{path}/rows?{query}&shape=arrays")
    assert arrays["data"] == [list(row.values()) for row in expected["data"]]


@pytest.mark.parametrize("media_type", ["text/csv", "application/x-ndjson", "application/vnd.apache.arrow.stream"])
async def test_rows_stream_as_those_of_the_body(demo: Client, media_type: str) -> None:
    headers = {"accept": media_type}
    body = {"where": leaf("status", "gte", 500), "select": ["host", "path"], "order_by": ["@timestamp", "_id"]}
    url, query = f"{demo.url}/es/access", "status=gte.500&select=host,path&order=@timestamp,_id&csv_guard=false"
    async with demo.session.post(f"{url}/query?csv_guard=false", json=body, headers=headers) as response:
        expected = await response.read()
    async with demo.session.get(f"{url}/rows?{query}", headers=headers) as response:
        assert (response.status, response.content_type, await response.read()) == (200, media_type, expected)
    status, answer = await demo.send("GET", "/es/access/rows?partial=true", headers=headers)
    assert (status, answer["errors"][0]["pointer"]) == (422, "query/partial")


async def test_rows_tell_their_total_and_refuse_to_be_old(demo: Client) -> None:
    counted = {"where": leaf("status", "gte", 500), "group_by": [], "select": [{"agg": "count", "as": "n"}]}
    wanted = (await demo.ok("POST", "/es/access/query", json=counted))["data"][0]["n"]
    answer = await demo.ok("GET", "/es/access/rows?status=gte.500&limit=1&total=true&require_fresh=1d")
    assert answer["page"]["total"] == {"value": wanted, "relation": "eq"}
    assert answer["meta"]["sources"][0]["freshness"]
    for headers in ({}, {"accept": "text/csv"}):
        old = "/es/access/rows?from=now-2h&to=now-1h&require_fresh=1ms"
        status, refused = await demo.send("GET", old, headers=headers)
        assert (status, refused["code"]) == (503, "STALE_SOURCE")


async def test_faults_are_answered_at_their_parameter(demo: Client) -> None:
    status, answer = await demo.send("GET", "/es/access/rows?status=eq.five&limt=3&shape=round")
    assert (status, answer["errors"][0]["pointer"]) == (400, "query/shape")
    status, answer = await demo.send("GET", "/es/access/rows?status=eq.five")
    assert (status, answer["code"], answer["errors"][0]["pointer"]) == (422, "TYPE_MISMATCH", "query/status")
    status, answer = await demo.send("GET", "/es/access/rows?limt=3")
    assert (status, answer["errors"][0]["hint"][:19]) == (400, "did you mean limit?")
    status, answer = await demo.send("GET", "/es/nothing/rows")
    assert (status, answer["code"]) == (404, "INDEX_UNKNOWN")


async def test_the_document_tells_of_filters_by_name(demo: Client) -> None:
    document = await demo.ok("GET", "/openapi.json")
    for path in ("/es/{index}/rows", "/influx/{db}/{measurement}/rows"):
        parameters = {one["name"]: one for one in document["paths"][path]["get"]["parameters"]}
        assert {"select", "order", "limit", "from", "to", "shape", "others"} <= parameters.keys()
        assert parameters["others"]["explode"]
        assert parameters["others"]["example"]


def test_the_language_of_the_page_works() -> None:
    page = (Path(__file__).parent.parent / "docs" / "custom-language.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    made: dict[str, Any] = {}
    exec(textwrap.dedent(code), made)
    question = made["parse_words"]("host=web-1 status=503", LOGS.source)
    expected = asked({"where": {"and": [leaf("host", "eq", "web-1"), leaf("status", "eq", 503)]}})
    assert bind(question, {LOGS.source: LOGS}, NOW, Limits()) == expected
    with pytest.raises(RequestError):
        made["parse_words"]("host", LOGS.source)
