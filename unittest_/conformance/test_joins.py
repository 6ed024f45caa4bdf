"""Every named case of several sources on pairs of stores, against the reference."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest

from libs.errors import RequestError
from unittest_.conformance.cases_joins import MixCase, mix_cases
from unittest_.conformance.data import NOW
from unittest_.conformance.mix_stores import PAIRS, MixStores
from unittest_.conformance.stores import StoreId
from unittest_.reference import Answer, Refused, differences
from unittest_.reference.mix import mixed


@pytest.fixture(scope="module")
async def stores(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[MixStores]:
    opened = MixStores(tmp_path_factory.mktemp("mix"), f"mix-{uuid.uuid4().hex[:8]}")
    yield opened
    await opened.close()


@pytest.mark.parametrize("case", mix_cases(), ids=lambda case: case.name)
async def test_case(case: MixCase, stores: MixStores) -> None:
    await check(case, stores, PAIRS)


async def check(case: MixCase, stores: MixStores, pairs: Iterable[tuple[StoreId, StoreId]]) -> None:
    """The case's answer on each pair is the reference's."""
    for pair in pairs:
        body = await stores.bound(case.body, pair, case.sets)
        where = f"{pair[0]} × {pair[1]}: {json.dumps(body)}"
        expected = _expected(body, stores)
        if isinstance(expected, str):
            assert case.error in (expected, None), where
            with pytest.raises(RequestError) as found:
                await stores.ask(body)
            assert found.value.code.name == expected, where
            continue
        assert case.error is None, where
        wrong = differences(expected, await stores.ask(body))
        assert not wrong, "\n".join([*wrong, where])


def _expected(body: Any, stores: MixStores) -> Answer | str:
    """The reference's answer, or the code of its refusal."""
    try:
        return mixed(body, stores.tables(), NOW)
    except Refused as refused:
        return refused.code
