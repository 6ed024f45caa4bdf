"""Keys of a join's small side reach the store of the large one, and fewer rows come back: on real stores behind recording
proxies. The answers are those of both sides fetched whole."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from apps.pipeline import Services, explained, run
from libs.context import Limits, RequestContext
from middlewares.format import page_response
from operator_.engine import Engine
from parser.json_body import parse_body
from query.backend import InstanceConfig, Point
from query.document_store import Document
from query.factory import QueryFactory, open_backend
from query.rules import below_joins, keys
from unittest_.recording_proxy import RecordingProxy

START = 1_795_334_400  # 2026-11-22T08:00:00Z
RANGE = {"from": "2026-11-22T08:00:00Z", "to": "2026-11-22T09:00:00Z"}
HOSTS, MINUTES = 30, 60
_BAD = {3: (10, 11), 7: (50,)}  # the minutes in which a host has errors
_MAPPINGS = {
    "properties": {
        "@timestamp": {"type": "date"},
        "host": {"type": "keyword"},
        "name": {"type": "keyword"},
        "status": {"type": "integer"},
    }
}


def _documents() -> list[Document]:
    found = []
    for host in range(HOSTS):
        for minute in range(MINUTES):
            at = (START + minute * 60 + host) * 1000
            status = 503 if minute in _BAD.get(host, ()) else 200
            name = f"HOST-{host:02}.example.org"
            row = {"@timestamp": at, "host": f"host-{host:02}", "name": name, "status": status}
            found.append(Document(json.dumps(row).encode(), None))
    return found


def _points() -> list[Point]:
    return [
        Point("cpu", {"host": f"host-{host:02}"}, {"usage": host + minute / 100}, (START + minute * 60) * 10**9)
        for host in range(HOSTS)
        for minute in range(MINUTES)
    ]


class Pair:
    """Both stores, a proxy before each."""

    def __init__(self, folder: Path, es: RecordingProxy, influx: RecordingProxy) -> None:
        self.proxies = {"es": es, "influx": influx}
        self.es: Any = open_backend("es", InstanceConfig("es", "documents", es.url, str(folder)))
        self.influx: Any = open_backend("influx", InstanceConfig("influx", "series", influx.url, str(folder)))
        self.engine = Engine(folder / "spill")
        self.services = Services(QueryFactory([self.es, self.influx]), self.engine, RequestContext().limits)
        self.name = f"keys-{uuid.uuid4().hex[:8]}"
        self.logs = {"source": "es", "index": self.name}
        self.cpu = {"source": "influx", "db": self.name, "measurement": "cpu"}

    async def ask(
        self, body: dict[str, Any], limits: Limits | None = None
    ) -> tuple[list[Any], dict[str, int], list[str]]:
        """(rows, rows fetched of each source, notes)."""
        context = RequestContext(deadline=time.monotonic() + 20, limits=limits or self.services.limits)
        page, _ = await run(parse_body(json.dumps(body).encode()), self.services, context)
        decoded = json.loads(page_response(page, context, 0.0, "arrays").body or b"")
        return decoded["data"], {report.source: report.rows for report in context.sources}, context.notes

    async def both_ways(
        self, body: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> tuple[dict[str, int], dict[str, int], dict[str, str]]:
        """(rows fetched with keys, without, what each store was asked for with keys), once both answers are the same."""
        for proxy in self.proxies.values():
            proxy.clear()
        rows, narrow, notes = await self.ask(body)
        sent = {name: unquote(proxy.received.decode(errors="replace")) for name, proxy in self.proxies.items()}
        assert rows
        assert notes
        with monkeypatch.context() as patched:
            patched.setattr(keys, "refused", lambda small, big, of: "not in this test")
            whole_rows, whole, _ = await self.ask(body)
        assert rows == whole_rows
        return narrow, whole, sent

    async def choice(self, body: dict[str, Any]) -> Any:
        """What explain tells of the join's keys."""
        told = await explained(parse_body(json.dumps(body).encode()), self.services, RequestContext())
        step = told["plan"]
        while step["step"] != "join":
            (step,) = step["inputs"]
        return step["keys"], [one["step"] for one in step["inputs"]]


@pytest.fixture(scope="module")
async def pair(tmp_path_factory: pytest.TempPathFactory, es_url: str, influx_url: str) -> AsyncIterator[Pair]:
    es, influx = RecordingProxy(es_url), RecordingProxy(influx_url)
    await es.start()
    await influx.start()
    made = Pair(tmp_path_factory.mktemp("keys"), es, influx)
    await made.es.create_index(made.name, {}, _MAPPINGS, RequestContext())
    await made.es.bulk(made.name, _documents(), True, RequestContext())
    await made.influx.create_database(made.name, RequestContext())
    await made.influx.write(made.name, _points(), RequestContext())
    yield made
    await made.es.delete_index(made.name, RequestContext())
    await made.influx.drop_database(made.name, RequestContext())
    await made.es.close()
    await made.influx.close()
    made.engine.close()
    await es.stop()
    await influx.stop()


def _bucket(field: str, width: str = "1m") -> dict[str, str]:
    return {"time_bucket": width, "field": field, "as": "t"}


def _errors(pair: Pair, **more: Any) -> dict[str, Any]:
    return {
        "from": pair.logs,
        "time_range": RANGE,
        "where": {"field": "status", "op": "gte", "value": 500},
        "group_by": ["host", _bucket("@timestamp")],
        "select": [{"agg": "count", "as": "errors"}],
        "limit": 10_000,
        **more,
    }


def _usage(pair: Pair, *keys_: Any) -> dict[str, Any]:
    return {"from": pair.cpu, "group_by": list(keys_), "select": [{"agg": "avg", "field": "usage", "as": "cpu"}]}


@pytest.mark.parametrize("how", ["inner", "left"])
async def test_groups_are_asked_of_influxdb_by_host_and_time(
    pair: Pair, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = _usage(pair, "host", _bucket("time", "10s"))
    keys_ = ["host", _bucket("@timestamp", "10s")]
    body = _errors(pair, group_by=keys_, join=[{"how": how, "as": "m", "with": right, "on": ["host", "t"]}])
    narrow, whole, sent = await pair.both_ways(body, monkeypatch)
    assert (narrow["influx"], whole["influx"]) == (3, HOSTS * MINUTES)
    # Three buckets far from each other are three statements, each with its own host.
    assert "host-03" in sent["influx"]
    assert "host-07" in sent["influx"]
    assert r"\A(?:" not in sent["influx"]
    assert f"time >= {(START + 600) * 10**9} AND time <= {(START + 610) * 10**9 - 1}" in sent["influx"].replace(
        "+", " "
    )


async def test_terms_are_asked_of_elasticsearch(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    left = {**_usage(pair, "host"), "time_range": RANGE, "top": {"by": "cpu", "n": 2}}
    right = {"from": pair.logs, "select": ["host", "status"]}
    body = {
        **left,
        "join": [{"how": "inner", "as": "log", "with": right, "on": ["host"], "many": True}],
        "limit": 10_000,
    }
    narrow, whole, sent = await pair.both_ways(body, monkeypatch)
    assert (narrow["es"], whole["es"]) == (2 * MINUTES, HOSTS * MINUTES)
    assert '"terms":{"host":["host-28","host-29"]}' in sent["es"]


async def test_the_left_side_is_asked_by_the_keys_of_the_right(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    right = {"from": pair.cpu, "where": {"field": "usage", "op": "gt", "value": 29.5}, "select": ["host"], "limit": 50}
    rows = {"from": pair.logs, "select": ["host", "status"], "time_range": RANGE, "limit": 10_000}
    body = {**rows, "join": [{"how": "semi", "with": right, "on": ["host"]}]}
    narrow, whole, sent = await pair.both_ways(body, monkeypatch)
    assert (narrow["es"], whole["es"]) == (MINUTES, HOSTS * MINUTES)
    assert '"term":{"host":"host-29"}' in sent["es"]


@pytest.mark.parametrize("how", ["left", "anti"])
async def test_every_left_row_is_fetched_where_it_is_kept(pair: Pair, how: str) -> None:
    right = {"from": pair.cpu, "where": {"field": "usage", "op": "gt", "value": 29.5}, "select": ["host"], "limit": 50}
    rows = {"from": pair.logs, "select": ["host", "status"], "time_range": RANGE, "limit": 10_000}
    body = {**rows, "join": [{"how": how, "with": right, "on": ["host"], "many": how == "left", "as": "m"}]}
    choice, steps = await pair.choice(body)
    assert choice["pushed_to"] is None
    assert choice["reason"] == "fewer than 1000 rows are fetched as fast without keys"
    assert choice["estimated"] == {
        "left": {"rows": HOSTS * MINUTES, "by": "catalogue"},
        "right": {"rows": 50, "by": "limit"},
    }
    assert steps == ["scan", "scan"]


async def test_normalized_keys_are_asked_for_in_any_spelling(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    left = {**_usage(pair, "host"), "time_range": RANGE, "top": {"by": "cpu", "n": 2}}
    right = {"from": pair.logs, "group_by": ["name", _bucket("@timestamp")], "select": [{"agg": "count", "as": "n"}]}
    join = {
        "how": "inner", "as": "log", "with": right, "on": [{"left": "host", "right": "name"}],
        "normalize": ["strip_domain", "lower"], "many": True,
    }  # fmt: skip
    body = {**left, "join": [join], "limit": 10_000}
    narrow, whole, _ = await pair.both_ways(body, monkeypatch)
    assert (narrow["es"], whole["es"]) == (2 * MINUTES, HOSTS * MINUTES)


async def test_an_as_of_join_asks_for_the_times_around(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    spikes = {
        "from": pair.logs, "time_range": RANGE, "where": {"field": "status", "op": "eq", "value": 503},
        "select": ["@timestamp", "host"], "limit": 10_000,
    }  # fmt: skip
    join = {
        "how": "asof", "as": "m", "with": {"from": pair.cpu, "select": ["time", "host", "usage"]}, "on": ["host"],
        "asof": {"left": "@timestamp", "right": "time", "direction": "backward", "tolerance": "30s"},
    }  # fmt: skip
    narrow, whole, _ = await pair.both_ways({**spikes, "join": [join]}, monkeypatch)
    assert (narrow["influx"], whole["influx"]) == (3, HOSTS * MINUTES)


async def test_too_many_times_leave_the_other_keys(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = {
        "from": pair.logs, "time_range": RANGE, "where": {"field": "host", "op": "eq", "value": "host-03"},
        "select": ["@timestamp", "host"], "limit": 10_000,
    }  # fmt: skip
    join = {
        "how": "asof", "as": "m", "with": {"from": pair.cpu, "select": ["time", "host", "usage"]}, "on": ["host"],
        "asof": {"left": "@timestamp", "right": "time", "direction": "backward", "tolerance": "30s"},
    }  # fmt: skip
    monkeypatch.setattr(keys, "MOST_KEYS", MINUTES // 5)
    narrow, whole, sent = await pair.both_ways({**rows, "join": [join]}, monkeypatch)
    assert (narrow["influx"], whole["influx"]) == (MINUTES, HOSTS * MINUTES)
    assert "host-03" in sent["influx"]


async def test_no_keys_fetch_nothing(pair: Pair) -> None:
    right = _usage(pair, "host", _bucket("time"))
    nothing = {"field": "status", "op": "gte", "value": 600}
    body = _errors(pair, where=nothing, join=[{"how": "left", "as": "m", "with": right, "on": ["host", "t"]}])
    rows, fetched, notes = await pair.ask(body)
    assert rows == []
    assert fetched["influx"] == 0
    assert notes[0].startswith("0 keys of host, t")


async def test_too_many_keys_fetch_the_whole_side(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    join = {"how": "inner", "as": "m", "with": _usage(pair, "host"), "on": ["host"]}
    body = _errors(pair, group_by=["host"], join=[join])
    monkeypatch.setattr(keys, "MOST_KEYS", 1)
    monkeypatch.setattr(keys, "refused", lambda small, big, of: None)
    rows, fetched, notes = await pair.ask(body)
    assert [row[0] for row in rows] == ["host-03", "host-07"]
    assert fetched["influx"] == HOSTS
    assert notes[0] == "more than 1 keys of host: the whole side was fetched"


def _by_level(pair: Pair) -> dict[str, Any]:
    """Log rows beside the whole CPU usage of their hosts, grouped by that."""
    level = {"agg": "max", "field": "usage", "as": "most"}
    right = {
        "from": pair.cpu,
        "where": {"field": "usage", "op": "lt", "value": 3},
        "group_by": ["host"],
        "select": [level],
    }
    return {
        "from": pair.logs, "time_range": RANGE, "select": ["host", "status"],
        "join": [{"how": "inner", "as": "m", "with": right, "on": ["host"]}],
        "then": {"group_by": ["m.most"], "select": [{"agg": "count", "as": "n"}, {"agg": "avg", "field": "status", "as": "s"}]},
    }  # fmt: skip


async def test_groups_are_made_before_they_are_joined(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    body = _by_level(pair)
    monkeypatch.setattr(keys, "refused", lambda small, big, of: "not in this test")
    rows, fetched, _ = await pair.ask(body)
    assert [(row[1], row[2]) for row in rows] == [(MINUTES, 200.0)] * 3
    assert fetched["es"] == HOSTS
    told = await explained(parse_body(json.dumps(body).encode()), pair.services, RequestContext())
    step = told["plan"]
    while step["step"] != "attempt":
        step = step["inputs"][0]
    assert step["reason"] == "grouped below the join: 100 groups of 1800 rows are estimated"
    with monkeypatch.context() as patched:
        patched.setattr(below_joins, "pays", lambda rows, groups: False)
        whole_rows, whole, _ = await pair.ask(body)
    assert rows == whole_rows
    assert whole["es"] == HOSTS * MINUTES


async def test_rows_are_joined_where_the_groups_would_pass_a_limit(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "refused", lambda small, big, of: "not in this test")
    rows, fetched, notes = await pair.ask(_by_level(pair), Limits(groups=HOSTS - 1))
    assert [(row[1], row[2]) for row in rows] == [(MINUTES, 200.0)] * 3
    assert fetched["es"] == HOSTS * MINUTES
    assert notes[0].startswith("grouped below the join")


async def test_decisions_by_approximate_columns_are_warned_of(pair: Pair) -> None:
    median = {"agg": "median", "field": "status", "as": "usual"}
    left = {"from": pair.logs, "group_by": ["host"], "select": [median, {"agg": "count", "as": "n"}]}
    right = {"from": pair.cpu, "select": ["usage"], "where": {"field": "usage", "op": "lt", "value": 1}}
    join = {"how": "semi", "with": right, "on": [{"left": "usual", "right": "usage"}]}
    used = {"having": {"field": "usual", "op": "gte", "value": 200}, "join": [join], "order_by": ["usual", "host"]}

    async def warned(body: dict[str, Any]) -> list[tuple[str, str | None, str]]:
        context = RequestContext(deadline=time.monotonic() + 20)
        await run(parse_body(json.dumps(body).encode()), pair.services, context)
        return [(one.code, one.source, one.message.split(",")[0]) for one in context.warnings]

    assert await warned({**left, **used}) == [
        ("APPROXIMATE_USED", "es", f"{what} by 'usual'")
        for what in ("Rows are chosen", "Rows are joined", "Rows are ordered")
    ]
    assert await warned(left) == []
    assert await warned({**left, **used, "options": {"exact": True}}) == []


async def test_explain_tells_what_is_chosen_and_why(pair: Pair) -> None:
    right = _usage(pair, "host", _bucket("time"))
    join = {"how": "left", "as": "m", "with": right, "on": ["host", "t"]}
    choice, steps = await pair.choice(_errors(pair, join=[join]))
    assert choice == {
        "pushed_to": "right",
        "reason": "the right side is estimated to be larger",
        "estimated": {
            "left": {"rows": 594, "by": "aggregate of catalogue, filtered"},
            "right": {"rows": 6000, "by": "aggregate"},
        },
    }
    assert steps[1] == "narrow"
    wide = _usage(pair, "host", _bucket("time", "5m"))
    alike = _errors(pair, join=[{**join, "with": wide}], group_by=["host", _bucket("@timestamp", "5m")])
    del alike["where"]
    unfiltered, steps = await pair.choice(alike)
    assert (unfiltered["pushed_to"], unfiltered["reason"]) == (None, "the left side is not much smaller")
    assert "narrow" not in steps
