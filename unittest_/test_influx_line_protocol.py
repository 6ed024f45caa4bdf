"""T9, G11, G49: points out are points in, lines hold one measurement alone, and what is dropped is counted."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libs.context import RequestContext
from libs.errors import NotFoundError, RequestError
from query.backend import InstanceConfig, Point
from query.catalog import SourceRef
from query.influx import open_backend
from query.influx.line_protocol import encode
from query.influx.store import InfluxStore
from query.influx.text_lines import check, timed
from query.plan import Scan

WEEK = 7 * 86_400 * 10**9
NOW = 1_795_687_200_123_456_789
PROPERTY = settings(
    max_examples=150, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
ODD = st.text(st.sampled_from("ab\"'\\/;, =#\r\t%*.$-é😀\u2028"), max_size=8)
TEXTS = st.one_of(ODD, st.text(max_size=8), st.sampled_from(["x\nadmin,role=root v=1", "a\\", "#c", "time", "1i", "t"]))
FIELDS = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    TEXTS,
    st.text(st.sampled_from('ab\n"\\ ,='), max_size=12),
)
TIMES = st.one_of(st.integers(-(2**63) + 2, 2**63 - 2), st.sampled_from([0, 1, -1, 2**63 - 2, -(2**63) + 2]))


def context() -> RequestContext:
    return RequestContext(now_ns=NOW, deadline=time.monotonic() + 60)


@pytest.fixture(scope="module")
async def store(influx_url: str) -> AsyncIterator[InfluxStore]:
    backend = open_backend(InstanceConfig("influx", "series", influx_url, "", catalog_seconds=0.0))
    yield cast(InfluxStore, backend)
    await backend.close()


@pytest.fixture
async def db(store: InfluxStore) -> AsyncIterator[str]:
    name = f"lines-{uuid.uuid4().hex[:8]}"
    await store.create_database(name, context())
    yield name
    await store.drop_database(name, context())


async def stored(store: InfluxStore, db: str, measurement: str) -> list[dict[str, Any]]:
    """The points of a measurement by time, without what is missing."""
    table = await store.table(SourceRef("influx", (db, measurement)), context())
    scan = Scan(table.source, table.visible(), table=table)
    return [
        {name: value for name, value in zip(scan.columns, row, strict=True) if value is not None}
        async for batch in store.compile(scan).stream(context())
        for row in batch.rows()
    ]


async def names(store: InfluxStore, db: str) -> list[str]:
    found = (await store.measurements(db, context()))["results"][0].get("series", [])
    return [row[0] for one in found for row in one["values"]]


def refused(points: Sequence[Point], types: Mapping[str, str] | None = None) -> tuple[str, str]:
    """(code, pointer) of the first fault."""
    with pytest.raises(RequestError) as found:
        encode(points, NOW, types or {})
    return found.value.code.name, found.value.issues[0].pointer


# Points


@PROPERTY
@given(
    tags=st.dictionaries(TEXTS, TEXTS, max_size=3),
    fields=st.dictionaries(TEXTS, FIELDS, min_size=1, max_size=4),
    instant=TIMES,
)
async def test_points_out_are_points_in(
    tags: dict[str, str], fields: dict[str, Any], instant: int, store: InfluxStore, db: str
) -> None:
    """One point is written and reads back the same, or it is refused and nothing is there."""
    measurement = f"m{uuid.uuid4().hex}"
    fields = {name: value for name, value in fields.items() if name not in tags}
    try:
        report = await store.write(db, [Point(measurement, tags, fields, instant)], context())
    except RequestError:
        assert await names(store, db) == []
        return
    assert (report.written, report.dropped) == (1, 0)
    assert await names(store, db) == [measurement]
    (found,) = await stored(store, db, measurement)
    assert found == {"time": instant, **{name: value for name, value in tags.items() if value}, **fields}
    assert all(type(found[name]) is type(value) for name, value in fields.items())
    await store.drop_measurement(db, measurement, context())


async def test_many_instants_are_exact(store: InfluxStore, db: str) -> None:
    """G49: a hundred thousand of them, with 0, negatives and the ends; shards of a week, so that they lie near."""
    source = random.Random(49)
    instants = {0, 1, -1, *(source.randrange(-WEEK * 20, WEEK * 20) for _ in range(100_000))}
    points = [Point("m", {}, {"v": number}, instant) for number, instant in enumerate(sorted(instants))]
    report = await store.write(db, points, context())
    assert (report.written, report.dropped) == (len(points), 0)
    assert [(row["time"], row["v"]) for row in await stored(store, db, "m")] == [
        (point.time, point.fields["v"]) for point in points
    ]


@pytest.mark.parametrize(
    ("point", "pointer"),
    [
        (Point("m", {}, {"f": float("nan")}), "/0/fields/f"),
        (Point("m", {}, {"f": float("-inf")}), "/0/fields/f"),
        (Point("m", {}, {"f": 1, "g": 2**63}), "/0/fields/g"),
        (Point("m", {}, {"f": -(2**63) - 1}), "/0/fields/f"),
        (Point("m", {}, {"f": 2**70}), "/0/fields/f"),
        (Point("m", {}, {"f": "\ud800"}), "/0/fields/f"),
        (Point("m", {}, {}), "/0/fields"),
        (Point("m", {"a": "x\\"}, {"f": 1}), "/0/tags/a"),
        (Point("m", {"a": "x\\ y"}, {"f": 1}), "/0/tags/a"),
        (Point("m", {"a": "x\ny"}, {"f": 1}), "/0/tags/a"),
        (Point("m", {"a": "\udfff"}, {"f": 1}), "/0/tags/a"),
        (Point("m", {"a": "x" * 65_000}, {"f": 1}), "/0/tags"),
        (Point("m", {}, {"f": 1}, 2**63 - 1), "/0/time"),
        (Point("m", {}, {"f": 1}, -(2**63) + 1), "/0/time"),
    ],
)
def test_values_that_cannot_be_stored(point: Point, pointer: str) -> None:
    assert refused([point]) == ("VALUE_INVALID", pointer)


@pytest.mark.parametrize(
    "name", ["", "time", "a\n", "a\r", "\0", "\x7f", "\x9f", "a\\", "a\\ b", "a\\,", "x" * 256, "\ud800"]
)
def test_keys_that_are_none(name: str) -> None:
    assert refused([Point("m", {name: "x"}, {"f": 1})]) == ("NAME_INVALID", f"/0/tags/{name}")
    assert refused([Point("m", {}, {name: 1})]) == ("NAME_INVALID", f"/0/fields/{name}")


@pytest.mark.parametrize("name", ["", "#m", "a\n", "a\r", "a\\", "\0", "x" * 256])
def test_measurements_that_are_none(name: str) -> None:
    assert refused([Point(name, {}, {"f": 1})]) == ("NAME_INVALID", "/0/measurement")


def test_all_faults_have_their_places() -> None:
    good = Point("m", {}, {"f": 1.5, "a/b~c": 1}, 1)
    points = [good, Point("m", {}, {"a/b~c": 2**64}), good, Point("m", {}, {"f": "x"}), Point("m", {}, {"time": 1})]
    with pytest.raises(RequestError) as found:
        encode(points, NOW)
    assert [(issue.code, issue.pointer) for issue in found.value.issues] == [
        ("FIELD_TYPE_CONFLICT", "/3/fields/f"),
        ("NAME_INVALID", "/4/fields/time"),
    ]
    assert refused(points[:3]) == ("VALUE_INVALID", "/1/fields/a~1b~0c")


def test_numbers_take_their_fields_type() -> None:
    types = {"f": "float", "i": "integer"}
    assert encode([Point("m", {}, {"f": 1, "i": 4.0}, 0)], NOW, types) == b"m f=1.0,i=4i 0"
    assert encode([Point("m", {}, {"n": 1}, 0), Point("m", {}, {"n": 1.5}, 1)], NOW) == b"m n=1.0 0\nm n=1.5 1"
    assert encode([Point("m", {}, {"n": 1})], NOW) == f"m n=1i {NOW}".encode()
    for fields in ({"i": 4.5}, {"i": 2.0**63}, {"f": 2**53 + 1}, {"f": True}, {"i": "4"}, {"i": 1e300}):
        name = next(iter(fields))
        assert refused([Point("m", {}, fields)], types) == ("FIELD_TYPE_CONFLICT", f"/0/fields/{name}")
    assert refused([Point("m", {}, {"n": 2**53 + 1}), Point("m", {}, {"n": 0.5})])[0] == "FIELD_TYPE_CONFLICT"


def test_percent_signs_and_repeated_shapes() -> None:
    points = [Point("m%s", {"t%d": "%(x)s"}, {"f%": i + 0.5, "s%s": f"%{i}%%"}, i) for i in range(3)]
    assert encode(points, NOW).decode().split("\n") == [
        f'm%s,t%d=%(x)s f%={i + 0.5},s%s="%{i}%%" {i}' for i in range(3)
    ]


async def test_points_of_several_measurements(store: InfluxStore, db: str) -> None:
    points = [Point(name, {}, {"v": number}, number) for number, name in enumerate("abab")]
    assert (await store.write(db, points, context())).written == 4
    assert [row["v"] for row in await stored(store, db, "b")] == [1, 3]
    with pytest.raises(RequestError) as found:
        await store.write(db, [*points, Point("b", {}, {"v": "x"})], context())
    assert found.value.issues[0].pointer == "/4/fields/v"


# Lines that came as text


GOOD = (
    (b"m f=1 1\nm,a=b f=2,g=3i 2", 2),
    (b"\n\nm f=1 1\n\n", 1),
    (b"# nothing\nm f=1\r\n  m f=t 3 \n", 2),
    (b'm s="x y, \\"z\\" = #" 1', 1),
    (b'm s="line\nadmin v=1 2" 3\nm s="" 4', 2),
    (b"m,a=b\\ c,d\\=e=f\\,g f\\ x=-.5e3,i=-5i,b=FALSE 7", 1),
    (b"m f=1", 1),
)


@pytest.mark.parametrize(("lines", "count"), GOOD)
async def test_lines_are_taken(lines: bytes, count: int, store: InfluxStore, db: str) -> None:
    assert check(lines, "m", "ns", NOW).count == count
    report = await store.write_lines(db, "m", lines, "ns", context())
    assert (report.written, report.dropped) == (count, 0)
    assert await names(store, db) == ["m"]
    assert len(await stored(store, db, "m")) == count


@pytest.mark.parametrize(
    "lines",
    [
        b"",
        b"\n\n# only this\n",
        b"m f=1 1\nadmin f=1 2",
        b"admin,m=m f=1 1",
        b"mm f=1 1",
        b'm s="x" 1\nadmin v="y" 2',
        b'm,t="x f=1 1\nadmin f="" 2',
        b'm,t="a f=1 1\nadmin w="=" 2\nm f=" 3',
        b'm s="open 1',
        b"m,t=a\\ f=1 1",
        b"m,t=a\\\\ b f=1 1",
        b"m,t=a\\\\,u=b f=1 1",
        b"m f=\\1 2",
        b'm f=1,g="\\" 2\nadmin v=1 3',
        b"m\\ f=1 1",
        b"m,a f=1 1",
        b"m f=1 99999999999999999999",
        b"m\r f=1 1",
        b"\x00m f=1 1",
    ],
)
async def test_lines_that_are_refused_reach_nothing(lines: bytes, store: InfluxStore, db: str) -> None:
    """T9: another measurement's points never slip in, whatever hides them."""
    try:
        report = await store.write_lines(db, "m", lines, "ns", context())
    except RequestError as error:
        code = error.code.name
    else:
        code = "VALUE_INVALID" if report.dropped and report.reasons and not report.written else "WRITTEN"
    assert code == "VALUE_INVALID"
    assert await names(store, db) == []


LINE_PIECES = st.lists(
    st.sampled_from(
        ["m", "admin", ",", " ", "=", '"', "\\", "\n", "f=1", ' s="', "m ", "m,", "\nm f=1 2", "\nadmin v=1 3", "a=b", " 5", "#", "\r", "i"]
    ),
    max_size=14,
)  # fmt: skip


@PROPERTY
@given(pieces=LINE_PIECES)
async def test_no_text_writes_another_measurement(pieces: list[str], store: InfluxStore, db: str) -> None:
    """T9: of lines that are taken, those counted as written are stored, under the one name."""
    lines = "m f=1 1\n" + "".join(pieces)
    try:
        report = await store.write_lines(db, "m", lines.encode(), "ns", context())
    except RequestError:
        assert await names(store, db) == []
        return
    assert report.written == len(await stored(store, db, "m")) or report.written > 1
    assert await names(store, db) == ["m"]
    await store.drop_measurement(db, "m", context())


@pytest.mark.parametrize(
    ("precision", "factor"),
    [("ns", 1), ("u", 10**3), ("ms", 10**6), ("s", 10**9), ("m", 60 * 10**9), ("h", 3600 * 10**9)],
)
async def test_precisions(precision: str, factor: int, store: InfluxStore, db: str) -> None:
    for lines in (b"m v=1i -3\nm v=2i 0\nm v=3i 1000", b"m v=1i -3\n\nm v=2i 0\nm v=3i 1000\n#"):
        await store.write_lines(db, "m", lines, precision, context())
        assert [row["time"] for row in await stored(store, db, "m")] == [-3 * factor, 0, 1000 * factor]
    untimed = check(b"m v=1", "m", precision, NOW)
    assert untimed.batches == [b"m v=1 %d" % (NOW // factor)]


async def test_dropped_points_are_counted_over_all_shards(store: InfluxStore, db: str) -> None:
    """G11: InfluxDB tells the count of one shard, and hides unreadable lines behind conflicts."""
    await store.write_lines(db, "m", b"m f=1 1\nm f=1 %d" % (3 * WEEK), "ns", context())
    lines = [b"m f=%d %d" % (number, shard * 3 * WEEK + number) for shard in (0, 1) for number in range(2, 50)]
    wrong = [b'm f="x" %d' % (shard * 3 * WEEK + number) for shard in (0, 1) for number in range(100, 107)]
    unreadable = [b"m f=,g=1 5", b"m f=1x 6", b"m f=tru 7"]
    mixed = [*lines, *wrong, *unreadable]
    random.Random(11).shuffle(mixed)
    report = await store.write_lines(db, "m", b"\n".join(mixed), "ns", context())
    assert (report.written, report.dropped) == (len(lines), len(wrong) + len(unreadable))
    assert any("field type conflict" in reason for reason in report.reasons)
    assert len(await stored(store, db, "m")) == len(lines) + 2
    alone = await store.write_lines(db, "m", b"m f=tru 7\nm f= 8", "ns", context())
    assert (alone.written, alone.dropped) == (0, 2)


async def test_unknown_databases(store: InfluxStore) -> None:
    for write in (
        store.write("nowhere", [Point("m", {}, {"f": 1})], context()),
        store.write_lines("nowhere", "m", b"m f=1 1", "ns", context()),
    ):
        with pytest.raises(NotFoundError) as found:
            await write
        assert found.value.code.name == "DATABASE_UNKNOWN"


@pytest.mark.parametrize(
    ("lines", "wanted"),
    [
        (b"m v=1", b"m v=1 5\n"),
        (b"m v=1\nm v=2 7\n", b"m v=1 5\nm v=2 7\n"),
        (b"m,a=b\\ c v=1i,w=t  \r\n# m v=1\n\nn v=2", b"m,a=b\\ c v=1i,w=t 5\n# m v=1\n\nn v=2 5\n"),
        (b'm v="a\nb=1 2",w=1\nm v="x\\" 3"\n', b'm v="a\nb=1 2",w=1 5\nm v="x\\" 3" 5\n'),
        (b"m v=\nno line\nm v=1 x\nm v=3", b"m v=\nno line\nm v=1 x\nm v=3 5\n"),
        (b"", b""),
    ],
)
def test_lines_without_a_time_get_one_and_others_stay(lines: bytes, wanted: bytes) -> None:
    assert timed(lines, "s", 5_900_000_000) == wanted
    assert timed(wanted, "s", 9_000_000_000) == wanted
