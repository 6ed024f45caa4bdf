"""A backend is one folder and its name: one added from a temporary folder passes the whole suite, and no other file changes."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import query
from libs.errors import RequestError
from query.catalog import Kind
from unittest_.conformance.case import bound
from unittest_.conformance.cases import cases
from unittest_.conformance.data import NOW, data_sets
from unittest_.conformance.stores import Store, StoreId, store_ids
from unittest_.conformance.truth import witness
from unittest_.conformance.truth_bodies import filters, orders
from unittest_.reference import answer, differences

FOLDER = "memory"
SOURCE = Path(__file__).parent / "fourth" / FOLDER
KINDS: tuple[Kind, ...] = ("documents", "series")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    shutil.copytree(SOURCE, tmp_path / "more" / FOLDER)
    monkeypatch.setattr(query, "__path__", [*query.__path__, str(tmp_path / "more")])
    yield FOLDER
    for name in [name for name in sys.modules if name.startswith(f"query.{FOLDER}")]:
        del sys.modules[name]


def test_it_is_found(folder: str) -> None:
    assert {StoreId(folder, kind) for kind in KINDS} <= set(store_ids())


@pytest.mark.parametrize("kind", KINDS)
async def test_the_whole_suite(folder: str, kind: Kind, tmp_path: Path) -> None:
    store = Store.open(StoreId(folder, kind), tmp_path, "fourth")
    wrong: list[str] = []
    try:
        for case in cases():
            data = data_sets()[case.data]
            if kind not in case.kinds:
                continue
            if case.error is not None:
                with pytest.raises(RequestError) as refused:
                    await store.ask(data, case.body)
                assert refused.value.code.name == case.error
                continue
            expected = answer(bound(case.body, data.time_field(kind)), {"": data.tables[kind]}, NOW)
            wrong += [f"{case.name}: {what}" for what in differences(expected, await store.ask(data, case.body))]
    finally:
        await store.close()
    assert not wrong, "\n".join(wrong[:20])


@pytest.mark.parametrize("kind", KINDS)
async def test_its_capabilities_are_the_truth(folder: str, kind: Kind, tmp_path: Path) -> None:
    store = Store.open(StoreId(folder, kind), tmp_path, "fourth")
    data = data_sets()["odd"]
    try:
        one = await witness(store.backend, store.engine, data, await store.target(data))
        asked = [body for _, body in orders(data.tables[kind])]
        asked += [{"where": where} for _, where in filters(data.tables[kind], ())]
        faults = [fault for body in asked for fault in await one.faults(body)]
    finally:
        await store.close()
    assert not faults, "\n".join(faults[:6])
