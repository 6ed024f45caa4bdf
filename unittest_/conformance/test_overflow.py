"""Rule 18: what is not finite becomes null, and the answer says so."""

from __future__ import annotations

import pytest

from unittest_.conformance.case import agg, leaf
from unittest_.conformance.conftest import OpenStore
from unittest_.conformance.data import data_sets
from unittest_.conformance.stores import StoreId, store_ids


@pytest.mark.parametrize("identity", store_ids(), ids=str)
@pytest.mark.parametrize(("host", "warned"), [("a", True), ("b", True), ("d", False)])
async def test_a_sum_past_the_greatest_double_warns(
    identity: StoreId, host: str, warned: bool, open_store: OpenStore
) -> None:
    body = {"where": leaf("host", "eq", host), "select": [agg("sum", "x", "s")]}
    answer = await open_store(identity).ask(data_sets()["huge"], body)
    assert (answer["data"][0]["s"] is None) is warned
    assert [warning["code"] for warning in answer["meta"]["warnings"]] == ["NOT_FINITE"] * warned
