"""A Hypothesis strategy of random valid bodies over a data set: rows and groups, filters, buckets, fill, having, expressions, order, limit.

What no two stores need to agree on is left out: a `having` on outputs whose last digits may differ, an order by a quotient of such,
and approximate outputs unless `options.exact` is set.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from unittest_.conformance.case import TIME, Body
from unittest_.conformance.data import NOW, DataSet
from unittest_.conformance.random_filters import Named, Strategy, filters, named
from unittest_.reference.buckets import width_of
from unittest_.reference.tables import NUMBERS, FieldSpec, Table
from unittest_.reference.times import SECOND, instant, written

Draw = Callable[[Strategy], Any]
_LIMITS = (1, 2, 3, 7, 20, 100, 1000, 10_000)
_ZONES = (None, None, "Europe/Berlin", "America/New_York", "Asia/Beirut", "Pacific/Apia", "Asia/Kathmandu")
_FIXED = ("1s", "30s", "1m", "7m", "1h", "5h", "24h", "1000h")
_CALENDAR = ("1d", "1w", "1M", "1y")
_APPROXIMATE = ("count_distinct", "median", "percentile")
_MOST_FILLED = 400


@dataclass
class Output:
    """An output under way. `exact`: every store gives its very bits. `sortable`: near-equal values are ties, nothing more."""

    name: str
    spec: FieldSpec
    values: list[Any]
    exact: bool = True
    sortable: bool = True


@dataclass(frozen=True)
class Source:
    """A data set as bodies see it: the time field as `$time`, shared fields alone where both kinds hold it."""

    names: Named
    table: Table
    small: frozenset[str]  # integer fields whose sums stay within int64

    @property
    def keys(self) -> list[str]:
        return sorted(
            n for n, spec in self.names.fields.items() if spec.type != "json" and spec.role not in ("text", "id")
        )

    def numbers(self) -> list[str]:
        return sorted(n for n, spec in self.names.fields.items() if spec.type in NUMBERS and not spec.multi)


def source_of(data: DataSet) -> Source:
    kind = "series" if "series" in data.kinds else "documents"
    table = data.tables[kind]
    names = named(table, {data.time_field(kind): TIME})
    small = {
        name
        for name, spec in names.fields.items()
        if spec.type == "int64" and len(table.rows) * 5 * max(map(abs, names.values[name] or [0])) < 2**62
    }
    return Source(names, table, frozenset(small))


def bodies(data: DataSet, *, approximate: bool = False) -> st.SearchStrategy[Body]:
    """Valid bodies over the data set, `$time` for the kind's time field. `approximate` lets such outputs in without `exact`."""
    source = source_of(data)

    @st.composite
    def one(draw: Draw) -> Body:
        body: Body = {}
        if draw(st.integers(0, 2)) == 0:
            body["where"] = draw(filters(source.names))
        if draw(st.integers(0, 2)) == 0:
            body["time_range"] = draw(_ranges(source))
        (_groups if draw(st.booleans()) else _rows)(draw, source, body)
        if draw(st.booleans()):
            body["limit"] = draw(st.sampled_from(_LIMITS))
        if not approximate and any(
            item.get("agg") in _APPROXIMATE for item in body.get("select", ()) if isinstance(item, dict)
        ):
            body["options"] = {"exact": True}
        return body

    return one()


def _ranges(source: Source) -> Strategy:
    values = source.names.values[TIME] or [0, SECOND]
    edges = st.sampled_from(sorted({edge for value in values for edge in (value, value + 1, value - 500_000)}))
    pairs = st.tuples(edges, edges).filter(lambda pair: pair[0] != pair[1]).map(sorted)
    return st.one_of(
        pairs.map(lambda pair: {"from": written(pair[0]), "to": written(pair[1])}),
        pairs.map(lambda pair: {"from": written(pair[0]), "to": written(pair[1]), "field": TIME}),
        edges.map(lambda edge: {"from": written(edge)}),
        edges.map(lambda edge: {"to": written(edge)}),
        st.sampled_from(
            [
                {"from": "now-3h", "to": "now"},
                {"from": "now-1d/d", "to": "now/h"},
                {"from": "now-1M"},
                {"to": "now-2h/h"},
            ]
        ),
    )


def _rows(draw: Draw, source: Source, body: Body) -> None:
    outputs: list[Output] = []
    if draw(st.integers(0, 3)):
        chosen = draw(st.lists(st.sampled_from(sorted(source.names.fields)), min_size=1, max_size=4, unique=True))
        body["select"] = [name if draw(st.booleans()) else {"field": name} for name in chosen]
        if source.numbers() and draw(st.booleans()):
            body["select"].append({"expr": draw(_expressions(source.numbers())), "as": "e0"})
            outputs.append(Output("e0", FieldSpec("float64"), []))
    if draw(st.booleans()):
        sortable = sorted(n for n, s in source.names.fields.items() if s.type != "json" and s.role != "text")
        body["order_by"] = draw(_orders([*sortable, *(one.name for one in outputs)]))


def _groups(draw: Draw, source: Source, body: Body) -> None:
    keys = draw(st.lists(st.sampled_from(source.keys), max_size=2, unique=True))
    outputs = [Output(name, source.names.fields[name], source.names.values[name]) for name in keys]
    group_by: list[Any] = list(keys)
    if draw(st.booleans()):
        bucket = draw(_buckets())
        group_by.insert(draw(st.integers(0, len(group_by))), bucket)
        outputs.append(Output("t", FieldSpec("timestamp"), source.names.values[TIME]))
        if draw(st.booleans()):
            _bound_fill(draw, source, body, bucket)
    aggregates = [
        draw(_aggregates(source, f"a{i}", body.get("fill"))) for i in range(draw(st.integers(0 if group_by else 1, 3)))
    ]
    outputs += [output for _, output in aggregates]
    select: list[Any] = [item for item, _ in aggregates]
    if keys and draw(st.integers(0, 3)) == 0:
        select.insert(0, keys[0])
    numbers = [one for one in outputs if one.spec.type in NUMBERS and not one.spec.multi]
    if numbers and draw(st.booleans()):
        select.append({"expr": draw(_expressions([one.name for one in numbers])), "as": "e0"})
        exact = all(one.exact for one in numbers)
        outputs.append(Output("e0", FieldSpec("float64"), [0, 1, 2, 0.5, -1], exact, exact))
    if group_by:
        body["group_by"] = group_by
    if select:
        body["select"] = select
    if draw(st.integers(0, 2)) == 0:
        exact_names = Named()
        for one in outputs:
            if one.exact:
                exact_names.add(one.name, FieldSpec(one.spec.type, False, one.spec.unit, one.spec.role), one.values)
        if exact_names.fields:
            body["having"] = draw(filters(exact_names, 1))
    if draw(st.booleans()):
        body["order_by"] = draw(_orders([one.name for one in outputs if one.sortable]))


def _buckets() -> Strategy:
    fixed = st.sampled_from(_FIXED).map(lambda width: {"time_bucket": width, "field": TIME, "as": "t"})
    calendar = st.builds(
        lambda width, zone: {"time_bucket": width, "field": TIME, "as": "t"} | ({"tz": zone} if zone else {}),
        st.sampled_from(_CALENDAR),
        st.sampled_from(_ZONES),
    )
    return st.one_of(fixed, calendar)


def _bound_fill(draw: Draw, source: Source, body: Body, bucket: Body) -> None:
    """Adds fill, and the bounded range that it needs, where that makes no more than some hundred buckets."""
    span = body.get("time_range")
    if span is None or "from" not in span or "to" not in span:
        start = draw(st.sampled_from(source.names.values[TIME] or [NOW]))
        width = width_of(bucket["time_bucket"], bucket.get("tz"))
        end = start
        for _ in range(draw(st.integers(1, 30))):
            end = width.next(width.start(end))
        span = {"from": written(start), "to": written(end + draw(st.sampled_from([0, 1])))}
    width = width_of(bucket["time_bucket"], bucket.get("tz"))
    low, high = instant(span["from"], NOW), instant(span["to"], NOW)
    shortest = width.fixed or 86_400 * SECOND
    if (high - low) // shortest > _MOST_FILLED:
        return
    body["time_range"] = span
    modes: list[Body] = [
        {"mode": "none"},
        {"mode": "null"},
        {"mode": "value", "value": 0},
        {"mode": "previous"},
        {"mode": "linear"},
    ]
    body["fill"] = draw(st.sampled_from(modes))


def _aggregates(source: Source, name: str, fill: Body | None) -> Strategy:
    """One aggregate and its output. `value` and `linear` fills take numbers alone."""
    numeric_only = fill is not None and fill["mode"] in ("value", "linear")
    fields = source.names.fields
    pairs: list[tuple[str, str | None]] = [("count", None)]
    for field, spec in fields.items():
        pairs.append(("count", field))
        if spec.role in ("text", "id"):
            continue
        pairs += [("count_distinct", field)]
        if spec.type == "json" and not numeric_only:
            pairs += [("first", field), ("last", field)]
        if spec.type == "json":
            continue
        if spec.type in NUMBERS:
            pairs += [(agg, field) for agg in ("min", "max", "avg", "median", "percentile", "stddev", "first", "last")]
            pairs += [("sum", field)] if spec.type == "float64" or field in source.small else []
        elif not numeric_only:
            pairs += [(agg, field) for agg in ("first", "last", *(("min", "max") if spec.type == "timestamp" else ()))]

    @st.composite
    def one(draw: Draw) -> tuple[Body, Output]:
        function, field = draw(st.sampled_from(pairs))
        item: Body = {"agg": function, "as": name}
        if field is not None:
            item["field"] = field
        if function == "percentile":
            item["p"] = draw(st.sampled_from([0, 0.1, 12.5, 50, 90, 95, 99.9, 100]))
        if draw(st.integers(0, 3)) == 0:
            item["where"] = draw(filters(source.names, 1))
        return item, _output(source, function, field, name, fill)

    return one()


def _output(source: Source, function: str, field: str | None, name: str, fill: Body | None) -> Output:
    linear = fill is not None and fill["mode"] == "linear" and function != "count"
    if function in ("count", "count_distinct") or field is None:
        return Output(name, FieldSpec("float64" if linear else "int64"), [0, 1, 2, 3, 5, 10], not linear)
    spec = source.names.fields[field]
    if spec.type == "json":
        return Output(name, FieldSpec("json"), [], False, False)
    if function in ("min", "max", "first", "last"):
        return Output(name, FieldSpec(spec.type, False, spec.unit, spec.role), source.names.values[field], not linear)
    summed = function == "sum" and spec.type == "int64"
    return Output(
        name, FieldSpec("int64" if summed and not linear else "float64"), [0, 1, 100, 1000], summed and not linear
    )


def _orders(names: list[str]) -> Strategy:
    if not names:
        return st.just([])
    item = st.sampled_from(sorted(names)).flatmap(
        lambda name: st.sampled_from([name, {"field": name, "dir": "asc"}, {"field": name, "dir": "desc"}])
    )
    return st.lists(item, min_size=1, max_size=3, unique_by=lambda i: i if isinstance(i, str) else i["field"])


def _expressions(names: list[str]) -> Strategy:
    atoms = st.one_of(
        st.sampled_from(names).map(lambda name: f"`{name}`" if not name.replace("_", "a").isalnum() else name),
        st.sampled_from(["0", "1", "2", "0.5", "7", "1e3", "100"]),
    )

    def wider(inner: Strategy) -> Strategy:
        binary = st.builds(
            lambda a, sign, b: f"{a} {sign} {b}", inner, st.sampled_from(["+", "-", "*", "/", "%"]), inner
        )
        unary = st.builds(
            lambda form, a: form.format(a),
            st.sampled_from(["-({})", "({})", "abs({})", "round({})", "coalesce({})"]),
            inner,
        )
        pair = st.builds(
            lambda form, a, b: form.format(a, b), st.sampled_from(["coalesce({}, {})", "nullif({}, {})"]), inner, inner
        )
        return st.one_of(binary, binary, unary, pair)

    return st.recursive(atoms, wider, max_leaves=5)
