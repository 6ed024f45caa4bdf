"""The optimizer's law for joins: with all rules, with none, and however able the stores are, the rows are the reference's."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.pipeline import Prepared, Services, pull, run
from libs.context import Limits, RequestContext
from libs.errors import HostMonitorError
from middlewares.format import Page, page_response
from operator_.build import build
from operator_.engine import Engine
from parser.json_body import parse_body
from query.bind import bind
from query.catalog import SourceRef, Table
from query.factory import QueryFactory
from query.rules import below_joins, keys
from unittest_.conformance.case import Body
from unittest_.conformance.data import NOW, data_sets
from unittest_.conformance.random_joins import mix_bodies
from unittest_.pushing_store import PushingBackend, rows_of, table_of
from unittest_.reference import Answer, Refused, differences
from unittest_.reference.mix import mixed
from unittest_.reference.tables import source_key

ASKED = os.environ.get("HOSTMONITOR_TEST_JOINS", "")
KINDS = ("documents", "series")
# Rows that no left row asks for may hold a number that does not fit; whether they are looked at is not the law's.
_BY_THE_WAY = frozenset({"NUMBER_OUT_OF_RANGE"})
_MOST_ROWS = 1500


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    made = Engine(Path(tmp_path_factory.mktemp("spill")))
    yield made
    made.close()


@pytest.fixture(autouse=True)
def always_pays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys and groups are pushed wherever they may be."""
    monkeypatch.setattr(keys, "refused", lambda small, big, of: None)
    monkeypatch.setattr(below_joins, "pays", lambda rows, groups: True)


@cache
def _held(letter: str, name: str, kind: Any) -> tuple[Table, Any]:
    data = data_sets()[name]
    table = table_of(data, kind, SourceRef(letter, ("x",) if kind == "documents" else ("x", "y")))
    return table, rows_of(table, data.tables[kind].rows)


def _from(letter: str, kind: str) -> dict[str, str]:
    if kind == "documents":
        return {"source": letter, "index": "x"}
    return {"source": letter, "db": "x", "measurement": "y"}


def _named(body: Body, kinds: tuple[str, ...], sets: tuple[str, str]) -> Body:
    text = json.dumps(body)
    for letter, kind, name in zip("ab", kinds, sets, strict=True):
        text = text.replace(f'"${letter}"', json.dumps(_from(letter, kind)))
        text = text.replace(f"$time_{letter}", data_sets()[name].time_field(kind))
    named: Body = json.loads(text)
    return named


# Half of the stores can do everything exactly, so that what is pushed below joins and by keys is reached often.
SEEDS = st.one_of(st.just(-1), st.integers(-1, 10**6))


@given(drawn=st.data(), seeds=st.tuples(SEEDS, SEEDS))
@settings(
    max_examples=int(ASKED or 80),
    deadline=None,
    database=None,
    derandomize=not ASKED,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
async def test_rules_never_change_joined_rows(drawn: st.DataObject, seeds: tuple[int, int], engine: Engine) -> None:
    kinds = (drawn.draw(st.sampled_from(KINDS)), drawn.draw(st.sampled_from(KINDS)))
    body, sets = drawn.draw(mix_bodies(kinds))
    named = _named(body, kinds, sets)
    tables, stores = {}, []
    for letter, kind, name, seed in zip("ab", kinds, sets, seeds, strict=True):
        stores.append(PushingBackend(*_held(letter, name, kind), engine, seed))
        tables[source_key(_from(letter, kind))] = data_sets()[name].tables[kind]
    try:
        expected: Answer | str = mixed(named, tables, NOW)
    except Refused as refused:
        expected = refused.code
    if isinstance(expected, Answer) and len(expected.ranked) > _MOST_ROWS:
        return
    services = Services(QueryFactory(stores), engine, Limits())
    for found in (await _with_rules(named, services), await _without(named, services)):
        wrong = _wrong(expected, found)
        assert not wrong, (wrong, named, seeds)


async def _with_rules(body: Body, services: Services) -> dict[str, Any] | str:
    context = _context()
    try:
        page, _ = await run(parse_body(json.dumps(body).encode()), services, context)
    except HostMonitorError as error:
        return error.code.name
    return _payload(page, context)


async def _without(body: Body, services: Services) -> dict[str, Any] | str:
    """The plan as it was bound."""
    context = _context()
    catalog = {backend.held.source: backend.held for backend in services.factory.backends.values()}  # type: ignore[attr-defined]
    try:
        ask = bind(parse_body(json.dumps(body).encode()), catalog, NOW, Limits())
        queries = services.factory.compile(ask.plan)
        operator = build(ask.plan, queries, services.engine)
        return _payload(await pull(Prepared(ask, ask.plan, queries, operator), context), context)
    except HostMonitorError as error:
        return error.code.name


def _payload(page: Page, context: RequestContext) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(page_response(page, context, 0.0, "objects").body or b"")
    return decoded


def _context() -> RequestContext:
    return RequestContext(now_ns=NOW, deadline=time.monotonic() + 60)


def _wrong(expected: Answer | str, found: dict[str, Any] | str) -> list[str]:
    if isinstance(expected, str):
        return [] if found == expected or expected in _BY_THE_WAY else [f"{str(found)[:300]} instead of {expected}"]
    return [f"{found} instead of rows"] if isinstance(found, str) else differences(expected, found)
