"""T8: whatever a text holds, it stays one identifier, one string, one pattern of InfluxQL; told by the real server."""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libs.context import RequestContext
from libs.errors import RequestError
from query.backend import InstanceConfig, Point, Pushdown
from query.catalog import SourceRef
from query.expr import And, Compare, Predicate
from query.influx import open_backend
from query.influx.quote import (
    database_name,
    identifier,
    measurement_name,
    number,
    quotable,
    regex,
    string,
    verbatim,
)
from query.influx.store import InfluxStore
from query.plan import Scan

CORPUS = (
    'cpu"; DROP DATABASE x--', 'cpu\\"', 'a\\\\"b', "' OR 1=1", "/.*/", "::tag", '"::field', "INTO", "a;b", "\u2028", '"', "'", "\\x",
    "/", "a/b", "-- c", "/* c */", "time", "*", "..", "_all", "a,b", "<logs-{now/d}>", "%", "%s", "$1", "(", ")", "[x]",
    "😀", "é", "e\u0301",
    " lead", "trail ", "=", "a=b", "#c", "`", "null", "true", "1", "1h", "now()", "a b", "\u00a0", "select", "_name",
    "_tagKey", "_field", "\ufeff",
)  # fmt: skip
TEXTS = st.one_of(
    st.sampled_from(CORPUS),
    st.text(max_size=12),
    st.text(st.sampled_from("\"'\\/;, =#\n\r\t\0%*.$-a"), max_size=10),
    st.lists(st.sampled_from(CORPUS), min_size=2, max_size=3).map("".join),
)
PROPERTY = settings(
    max_examples=150, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)


def context() -> RequestContext:
    return RequestContext(deadline=time.monotonic() + 60)


@pytest.fixture(scope="module")
async def store(influx_url: str) -> AsyncIterator[InfluxStore]:
    backend = open_backend(InstanceConfig("influx", "series", influx_url, "", catalog_seconds=0.0))
    yield cast(InfluxStore, backend)
    await backend.close()


@pytest.fixture(scope="module")
async def db(store: InfluxStore) -> AsyncIterator[str]:
    name = f"quote-{uuid.uuid4().hex[:8]}"
    await store.create_database(name, context())
    yield name
    await store.drop_database(name, context())


async def values(store: InfluxStore, statement: str, db: str) -> list[list[Any]]:
    """The rows of one statement; InfluxDB answers one result for it, or the text was structure."""
    result = await store.client.ask(statement, context(), db)
    assert result["statement_id"] == 0
    return [row for one in result.get("series", []) for row in one["values"]]


@PROPERTY
@given(text=TEXTS)
async def test_strings_and_patterns_match_themselves_alone(text: str, store: InfluxStore, db: str) -> None:
    """As a tag's and as a field's value, in every way that a condition can name it."""
    other = text + "x"
    points = [Point("values", {}, {"s": text}, 1), Point("values", {}, {"s": other}, 2)]
    await store.write(db, points, context())
    exactly = regex("\\A" + verbatim(text) + "\\z")
    conditions = [f"s =~ {exactly}"]
    if quotable(other):
        conditions += [f"s = {string(text)}", f"s != {string(other)}"]
    for condition in conditions:
        found = await values(store, f'SELECT s FROM "values" WHERE time >= 1 AND {condition}', db)
        assert found == [[1, text]]


@PROPERTY
@given(text=TEXTS)
async def test_names_stay_names(text: str, store: InfluxStore, db: str) -> None:
    """A measurement, tag, tag's value and field of any name reads back the same, or is refused and nothing is sent."""
    before = await values(store, "SHOW MEASUREMENTS", db)
    point = Point(text, {"t" + text: text, "other": "x"}, {"f" + text: 1.5, "s": text}, 7)
    try:
        report = await store.write(db, [point], context())
    except RequestError:
        assert await values(store, "SHOW MEASUREMENTS", db) == before
        return
    assert (report.written, report.dropped) == (1, 0)
    assert await values(store, "SHOW MEASUREMENTS", db) == sorted([*before, [text]])
    keys = await store.keys(db, text, context())
    tags = {"other", "t" + text} if text else {"other"}
    assert {row[0] for row in keys["tag_keys"]["values"]} == tags
    assert {row[0] for row in keys["field_keys"]["values"]} == {"s", "f" + text}
    table = await store.table(SourceRef("influx", (db, text)), context())
    found = [
        row
        async for batch in store.compile(Scan(table.source, table.visible(), table=table)).stream(context())
        for row in batch.rows()
    ]
    wanted: dict[str, Any] = {"time": 7, "other": "x", "t" + text: text, "f" + text: 1.5, "s": text}
    assert [dict(zip(table.visible(), row, strict=True)) for row in found] == [wanted]
    leaves = [Compare(name, "eq", value, table.fields[name].type) for name, value in wanted.items() if name != "time"]
    scan = Scan(table.source, ("time",), table=table)
    pushed = [leaf for leaf in leaves if store.capabilities.pushdown(leaf, scan).level is Pushdown.EXACT]
    assert len(pushed) >= len(leaves) - 2
    conditions: list[Predicate] = [*pushed, And(tuple(pushed))]
    for where in conditions:
        scan = Scan(table.source, ("time",), where=where, table=table)
        assert [row async for batch in store.compile(scan).stream(context()) for row in batch.rows()] == [(7,)]
    await store.drop_measurement(db, text, context())
    assert await values(store, "SHOW MEASUREMENTS", db) == before


@pytest.mark.parametrize("text", CORPUS)
async def test_databases_are_made_and_dropped_by_their_very_name(text: str, store: InfluxStore, db: str) -> None:
    name = f"{db}{text}"
    before = await store.databases(context())
    try:
        await store.create_database(name, context())
    except RequestError:
        assert await store.databases(context()) == before
        return
    listed = [row[0] for row in (await store.databases(context()))["results"][0]["series"][0]["values"]]
    assert name in listed
    await store.drop_database(name, context())
    assert await store.databases(context()) == before


@pytest.mark.parametrize("name", ["", "\0", "a\nb", "a\rb", "\x7f", "\x85", "x" * 256, "é" * 128, "\ud800"])
def test_names_that_are_none(name: str) -> None:
    for check in (database_name, measurement_name):
        with pytest.raises(RequestError) as found:
            check(name)
        assert found.value.code.name == "NAME_INVALID"


@pytest.mark.parametrize("name", [".", "..", "a/b", "../x", "a\\b"])
def test_databases_are_folders(name: str) -> None:
    measurement_name(name)
    with pytest.raises(RequestError, match="database"):
        database_name(name)


@pytest.mark.parametrize("text", ["\0", "a\r", "\ud800"])
def test_what_cannot_be_quoted(text: str) -> None:
    assert not quotable(text)
    for quote in (identifier, string):
        with pytest.raises(ValueError, match="quote"):
            quote(text)


def test_patterns_hold_no_delimiter() -> None:
    for pattern in ("a/b", "a\nb", "\0"):
        with pytest.raises(ValueError, match="code points"):
            regex(pattern)
    assert regex(verbatim("a/b\n")) == r"/a\x{2F}b\x{A}/"


@given(st.one_of(st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False, allow_infinity=False)))
def test_numbers_read_back_exactly(value: int | float) -> None:
    text = number(value)
    assert set(text) <= set("-.0123456789")
    assert (int(text) if isinstance(value, int) else float(text)) == value
    assert isinstance(value, int) or "." in text


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, math.inf, math.nan])
def test_numbers_that_are_none(value: int | float) -> None:
    with pytest.raises(ValueError, match="not"):
        number(value)
