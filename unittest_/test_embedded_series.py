"""Series on the embedded store: databases, points that update, types that clash, numbers that turn, keys in InfluxDB's form."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libs.context import RequestContext
from libs.errors import NotFoundError, RequestError
from libs.result import FLOAT64, INT64, STRING, TIMESTAMP
from query.backend import InstanceConfig, Point, WriteReport
from query.catalog import SourceRef
from query.embedded import open_backend, series_writer
from query.embedded.series import EmbeddedSeries
from query.expr import Compare
from query.plan import Order, Scan

DONE = {"results": [{"statement_id": 0}]}


def context() -> RequestContext:
    return RequestContext()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[EmbeddedSeries]:
    backend = cast(EmbeddedSeries, open_backend(InstanceConfig("influx", "series", None, str(tmp_path))))
    await backend.create_database("db", context())
    yield backend
    await backend.close()


async def rows(
    store: EmbeddedSeries, measurement: str, *names: str, db: str = "db", **scan: Any
) -> list[dict[str, Any]]:
    source = SourceRef("influx", (db, measurement))
    table = await store.table(source, context())
    columns = names or tuple(table.fields)
    query = store.compile(Scan(source, columns, table=table, **scan))
    return [
        {name: cell for name, cell in zip(columns, row, strict=True) if cell is not None}
        async for batch in query.stream(context())
        for row in batch.rows()
    ]


def point(time: int, tags: Mapping[str, str] | None = None, measurement: str = "m", **fields: Any) -> Point:
    return Point(measurement, tags or {}, fields, time)


async def test_databases_and_measurements(store: EmbeddedSeries) -> None:
    assert await store.create_database("db", context()) == DONE  # there already
    assert await store.create_database("a b", context()) == DONE
    listed = {"name": "databases", "columns": ["name"], "values": [["a b"], ["db"]]}
    assert await store.databases(context()) == {"results": [{"statement_id": 0, "series": [listed]}]}
    assert await store.measurements("db", context()) == DONE
    await store.write("db", [point(1, v=1.0, measurement="z"), point(1, v=1, measurement="a")], context())
    listed = {"name": "measurements", "columns": ["name"], "values": [["a"], ["z"]]}
    assert await store.measurements("db", context()) == {"results": [{"statement_id": 0, "series": [listed]}]}
    assert await store.drop_measurement("db", "z", context()) == DONE
    assert await store.drop_database("a b", context()) == DONE
    for work, code in (
        (store.drop_measurement("db", "z", context()), "MEASUREMENT_UNKNOWN"),
        (store.keys("db", "z", context()), "MEASUREMENT_UNKNOWN"),
        (store.table(SourceRef("influx", ("db", "z")), context()), "MEASUREMENT_UNKNOWN"),
        (store.drop_database("a b", context()), "DATABASE_UNKNOWN"),
        (store.measurements("a b", context()), "DATABASE_UNKNOWN"),
        (store.write("a b", [point(1, v=1)], context()), "DATABASE_UNKNOWN"),
        (store.write_lines("a b", "m", b"m v=1", "ns", context()), "DATABASE_UNKNOWN"),
    ):
        with pytest.raises(NotFoundError) as missing:
            await work
        assert missing.value.code.name == code
    about = await store.node(context())
    assert about["answers"] is True
    assert about["version"].startswith("duckdb-")


@pytest.mark.parametrize("name", ["", "..", ".", "a/b", "a\\b", "a\nb", "x\x00", "a" * 256, "a\u2028b"])
async def test_names_of_databases(name: str, store: EmbeddedSeries) -> None:
    for work in (
        store.create_database(name, context()),
        store.drop_database(name, context()),
        store.measurements(name, context()),
    ):
        with pytest.raises(RequestError) as refused:
            await work
        assert refused.value.code.name == "NAME_INVALID"


@pytest.mark.parametrize(
    "name",
    ['x"; DROP DATABASE db--', "' OR 1=1", "*", "_all", "/.*/", "::tag", "ünï 😀", "m0", "hm_columns", "a" * 255],
)
async def test_any_other_name_is_data(name: str, store: EmbeddedSeries) -> None:
    """T8: names that look like a language are names."""
    await store.write("db", [Point(name, {name: name}, {f"{name}-f"[:255]: 1.5}, 1)], context())
    assert (await store.measurements("db", context()))["results"][0]["series"][0]["values"] == [[name]]
    assert (
        await rows(store, name, where=Compare(name, "eq", name, STRING))
        == [{"time": 1, name: name, f"{name}-f"[:255]: 1.5}]
        or len(name) == 255
    )
    await store.drop_measurement("db", name, context())
    assert await store.measurements("db", context()) == DONE


async def test_a_point_updates_its_fields(store: EmbeddedSeries) -> None:
    """The same time and tags: field by field, in one write and over several, whatever the order of the tags."""
    tags = {"a": "1", "b": "2"}
    await store.write(
        "db",
        [point(5, tags, v=1.0, w=2.0), point(5, {"b": "2", "a": "1"}, v=3.0), point(5, {"a": "1"}, v=9.0)],
        context(),
    )
    await store.write(
        "db",
        [point(5, tags, x="new"), point(5, {**tags, "c": ""}, w=4.0), point(5, {**tags, "c": "3"}, v=7.0)],
        context(),
    )
    assert sorted(await rows(store, "m"), key=repr) == sorted(
        [
            {"time": 5, "a": "1", "b": "2", "v": 3.0, "w": 4.0, "x": "new"},
            {"time": 5, "a": "1", "v": 9.0},
            {"time": 5, "a": "1", "b": "2", "c": "3", "v": 7.0},
        ],
        key=repr,
    )
    assert (await store.table(SourceRef("influx", ("db", "m")), context())).rows == 3


async def test_numbers_take_their_fields_types(store: EmbeddedSeries) -> None:
    await store.write("db", [point(1, f=1.5, i=1, s="x", b=True), point(2, n=1), point(3, n=0.5)], context())
    types = dict((await store.keys("db", "m", context()))["field_keys"]["values"])
    assert types == {"f": "float", "i": "integer", "s": "string", "b": "boolean", "n": "float"}
    await store.write("db", [point(4, f=2, i=3.0), point(5, f=2**53, i=-(2.0**62))], context())
    found = await rows(store, "m", "f", "i", order=(Order("time"),))
    assert found[-2:] == [{"f": 2.0, "i": 3}, {"f": 2.0**53, "i": -(2**62)}]
    for fields, name in (
        ({"i": 1.5}, "i"), ({"f": 2**53 + 1}, "f"), ({"i": 1e19}, "i"), ({"s": 1}, "s"), ({"f": "1"}, "f"),
        ({"b": 1}, "b"), ({"f": True}, "f"),
        ({"new": 1, "i": 0.5}, "i"),
    ):  # fmt: skip
        with pytest.raises(RequestError) as refused:
            await store.write("db", [point(9, v=1.0), Point("m", {}, fields, 9)], context())
        assert refused.value.code.name == "FIELD_TYPE_CONFLICT"
        assert [issue.pointer for issue in refused.value.issues] == [f"/1/fields/{name}"]
    assert await rows(store, "m", "time", where=Compare("time", "eq", 9, TIMESTAMP)) == []
    assert dict((await store.keys("db", "m", context()))["field_keys"]["values"]) == types


@pytest.mark.parametrize(
    ("bad", "code", "pointer"),
    [
        (Point("m", {}, {}, 1), "VALUE_INVALID", "/1/fields"),
        (Point("m", {}, {"v": float("nan")}, 1), "VALUE_INVALID", "/1/fields/v"),
        (Point("m", {}, {"v": float("-inf")}, 1), "VALUE_INVALID", "/1/fields/v"),
        (Point("m", {}, {"v": 2**63}, 1), "VALUE_INVALID", "/1/fields/v"),
        (Point("m", {}, {"v": 1.0}, 2**63 - 1), "VALUE_INVALID", "/1/time"),
        (Point("m", {}, {"v": 1.0}, -(2**63)), "VALUE_INVALID", "/1/time"),
        (Point("m", {}, {"time": 1.0}, 1), "NAME_INVALID", "/1/fields/time"),
        (Point("m", {"time": "x"}, {"v": 1.0}, 1), "NAME_INVALID", "/1/tags/time"),
        (Point("m", {"a\nb": "x"}, {"v": 1.0}, 1), "NAME_INVALID", "/1/tags/a\nb"),
        (Point("m", {"": "x"}, {"v": 1.0}, 1), "NAME_INVALID", "/1/tags/"),
        (Point("m", {}, {"a/~b\x00": 1.0}, 1), "NAME_INVALID", "/1/fields/a~1~0b\x00"),
        (Point("", {}, {"v": 1.0}, 1), "NAME_INVALID", "/1/measurement"),
    ],
)
async def test_points_that_are_refused(bad: Point, code: str, pointer: str, store: EmbeddedSeries) -> None:
    with pytest.raises(RequestError) as refused:
        await store.write("db", [point(1, v=1.0), bad], context())
    assert [(issue.code, issue.pointer) for issue in refused.value.issues] == [(code, pointer)]
    assert await store.measurements("db", context()) == DONE


async def test_partial_lines(store: EmbeddedSeries) -> None:
    """G11: what clashes is dropped and told, the rest is there; a dropped point adds no field."""
    lines = b'm,h=a v=1 1\nm,h=a v="x",w=1 2\nm,h=b v=2i 3\nm,h=b w=1i 4\nbad\n'
    report = await store.write_lines("db", "m", lines, "s", context())
    assert report == WriteReport(
        2,
        3,
        (
            "unable to parse 'bad': missing fields",
            'field type conflict: input field "v" on measurement "m" is type string, already exists as type float',
            'field type conflict: input field "v" on measurement "m" is type integer, already exists as type float',
        ),
    )
    assert await rows(store, "m", order=(Order("time"),)) == [
        {"time": 10**9, "h": "a", "v": 1.0},
        {"time": 4 * 10**9, "h": "b", "w": 1},
    ]


async def test_time_of_writing(store: EmbeddedSeries) -> None:
    asked = context()
    await store.write("db", [Point("m", {}, {"v": 1.0})], asked)
    assert await rows(store, "m") == [{"time": asked.now_ns, "v": 1.0}]


async def test_tag_and_field_of_one_name(store: EmbeddedSeries) -> None:
    await store.write("db", [point(1, {"x": "tag"}, x=1.0, y=2.0)], context())
    table = await store.table(SourceRef("influx", ("db", "m")), context())
    assert table.ambiguous == {"x"}
    assert (await store.keys("db", "m", context()))["field_keys"]["values"] == [["x", "float"], ["y", "float"]]
    assert await rows(store, "m", "x", "y") == [{"x": "tag", "y": 2.0}]


async def test_restart(tmp_path: Path) -> None:
    config = InstanceConfig("influx", "series", None, str(tmp_path))
    store = cast(EmbeddedSeries, open_backend(config))
    await store.create_database("db", context())
    await store.write("db", [point(1, {"h": "a"}, v=1.5, s="x"), point(2, {}, i=2)], context())
    await store.close()
    store = cast(EmbeddedSeries, open_backend(config))
    table = await store.table(SourceRef("influx", ("db", "m")), context())
    assert table.rows == 2
    assert {name: member.type for name, member in table.fields.items() if name in ("v", "i", "s")} == {
        "v": FLOAT64,
        "i": INT64,
        "s": STRING,
    }
    await store.write("db", [point(1, {"h": "a"}, v=2.5), point(0, {"h": "a"}, v=0.5), point(2, {}, i=3)], context())
    assert await rows(store, "m", "time", "v", "s", "i", order=(Order("time"),)) == [
        {"time": 0, "v": 0.5}, {"time": 1, "v": 2.5, "s": "x"}, {"time": 2, "i": 3},
    ]  # fmt: skip
    await store.close()


_POINTS = st.lists(
    st.tuples(
        st.integers(0, 6),
        st.dictionaries(st.sampled_from("ab"), st.sampled_from(["", "x", "y"])),
        st.dictionaries(st.sampled_from("vw"), st.floats(-9, 9), min_size=1),
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(writes=st.lists(_POINTS, min_size=1, max_size=4), remembered=st.sampled_from([100_000, 1]))
async def test_any_writes_give_what_a_dict_gives(
    writes: list[Any], remembered: int, store: EmbeddedSeries, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Updates, new series and late points, with the newest times in memory and without."""
    monkeypatch.setattr(series_writer, "MAX_REMEMBERED", remembered)
    model: dict[tuple[Any, ...], dict[str, float]] = {}
    for write in writes:
        await store.write("db", [Point("m", tags, fields, time) for time, tags, fields in write], context())
        for time, tags, fields in write:
            key = (time, *sorted((name, value) for name, value in tags.items() if value))
            model.setdefault(key, {}).update({name: value + 0.0 for name, value in fields.items()})
    found = await rows(store, "m")
    assert sorted(map(_cells, found)) == sorted(
        _cells({"time": key[0], **dict(key[1:]), **fields}) for key, fields in model.items()
    )
    assert (await store.table(SourceRef("influx", ("db", "m")), context())).rows == len(model)
    await store.drop_measurement("db", "m", context())


def _cells(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    return sorted((name, repr(value)) for name, value in row.items())


async def test_many_small_writers(store: EmbeddedSeries) -> None:
    """Waiting writes become few commits, and all are there."""
    rng = random.Random(1)
    before = store.store.commits
    await asyncio.gather(
        *(
            store.write("db", [point(number, {"h": str(rng.randrange(9))}, v=float(number))], context())
            for number in range(2_000)
        )
    )
    assert (await store.table(SourceRef("influx", ("db", "m")), context())).rows == 2_000
    assert store.store.commits - before < 200
