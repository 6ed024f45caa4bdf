"""The property: a whole result by cursor is the reference's rows, each once and in their order, whatever the pages' sizes.

Rows, groups, joined rows and unions of every store; 160 bodies, the same ones each time. HOSTMONITOR_TEST_CURSORS=N makes N,
new ones each time. And every named case of several sources, by small pages.
"""

from __future__ import annotations

import json
import uuid
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.cursors import Cursors
from apps.pipeline import run
from libs.context import Principal, RowFilter
from libs.errors import HostMonitorError, RequestError
from libs.signing import Signer
from parser.json_body import parse_body
from unittest_.conformance.bodies import bodies
from unittest_.conformance.case import TIME, Body
from unittest_.conformance.cases_joins import MixCase, mix_cases
from unittest_.conformance.data import NOW, data_sets
from unittest_.conformance.mix_stores import DOCS, ES, INFLUX, SERIES, STORES, MixStores
from unittest_.conformance.random_bodies import Amount
from unittest_.conformance.random_joins import SETS, Draw, mix_bodies
from unittest_.conformance.stores import StoreId
from unittest_.conformance.walking import new_context, walked
from unittest_.reference import Answer, Refused, differences
from unittest_.reference.mix import mixed

BODIES = Amount.of("HOSTMONITOR_TEST_CURSORS", 160)
PAIRS = ((ES, INFLUX), (DOCS, SERIES), (INFLUX, DOCS), (SERIES, ES))
# The reference compares rows that may change places one by one.
_MOST_ROWS = 1000
# A case on one pair: each pair has some.
_CASES = [case for case in mix_cases() if case.error is None]


@dataclass
class Walked:
    stores: MixStores
    cursors: Cursors
    signer: Signer


def urlsafe(content: bytes) -> str:
    return urlsafe_b64encode(content).decode().rstrip("=")


@pytest.fixture(scope="module")
async def held(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Walked]:
    folder = tmp_path_factory.mktemp("walked")
    opened = MixStores(folder, f"walked-{uuid.uuid4().hex[:8]}")
    signer = Signer(folder / "cursor.key")
    cursors = Cursors(signer)
    yield Walked(opened, cursors, signer)
    await cursors.close()
    await opened.close()


@st.composite
def single_bodies(draw: Draw, kind: str) -> tuple[Body, tuple[str, str]]:
    """A body over one source, `$a`."""
    name = draw(st.sampled_from([name for name in SETS if kind in data_sets()[name].kinds]))
    body = {"from": "$a", **draw(bodies(data_sets()[name]))}
    return json.loads(json.dumps(body).replace(TIME, "$time_a")), (name, name)


async def check(
    body: Body, pair: tuple[StoreId, StoreId], sets: tuple[str, str], sizes: list[int], held: Walked
) -> None:
    named = await held.stores.bound(body | {"limit": 10_000}, pair, sets)
    try:
        expected = mixed(named, held.stores.tables(), NOW)
    except Refused:
        return
    if len(expected.ranked) > _MOST_ROWS:
        return
    wrong = await _wrong(named, expected, sizes, held)
    assert not wrong, "\n".join([f"{pair[0]} × {pair[1]}, {sizes}:", *wrong, f"the body: {json.dumps(named)}"])
    assert held.cursors.open == 0


async def _wrong(body: Body, expected: Answer, sizes: list[int], held: Walked) -> list[str]:
    try:
        payload, pages = await walked(body, sizes, held.stores.services, held.cursors)
    except HostMonitorError as error:
        return [f"{error.code.name} ({error.message})"]
    if len(expected.ranked) > sizes[0] and pages == 1:
        return ["one page held all"]
    return differences(expected, payload)


def _sizes() -> st.SearchStrategy[list[int]]:
    return st.lists(st.sampled_from([1, 2, 3, 7, 20, 100]), min_size=1, max_size=6)


def _property(pair: tuple[StoreId, StoreId], drawn: Any, examples: int) -> Any:
    @BODIES.settings(examples)
    @given(drawn=drawn, sizes=_sizes())
    async def test(drawn: tuple[Body, tuple[str, str]], sizes: list[int], held: Walked) -> None:
        await check(drawn[0], pair, drawn[1], sizes, held)

    return test


test_embedded_documents, test_elasticsearch, test_embedded_series, test_influx = (
    _property((store, store), single_bodies(store.kind), BODIES.count // 8) for store in (DOCS, ES, SERIES, INFLUX)
)
test_real, test_embedded, test_series_first, test_documents_last = (
    _property(pair, mix_bodies((pair[0].kind, pair[1].kind)), BODIES.count // 8) for pair in PAIRS
)
assert set(STORES) == {DOCS, ES, SERIES, INFLUX}


@pytest.mark.parametrize(("at", "case"), list(enumerate(_CASES)), ids=[case.name for case in _CASES])
async def test_case(at: int, case: MixCase, held: Walked) -> None:
    await check(case.body, PAIRS[at % len(PAIRS)], case.sets, [1 + at % 3, 2, 1, 5], held)


def _principal(name: str, *statuses: int) -> Principal:
    """One who sees the rows of these statuses of the documents."""
    where = {"field": "status", "op": "in", "value": list(statuses)}
    return Principal(name, (RowFilter(str(DOCS), where), RowFilter(str(ES), where)))


async def test_a_cursor_is_its_callers(held: Walked) -> None:
    """T26, G38: nobody else can follow it, and what it walks are the rows that its caller may see."""
    one, other = _principal("one", 200), _principal("other", 200, 404, 500, 503)
    services = held.stores.services
    for store in (DOCS, ES):
        side = {"from": await held.stores.source(store, "access"), "select": ["_id", "status"]}
        join = {"how": "inner", "as": "m", "with": side, "on": ["_id"]}
        for body in (side, {**side, "join": [join]}, {"union": [side, side]}):
            question = parse_body(json.dumps({**body, "limit": 2}).encode())
            context = new_context(one)
            page, _ = await run(question, services, context)
            cursor = held.cursors.remember(page, question, context)
            assert cursor is not None
            for caller in (other, Principal()):
                with pytest.raises(RequestError) as refused:
                    await held.cursors.follow(cursor, 5, services, new_context(caller))
                assert refused.value.code.name == "CURSOR_INVALID"
            statuses = [name for name in page.schema if "status" in name.name]
            page, following = await held.cursors.follow(cursor, 10_000, services, new_context(one))
            assert following is None
            places = [page.schema.index(column) for column in statuses]
            seen = {cell for batch in page.batches for place in places for cell in batch.columns[place]}
            assert seen == {200}


@settings(max_examples=200, derandomize=True, database=None, deadline=None)
@given(text=st.one_of(st.text(max_size=80), st.binary(min_size=44, max_size=44).map(urlsafe)), at=st.integers(0, 10**6))
async def test_no_forged_cursor_is_followed(text: str, at: int, held: Walked) -> None:
    """Any text, and a good one with any of its bits turned: refused, as a fault of the request."""
    good = held.signer.sign(b"x" * 28, "anonymous")
    raw = bytearray(urlsafe_b64decode(good + "=" * (-len(good) % 4)))
    raw[at % len(raw)] ^= 1 << at % 8
    for forged in (text, urlsafe(bytes(raw)), good[: at % len(good)]):
        with pytest.raises(RequestError) as refused:
            await held.cursors.follow(forged, 5, held.stores.services, new_context())
        assert refused.value.code.name == "CURSOR_INVALID"
