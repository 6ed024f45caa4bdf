"""The property: a random body answers the reference's rows from every store that can hold its data set.

2,000 bodies in all, the same ones each time; HOSTMONITOR_TEST_BODIES=N makes N, new ones each time.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libs.errors import HostMonitorError
from unittest_.conformance.bodies import bodies
from unittest_.conformance.case import Body, bound
from unittest_.conformance.conftest import OpenStore
from unittest_.conformance.data import NOW, DataSet, data_sets
from unittest_.conformance.random_bodies import Amount
from unittest_.conformance.stores import StoreId, store_ids
from unittest_.reference import Answer, answer, differences

# Of a hundred bodies, how many ask each set.
SHARES = {"access": 24, "odd": 22, "nanos": 11, "days": 13, "lists": 20, "coerced": 8, "empty": 2}
BODIES = Amount.of("HOSTMONITOR_TEST_BODIES", 2000)


def _stores(data: DataSet) -> list[StoreId]:
    return [store for store in store_ids() if store.kind in data.kinds and "random" not in store.known_limits]


async def check(data: DataSet, body: Body, open_store: OpenStore) -> None:
    """One body on every store of the data set, at once."""
    asked = {identity: bound(body, data.time_field(identity.kind)) for identity in _stores(data)}
    expected = {kind: answer(bound(body, data.time_field(kind)), {"": data.tables[kind]}, NOW) for kind in data.kinds}
    found = await asyncio.gather(
        *(_wrong(data, identity, named, expected[identity.kind], open_store) for identity, named in asked.items())
    )
    for (identity, named), wrong in zip(asked.items(), found, strict=True):
        assert not wrong, "\n".join([f"{identity} over {data.name}:", *wrong, f"the body: {json.dumps(named)}"])


async def _wrong(data: DataSet, identity: StoreId, body: Body, expected: Answer, open_store: OpenStore) -> list[str]:
    try:
        return differences(expected, await open_store(identity).ask(data, body))
    except HostMonitorError as error:
        return [f"{error.code.name}: {error.message}"]


def _property(name: str) -> Any:
    data = data_sets()[name]

    @BODIES.settings(BODIES.count * SHARES[name] // 100)
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
