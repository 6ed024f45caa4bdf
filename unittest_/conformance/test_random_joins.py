"""The property: a random body over two sources answers the reference's rows, or its refusal, on pairs of stores.

1,000 bodies, the same ones each time; HOSTMONITOR_TEST_JOINS=N makes N, new ones each time.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given

from libs.errors import HostMonitorError
from unittest_.conformance.case import Body
from unittest_.conformance.data import NOW
from unittest_.conformance.mix_stores import DOCS, ES, INFLUX, SERIES, MixStores
from unittest_.conformance.random_bodies import Amount
from unittest_.conformance.random_joins import mix_bodies
from unittest_.conformance.stores import StoreId
from unittest_.reference import Answer, Refused, differences
from unittest_.reference.mix import mixed

BODIES = Amount.of("HOSTMONITOR_TEST_JOINS", 1000)
# Of a hundred bodies, how many ask each pair.
SHARES = {(DOCS, SERIES): 50, (ES, INFLUX): 20, (INFLUX, DOCS): 15, (SERIES, ES): 15}
# The reference compares rows that may change places one by one.
_MOST_ROWS = 1500


@pytest.fixture(scope="module")
async def stores(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[MixStores]:
    opened = MixStores(tmp_path_factory.mktemp("mix"), f"mix-{uuid.uuid4().hex[:8]}")
    yield opened
    await opened.close()


async def check(body: Body, pair: tuple[StoreId, StoreId], sets: tuple[str, str], stores: MixStores) -> None:
    named = await stores.bound(body, pair, sets)
    expected = _expected(named, stores)
    if isinstance(expected, Answer) and len(expected.ranked) > _MOST_ROWS:
        return
    wrong = await _wrong(named, expected, stores)
    assert not wrong, "\n".join([f"{pair[0]} × {pair[1]}:", *wrong, f"the body: {json.dumps(named)}"])


def _expected(body: Body, stores: MixStores) -> Answer | str:
    """The reference's answer, or the code of its refusal."""
    try:
        return mixed(body, stores.tables(), NOW)
    except Refused as refused:
        return refused.code


async def _wrong(body: Body, expected: Answer | str, stores: MixStores) -> list[str]:
    try:
        answer = await stores.ask(body)
    except HostMonitorError as error:
        found = error.code.name
        return [] if found == expected else [f"{found} ({error.message}) instead of {str(expected)[:300]}"]
    if isinstance(expected, str):
        return [f"an answer instead of {expected}"]
    return differences(expected, answer)


def _property(pair: tuple[StoreId, StoreId]) -> Any:
    @BODIES.settings(BODIES.count * SHARES[pair] // 100)
    @given(drawn=mix_bodies((pair[0].kind, pair[1].kind)))
    async def test(drawn: tuple[Body, tuple[str, str]], stores: MixStores) -> None:
        await check(drawn[0], pair, drawn[1], stores)

    return test


test_embedded = _property((DOCS, SERIES))
test_real = _property((ES, INFLUX))
test_series_first = _property((INFLUX, DOCS))
test_documents_last = _property((SERIES, ES))
