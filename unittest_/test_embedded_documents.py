"""Documents on the embedded store: indices, ids, versions, patterns over indices, fields that turn into lists, ignored values."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import orjson
import pytest

from libs.context import Limits, RequestContext
from libs.errors import ConflictError, CostError, DeadlineError, HostMonitorError, NotFoundError, RequestError
from libs.result import FLOAT64, STRING, TIMESTAMP, Type, TypeName
from query.backend import CatalogStale, InstanceConfig
from query.catalog import SourceRef
from query.document_store import Document
from query.embedded import open_backend
from query.embedded.documents import EmbeddedDocuments
from query.expr import Compare
from query.plan import Aggregation, Bounds, FieldKey, Grouping, Order, Scan

LIST_OF_LONGS = Type(TypeName.INT64, multi=True)


def context(**members: Any) -> RequestContext:
    return RequestContext(**members)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[EmbeddedDocuments]:
    backend = cast(EmbeddedDocuments, open_backend(InstanceConfig("es", "documents", None, str(tmp_path))))
    yield backend
    await backend.close()


async def write(store: EmbeddedDocuments, index: str, *sources: bytes) -> None:
    documents = [Document(source, f"d{number}") for number, source in enumerate(sources)]
    report = await store.bulk(index, documents, True, context(), replace=True)
    assert all("error" not in item for item in report), report


async def rows(
    store: EmbeddedDocuments, index: str, *columns: str, asked: RequestContext | None = None, **scan: Any
) -> list[tuple[Any, ...]]:
    source = SourceRef("es", (index,))
    table = await store.table(source, context())
    query = store.compile(Scan(source, columns, table=table, **scan))
    return [row async for batch in query.stream(asked or context()) for row in batch.rows()]


async def test_index_life(store: EmbeddedDocuments, tmp_path: Path) -> None:
    settings = {"number_of_shards": 2, "index": {"refresh_interval": "1s"}}
    mappings = {
        "dynamic": "strict",
        "_meta": {"team": "x"},
        "properties": {"a.b": {"type": "long"}, "c": {"type": "text"}},
    }
    made = await store.create_index("first-1", settings, mappings, context())
    assert made == {"_index": "first-1", "acknowledged": True}
    assert await store.describe_index("first-1", context()) == {"settings": settings, "mappings": mappings}
    with pytest.raises(ConflictError) as clash:
        await store.create_index("first-1", {}, {}, context())
    assert clash.value.code.name == "ALREADY_EXISTS"
    await write(store, "first-1", b'{"a":{"b":1}}', b'{"c":"x"}')
    (entry,) = await store.indices(context())
    assert {name: entry[name] for name in ("index", "status", "health", "docs", "bytes")} == {
        "index": "first-1", "status": "open", "health": "green", "docs": 2, "bytes": 22,
    }  # fmt: skip
    assert entry["created"].endswith("Z")
    assert await store.delete_index("first-1", context()) == {"acknowledged": True}
    assert await store.indices(context()) == []
    for work in (
        store.delete_index("first-1", context()),
        store.describe_index("first-1", context()),
        store.search("first-1", {}, context()),
        store.insert("first-1", Document(b"{}"), False, context()),
        store.bulk("first-1", [Document(b"{}")], False, context()),
        store.table(SourceRef("es", ("first-1",)), context()),
        store.table(SourceRef("es", ("first-*",)), context()),
    ):
        with pytest.raises(NotFoundError) as missing:
            await work
        assert missing.value.code.name == "INDEX_UNKNOWN"


@pytest.mark.parametrize(
    "name",
    [
        "..", ".", "*", "_all", "a*", "a,b", "-a", "a,-b", "", " ", ".security", ".kibana", "<logs-{now/d}>", "%3Clogs-%7Bnow%2Fd%7D%3E",
        "cluster:idx", "a\x00", "a" * 256, "Upper", "😀", "a/b", "a\\b", 'a"b', "a'b", "a\nb", "a\n", "_a", "+a", "a b", "a#b", "x; DROP",
    ],
)  # fmt: skip
async def test_names_of_indices(name: str, store: EmbeddedDocuments) -> None:
    """T1, T2: what is no exact name reaches nothing."""
    await store.create_index("victim", {}, {}, context())
    for work in (
        store.create_index(name, {}, {}, context()),
        store.delete_index(name, context()),
        store.describe_index(name, context()),
        store.search(name, {}, context()),
        store.insert(name, Document(b"{}"), False, context()),
    ):
        with pytest.raises(RequestError) as refused:
            await work
        assert refused.value.code.name == "NAME_INVALID"
    assert [entry["index"] for entry in await store.indices(context())] == ["victim"]


@pytest.mark.parametrize(
    ("mappings", "pointer", "named"),
    [
        ({"properties": {"a": {"type": "geo_point"}}}, "/mappings/properties/a/type", "geo_point"),
        ({"properties": {"a": {"type": "long", "copy_to": "b"}}}, "/mappings/properties/a/copy_to", "copy_to"),
        (
            {"properties": {"a": {"properties": {"b": {"type": "alias", "path": "c"}}}}},
            "/mappings/properties/a/properties/b/type",
            "alias",
        ),
        ({"dynamic_templates": []}, "/mappings/dynamic_templates", "dynamic_templates"),
        ({"runtime": {}}, "/mappings/runtime", "runtime"),
        ({"_source": {"enabled": False}}, "/mappings/_source", "_source"),
        ({"dynamic": "runtime"}, "/mappings/dynamic", "dynamic"),
        ({"properties": {"a": {"type": "date", "format": "week_date"}}}, "/mappings/properties/a/format", "week_date"),
        ({"properties": {"a": {"type": "text", "analyzer": "english"}}}, "/mappings/properties/a/analyzer", "analyzer"),
        (
            {"properties": {"a": {"type": "text", "fields": {"b": {"type": "nope"}}}}},
            "/mappings/properties/a/fields/b/type",
            "nope",
        ),
        ({"subobjects": False}, "/mappings/subobjects", "subobjects"),
    ],
)
async def test_mappings_that_are_not_done(
    mappings: dict[str, Any], pointer: str, named: str, store: EmbeddedDocuments
) -> None:
    """What the store does not do is named, and no index is made."""
    with pytest.raises(RequestError, match=named) as refused:
        await store.create_index("a", {}, mappings, context())
    assert refused.value.code.name == "MAPPING_INVALID"
    assert [issue.pointer for issue in refused.value.issues] == [pointer]
    assert await store.indices(context()) == []


async def test_settings_that_are_not_done(store: EmbeddedDocuments) -> None:
    settings = {
        "index": {"sort.field": "a", "number_of_replicas": 1},
        "analysis": {"analyzer": {"x": {"type": "custom"}}},
    }
    with pytest.raises(RequestError) as refused:
        await store.create_index("a", settings, {}, context())
    assert {issue.pointer for issue in refused.value.issues} == {
        "/settings/index.sort.field",
        "/settings/analysis.analyzer.x.type",
    }
    await store.create_index("b", {"analysis": {"normalizer": {"low": {"type": "custom", "filter": ["lowercase"]}}}}, {
        "properties": {"k": {"type": "keyword", "normalizer": "low"}}
    }, context())  # fmt: skip
    await write(store, "b", b'{"k":"ABC"}')
    assert await rows(store, "b", "k") == [("abc",)]


async def test_ids_and_versions(store: EmbeddedDocuments) -> None:
    await store.create_index("a", {}, {}, context())
    made = await store.insert("a", Document(b'{"n":1}'), True, context())
    assert len(made["_id"]) == 20
    assert made == {"_index": "a", "_id": made["_id"], "_version": 1, "result": "created"}
    await store.insert("a", Document(b'{"n":1}', "x"), True, context())
    with pytest.raises(ConflictError):
        await store.insert("a", Document(b'{"n":2}', "x"), True, context())
    batch = [
        Document(b'{"n":3}', "x"),
        Document(b'{"n":4}', "y"),
        Document(b'{"n":5}', "y"),
        Document(b"[]", "z"),
        Document(b"{}", "i" * 513),
    ]
    report = await store.bulk("a", batch, True, context())
    assert [item["status"] for item in report] == [409, 201, 409, 400, 400]
    assert [item.get("error", {}).get("type") for item in report] == [
        "version_conflict_engine_exception", None, "version_conflict_engine_exception", "document_parsing_exception",
        "illegal_argument_exception",
    ]  # fmt: skip
    report = await store.bulk("a", batch[:3], True, context(), replace=True)
    assert [(item["status"], item["result"], item["_version"]) for item in report] == [
        (200, "updated", 2), (200, "updated", 2), (200, "updated", 3),
    ]  # fmt: skip
    assert sorted(await rows(store, "a", "_id", "n")) == sorted([(made["_id"], 1), ("x", 3), ("y", 5)])
    (entry,) = await store.indices(context())
    assert (entry["docs"], entry["bytes"]) == (3, 21)


async def test_field_turns_into_a_list(store: EmbeddedDocuments) -> None:
    """What was compiled before is told to start again; values written before are lists of one."""
    await store.create_index("a", {}, {"properties": {"n": {"type": "long"}, "m": {"type": "long"}}}, context())
    await write(store, "a", b'{"n":1,"m":1}', b'{"m":2}')
    source = SourceRef("es", ("a",))
    before = await store.table(source, context())
    stale = store.compile(Scan(source, ("n",), table=before))
    other = store.compile(Scan(source, ("m",), table=before))
    await store.bulk("a", [Document(b'{"n":[3,null,2]}', "l")], True, context())
    assert (await store.table(source, context())).fields["n"].type == LIST_OF_LONGS
    with pytest.raises(CatalogStale):
        _ = [batch async for batch in stale.stream(context())]
    assert {row async for batch in other.stream(context()) for row in batch.rows()} == {(1,), (2,), (None,)}
    assert await rows(store, "a", "n", order=(Order("_id"),)) == [([1],), (None,), ([3, 2],)]
    assert await rows(store, "a", "_id", where=Compare("n", "gt", 2, LIST_OF_LONGS)) == [("l",)]
    assert await rows(store, "a", "_id", order=(Order("n", descending=True),)) == [("l",), ("d0",), ("d1",)]
    grouped = await rows(
        store, "a", group=Grouping((FieldKey("n"),), (Aggregation("count", None, "c"),)), order=(Order("n"),)
    )
    assert grouped == [(1, 1), (2, 1), (3, 1), (None, 1)]


async def test_restart(tmp_path: Path) -> None:
    """Names, types, lists, counts and order are the file's."""
    config = InstanceConfig("es", "documents", None, str(tmp_path))
    store = cast(EmbeddedDocuments, open_backend(config))
    await store.create_index("a", {}, {"properties": {"t": {"type": "keyword", "ignore_above": 3}}}, context())
    await write(store, "a", b'{"n":[1,2],"t":"abc"}', b'{"o":{"p":1.5},"t":"abcd"}', b'{"s":"x"}')
    source = SourceRef("es", ("a",))
    before = (
        await store.table(source, context()),
        await store.describe_index("a", context()),
        await store.indices(context()),
    )
    await store.close()
    store = cast(EmbeddedDocuments, open_backend(config))
    after = (
        await store.table(source, context()),
        await store.describe_index("a", context()),
        await store.indices(context()),
    )
    assert (after[0].fields, after[0].rows) == (before[0].fields, before[0].rows)
    assert after[1:] == before[1:]
    await write(store, "a", b'{"n":7,"t":"x"}')
    assert await rows(store, "a", "n", "o.p", "s") == [(None, 1.5, None), (None, None, "x"), ([7], None, None)]
    await store.close()


async def test_instances_do_not_see_each_other(tmp_path: Path) -> None:
    """Two instances on one file have indices of their own."""
    first, second = (open_backend(InstanceConfig(name, "documents", None, str(tmp_path))) for name in ("es", "es-two"))
    one, two = cast(EmbeddedDocuments, first), cast(EmbeddedDocuments, second)
    await one.create_index("a", {}, {}, context())
    await two.create_index("a", {}, {}, context())
    await write(one, "a", b'{"n":1}')
    assert [entry["docs"] for entry in await one.indices(context())] == [1]
    assert [entry["docs"] for entry in await two.indices(context())] == [0]
    assert one.store is two.store
    await one.close()
    await two.insert("a", Document(b"{}"), True, context())
    await two.close()


async def test_pattern(store: EmbeddedDocuments) -> None:
    """Indices of one shape are one table; those that type a field differently are parts, and what has no common type is told."""
    await store.create_index(
        "log-1", {}, {"properties": {"n": {"type": "long"}, "k": {"type": "keyword"}, "x": {"type": "date"}}}, context()
    )
    await store.create_index("log-2", {}, {"properties": {"n": {"type": "long"}, "l": {"type": "long"}}}, context())
    await store.create_index("other", {}, {}, context())
    await write(store, "log-1", b'{"n":1,"k":"a"}', b'{"n":[2,3]}')
    await store.bulk("log-2", [Document(b'{"n":4,"l":9}', "z")], True, context())
    table = await store.table(SourceRef("es", ("log-*",)), context())
    assert (table.parts, table.rows, table.conflicts) == ((), 3, {})
    assert table.fields["n"].type == LIST_OF_LONGS
    assert await rows(store, "log-*", "n", "k", "l", order=(Order("n"),)) == [
        ([1], "a", None),
        ([2, 3], None, None),
        ([4], None, 9),
    ]
    assert await rows(store, "*", "_id", where=Compare("l", "eq", 9, Type(TypeName.INT64))) == [("z",)]
    await store.create_index(
        "log-3",
        {},
        {"properties": {"n": {"type": "double"}, "k": {"type": "boolean"}, "x": {"type": "date_nanos"}}},
        context(),
    )
    table = await store.table(SourceRef("es", ("log-*",)), context())
    assert [part.source.target for part in table.parts] == [("log-1",), ("log-2",), ("log-3",)]
    assert table.fields["n"].type == Type(FLOAT64.name, multi=True)
    assert table.fields["x"].type == TIMESTAMP
    assert table.conflicts == {"k": ("boolean", "string")}
    assert "k" not in table.fields


async def test_ignored_values(store: EmbeddedDocuments) -> None:
    """A value that its index ignored is an error where its field is used, and missing, with a warning, where that is allowed."""
    properties = {
        "t": {"type": "date"},
        "k": {"type": "keyword", "ignore_above": 3},
        "n": {"type": "long", "ignore_malformed": True},
    }
    await store.create_index("a", {}, {"properties": properties}, context())
    await write(
        store,
        "a",
        b'{"t":"2026-01-01","k":"abc","n":1,"s":"short"}',
        b'{"t":"2026-01-02","k":"abcd","n":"x","s":"%b"}' % (b"y" * 300),
        b'{"t":"2026-01-03","k":"ab"}',
    )
    assert await rows(store, "a", "_id", "s") == [("d0", "short"), ("d1", "y" * 300), ("d2", None)]
    equal = Compare("s", "eq", "short", STRING)
    for asked in (
        rows(store, "a", "k"),
        rows(store, "a", "n"),
        rows(store, "a", "_id", where=equal),
        rows(store, "a", "_id", order=(Order("s"),)),
        rows(store, "a", group=Grouping((FieldKey("s"),), ())),
        rows(store, "a", group=Grouping((), (Aggregation("count", None, "c", where=equal),))),
    ):
        with pytest.raises(RequestError) as refused:
            await asked
        assert refused.value.code.name == "VALUE_IGNORED"
    tolerant = context(partial_allowed=True)
    assert await rows(store, "a", "k", "n", "s.keyword", asked=tolerant) == [
        ("abc", 1, "short"),
        (None, None, None),
        ("ab", None, None),
    ]
    assert [warning.code for warning in tolerant.warnings] == ["VALUE_IGNORED"]
    count = Grouping((), (Aggregation("count", "s", "c"),))
    assert await rows(store, "a", group=count) == [(2,)]  # the text itself is there
    day = 86_400 * 10**9
    start = 20_454 * day  # 2026-01-01
    assert await rows(
        store, "a", "_id", "k", bounds=Bounds("t", start + 2 * day, None), where=Compare("_id", "eq", "d2", STRING)
    ) == [("d2", "ab")]
    with pytest.raises(RequestError):
        await rows(store, "a", "k", bounds=Bounds("t", start + day, start + 2 * day))


async def test_limits(store: EmbeddedDocuments) -> None:
    await store.create_index("a", {}, {}, context())
    await write(store, "a", *(b'{"n":%d}' % number for number in range(50)))
    limits = Limits(rows_fetched=49, groups=10)
    with pytest.raises(CostError, match="49 rows"):
        await rows(store, "a", "n", asked=context(limits=limits))
    with pytest.raises(CostError, match="10 groups"):
        await rows(store, "a", asked=context(limits=limits), group=Grouping((FieldKey("n"),), ()))
    assert len(await rows(store, "a", "n", asked=context(limits=limits), limit=49)) == 49


async def test_deadline_and_cancel_free_the_threads(store: EmbeddedDocuments) -> None:
    """G20: a query that is too slow is interrupted; the next ones run at once."""
    slow = "SELECT sum(a.range * b.range % 7) FROM range(1000000) a, range(1000000) b"

    async def run(seconds: float) -> None:
        asked = context(deadline=time.monotonic() + seconds)
        async with store.store.readers.reader(asked, "es") as reader:
            await reader.all(slow)

    started = time.monotonic()
    for _ in range(3):
        with pytest.raises(DeadlineError):
            await run(0.2)
    tasks = [asyncio.create_task(run(60)) for _ in range(6)]
    await asyncio.sleep(0.2)
    for task in tasks:
        task.cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)
    await store.ping(context(deadline=time.monotonic() + 5))
    assert time.monotonic() - started < 20


async def test_write_past_its_deadline(store: EmbeddedDocuments) -> None:
    await store.create_index("a", {}, {}, context())
    with pytest.raises(DeadlineError):
        await store.insert("a", Document(b"{}"), True, context(deadline=time.monotonic() - 1))
    assert await rows(store, "a", "_id") == []


async def test_odd_fields(store: EmbeddedDocuments) -> None:
    """T22: names of fields and values are data, whatever they hold."""
    names = [
        "a\" from read_text('/etc/passwd')--",
        "c0",
        "C0",
        "t",
        "_seq",
        "x'; DROP TABLE d1",
        "ünï",
        "😀",
        "SELECT",
        "$p0",
        "a b",
    ]
    await store.create_index("a", {}, {"properties": {name: {"type": "keyword"} for name in names}}, context())
    await write(store, "a", orjson.dumps({name: f"'{name}\" --" for name in names}))
    (found,) = await rows(store, "a", *names)
    assert found == tuple(f"'{name}\" --" for name in names)
    for name in names:
        assert await rows(
            store, "a", "_id", where=Compare(name, "eq", f"'{name}\" --", STRING), order=(Order(name),)
        ) == [("d0",)]


async def test_reads_have_no_way_out(store: EmbeddedDocuments, tmp_path: Path) -> None:
    """T22: even SQL that gets through reaches no file and no setting."""
    secret, out = tmp_path / "secret.csv", tmp_path / "out.csv"
    secret.write_text("a\n1\n")
    async with store.store.readers.reader(context(), "es") as reader:
        for sql in (
            f"SELECT * FROM read_text('{secret}')",
            f"SELECT * FROM '{secret}'",
            f"COPY (SELECT 1) TO '{out}'",
            f"ATTACH '{tmp_path}/other.duckdb'",
            "SET enable_external_access = true",
            "SET memory_limit = '10GB'",
            "INSTALL httpfs",
            "LOAD httpfs",
            f"SELECT * FROM glob('{tmp_path}/*')",
        ):
            with pytest.raises(
                Exception, match=r"(?i)disabled|cannot|locked|permission|not allowed|does not exist"
            ) as refused:
                await reader.all(sql)
            assert isinstance(refused.value, HostMonitorError) or type(refused.value).__name__ == "TablesChanged"
    assert not out.exists()


@pytest.mark.parametrize("dynamic", [True, False, "strict"])
async def test_deep_and_wide_documents(dynamic: Any, store: EmbeddedDocuments) -> None:
    """T11: depth ends in an error of the document's own, width in one that names the limit."""
    properties = {
        "f": {"type": "flattened"},
        "n": {"type": "nested", "dynamic": False},
        "o": {"type": "object", "enabled": False},
    }
    await store.create_index("a", {}, {"dynamic": dynamic, "properties": properties}, context())
    for depth in (30, 300, 900, 100_000):
        for name in ("x", "f", "n", "o"):
            for opening, closing in ((b'{"a":', b"}"), (b"[", b"]")):
                source = b'{"%b":%b1%b}' % (name.encode(), opening * depth, closing * depth)
                (entry,) = await store.bulk("a", [Document(source)], True, context())
                assert entry["status"] in (201, 400), (depth, name, entry)
    wide = orjson.dumps({f"w{number}": number for number in range(2_000)})
    (entry,) = await store.bulk("a", [Document(wide)], True, context())
    assert (entry["status"] == 201) == (dynamic is False)
    await store.insert("a", Document(b'{"f":{"big":123456789012345678901234567890,"e":1.50}}', "last"), True, context())
    ((found,),) = await rows(store, "a", "f", where=Compare("_id", "eq", "last", STRING))
    assert orjson.loads(found) == {"big": 123456789012345678901234567890.0, "e": 1.5}


async def test_many_new_members_at_once(store: EmbeddedDocuments) -> None:
    await store.create_index("a", {}, {}, context())
    await store.insert(
        "a", Document(orjson.dumps({f"w{number}": number for number in range(1_000)}), "x"), True, context()
    )
    assert len((await store.table(SourceRef("es", ("a",)), context())).fields) == 1_001
    assert await rows(store, "a", "w0", "w999") == [(0, 999)]


async def test_closing_ends_queries(tmp_path: Path) -> None:
    backend = cast(EmbeddedDocuments, open_backend(InstanceConfig("es", "documents", None, str(tmp_path))))

    async def run() -> None:
        async with backend.store.readers.reader(context(), "es") as reader:
            await reader.all("SELECT sum(a.range * b.range % 7) FROM range(1000000) a, range(1000000) b")

    task = asyncio.create_task(run())
    await asyncio.sleep(0.3)
    started = time.monotonic()
    await backend.close()
    with pytest.raises(HostMonitorError):
        await task
    assert time.monotonic() - started < 5


HUGE = 10**400
HOSTILE_MAPPINGS: list[dict[str, Any]] = [
    {"properties": {"a": {"type": "keyword", "normalizer": ["x"]}}},
    {"properties": {"a": {"type": ["long"]}}},
    {"properties": {"a": {"type": {}}}},
    {"properties": {"a": {"type": "keyword", "fields": [1]}}},
    {"properties": {"a": {"type": "keyword", "ignore_above": -1}}},
    {"properties": {"a": {"type": "keyword", "ignore_above": 1, "null_value": "long"}}},
    {"properties": {"a": {"type": "date", "format": "yyyy yyyy"}}},
    {"properties": {"a": {"type": "date", "format": "'"}}},
    {"properties": {"a": {"type": "date", "format": ""}}},
    {"properties": {"a": {"type": "date", "null_value": HUGE}}},
    {"properties": {"a": {"type": "long", "null_value": HUGE}}},
    {"properties": {"": {"type": "long"}}},
    {"properties": {"a..b": {"type": "long"}}},
    {"properties": {"a": {"type": "long"}, "a.b": {"type": "long"}}},
    {"properties": [1]},
    {"dynamic": {"a": 1}},
    {"properties": {"x": {"properties": {"x": {"properties": 5}}}}},
]


@pytest.mark.parametrize("mappings", HOSTILE_MAPPINGS, ids=str)
async def test_hostile_mappings(mappings: dict[str, Any], store: EmbeddedDocuments) -> None:
    with pytest.raises(RequestError) as refused:
        await store.create_index("a", {}, mappings, context())
    assert refused.value.code.name == "MAPPING_INVALID"


async def test_odd_numbers_everywhere(store: EmbeddedDocuments) -> None:
    """Numbers past every type are refused or kept, never a fault of the service; the next write is well."""
    mapped = {"d": {"type": "date"}, "n": {"type": "long"}}
    big = 123456789012345678901234567890
    await store.create_index("a", {"index": {"priority": big}}, {"_meta": {"x": big}, "properties": mapped}, context())
    assert await store.describe_index("a", context()) == {
        "settings": {"index": {"priority": big}}, "mappings": {"_meta": {"x": big}, "properties": mapped},
    }  # fmt: skip
    with pytest.raises(RequestError):
        await store.create_index("b", {"index.mapping.total_fields.limit": "9" * 5_000}, {}, context())
    for text in (
        b"9223372036854775808",
        b"9999999999999999999",
        b"1e300",
        b"-9999999999999999999",
        b"9" * 5_000,
        b"1e999",
        b"0.1e-999",
    ):
        for source in (b'{"d":%b}' % text, b'{"d":"%b"}' % text, b'{"n":%b}' % text, b'{"n":"%b"}' % text):
            (entry,) = await store.bulk("a", [Document(source)], True, context())
            assert entry["status"] in (201, 400), source
    await store.bulk("a", [Document(b'{"n":1,"d":"2026-01-01"}', "x")], True, context())
    for value in (HUGE, -HUGE, 1e300, "9" * 5_000, str(2**63)):
        for clause in (
            {"term": {"n": value}},
            {"range": {"n": {"gte": value}}},
            {"range": {"d": {"lt": value}}},
            {"terms": {"n": [value]}},
        ):
            with contextlib.suppress(RequestError):
                await store.search("a", {"query": clause}, context())
    await store.search(
        "a", {"query": {"bool": {"should": [{"match_all": {}}], "minimum_should_match": HUGE}}}, context()
    )
