"""Named cases again with keys and groups pushed wherever they may be, whatever the estimates say."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

import pytest

from query.rules import below_joins, keys
from unittest_.conformance.cases_joins import MixCase, mix_cases
from unittest_.conformance.mix_stores import DOCS, ES, INFLUX, MixStores
from unittest_.conformance.test_joins import check

_PAIRS = ((ES, INFLUX), (INFLUX, DOCS))
_APART = ("union", "over", "top", "fans out")


@pytest.fixture(scope="module")
async def stores(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[MixStores]:
    opened = MixStores(tmp_path_factory.mktemp("mix"), f"mix-{uuid.uuid4().hex[:8]}")
    yield opened
    await opened.close()


@pytest.fixture(autouse=True)
def always_pays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "refused", lambda small, big, of: None)
    monkeypatch.setattr(below_joins, "pays", lambda rows, groups: True)


@pytest.mark.parametrize(
    "case", [case for case in mix_cases() if not case.name.startswith(_APART)], ids=lambda case: case.name
)
async def test_case(case: MixCase, stores: MixStores) -> None:
    await check(case, stores, _PAIRS)
