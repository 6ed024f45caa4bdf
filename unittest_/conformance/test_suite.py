"""Every named case on every store, against the reference."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from libs.errors import RequestError
from unittest_.conformance.case import Case, bound
from unittest_.conformance.cases import cases
from unittest_.conformance.conftest import OpenStore
from unittest_.conformance.data import NOW, data_sets
from unittest_.conformance.stores import StoreId, store_ids
from unittest_.reference import Refused, answer, differences


def _parameters() -> Iterator[Any]:
    for store in store_ids():
        limits = store.known_limits
        unknown = set(limits) - {case.name for case in cases()} - {"random"}
        assert not unknown, f"{store} names limits that are no cases: {unknown}"
        for case in cases():
            if store.kind in case.kinds:
                reason = limits.get(case.name)
                marks = [pytest.mark.xfail(reason=reason, strict=True)] if reason else []
                yield pytest.param(store, case, marks=marks, id=f"{store}: {case.name}")


@pytest.mark.parametrize(("identity", "case"), list(_parameters()))
async def test_case(identity: StoreId, case: Case, open_store: OpenStore) -> None:
    data = data_sets()[case.data]
    body = bound(case.body, data.time_field(identity.kind))
    tables = {"": data.tables[identity.kind]}
    store = open_store(identity)
    if case.error is not None:
        with pytest.raises(Refused, match=case.error):
            answer(body, tables, NOW)
        with pytest.raises(RequestError) as found:
            await store.ask(data, case.body)
        assert found.value.code.name == case.error
    else:
        wrong = differences(answer(body, tables, NOW), await store.ask(data, case.body))
        assert not wrong, "\n".join([*wrong, f"the body: {body}"])
