"""What a store declares is what it does: every operator, aggregate, key and order, both ways, and lies are caught."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any
from zlib import crc32

import pytest

from query.backend import Backend, Capabilities, Part, Pushdown, Query, Verdict
from query.plan import Scan
from unittest_.conformance.case import span
from unittest_.conformance.conftest import OpenStore
from unittest_.conformance.data import data_sets
from unittest_.conformance.stores import Store, StoreId, store_ids
from unittest_.conformance.truth import Witness, witness
from unittest_.conformance.truth_bodies import ALL, Named, compositions, filters, groups, orders, refused, unbounded

SETS = {"documents": ("lists", "odd", "coerced"), "series": ("odd",)}
SPANS = {"odd": span("1960-01-01T00:00:00Z", "2027-01-01T00:00:00Z")}
NOVEMBER = span("2026-11-03T00:00:00Z", "2026-11-19T00:00:00Z")


def _parameters() -> list[Any]:
    return [pytest.param(store, name, id=f"{store}: {name}") for store in store_ids() for name in SETS[store.kind]]


each_set = pytest.mark.parametrize(("identity", "name"), _parameters())


async def _witness(store: Store, name: str) -> Witness:
    data = data_sets()[name]
    return await witness(store.backend, store.engine, data, await store.target(data))


def _leaves(one: Witness) -> list[Named]:
    analysed = [name for name, field in one.table.fields.items() if field.analysed]
    return list(filters(one.data.tables[one.backend.kind], analysed))


def _as_filters(named: Iterable[Named]) -> list[Named]:
    return [(name, {"where": where, "limit": ALL}) for name, where in named]


def _sampled(name: str, of: int) -> bool:
    """One of so many, always the same ones."""
    return crc32(name.encode()) % of == 0


async def check(one: Witness, parts: Iterable[Named], of: int = 1) -> None:
    """Every part is declared and compiled as it should be; one of so many is answered too, and more of them are planned."""
    faults: list[str] = []
    asked = 0
    for name, body in parts:
        asked += 1
        plans, answers = _sampled(name, max(1, of // 8)), _sampled(name, of)
        faults += [f"{name}: {fault}" for fault in await one.faults(body, plans=plans, answers=answers)]
    assert asked
    assert not faults, f"{len(faults)} of {asked}:\n" + "\n".join(faults[:6])


@each_set
async def test_filters(identity: StoreId, name: str, open_store: OpenStore) -> None:
    one = await _witness(open_store(identity), name)
    await check(one, _as_filters(_leaves(one)))


@each_set
async def test_compositions(identity: StoreId, name: str, open_store: OpenStore) -> None:
    one = await _witness(open_store(identity), name)
    telling = [(name, where) for name, where in _leaves(one) if 0 < one.kept(where) < 1]
    await check(one, _as_filters(compositions(telling)), of=16)


@each_set
async def test_groups(identity: StoreId, name: str, open_store: OpenStore) -> None:
    one = await _witness(open_store(identity), name)
    await check(one, groups(one.data.tables[identity.kind], SPANS.get(name, NOVEMBER)), of=24)


@each_set
async def test_orders(identity: StoreId, name: str, open_store: OpenStore) -> None:
    one = await _witness(open_store(identity), name)
    table = one.data.tables[identity.kind]
    await check(one, orders(table))
    faults = {part: one.made_faults(part) for part in unbounded(table)}
    assert not any(faults.values()), [f"{part}: {found}" for part, found in faults.items() if found][:6]


@each_set
async def test_what_the_language_refuses(identity: StoreId, name: str, open_store: OpenStore) -> None:
    one = await _witness(open_store(identity), name)
    found = {leaf: one.made_faults(leaf) for leaf in refused(one.data.tables[identity.kind])}
    assert found
    wrong = [f"{leaf.field} {leaf.op}: {faults}" for leaf, faults in found.items() if faults]
    assert not wrong, "\n".join(wrong[:6])


# Lies


class Boasting(Capabilities):
    """Everything, exactly."""

    def pushdown(self, part: Part, scan: Scan) -> Verdict:
        return Verdict(Pushdown.EXACT)


class Modest(Capabilities):
    """Nothing at all."""

    def pushdown(self, part: Part, scan: Scan) -> Verdict:
        return Verdict(Pushdown.UNSUPPORTED, "modesty")


class Liar:
    """A backend that declares what another can do, or leaves out of the request what it should have pushed."""

    def __init__(self, honest: Backend, capabilities: Capabilities | None = None) -> None:
        self._honest = honest
        self._forgets = capabilities is None
        self.capabilities = capabilities or honest.capabilities

    def compile(self, scan: Scan) -> Query:
        return self._honest.compile(replace(scan, where=None, order=(), limit=None) if self._forgets else scan)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._honest, name)


def _lying(one: Witness, capabilities: Capabilities | None = None) -> Witness:
    liar: Any = Liar(one.backend, capabilities)
    return Witness(liar, one.engine, one.data, one.table)


def _some_parts(one: Witness) -> list[Named]:
    table = one.data.tables[one.backend.kind]
    span_ = SPANS.get(one.data.name, NOVEMBER)
    every = [*_as_filters(_leaves(one)), *groups(table, span_), *orders(table)]
    return [(name, body) for name, body in every if _sampled(name, 5)]


@pytest.mark.parametrize("identity", store_ids(), ids=str)
@pytest.mark.parametrize("lie", [Boasting(), Modest()], ids=["more", "less"])
async def test_a_lie_is_caught(identity: StoreId, lie: Capabilities, open_store: OpenStore) -> None:
    """Each part of which more, or less, is declared than compile takes."""
    one = await _witness(open_store(identity), SETS[identity.kind][0])
    liar = _lying(one, lie)
    told = 0
    for name, body in _some_parts(one):
        honest, lied = one.verdict(body), liar.verdict(body)
        if honest is not None and lied is not None and honest.level is not lied.level:
            told += 1
            assert await liar.faults(body, answers=False), f"{name}: nobody noticed"
    for leaf in refused(one.data.tables[identity.kind]):
        scan = Scan(one.table.source, table=one.table)
        if one.backend.capabilities.pushdown(leaf, scan).level is not lie.pushdown(leaf, scan).level:
            told += 1
            assert liar.made_faults(leaf), f"{leaf}: nobody noticed"
    assert told


@pytest.mark.parametrize("identity", store_ids(), ids=str)
async def test_what_is_left_out_of_the_request_is_noticed(identity: StoreId, open_store: OpenStore) -> None:
    one = await _witness(open_store(identity), SETS[identity.kind][0])
    forgetful = _lying(one)
    telling = [(name, where) for name, where in _leaves(one) if 0 < one.kept(where) < 1]
    for name, body in _as_filters(telling):
        declared = one.verdict(body)
        if declared is not None and declared.level is not Pushdown.UNSUPPORTED:
            assert await forgetful.faults(body, answers=False), f"{name}: nobody noticed"
