"""Plans lowered to SQL, run on DuckDB: what the conformance suite cannot see, since no store shows it."""

from __future__ import annotations

import math
import random
import zoneinfo
from collections.abc import Iterator, Sequence
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libs.buckets import bucket_start, bucket_starts
from libs.errors import CostError, RequestError
from libs.result import BOOLEAN, FLOAT64, INT64, NS_PER, STRING, Column, Type, TypeName, Unit
from query.catalog import Field, SourceRef, Table
from query.expr import And, Arithmetic, Binary, Call, Compare, Name, Negate, Not, Number, Or, Predicate
from query.plan import (
    Aggregate,
    AggregateName,
    Aggregation,
    BucketKey,
    CalendarUnit,
    FieldKey,
    Fill,
    FillMode,
    Filter,
    Grouping,
    Key,
    Limit,
    Merge,
    Order,
    Output,
    Plan,
    Project,
    Scan,
    Sort,
)
from query.schema import schema_of
from query.sql import NULLED, SCALED, Cell, Relation, lower, translate, unfold
from query.sql.quote import column_type, identifier
from query.sql.zone import zone
from query.sql.zone_pieces import following, pieces, start
from unittest_.reference.buckets import Width

SECOND = 10**9
UNITS: tuple[CalendarUnit, ...] = ("1d", "1w", "1M", "1y")
# Zones whose clocks skip or repeat midnight, skip a day, change by odd amounts, or change far from whole hours.
ODD_ZONES = (
    "America/Sao_Paulo",
    "Asia/Beirut",
    "Africa/Cairo",
    "Africa/Casablanca",
    "America/Havana",
    "America/St_Johns",
    "Asia/Kathmandu",
    "Asia/Manila",
    "Australia/Lord_Howe",
    "Europe/Berlin",
    "Europe/Dublin",
    "Pacific/Apia",
    "Pacific/Kwajalein",
)


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as made:
        yield made


class Rows:
    """Tables of Python rows, their field names hidden from DuckDB."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection
        self.made = 0

    def scan(self, fields: dict[str, Type], rows: Sequence[Sequence[Any]]) -> Scan:
        source = SourceRef("s", (f"t{self.made}",))
        self.made += 1
        columns = ", ".join(f"f{at} {column_type(kind)}" for at, kind in enumerate(fields.values()))
        self.connection.execute(f"CREATE OR REPLACE TEMP TABLE {source.target[0]} ({columns})")
        if rows:
            marks = ", ".join("?" for _ in fields)
            self.connection.executemany(f"INSERT INTO {source.target[0]} VALUES ({marks})", [list(row) for row in rows])
        table = Table(source, "documents", {name: Field(name, kind) for name, kind in fields.items()})
        return Scan(source, tuple(fields), table=table)

    def ask(self, plan: Plan, groups: int | None = None, **more: Any) -> list[tuple[Any, ...]]:
        def leaf(scan: Any) -> Relation:
            names = list(scan.table.fields)
            table = scan.source.target[0]
            return Relation(
                table,
                tuple(
                    Cell(f"{table}.f{names.index(name)}", Column(name, scan.typed(name).type, "s"))
                    for name in scan.columns
                ),
            )

        statement = lower(plan, leaf, groups)
        assert [(c.name, c.type) for c in statement.schema] == [(c.name, c.type) for c in schema_of(plan)]
        return self.connection.execute(statement.sql, {**statement.params, **more}).fetchall()


@pytest.fixture(scope="module")
def rows(connection: duckdb.DuckDBPyConnection) -> Rows:
    return Rows(connection)


def time_type(unit: Unit, multi: bool = False) -> Type:
    return Type(TypeName.TIMESTAMP, multi, unit)


def grouped(child: Plan, keys: Sequence[Key], *aggregates: Aggregation) -> Aggregate:
    return Aggregate(child, Grouping(tuple(keys), aggregates))


COUNT = Aggregation("count", None, "n")


# Buckets


def _instants(name: str, count: int, chance: random.Random) -> list[int]:
    """Seconds from 1700 to 2600, half of them near a change of the zone's clocks."""
    changes = zone(name).changes
    spread = [chance.randrange(-8_500_000_000, 19_800_000_000) for _ in range(count // 2)]
    return spread + [chance.choice(changes) + chance.randrange(-100_000, 100_000) for _ in range(count // 2)]


@pytest.mark.parametrize("name", [*ODD_ZONES, *random.Random(3).sample(sorted(zoneinfo.available_timezones()), 20)])
def test_buckets_in_a_zone_are_those_of_the_calendar(name: str, rows: Rows) -> None:
    chance = random.Random(name)
    seconds = [second for second in _instants(name, 60, chance) if second > -8_000_000_000]
    scan = rows.scan({"t": time_type("ms"), "at": INT64}, [(s * 1000 + chance.randrange(1000), s) for s in seconds])
    for unit in UNITS:
        key = BucketKey("t", unit, "b", name, "ms")
        found = rows.ask(grouped(scan, [FieldKey("at"), key], COUNT))
        width = Width(unit=unit[1:], zone=name)
        for second, bucket, _ in found:
            expected = width.start(second * SECOND)
            assert bucket * 1_000_000 == expected, (name, unit, second)
            assert bucket_start(second * SECOND, unit, name) == expected
            assert start(unit, name, second) * SECOND == expected
            assert following(unit, name, expected // SECOND) * SECOND == width.next(expected)


def test_buckets_beyond_the_listed_years_follow_the_cycle_of_the_calendar(rows: Rows) -> None:
    seconds = [zone("Europe/Berlin").changes[-1] + 146_097 * 86_400 * times + 3_599 for times in (1, 2, 5)]
    scan = rows.scan({"t": time_type("ms")}, [(second * 1000,) for second in seconds])
    found = rows.ask(grouped(scan, [BucketKey("t", "1d", "b", "Europe/Berlin", "ms")], COUNT))
    assert sorted(bucket for bucket, _ in found) == [start("1d", "Europe/Berlin", s) * 1000 for s in seconds]
    assert len(pieces("1d", "Europe/Berlin").at) == len(zone("Europe/Berlin").changes) + 1


@given(
    instants=st.lists(st.integers(-(2**62), 2**62), min_size=1, max_size=30),
    unit=st.sampled_from(["ms", "ns"]),
    width=st.sampled_from([SECOND, 7 * SECOND, 3600 * SECOND, 10**6 * SECOND, "1d", "1w", "1M", "1y"]),
)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_buckets_in_utc_floor(instants: list[int], unit: Unit, width: Any, rows: Rows) -> None:
    per = NS_PER[unit]
    # Whole years from 1750 to 2200 fit 64 bits of nanoseconds.
    values = [instant % (14 * 10**18) - 6 * 10**18 for instant in instants]
    scan = rows.scan({"t": time_type(unit)}, [(value // per,) for value in values])
    found = rows.ask(grouped(scan, [BucketKey("t", width, "b", unit=unit)], COUNT))
    clock = Width(fixed=width) if isinstance(width, int) else Width(unit=width[1:])
    assert {bucket * per for bucket, _ in found} == {clock.start(value // per * per) for value in values}


@pytest.mark.parametrize("tz", ["UTC", "Europe/Berlin"])
def test_a_row_is_once_in_each_bucket_of_its_instants(tz: str, rows: Rows) -> None:
    day = 86_400_000
    scan = rows.scan(
        {"t": time_type("ms", multi=True), "v": INT64}, [([0, 1, day * 3], 1), (None, 2), ([2], 3), ([2], 3)]
    )
    found = rows.ask(grouped(scan, [BucketKey("t", "1d", "b", tz, "ms")], COUNT, Aggregation("sum", "v", "s")))
    first, third = (bucket_start(at * 1_000_000, "1d", tz) // 1_000_000 for at in (0, 3 * day))
    assert sorted(found, key=str) == sorted([(first, 3, 7), (third, 1, 1), (None, 1, 2)], key=str)


# Groups and aggregates


def test_names_are_data(rows: Rows) -> None:
    fields = {'a" from x; --': INT64, "Host": STRING, "host": STRING, "$p0": INT64, "": INT64, "a\0b": INT64}
    scan = rows.scan(fields, [(1, "A", "b", 2, 3, 4)])
    keys = [FieldKey(name) for name in fields]
    assert rows.ask(grouped(scan, keys, COUNT)) == [(1, "A", "b", 2, 3, 4, 1)]
    assert rows.ask(Filter(scan, Compare("$p0", "eq", 2, INT64))) == [(1, "A", "b", 2, 3, 4)]
    assert identifier('a"b') == '"a""b"'


def test_values_are_data(rows: Rows) -> None:
    texts = ["'; drop table t0; --", "%_\\", "$p0", "\0", "😀", ""]
    scan = rows.scan({"s": STRING}, [(text,) for text in texts])
    for text in texts:
        assert rows.ask(Filter(scan, Compare("s", "eq", text, STRING))) == [(text,)]
        assert rows.ask(Filter(scan, Compare("s", "in", (text, "x"), STRING))) == [(text,)]
        assert (text,) in rows.ask(Filter(scan, Compare("s", "contains", text, STRING)))


def _leaves() -> st.SearchStrategy[Predicate]:
    numbers = st.sampled_from([0, 1, 2])
    single = st.builds(
        lambda op, value: Compare("a", op, value, INT64), st.sampled_from(["eq", "ne", "lt", "gte"]), numbers
    )
    several = st.builds(
        lambda op, values: Compare("m", op, tuple(values), Type(TypeName.INT64, True)),
        st.sampled_from(["in", "nin"]),
        st.lists(numbers, min_size=1, max_size=2),
    )
    present = st.builds(
        lambda name, wanted: Compare(name, "exists", wanted, INT64), st.sampled_from(["a", "m"]), st.booleans()
    )
    return st.one_of(single, several, present)


def _trees() -> st.SearchStrategy[Predicate]:
    return st.recursive(
        _leaves(),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3).map(lambda items: And(tuple(items))),
            st.lists(inner, max_size=3).map(lambda items: Or(tuple(items))),
            inner.map(Not),
        ),
        max_leaves=6,
    )


def _holds(predicate: Predicate, row: dict[str, Any]) -> bool:
    match predicate:
        case And(items):
            return all(_holds(item, row) for item in items)
        case Or(items):
            return any(_holds(item, row) for item in items)
        case Not(item):
            return not _holds(item, row)
        case Compare(field, op, value):
            held = row[field]
            values = held if isinstance(held, list) else [] if held is None else [held]
            if op == "exists":
                return bool(values) is value
            wanted = value if isinstance(value, tuple) else (value,)
            if op in ("ne", "nin"):
                return bool(values) and not any(one in wanted for one in values)
            if op in ("lt", "gte"):
                assert isinstance(value, int)
                return any(one < value if op == "lt" else one >= value for one in values)
            return any(one in wanted for one in values)


ROWS = [(a, m) for a in (None, 0, 1, 2) for m in (None, [0], [1, 2], [0, 2])]


@given(predicate=_trees())
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_filters_know_no_third_value(predicate: Predicate, rows: Rows) -> None:
    scan = _fixed(rows)
    expected = [row for row in ROWS if _holds(predicate, {"a": row[0], "m": row[1]})]
    assert sorted(rows.ask(Filter(scan, predicate)), key=str) == sorted(expected, key=str)
    counted = grouped(scan, [], Aggregation("count", None, "n", where=predicate))
    assert rows.ask(counted) == [(len(expected),)]


_SCANS: dict[int, Scan] = {}


def _fixed(rows: Rows) -> Scan:
    if id(rows) not in _SCANS:
        _SCANS[id(rows)] = rows.scan({"a": INT64, "m": Type(TypeName.INT64, True)}, ROWS)
    return _SCANS[id(rows)]


def test_zeros_are_one_value(rows: Rows) -> None:
    fields = {"x": FLOAT64, "m": Type(TypeName.FLOAT64, True), "t": time_type("ns")}
    scan = rows.scan(fields, [(-0.0, [-0.0, 0.0], 1), (0.0, [0.0], 1)])
    found = rows.ask(grouped(scan, [FieldKey("x")], COUNT, Aggregation("count_distinct", "m", "d")))
    assert found == [(0.0, 2, 1)]
    assert math.copysign(1, found[0][0]) == 1
    assert rows.ask(grouped(scan, [FieldKey("m")], COUNT)) == [(0.0, 2)]
    functions: tuple[AggregateName, ...] = ("min", "max", "sum", "avg", "first", "last")
    for function in functions:
        values = grouped(scan, [], Aggregation(function, "x", "v", time="t"))
        assert str(rows.ask(values)[0][0]) == "0.0"


def test_integer_sums_are_exact_up_to_int64_and_fail_past_it(rows: Rows) -> None:
    most = 2**63 - 1
    scan = rows.scan({"a": INT64}, [(most,), (most,), (-most,)])
    assert rows.ask(grouped(scan, [], Aggregation("sum", "a", "s"))) == [(most,)]
    two = Filter(scan, Compare("a", "gt", 0, INT64))
    with pytest.raises(duckdb.Error) as refused:
        rows.ask(grouped(two, [], Aggregation("sum", "a", "s")))
    error = translate(refused.value)
    assert isinstance(error, RequestError)
    assert error.code.name == "NUMBER_OUT_OF_RANGE"


def test_float_aggregates_survive_the_largest_doubles(rows: Rows) -> None:
    big = 1.5e308
    scan = rows.scan({"x": FLOAT64}, [(big,), (big,), (-big,)])
    functions: tuple[AggregateName, ...] = ("sum", "avg", "stddev", "median")
    group = grouped(scan, [], *(Aggregation(name, "x", name) for name in functions))
    with pytest.raises(duckdb.InvalidInputException, match="NOT_FINITE"):
        rows.ask(group)
    found = rows.ask(group, **SCALED)[0]
    assert found[0] == pytest.approx(big)
    assert found[1] == pytest.approx(big / 3)
    assert found[2] == pytest.approx(math.sqrt(8 / 6) * big, rel=1e-9)
    assert found[3] == big
    two = rows.scan({"x": FLOAT64}, [(big,), (big,)])
    past = grouped(two, [], Aggregation("sum", "x", "s"), Aggregation("avg", "x", "a"))
    with pytest.raises(duckdb.InvalidInputException, match="NOT_FINITE"):
        rows.ask(past, **SCALED)
    assert rows.ask(past, **NULLED) == [(None, big)]


def test_first_and_last_take_the_greater_of_equal_times(rows: Rows) -> None:
    fields = {"t": time_type("ns"), "b": BOOLEAN, "s": STRING}
    lowest = -(2**63)
    scan = rows.scan(
        fields, [(lowest, False, "x"), (lowest, True, "é"), (5, False, None), (5, None, "a"), (None, True, "zz")]
    )
    outputs = [Aggregation(f, name, f"{f}{name}", time="t") for f in ("first", "last") for name in ("b", "s")]
    assert rows.ask(grouped(scan, [], *outputs)) == [(True, "é", False, "a")]


def test_nothing_gives_one_row_without_keys_and_none_with_them(rows: Rows) -> None:
    scan = rows.scan({"a": INT64}, [])
    functions: tuple[AggregateName, ...] = (
        "count",
        "count_distinct",
        "sum",
        "avg",
        "min",
        "median",
        "stddev",
        "first",
    )
    outputs = tuple(Aggregation(name, "a", name, time="a") for name in functions)
    assert rows.ask(grouped(scan, [], COUNT, *outputs)) == [(0, 0, *[None] * 7)]
    assert rows.ask(grouped(scan, [FieldKey("a")], COUNT, *outputs)) == []


def test_too_many_groups_fail(rows: Rows) -> None:
    scan = rows.scan({"a": INT64}, [(at,) for at in range(11)])
    plan = Limit(grouped(scan, [FieldKey("a")], COUNT), 1)
    assert len(rows.ask(plan, 11)) == 1
    with pytest.raises(duckdb.Error) as refused:
        rows.ask(plan, 10)
    error = translate(refused.value)
    assert isinstance(error, CostError)
    assert "10" in error.message
    bucket = BucketKey("a", SECOND, "b")
    fill = Fill(grouped(scan, [FieldKey("a"), bucket], COUNT), "null", bucket, ("a",), ("n",), (), 0, 2 * SECOND)
    with pytest.raises(duckdb.Error, match="COST_EXCEEDED"):
        rows.ask(fill, 21)
    assert len(rows.ask(fill, 22)) == 22


# Fill, order, expressions, parts


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("null", [(0, 0, None), (1, 1, 10), (2, 0, None), (3, 1, 30), (4, 0, None)]),
        ("value", [(0, 0, 7), (1, 1, 10), (2, 0, 7), (3, 1, 30), (4, 0, 7)]),
        ("previous", [(0, 0, None), (1, 1, 10), (2, 0, 10), (3, 1, 30), (4, 0, 30)]),
        ("linear", [(0, 0, None), (1, 1, 10.0), (2, 0, 20.0), (3, 1, 30.0), (4, 0, None)]),
    ],
)
def test_fill(mode: FillMode, expected: list[tuple[Any, ...]], rows: Rows) -> None:
    scan = rows.scan({"t": time_type("ms"), "a": INT64}, [(1999, 10), (3000, 30)])
    bucket = BucketKey("t", SECOND, "b", unit="ms")
    child = grouped(scan, [bucket], COUNT, Aggregation("max", "a", "m"))
    # The range starts within the first bucket and ends within the last.
    plan = Fill(child, mode, bucket, (), ("n",), ("m",), 500_000_000, 4_000_000_001, 7)
    found = rows.ask(Sort(plan, (Order("b"),)))
    assert [(at // 1000, n, m) for at, n, m in found] == expected


def test_fill_knows_series_with_null_keys_and_none_at_all(rows: Rows) -> None:
    bucket = BucketKey("t", SECOND, "b")
    fields = {"t": time_type("ns"), "h": STRING}
    empty = grouped(rows.scan(fields, []), [bucket], COUNT)
    assert rows.ask(Fill(empty, "null", bucket, (), ("n",), (), 0, 2 * SECOND)) == [(0, 0), (SECOND, 0)]
    scan = rows.scan(fields, [(0, None), (SECOND, "x"), (None, "y")])
    plan = Fill(grouped(scan, [FieldKey("h"), bucket], COUNT), "null", bucket, ("h",), ("n",), (), 0, 2 * SECOND)
    found = sorted(rows.ask(plan), key=str)
    expected = [(None, 0, 1), (None, SECOND, 0), ("x", 0, 0), ("x", SECOND, 1), ("y", 0, 0), ("y", SECOND, 0)]
    assert found == sorted([*expected, ("y", None, 1)], key=str)


def test_fill_of_calendar_buckets_has_every_day_of_a_zone(rows: Rows) -> None:
    low, high = (second * SECOND for second in (1508000000, 1509000000))  # Brazil's clocks skip a midnight
    bucket = BucketKey("t", "1d", "b", "America/Sao_Paulo")
    child = grouped(rows.scan({"t": time_type("ns")}, [(low,)]), [bucket], COUNT)
    found = rows.ask(Sort(Fill(child, "null", bucket, (), ("n",), (), low, high), (Order("b"),)))
    assert [at for at, _ in found] == bucket_starts(low, high, "1d", "America/Sao_Paulo")
    assert sum(n for _, n in found) == 1


def test_order_keeps_what_is_missing_last(rows: Rows) -> None:
    many = Type(TypeName.STRING, True)
    scan = rows.scan({"m": many, "a": INT64}, [(["b", "z"], 1), (["c"], 2), (None, 3), (["\uffff", "😀"], 4)])
    assert [row[1] for row in rows.ask(Sort(scan, (Order("m"),)))] == [1, 2, 4, 3]
    assert [row[1] for row in rows.ask(Sort(scan, (Order("m", True),)))] == [4, 1, 2, 3]


def test_order_outlives_what_stands_behind_a_limit(rows: Rows) -> None:
    scan = rows.scan({"a": INT64}, [(at,) for at in (3, 1, 2, 5, 4)])
    first = Limit(Sort(scan, (Order("a", True),)), 4)
    double = Output("d", Binary("*", Name("a"), Number(2)))
    plan = Project(Filter(first, Compare("a", "ne", 4, INT64)), (double, Output("q", Negate(Name("d")))))
    assert rows.ask(plan) == [(10.0, -10.0), (6.0, -6.0), (4.0, -4.0)]


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        (Binary("/", Number(1), Number(0)), None),
        (Binary("%", Number(-7), Number(4)), -3.0),
        (Binary("%", Number(7), Number(0)), None),
        (Binary("*", Number(1e200), Number(1e200)), None),
        (Call("coalesce", (Binary("/", Number(1), Number(0)), Number(5))), 5.0),
        (Binary("/", Number(1), Binary("/", Number(1), Number(0))), None),
        (Call("round", (Number(2.5),)), 3.0),
        (Call("round", (Number(-2.5),)), -3.0),
        (Call("round", (Number(0.49999999999999994),)), 0.0),
        (Call("round", (Number(1.25), Number(1))), 1.3),
        (Call("round", (Number(1e300), Number(5))), 1e300),
        (Call("nullif", (Number(1), Number(1))), None),
        (Call("nullif", (Number(1), Number(2))), 1.0),
        (Call("nullif", (Number(1), Name("none"))), None),
        (Call("abs", (Negate(Number(3)),)), 3.0),
        (Negate(Number(0)), 0.0),
        (Binary("+", Name("a"), Name("none")), None),
    ],
)
def test_expressions(tree: Arithmetic, expected: float | None, rows: Rows) -> None:
    scan = rows.scan({"a": INT64, "none": FLOAT64}, [(2, None)])
    ((found,),) = rows.ask(Project(scan, (Output("x", tree),)))
    assert found == expected
    assert found is None or math.copysign(1, found) == math.copysign(1, expected or 0.0)


def test_deep_expressions_stay_short(rows: Rows) -> None:
    scan = rows.scan({"a": INT64}, [(2,)])
    chain: Arithmetic = Name("a")
    for _ in range(60):
        chain = Binary("+", Binary("*", chain, Number(1)), Number(1))
    leaf = Relation("t", (Cell("t.f0", Column("a", INT64, "s")),))
    statement = lower(Project(scan, (Output("x", chain),)), lambda _: leaf)
    assert len(statement.sql) < 20_000
    assert rows.ask(Project(scan, (Output("x", chain),))) == [(62.0,)]


def test_parts_are_merged_under_wider_types(rows: Rows) -> None:
    left = rows.scan({"a": INT64, "t": time_type("ms"), "m": STRING}, [(1, 5, "x"), (None, None, None)])
    right = rows.scan(
        {"a": FLOAT64, "t": time_type("ns"), "m": Type(TypeName.STRING, True)}, [(1.5, 5_000_001, ["y", "z"])]
    )
    assert right.table is not None
    merged = Sort(Merge((left, right), right.table), (Order("a"),))
    assert rows.ask(merged) == [(1.0, 5_000_000, ["x"]), (1.5, 5_000_001, ["y", "z"]), (None, None, None)]
    assert [column.type for column in schema_of(merged)] == [FLOAT64, time_type("ns"), Type(TypeName.STRING, True)]


def test_what_a_scan_has_absorbed_unfolds(rows: Rows) -> None:
    bare = rows.scan({"a": INT64, "h": STRING}, [(1, "x"), (2, "y"), (3, "x")])
    where = Compare("a", "gt", 1, INT64)
    scan = Scan(bare.source, ("h",), where=where, order=(Order("a", True),), limit=1, table=bare.table)
    assert rows.ask(unfold(scan)) == [("x",)]
    group = Grouping((FieldKey("h"),), (COUNT,))
    scan = Scan(bare.source, (), where=where, group=group, order=(Order("h"),), limit=5, table=bare.table)
    assert rows.ask(unfold(scan)) == [("x", 1), ("y", 1)]
    assert [column.name for column in schema_of(scan)] == ["h", "n"]
