"""Points that look alike are read by one expression, and written from its text: as the careful way reads and writes them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.errors import RequestError
from parser import point_shape
from parser.point_shape import FEWEST_BYTES, read_columns
from parser.points import careful_array, careful_ndjson, parse_array, parse_ndjson
from query.backend import Point
from query.embedded.line_protocol import read_lines
from query.influx.column_lines import column_lines
from query.influx.line_protocol import Encoder
from query.point_columns import PointColumns

NOW = 1_795_000_000_000_000_000
PLAIN = ["usage", "load", "a b", "x,y", "é", "%s", "tags", "fields"]
NAMES = [*PLAIN, "time", 'q"', "a\\"]
INTEGERS = [0, 1, -1, 7, 10**14, 10**15, 10**16 + 1, 10**18 - 1]
FLOATS = [0.0, -0.0, 0.5, -1.25, 123456789.125, 99.0]
TEXTS = ["", "web-1", "a b", "a,b=c", "zwölf", "日本", "%s", "}}", "{,:"]
CELLS: dict[str, list[Any]] = {
    "integer": INTEGERS,
    "float": FLOATS,
    "number": INTEGERS + FLOATS,
    "boolean": [True, False],
    "string": TEXTS,
}
ODD_CELLS = [
    10**18,
    2**63 - 1,
    2**63,
    -(2**63),
    10**30,
    1e300,
    1e-7,
    5e-324,
    'say "hi"',
    "back\\slash",
    "\n",
    None,
    {},
    True,
    1,
]
TIMES = [0, -1, 10**17, NOW, NOW + 1, -NOW]
WRITTEN = ["2026-11-22T10:00:00Z", "2026-11-22T10:00:00.5Z", "1969-12-31T23:59:59.999999999Z"]
ODD_TIMES = [
    2**63 - 1,
    2**63,
    -(2**63),
    "1601-01-01T00:00:00Z",
    "2026-02-30T00:00:00Z",
    "now",
    "2026-11-22T10:00:00+01:00",
]
FAULTS = [b"", b" ", b"0", b"-", b".", b",", b'"', b"}", b"{", b"1e5", b"null", b"\\", b"\xff", b"\n"]
TYPES = ["boolean", "integer", "float", "string", "unsigned"]


@st.composite
def bodies(draw: st.DrawFn) -> tuple[bytes, bool]:
    """(points that are mostly alike, as JSON; whether it is NDJSON), at times with something odd or a fault in the text."""
    rarely = st.integers(0, 7).map(lambda number: number == 5)
    names = NAMES if draw(rarely) else PLAIN
    tags = draw(st.lists(st.sampled_from(names), max_size=2, unique=True))
    fields = draw(st.dictionaries(st.sampled_from(names), st.sampled_from(sorted(CELLS)), min_size=1, max_size=3))
    order = [name for name in draw(st.permutations(["time", "tags", "fields"])) if name == "fields" or not draw(rarely)]
    times: list[Any] = draw(st.sampled_from([TIMES, WRITTEN]))
    points: list[Any] = []
    for _ in range(draw(st.integers(2, 4))):
        odd = draw(rarely) and draw(rarely)
        whole = {
            "time": draw(st.sampled_from(ODD_TIMES if odd else times)),
            "tags": {name: draw(st.sampled_from(TEXTS)) for name in tags},
            "fields": {name: draw(st.sampled_from(ODD_CELLS if odd else CELLS[kind])) for name, kind in fields.items()},
        }
        points.append({name: whole[name] for name in order})
    body, lines = draw(written(points))
    if draw(rarely):
        at = draw(st.integers(0, len(body)))
        body = body[:at] + draw(st.sampled_from(FAULTS)) + body[at + draw(st.integers(0, 2)) :]
    return body, lines


def written(points: list[Any]) -> st.SearchStrategy[tuple[bytes, bool]]:
    styles: list[dict[str, Any]] = [{"separators": (",", ":")}, {}, {"indent": 1}]
    arrays = st.sampled_from(styles).map(
        lambda style: (json.dumps(points, ensure_ascii=False, **style).encode(), False)
    )
    ends = st.sampled_from(["\n", "\r\n", "\n\n"])
    texts = [json.dumps(point, ensure_ascii=False) for point in points]
    return arrays | ends.map(lambda end: (end.join(texts).encode(), True))


@settings(max_examples=300, deadline=None)
@given(bodies(), st.dictionaries(st.sampled_from(NAMES), st.sampled_from(TYPES), max_size=2))
def test_the_quick_way_is_the_careful_one(sent: tuple[bytes, bool], types: dict[str, str]) -> None:
    body, lines = sent
    columns = read_columns(body, "m", lines=lines)
    if columns is None:
        return
    points = (careful_ndjson if lines else careful_array)(body, "m", NOW)
    assert repr(list(columns)) == repr(points)
    written = column_lines(columns, types, NOW)
    if written is not None:
        encoder = Encoder(types, NOW)
        assert rows(list(written)) == rows(encoder.encode(points))
        assert columns.names.union(types) >= encoder.names


def rows(batches: Sequence[bytes]) -> str:
    found = read_lines(b"\n".join(batches), "m", "ns", NOW)
    assert not found.dropped
    return repr(found.rows)


def some(count: int, **odd: Any) -> list[dict[str, Any]]:
    made = [
        {"time": NOW + at, "tags": {"host": f"h{at % 3}"}, "fields": {"v": at + 0.5, "n": at}} for at in range(count)
    ]
    made[count // 2] |= odd
    return made


@pytest.mark.parametrize("dump", [orjson.dumps, lambda value: json.dumps(value, indent=2).encode()])
def test_an_array_of_many_is_read_as_columns(dump: Any) -> None:
    body = dump(some(1_000))
    assert len(body) >= FEWEST_BYTES
    points = parse_array(body, "m", NOW)
    assert isinstance(points, PointColumns)
    assert list(points) == careful_array(body, "m", NOW)
    assert points[-1] == Point("m", {"host": "h0"}, {"v": 999.5, "n": 999}, NOW + 999)
    assert len(points[10:20]) == 10


def test_lines_of_json_are_read_as_columns() -> None:
    body = b"\n".join(map(orjson.dumps, some(1_000)))
    points = parse_ndjson(body, "m", NOW)
    assert isinstance(points, PointColumns)
    assert list(points) == careful_ndjson(body, "m", NOW)


def test_a_point_over_two_lines_is_none_in_ndjson() -> None:
    body = b"\n".join(orjson.dumps(point).replace(b',"fields"', b',\n"fields"') for point in some(5))
    assert read_columns(body, "m", lines=True) is None


def test_blocks_are_put_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(point_shape, "_BLOCK_CHARS", 200)
    body = orjson.dumps(some(50))
    columns = read_columns(body, "m", lines=False)
    assert columns is not None
    assert list(columns) == careful_array(body, "m", NOW)


@pytest.mark.parametrize("odd", [{"fields": {"v": None, "n": 1}}, {"tags": {"host": 1}}, {"time": "soon"}, {"more": 1}])
def test_what_is_wrong_in_the_middle_is_told_with_its_place(odd: dict[str, Any]) -> None:
    with pytest.raises(RequestError) as refused:
        parse_array(orjson.dumps(some(1_000, **odd)), "m", NOW)
    assert refused.value.issues[0].pointer.startswith("/500/")


def test_a_member_that_stands_twice_is_refused() -> None:
    body = orjson.dumps(some(1_000)).replace(b'"v":0.5,', b'"v":0.5,"v":0.5,').replace(b'"v":1.5,', b'"v":1.5,"v":1.5,')
    with pytest.raises(RequestError) as refused:
        parse_array(body, "m", NOW)
    assert {issue.code for issue in refused.value.issues} == {"DUPLICATE_KEY"}


def test_numbers_take_their_fields_type() -> None:
    columns = read_columns(orjson.dumps(some(4)), "m", lines=False)
    assert columns is not None
    as_told = column_lines(columns, {}, NOW)
    assert as_told is not None
    assert b"".join(as_told).splitlines()[1] == b"m,host=h1 v=1.5,n=1i 1795000000000000001"
    as_float = column_lines(columns, {"n": "float"}, NOW)
    assert as_float is not None
    assert b"".join(as_float).splitlines()[1] == b"m,host=h1 v=1.5,n=1 1795000000000000001"
    assert column_lines(columns, {"v": "integer"}, NOW) is None
    assert column_lines(columns, {"v": "string"}, NOW) is None
