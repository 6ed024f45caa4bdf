"""The property: a random body answers the reference's rows from every store that can hold its data set.

2,000 bodies in all, the same ones each time; HOSTMONITOR_TEST_BODIES=N makes N, new ones each time.
"""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from libs.errors import RequestError
from unittest_.conformance.bodies import bodies
from unittest_.conformance.case import Body, bound
from unittest_.conformance.conftest import OpenStore
from unittest_.conformance.data import NOW, DataSet, data_sets
from unittest_.conformance.stores import StoreId, store_ids
from unittest_.reference import Refused, answer, differences

# Of a hundred bodies, how many ask each set.
SHARES = {"access": 24, "odd": 22, "nanos": 11, "days": 13, "lists": 20, "coerced": 8, "empty": 2}
ASKED = os.environ.get("HOSTMONITOR_TEST_BODIES", "")
BODIES = int(ASKED or 2000)


def _stores(data: DataSet) -> list[StoreId]:
    return [store for store in store_ids() if store.kind in data.kinds and "random" not in store.known_limits]


def _settings(name: str) -> settings:
    return settings(
        max_examples=max(1, BODIES * SHARES[name] // 100),
        derandomize=not ASKED,
        database=None,
        deadline=None,
        print_blob=True,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
    )


async def check(data: DataSet, body: Body, open_store: OpenStore) -> None:
    """One body on every store of the data set."""
    for identity in _stores(data):
        named = bound(body, data.time_field(identity.kind))
        wrong = await _wrong(data, identity, named, open_store)
        assert not wrong, "\n".join([f"{identity} over {data.name}:", *wrong, f"the body: {named}"])


async def _wrong(data: DataSet, identity: StoreId, body: Body, open_store: OpenStore) -> list[str]:
    try:
        expected = answer(body, {"": data.tables[identity.kind]}, NOW)
    except Refused as refused:
        with pytest.raises(RequestError) as found:
            await open_store(identity).ask(data, body)
        code = found.value.code.name
        return [] if code == refused.code else [f"{code} instead of {refused.code}"]
    try:
        return differences(expected, await open_store(identity).ask(data, body))
    except RequestError as error:
        return [f"refused: {error.code.name}: {error.message}"]


def _property(name: str) -> Any:
    data = data_sets()[name]

    @_settings(name)
    @given(body=bodies(data))
    async def test(body: Body, open_store: OpenStore) -> None:
        await check(data, body, open_store)

    return test


test_access = _property("access")
test_odd = _property("odd")
test_nanos = _property("nanos")
test_days = _property("days")
test_lists = _property("lists")
test_coerced = _property("coerced")
test_empty = _property("empty")


@given(st.data())
@settings(max_examples=20, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))
def test_bodies_are_valid(drawn: st.DataObject) -> None:
    """The reference refuses none of them."""
    data = data_sets()[drawn.draw(st.sampled_from(sorted(SHARES)))]
    body = drawn.draw(bodies(data))
    for kind in data.kinds:
        answer(bound(body, data.time_field(kind)), {"": data.tables[kind]}, NOW)
