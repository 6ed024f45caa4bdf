"""What happens while documents are changed by filter: others write them, the store breaks off, time runs out, the client goes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from apps.es.by_filter import ChangeQuery, DeleteByFilter, UpdateByFilter
from apps.instance import DocumentInstance
from libs.context import Principal, RowFilter, principal_var
from unittest_.conformance.case import Body, leaf
from unittest_.faulty_stores import until
from unittest_.test_by_filter import H1, STORES, Stores, hosts, stores

__all__ = ["stores"]
MANY = 2_500
ALL: Body = {"all": True, "set": {"n": -5}}


def writing(stores: Stores, index: str, identifier: str) -> Callable[[], Awaitable[None]]:
    async def write() -> None:
        await stores.behind("PUT", f"/{index}/_doc/{identifier}?refresh=true", {"host": "h1", "n": -1})

    return write


@pytest.mark.parametrize("when", [b"POST /_mget", b"POST /_bulk"])
async def test_a_document_that_another_writes_meanwhile_is_a_conflict(stores: Stores, when: bytes) -> None:
    """Between the page and the reading of the documents, and between that and the bulk."""
    index = await stores.index("es", f"conflict-{len(when)}{when[-1]}", hosts(9))
    stores.proxy.before(when, writing(stores, index, "4"))
    status, told = await stores.change("es", index, "update", {"where": H1, "set": {"n": 70}})
    assert (status, told["matched"], told["updated"], told["conflicts"]) == (207, 3, 2, 1), told
    assert (told["conflict_ids"], told["complete"]) == (["4"], True)
    assert {one: row["n"] for one, row in (await stores.rows("es", index, H1)).items()} == {"1": 70, "4": -1, "7": 70}


async def test_what_another_deletes_or_writes_meanwhile_is_not_deleted(stores: Stores) -> None:
    index = await stores.index("es", "conflict-delete", hosts(9))

    async def meddle() -> None:
        await stores.behind("DELETE", f"/{index}/_doc/1")
        await writing(stores, index, "4")()

    stores.proxy.before(b"POST /_bulk", meddle)
    status, told = await stores.change("es", index, "delete", {"where": H1})
    assert (status, told["deleted"], told["conflicts"], sorted(told["conflict_ids"])) == (207, 1, 2, ["1", "4"])
    assert set(await stores.rows("es", index, H1)) == {"4"}


async def test_no_more_are_affected_than_allowed_where_more_come_meanwhile(stores: Stores) -> None:
    index = await stores.index("es", "most", hosts(9))

    async def meddle() -> None:
        for identifier in ("20", "21"):
            await writing(stores, index, identifier)()

    stores.proxy.before(f"POST /{index}/_pit".encode(), meddle)
    status, told = await stores.change("es", index, "delete", {"where": H1}, "&max_affected=3")
    assert (status, told["deleted"], told["complete"], told["stopped"]["code"]) == (207, 3, False, "TOO_MANY_AFFECTED")
    assert len(await stores.rows("es", index, H1)) == 2


@pytest.fixture(scope="module")
async def many(stores: Stores) -> str:
    return await stores.index("es", "many", hosts(MANY))


async def test_what_was_done_before_the_store_broke_off_is_told(stores: Stores, many: str) -> None:
    """F3: the second bulk is cut; of its documents it is not known, and nothing more is sent."""

    async def cut() -> None:
        raise ConnectionResetError

    stores.proxy.before(b"POST /_bulk", cut, skip=1)
    status, told = await stores.change("es", many, "update", ALL)
    assert (status, told["updated"], told["failed"], told["complete"]) == (207, 1000, 1000, False), told
    assert len(told["failures"]) == 100
    assert (
        {one["code"] for one in told["failures"]}
        == {told["stopped"]["code"]}
        <= {"STORE_UNAVAILABLE", "STORE_ANSWER_INVALID"}
    )
    assert_closed(stores)
    assert len(await stores.rows("es", many, leaf("n", "eq", -5))) == 1000


async def test_a_store_that_is_away_from_the_start_is_an_error(stores: Stores, many: str) -> None:
    async def cut() -> None:
        raise ConnectionResetError

    stores.proxy.before(b"POST /_bulk", cut)
    status, told = await stores.change("es", many, "update", {"all": True, "set": {"n": -6}})
    assert (status, told["code"]) in ((503, "STORE_UNAVAILABLE"), (502, "STORE_ANSWER_INVALID"))
    assert_closed(stores)


async def test_what_was_done_by_the_deadline_is_told(stores: Stores, many: str) -> None:
    stores.proxy.before(b"POST /_bulk", lambda: asyncio.sleep(2.5), skip=1)
    body = {"all": True, "set": {"n": -7}}
    status, told = await stores.change("es", many, "update", body, "&timeout=2s")
    assert (status, told["failed"], told["complete"]) == (207, 0, False), told
    assert told["updated"] in (1000, 2000)  # the first of a thousand may have taken all of the time
    assert told["stopped"]["code"] == "DEADLINE_EXCEEDED"
    assert_closed(stores)
    assert len(await stores.rows("es", many, leaf("n", "eq", -7))) == told["updated"]


async def test_a_client_that_goes_away_stops_it(stores: Stores, many: str) -> None:
    """F29. No bulk is sent behind the one that was under way."""
    arrived, gone = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        arrived.set()
        await asyncio.wait_for(gone.wait(), 30)

    stores.proxy.before(b"POST /_bulk", hold, skip=1)
    url, body = f"{stores.client.url}/es/{many}/docs/update", {"all": True, "set": {"n": -8}}
    asked = asyncio.create_task(post(stores.client.session, url, body))
    await asyncio.wait_for(arrived.wait(), 30)
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    await until(lambda: b"DELETE /_pit" in stores.proxy.received)
    gone.set()
    await asyncio.sleep(0.2)
    assert stores.proxy.received.count(b"POST /_bulk") <= 2
    assert_closed(stores)
    await stores.behind("POST", f"/{many}/_refresh")
    assert len(await stores.rows("es", many, leaf("n", "eq", -8))) <= 2000


async def post(session: aiohttp.ClientSession, url: str, body: Body) -> None:
    async with session.post(url, json=body):
        pass


def assert_closed(stores: Stores) -> None:
    received = stores.proxy.received
    assert received.count(b"/_pit?keep_alive") == received.count(b"DELETE /_pit") == 1


async def test_the_embedded_store_does_all_or_nothing(stores: Stores) -> None:
    index = await stores.index("here", "atomic", hosts(MANY))
    status, told = await stores.change("here", index, "update", ALL, "&timeout=1ms")
    assert (status, told["code"]) == (504, "DEADLINE_EXCEEDED")
    assert not {one for one, row in (await stores.rows("here", index)).items() if row["n"] != int(one)}
    body: Body = {"where": leaf("n", "lt", 5), "set": {"n": 2_000, "a.b": ["x", "y"]}}
    both = await asyncio.gather(*(stores.change("here", index, "update", body) for _ in range(2)))
    assert sorted(told["updated"] for _, told in both) == [0, 5]
    assert {status for status, _ in both} == {200}
    status, told = await stores.change("here", index, "delete", {"where": leaf("a.b", "eq", "y")}, "&max_affected=5")
    assert (status, told["deleted"], len(await stores.rows("here", index))) == (200, 5, MANY - 5)


class _Sent:
    def __init__(self, body: bytes) -> None:
        self.body = body


async def test_a_caller_changes_only_rows_that_it_may_see(stores: Stores) -> None:
    """T26: the forced filter holds for changes too."""
    services = stores.client.services
    assert services is not None
    for store in STORES:
        index = await stores.index(store, "tenants", hosts(9))
        instance: Any = DocumentInstance(store, services.factory.backend(store), services, 1 << 20)  # type: ignore[arg-type]
        token = principal_var.set(Principal("blue", (RowFilter(store, H1),)))
        try:
            for body, resource in (
                (b'{"all": true, "set": {"n": 7}}', UpdateByFilter),
                (b'{"all": true}', DeleteByFilter),
            ):
                request: Any = _Sent(body)
                reply = await resource(instance).post(request, index, ChangeQuery.model_validate({"refresh": True}))
                assert reply.payload["matched"] == 3
        finally:
            principal_var.reset(token)
        left = await stores.rows(store, index)
        assert {row["host"] for row in left.values()} == {"h0", "h2"}
        assert all(row["n"] == int(one) for one, row in left.items())


async def test_documents_with_a_routing_of_their_own_are_found_where_they_are(stores: Stores) -> None:
    index = f"{stores.prefix}-routed"
    body = {
        "index": index,
        "settings": {"number_of_shards": 3},
        "mappings": {"properties": {"host": {"type": "keyword"}}},
    }
    await stores.client.ok("POST", "/es/index", json=body)
    for at in range(8):
        await stores.behind("PUT", f"/{index}/_doc/{at}?routing=r{at % 3}&refresh=true", {"host": f"h{at % 2}"})
    status, told = await stores.change("es", index, "update", {"where": H1, "set": {"host": "h2"}})
    assert (status, told["updated"], told["conflicts"]) == (200, 4, 0), told
    assert len(await stores.rows("es", index)) == 8
    status, told = await stores.change("es", index, "delete", {"where": leaf("host", "eq", "h2")})
    assert (status, told["deleted"], len(await stores.rows("es", index))) == (200, 4, 4), told
