"""The Elasticsearch backend on a real server: what its catalogue learns, what it reads from where, and what it refuses.

What queries answer is the conformance suite's; here is what only Elasticsearch has.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

import orjson
import pytest

from libs.buckets import bucket_start
from libs.context import Limits, RequestContext
from libs.errors import ConfigError, ConflictError, CostError, HostMonitorError, NotFoundError, RequestError, StoreError
from libs.result import STRING, TypeName
from query.backend import CatalogStale, InstanceConfig, NotProven
from query.catalog import SourceRef, Table
from query.document_store import Document
from query.es.backend import EsBackend
from query.es.query import RowsQuery
from query.expr import Compare
from query.plan import Aggregation, BucketKey, FieldKey, Grouping, Order, Scan

PREFIX = f"kx-{uuid.uuid4().hex[:8]}"
KEYWORD = {"type": "keyword"}
LONG = {"type": "long"}


def context(**more: Any) -> RequestContext:
    return RequestContext(id="test", deadline=time.monotonic() + 30, **more)


@pytest.fixture
async def es(es_url: str) -> AsyncIterator[EsBackend]:
    opened = EsBackend(InstanceConfig("es", "documents", es_url, ""))
    yield opened
    for row in await opened.indices(context()):
        if str(row["index"]).startswith(PREFIX):
            await opened.delete_index(str(row["index"]), context())
    await opened.close()


async def made(
    es: EsBackend, name: str, properties: Mapping[str, Any], docs: Sequence[Mapping[str, Any]], **mapping: Any
) -> SourceRef:
    """An index with documents of the ids 0, 1, …."""
    index = f"{PREFIX}-{name}"
    settings: dict[str, Any] = {"number_of_replicas": 0} | mapping.pop("settings", {})
    await es.create_index(index, settings, {"properties": dict(properties), **mapping}, context())
    documents = [Document(json.dumps(doc).encode(), str(at)) for at, doc in enumerate(docs)]
    for item in await es.bulk(index, documents, True, context()):
        assert item["status"] == 201, item
    return SourceRef("es", (index,))


async def read(es: EsBackend, scan: Scan, asked: RequestContext | None = None) -> list[tuple[Any, ...]]:
    return [row async for batch in es.compile(scan).stream(asked or context()) for row in batch.rows()]


async def rows(es: EsBackend, source: SourceRef, *columns: str, **more: Any) -> list[tuple[Any, ...]]:
    """Rows in the order of ids."""
    asked = more.pop("asked", None)
    table = await es.table(source, asked or context())
    found = await read(es, Scan(source, ("_id", *columns), table=table, **({"limit": 100} | more)), asked)
    return [row[1:] for row in sorted(found, key=lambda row: int(str(row[0])))]


async def values(es: EsBackend, source: SourceRef, column: str, **more: Any) -> list[Any]:
    return [row[0] for row in await rows(es, source, column, **more)]


def read_from(es: EsBackend, table: Table, *columns: str) -> Any:
    return es.compile(Scan(table.source, columns, limit=5, table=table)).explain()["body"]


async def test_lists_are_learned(es: EsBackend) -> None:
    source = await made(
        es, "lists", {"one": LONG, "many": LONG, "text": {"type": "text"}}, [{"one": [1], "many": [1, 1]}]
    )
    fields = (await es.table(source, context())).fields
    assert [fields[name].type.multi for name in ("one", "many", "text")] == [False, True, False]
    assert await rows(es, source, "one", "many") == [(1, [1, 1])]


@pytest.mark.parametrize("limit", [100, None])
async def test_lists_seen_in_rows(es: EsBackend, limit: int | None) -> None:
    """Fields whose lists no count shows (equal keywords, text): a row that holds one makes the catalogue stale, once."""
    source = await made(
        es, f"seen{limit or ''}".lower(), {"k": KEYWORD, "t": {"type": "text"}}, [{"k": ["a", "a"], "t": ["x", "y"]}]
    )
    for name, held in (("k", ["a", "a"]), ("t", ["x", "y"])):
        with pytest.raises(CatalogStale):
            await values(es, source, name, limit=limit)
        es.forget(source)
        assert await values(es, source, name, limit=limit) == [held]


async def test_catalogue_is_cached_and_forgotten(es: EsBackend) -> None:
    source = await made(es, "cached", {"a": LONG}, [{"a": 1}])
    first = await es.table(source, context())
    assert await es.table(source, context()) is first
    await es.bulk(source.target[0], [Document(b'{"b": "new"}')], False, context())
    assert await es.table(source, context()) is first
    es.forget(source)
    assert "b" in (await es.table(source, context())).fields
    await es.bulk(source.target[0], [Document(b'{"c": true}')], True, context())
    assert "c" in (await es.table(source, context())).fields


async def test_catalogue_is_read_once_for_many(es: EsBackend) -> None:
    source = await made(es, "together", {"a": LONG}, [{"a": 1}])
    tables = await asyncio.gather(*[es.table(source, context()) for _ in range(20)])
    assert len({id(table) for table in tables}) == 1


ODD = {
    "alias": {"type": "alias", "path": "n"},
    "n": LONG,
    "from": {"type": "keyword", "copy_to": "to"},
    "to": KEYWORD,
    "nothing": {"type": "keyword", "null_value": "NONE"},
    "half": {"type": "half_float"},
    "parts": {"type": "nested", "properties": {"x": LONG}},
    "off": {"type": "object", "enabled": False},
    "geo": {"type": "geo_point"},
    "o": {"properties": {"k": KEYWORD}},
    "low": {"type": "keyword", "normalizer": "lowercase"},
    "@timestamp": {"type": "date"},
}


async def test_fields_of_every_kind(es: EsBackend) -> None:
    doc = {
        "n": 5, "from": "a", "nothing": None, "half": 0.1, "parts": [{"x": 1}], "off": {"y": [1, {"z": None}]},
        "geo": {"lat": 1, "lon": 2}, "o.k": "dotted", "low": "ÄB", "@timestamp": "2026-11-22",
    }  # fmt: skip
    source = await made(es, "kinds", ODD, [doc, {"o": {"k": "nested"}}, {}])
    table = await es.table(source, context())
    assert table.time_field == "@timestamp"
    assert table.rows == 3
    assert "alias" not in table.visible()
    assert [name for name, field in table.fields.items() if field.type.name is TypeName.JSON] == ["geo", "off", "parts"]
    found = await rows(es, source, *(name for name in ODD if name != "o"), "o.k")
    assert found[0] == (
        5, 5, "a", "a", "NONE", 0.099975586, '[{"x":1}]', '{"y":[1,{"z":null}]}', '{"lat":1,"lon":2}', "äb",
        1795305600000, "dotted",
    )  # fmt: skip
    assert found[1][-1] == "nested"
    assert set(found[2]) == {None}


async def test_source_is_read_where_it_proves_the_value(es: EsBackend) -> None:
    properties = {
        "n": LONG,
        "d": {"type": "double"},
        "t": {"type": "date"},
        "ip": {"type": "ip"},
        "b": {"type": "boolean"},
    }
    same = {"n": 2**53 + 1, "d": 3, "t": "1969-12-31T23:59:59.9999Z", "ip": "10.0.0.1", "b": True}
    other = {"n": "7", "d": "1e3", "t": "2020", "ip": "::ffff:10.0.0.1", "b": "true"}
    source = await made(es, "proves", properties, [same, other, {"t": 2020}, {"t": 12345, "n": 4.7}, {"b": ""}])
    body = read_from(es, await es.table(source, context()), *properties)
    assert "fields" not in body
    year = 1577836800000
    for limit in (100, None):
        assert await rows(es, source, *properties, limit=limit) == [
            (2**53 + 1, 3.0, -1, "10.0.0.1", True),
            (7, 1000.0, year, "10.0.0.1", True),
            (None, None, year, None, None),
            (4, None, 12345, None, None),
            (None, None, None, None, False),
        ]


async def test_formats_of_dates(es: EsBackend) -> None:
    properties = {
        "day": {"type": "date", "format": "dd/MM/yyyy"},
        "seconds": {"type": "date", "format": "epoch_second"},
        "nanos": {"type": "date_nanos"},
    }
    docs: list[dict[str, Any]] = [
        {"day": "02/01/1970", "seconds": 7, "nanos": "2262-04-11T23:47:16.854775807Z"},
        {"nanos": "1970-01-01T01:00:00+01:00", "seconds": "-1"},
    ]
    source = await made(es, "formats", properties, docs)
    assert await rows(es, source, *properties) == [(86_400_000, 7000, 2**63 - 1), (None, -1000, 0)]


@pytest.mark.parametrize("source", [{"enabled": False}, {"excludes": ["k"]}])
async def test_index_without_whole_source(es: EsBackend, source: dict[str, Any]) -> None:
    """`_source` cannot be trusted there: nothing is taken from it."""
    found = await made(
        es, f"no-source-{len(source)}-{next(iter(source))}", {"k": KEYWORD}, [{"k": "a"}], _source=source
    )
    body = read_from(es, await es.table(found, context()), "k")
    assert body["_source"] is False
    assert body["fields"] == ["k"]


async def test_ignored_values(es: EsBackend) -> None:
    """Rule 4: in a field that is shown or decides they are an error; with partial answers they are missing."""
    properties = {
        "k": {"type": "keyword", "ignore_above": 3},
        "n": {"type": "long", "ignore_malformed": True},
        "t": {"type": "text", "fields": {"raw": {"type": "keyword", "ignore_above": 3}}},
        "other": KEYWORD,
    }
    source = await made(
        es, "ignored", properties, [{"k": ["abcd", "x"], "n": "no", "t": "long text", "other": "o"}, {"k": "ab"}]
    )
    table = await es.table(source, context())
    assert await values(es, source, "other") == ["o", None]
    assert await values(es, source, "t") == ["long text", None]
    for name in ("k", "n"):
        with pytest.raises(RequestError) as found:
            await values(es, source, name)
        assert found.value.code.name == "VALUE_IGNORED"
    asked = context(partial_allowed=True)
    assert await rows(es, source, "k", "n", asked=asked) == [("x", None), ("ab", None)]
    assert [warning.code for warning in asked.warnings] == ["VALUE_IGNORED"]
    deciding: list[Scan] = [
        Scan(source, ("other",), where=Compare("t", "eq", "a", STRING), table=table, limit=5),
        Scan(source, ("other",), order=(Order("k"),), table=table, limit=5),
        Scan(source, (), group=Grouping((FieldKey("k"),), ()), table=table),
        Scan(source, (), group=Grouping((), (Aggregation("sum", "n", "s"),)), table=table),
    ]
    for scan in deciding:
        with pytest.raises(RequestError) as found:
            await read(es, scan)
        assert found.value.code.name == "VALUE_IGNORED"
        await read(es, scan, context(partial_allowed=True))


async def test_patterns_of_indices(es: EsBackend) -> None:
    await made(es, "p-1", {"a": LONG, "only1": KEYWORD}, [{"a": 1, "only1": "x"}])
    await made(es, "p-2", {"a": {"type": "integer"}, "only2": KEYWORD}, [{"a": 2}])
    source = SourceRef("es", (f"{PREFIX}-p-*",))
    table = await es.table(source, context())
    assert not table.parts
    assert set(table.fields) == {"_id", "a", "only1", "only2"}
    scan = Scan(source, ("a", "only1"), order=(Order("only1"), Order("a")), limit=10, table=table)
    assert await read(es, scan) == [(1, "x"), (2, None)]
    with pytest.raises(NotFoundError) as found:
        await es.table(SourceRef("es", (f"{PREFIX}-nothing-*",)), context())
    assert found.value.code.name == "INDEX_UNKNOWN"


async def test_patterns_over_different_types(es: EsBackend) -> None:
    """Rule 7: each typing is a part of its own; what has no common type is named."""
    await made(
        es, "d-1", {"t": {"type": "date"}, "n": LONG, "x": KEYWORD, "same": KEYWORD}, [{"t": 1, "n": 1, "x": "a"}]
    )
    await made(
        es,
        "d-2",
        {"t": {"type": "date_nanos"}, "n": {"type": "double"}, "x": LONG, "same": KEYWORD},
        [{"t": 2, "n": 0.5}],
    )
    await made(es, "d-3", {"t": {"type": "date"}, "n": LONG, "x": KEYWORD, "same": KEYWORD}, [{"t": 3, "n": 3}])
    source = SourceRef("es", (f"{PREFIX}-d-*",))
    table = await es.table(source, context())
    assert len(table.parts) == 2
    assert dict(table.conflicts) == {"x": ("string", "int64")}
    assert (table.fields["t"].type.unit, table.fields["n"].type.name) == ("ns", TypeName.FLOAT64)
    found = [await read(es, Scan(source, ("t", "n"), table=part, limit=10)) for part in table.parts]
    assert sorted(found[0]) == [(1, 1), (3, 3)]
    assert found[1] == [(2_000_000, 0.5)]


async def test_pattern_over_forms_of_one_type(es: EsBackend) -> None:
    """Fields of one type that the indices hold differently: nothing is pushed on them, and rows go through `fields`."""
    await made(es, "f-1", {"v": {"type": "float"}}, [{"v": 0.1}])
    await made(es, "f-2", {"v": {"type": "double"}}, [{"v": 0.30000000000000004}])
    source = SourceRef("es", (f"{PREFIX}-f-*",))
    table = await es.table(source, context())
    assert not table.parts
    leaf = Compare("v", "eq", 0.1, table.fields["v"].type)
    assert es.capabilities.pushdown(leaf, Scan(source, table=table)).reason
    assert sorted(await read(es, Scan(source, ("v",), table=table, limit=5))) == [(0.1,), (0.30000000000000004,)]


async def test_a_search_answers_what_was_sent_to_the_letter(es: EsBackend) -> None:
    source = await made(es, "letter", {"k": KEYWORD}, [], dynamic=False)
    sent = b'{"k":"a","big":123456789012345678901234567890,"same":1.00,"tiny":1e-400}'
    await es.bulk(source.target[0], [Document(sent, "1")], True, context())
    found = await es.search(source.target[0], {"query": {"term": {"k": "a"}}}, context())
    assert sent in orjson.dumps(found)


async def test_members_that_an_index_does_not_map(es: EsBackend) -> None:
    """What stands in `_source` of an index that does not map it is no value there."""
    await made(es, "u-1", {"v": KEYWORD}, [{"v": "held"}])
    await made(es, "u-2", {"w": KEYWORD}, [{"v": "not held", "w": "x"}], dynamic=False)
    source = SourceRef("es", (f"{PREFIX}-u-*",))
    table = await es.table(source, context())
    assert sorted(await read(es, Scan(source, ("v",), table=table, limit=5)), key=str) == [("held",), (None,)]


async def test_whole_scan_in_pages(es: EsBackend) -> None:
    """Every row once, page by page, by a point in time that is closed: after the end, an early end, an error."""
    source = await made(es, "pages", {"n": LONG}, [{"n": n} for n in range(3500)])
    small = EsBackend(InstanceConfig("es", "documents", es_url_of(es), "", options={"page_rows": 1000}))
    try:
        table = await small.table(source, context())
        scan = Scan(source, ("n",), table=table)
        sizes = [batch.length async for batch in small.compile(scan).stream(context())]
        assert sizes == [1000, 1000, 1000, 500]
        assert sorted(row[0] for row in await read(small, scan)) == list(range(3500))
        async with aclosing(small.compile(scan).stream(context())) as stream:  # type: ignore[type-var]
            assert (await anext(stream)).length == 1000
        with pytest.raises(CostError) as found:
            await read(small, scan, context(limits=Limits(rows_fetched=3499)))
        assert "3499" in found.value.message
        assert await open_points(small) == 0
        ordered = Scan(source, ("n",), table=table, order=(Order("n", True),), limit=3100)
        deep = small.compile(ordered)
        assert isinstance(deep, RowsQuery)
        assert len(await read(small, ordered)) == 3100
    finally:
        await small.close()


async def test_limits_past_a_page(es: EsBackend) -> None:
    source = await made(es, "deep", {"n": LONG}, [{"n": n} for n in range(10_300)])
    table = await es.table(source, context())
    scan = Scan(source, ("n",), table=table, order=(Order("n", True),), limit=10_001)
    assert [row[0] for row in await read(es, scan)] == list(range(10_299, 298, -1))
    assert await open_points(es) == 0


async def test_groups_in_pages(es: EsBackend) -> None:
    source = await made(es, "groups", {"n": LONG, "k": KEYWORD}, [{"n": n, "k": f"k{n % 7}"} for n in range(10_500)])
    table = await es.table(source, context())
    scan = Scan(source, (), group=Grouping((FieldKey("n"),), (Aggregation("count", None, "c"),)), table=table)
    assert sorted(await read(es, scan)) == [(n, 1) for n in range(10_500)]
    assert await open_points(es) == 0
    for most in (10_499, 5000):
        with pytest.raises(CostError):
            await read(es, scan, context(limits=Limits(groups=most)))
    assert await open_points(es) == 0


async def test_numbers_that_prove_nothing(es: EsBackend) -> None:
    docs: list[dict[str, Any]] = [{"n": 2**53 + 1, "d": 1e9, "i": 1}, {"n": 2**53 - 3, "d": 1e9 + 0.001, "i": 3}]
    source = await made(es, "unproven", {"n": LONG, "d": {"type": "double"}, "i": LONG, "z": {"type": "double"}}, docs)
    await es.bulk(
        source.target[0],
        [Document(b'{"z": -0.0}'), Document(b'{"z": 1e308}'), Document(b'{"z": 1e308}')],
        True,
        context(),
    )
    table = await es.table(source, context())

    async def one(function: Any, field: str) -> Any:
        scan = Scan(source, (), group=Grouping((), (Aggregation(function, field, "x"),)), table=table)
        assert es.capabilities.pushdown(scan.group, Scan(source, table=table)).checked  # type: ignore[arg-type]
        return (await read(es, scan))[0][0]

    for function, field in (("sum", "n"), ("avg", "n"), ("max", "n"), ("stddev", "d"), ("sum", "z"), ("avg", "z")):
        with pytest.raises(NotProven):
            await one(function, field)
    assert [await one(function, "i") for function in ("sum", "avg", "min", "max")] == [4, 2.0, 1, 3]
    zero = Scan(source, (), group=Grouping((FieldKey("z"),), ()), table=table)
    with pytest.raises(NotProven):
        await read(es, zero)
    ordered = Scan(source, ("i",), order=(Order("z"), Order("i")), table=table, limit=5)
    with pytest.raises(NotProven):
        await read(es, ordered)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/Sao_Paulo", "Asia/Kathmandu", "Pacific/Apia"])
@pytest.mark.parametrize("width", ["1d", "1w", "1M", "1y"])
async def test_calendars_of_zones(es: EsBackend, zone: str, width: Any) -> None:
    """Days that begin at one o'clock, that are skipped, of 23 hours: the store's buckets are ours, or prove nothing."""
    hours = range(0, 24 * 1200, 7)
    start = 1_262_304_000_000  # 2010
    times = [start + 3_600_000 * hour for hour in hours] + [-3_600_000, None]
    source = await made(
        es, f"zones-{zone[-4:]}-{width}".lower(), {"t": {"type": "date"}}, [{"t": time} for time in times]
    )
    scan = Scan(
        source, (), table=await es.table(source, context()),
        group=Grouping((BucketKey("t", width, "b", zone, "ms"),), (Aggregation("count", None, "n"),)),
    )  # fmt: skip
    expected: dict[int | None, int] = {}
    for moment in times:
        begun = None if moment is None else bucket_start(moment * 1_000_000, width, zone) // 1_000_000
        expected[begun] = expected.get(begun, 0) + 1
    assert dict(await read(es, scan)) == expected


async def test_zone_that_the_store_does_not_know(es: EsBackend) -> None:
    source = await made(es, "zork", {"t": {"type": "date"}}, [{"t": 1}])
    key = BucketKey("t", "1d", "b", "Mars/Olympus", "ms")
    scan = Scan(source, (), group=Grouping((key,), ()), table=await es.table(source, context()))
    with pytest.raises(NotProven):
        await read(es, scan)


async def test_pattern_that_the_store_finds_too_complex(es: EsBackend) -> None:
    source = await made(es, "complex", {"k": KEYWORD}, [{"k": "abab"}])
    table = await es.table(source, context())
    leaf = Compare("k", "regex", "a.{40}b.{40}a", STRING)
    assert es.capabilities.pushdown(leaf, Scan(source, table=table)).checked
    with pytest.raises(NotProven, match="eterminiz"):
        await read(es, Scan(source, ("k",), where=leaf, table=table, limit=5))


async def test_partial_answers(es: EsBackend) -> None:
    """Rule 15: a shard that is not there makes an error, or a flag where that was asked for."""
    await made(es, "part-1", {"n": LONG}, [{"n": 1}])
    index = f"{PREFIX}-part-2"
    settings = {"number_of_replicas": 0, "index.routing.allocation.require._name": "nowhere"}
    body = json.dumps({"settings": settings, "mappings": {"properties": {"n": LONG}}}).encode()
    await es.client.write("PUT", f"/{index}?wait_for_active_shards=0&timeout=1s", context(), body)
    source = SourceRef("es", (f"{PREFIX}-part-*",))
    with pytest.raises(StoreError) as found:
        await es.table(source, context())
    assert (found.value.code.name, found.value.source) == ("STORE_PARTIAL", "es")
    allowed = context(partial_allowed=True)
    table = await es.table(source, allowed)
    scan = Scan(source, ("n",), table=table, limit=5)
    with pytest.raises(StoreError) as found:
        await read(es, scan)
    assert found.value.code.name == "STORE_PARTIAL"
    assert await read(es, scan, allowed) == [(1,)]
    assert allowed.partial
    alone = SourceRef("es", (index,))
    with pytest.raises(StoreError):
        await es.table(alone, context())


async def test_indices_that_went_away(es: EsBackend) -> None:
    source = await made(es, "gone", {"n": LONG}, [{"n": 1}])
    scan = Scan(source, ("n",), table=await es.table(source, context()), limit=5)
    await es.client.write("POST", f"/{source.target[0]}/_close", context())
    with pytest.raises(ConflictError, match="closed"):
        await read(es, scan)
    await es.delete_index(source.target[0], context())
    for limit in (5, None):
        with pytest.raises(NotFoundError) as found:
            await read(es, Scan(source, ("n",), table=scan.table, limit=limit))
        assert found.value.code.name == "INDEX_UNKNOWN"


async def test_documents(es: EsBackend) -> None:
    source = await made(es, "docs", {"n": LONG}, [], dynamic="strict")
    index = source.target[0]
    inserted = await es.insert(index, Document(b'{"n":\n 1}', "a/../b?c#d"), True, context())
    assert inserted == {"_index": index, "_id": "a/../b?c#d", "_version": 1, "result": "created"}
    with pytest.raises(ConflictError) as found:
        await es.insert(index, Document(b"{}", "a/../b?c#d"), True, context())
    assert found.value.code.name == "ALREADY_EXISTS"
    sent = [
        Document(b'{"n": 1}', "x"), Document(b'{"n": "no"}'), Document(b'{"m": 1}'), Document(b'{"n": 2}', "x"),
        Document(b'{"n": ', "y"), Document(b"{}", ""), Document(b"{}", "i" * 513), Document(b'{"n": 3}', ".."),
    ]  # fmt: skip
    items = await es.bulk(index, sent, True, context())
    assert [item["status"] for item in items] == [201, 400, 400, 409, 400, 400, 400, 201]
    assert all(set(item["error"]) == {"type", "reason"} for item in items if "error" in item)
    replaced = await es.bulk(index, [Document(b'{"n": 9}', "x")], True, context(), replace=True)
    assert replaced == [{"_id": "x", "_version": 2, "result": "updated", "status": 200}]
    table = await es.table(source, context())
    assert sorted(await read(es, Scan(source, ("_id", "n"), table=table, limit=9))) == [
        ("..", 3),
        ("a/../b?c#d", 1),
        ("x", 9),
    ]


async def test_writes_make_no_index(es: EsBackend) -> None:
    for write in (
        es.insert(f"{PREFIX}-none", Document(b"{}"), True, context()),
        es.bulk(f"{PREFIX}-none", [Document(b"{}")], True, context()),
    ):
        with pytest.raises(NotFoundError) as found:
            await write
        assert found.value.code.name == "INDEX_UNKNOWN"
    assert not [row for row in await es.indices(context()) if row["index"] == f"{PREFIX}-none"]


@pytest.mark.parametrize(
    "name", ["..", "*", "_all", "a,b", "<logs-{now/d}>", "-a", "A", "a\nb", "a/b", "", "a" * 256, "ä"]
)
async def test_names_that_are_none(name: str) -> None:
    """T1, T2: refused before anything is sent (nothing listens at this address)."""
    closed = EsBackend(InstanceConfig("es", "documents", "http://127.0.0.1:1", ""))
    calls: list[Any] = [
        closed.create_index(name, {}, {}, context()),
        closed.describe_index(name, context()),
        closed.delete_index(name, context()),
        closed.search(name, {}, context()),
        closed.insert(name, Document(b"{}"), False, context()),
        closed.bulk(name, [Document(b"{}")], False, context()),
    ]
    if name != "*":
        calls.append(closed.table(SourceRef("es", (name,)), context()))
    for call in calls:
        with pytest.raises(RequestError) as found:
            await call
        assert found.value.code.name == "NAME_INVALID"
    await closed.close()


async def test_a_store_that_is_down() -> None:
    closed = EsBackend(InstanceConfig("es", "documents", "http://127.0.0.1:1", ""))
    for call in (closed.ping(context()), closed.indices(context()), closed.table(SourceRef("es", ("a",)), context())):
        with pytest.raises(StoreError) as found:
            await call
        assert (found.value.code.name, found.value.source) == ("STORE_UNAVAILABLE", "es")
    await closed.close()


async def test_administration(es: EsBackend) -> None:
    settings = {"number_of_shards": 2, "number_of_replicas": 0, "refresh_interval": "5s"}
    mappings = {"dynamic": False, "properties": {"a": {"type": "keyword", "ignore_above": 9}}}
    index = f"{PREFIX}-admin"
    assert await es.create_index(index, settings, mappings, context()) == {"_index": index, "acknowledged": True}
    assert await es.describe_index(index, context()) == {"settings": settings, "mappings": mappings}
    (row,) = [row for row in await es.indices(context()) if row["index"] == index]
    assert (row["status"], row["health"], row["docs"]) == ("open", "green", 0)
    assert str(row["created"]).endswith("Z")
    with pytest.raises(ConflictError):
        await es.create_index(index, {}, {}, context())
    for bad in ({"properties": {"a": {"type": "zork"}}}, {"zork": 1}):
        with pytest.raises(RequestError) as found:
            await es.create_index(f"{PREFIX}-bad", {}, bad, context())
        assert found.value.code.name == "MAPPING_INVALID"
    found_nodes = await es.nodes(context())
    assert found_nodes["cluster_name"]
    assert (await es.ping(context()))["version"][0] in "89"
    answer = orjson.loads(orjson.dumps(await es.search(index, {"query": {"match_all": {}}}, context())))
    assert answer["hits"]["total"] == {"value": 0, "relation": "eq"}
    with pytest.raises(RequestError):
        await es.search(index, {"query": {"zork": {}}}, context())
    assert await es.delete_index(index, context()) == {"acknowledged": True}
    with pytest.raises(NotFoundError):
        await es.delete_index(index, context())


async def test_alias_is_no_index(es: EsBackend) -> None:
    source = await made(es, "target", {"n": LONG}, [{"n": 1}])
    alias = f"{PREFIX}-alias"
    await es.client.write("PUT", f"/{source.target[0]}/_alias/{alias}", context())
    assert await values(es, SourceRef("es", (alias,)), "n") == [1]
    await es.bulk(source.target[0], [Document(b'{"new": 1}', "1")], True, context())
    assert await values(es, SourceRef("es", (alias,)), "new") == [None, 1]
    with pytest.raises(HostMonitorError):
        await es.delete_index(alias, context())
    with pytest.raises(NotFoundError):
        await es.describe_index(alias, context())
    assert await values(es, source, "n") == [1, None]


@pytest.mark.parametrize(
    "options", [{"zork": 1}, {"page_rows": 0}, {"page_rows": True}, {"learn_share": 2}, {"page_bytes": "1"}]
)
def test_options_that_are_none(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="es-eu"):
        EsBackend(InstanceConfig("es-eu", "documents", "http://h", "", options=options))


def es_url_of(es: EsBackend) -> str:
    http = es.client._http
    return f"http://{http._host}:{http._port}"


async def open_points(es: EsBackend) -> int:
    """Open search contexts of the server, once those that are being closed are gone; other tests have none."""
    count = -1
    for _ in range(50):
        stats = await es.client.read_json(
            "GET", f"/{PREFIX}-*/_stats/search?filter_path=_all.total.search.open_contexts", context()
        )
        count = stats["_all"]["total"]["search"]["open_contexts"]
        if count == 0:
            break
        await asyncio.sleep(0.02)
    return count
