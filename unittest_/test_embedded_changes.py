"""Guarded changes of single documents on the embedded store: revisions over restarts, many in one transaction, beside readers."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import duckdb
import pytest

from libs.context import RequestContext
from libs.errors import ConflictError, HostMonitorError, NotFoundError, RequestError
from query.backend import InstanceConfig
from query.catalog import SourceRef
from query.document_store import Change, Document, Revision
from query.embedded import open_backend
from query.embedded.documents import EmbeddedDocuments
from query.plan import Scan


def opened(folder: Path) -> EmbeddedDocuments:
    return cast(EmbeddedDocuments, open_backend(InstanceConfig("es", "documents", None, str(folder))))


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[EmbeddedDocuments]:
    backend = opened(tmp_path)
    await backend.create_index("i", {}, {}, RequestContext())
    yield backend
    await backend.close()


async def change(
    store: EmbeddedDocuments, action: Any, identifier: str, source: Any = None, expected: Any = None
) -> Any:
    """What became of it: a Changed, or the name of the error's code."""
    text = b"" if source is None else json.dumps(source).encode()
    try:
        return await store.change("i", Change(action, identifier, text, expected), False, RequestContext())
    except HostMonitorError as error:
        return error.code.name


async def sources(store: EmbeddedDocuments) -> dict[str, Any]:
    found = await store.search("i", {"size": 1000}, RequestContext())
    return {hit["_id"]: hit["_source"] for hit in found["hits"]["hits"]}


async def test_no_revision_comes_twice(tmp_path: Path) -> None:
    """Neither after the newest document has gone and the store was opened anew, nor in an index of the same name."""
    seen: set[Revision] = set()
    for _ in range(3):
        store = opened(tmp_path)
        if not await store.indices(RequestContext()):
            await store.create_index("i", {}, {}, RequestContext())
        for _ in range(2):
            made = await change(store, "put", "a", {"n": 1})
            assert made.revision not in seen
            for old in seen:
                assert await change(store, "put", "a", {"n": 2}, old) == "PRECONDITION_FAILED"
            seen.add(made.revision)
            gone = await change(store, "delete", "a", None, made.revision)
            assert gone.result == "deleted"
            assert gone.revision not in seen
        await store.close()
    store = opened(tmp_path)
    await store.delete_index("i", RequestContext())
    await store.create_index("i", {}, {}, RequestContext())
    assert (await change(store, "put", "a", {"n": 1})).revision not in seen
    assert await store.count("i", RequestContext()) == 1
    await store.close()


async def test_a_file_of_before_has_no_sequences(tmp_path: Path) -> None:
    store = opened(tmp_path)
    await store.create_index("i", {}, {}, RequestContext())
    made = await change(store, "put", "a", {"n": 1})
    await store.close()
    with duckdb.connect(str(store.store.path)) as file:
        file.execute("DROP TABLE hm_sequences")
    store = opened(tmp_path)
    assert (await store.document("i", "a", RequestContext())).revision == made.revision
    assert (await change(store, "delete", "a")).result == "deleted"
    await store.close()


async def test_many_changes_in_one_transaction(store: EmbeddedDocuments) -> None:
    """Sent at once, they are done in the order they were sent, each on what the one before has left."""
    blocking = store.bulk("i", [Document(b'{"n": 0}', "a")] * 1, True, RequestContext(), replace=True)
    before = store.store.commits
    asked: list[tuple[Any, ...]] = [
        ("patch", "a", {"x": 1}),
        ("put", "b", {"n": 1}, "absent"),
        ("put", "b", {"n": 2}, "absent"),
        ("delete", "b"),
        ("delete", "b"),
        ("patch", "b", {"n": 3}),
        ("put", "b", {"n": "text"}),
        ("put", "b", {"n": 4}, "absent"),
        ("patch", "b", {"m": {"k": [1]}}),
        ("patch", "b", {"m": {"k": [1]}}),
        ("put", "c", {"n": 1}),
        ("delete", "c"),
        ("delete", "a"),
    ]
    done = await asyncio.gather(blocking, *(change(store, *one) for one in asked))
    told = [one if isinstance(one, str) else one.result for one in done[1:]]
    assert told == [
        "updated", "created", "PRECONDITION_FAILED", "deleted", "DOCUMENT_UNKNOWN", "DOCUMENT_UNKNOWN", "VALUE_INVALID",
        "created", "updated", "noop", "created", "deleted", "deleted",
    ]  # fmt: skip
    assert store.store.commits - before < len(asked)
    assert await sources(store) == {"b": {"n": 4, "m": {"k": [1]}}}
    assert await store.count("i", RequestContext()) == 1
    (entry,) = await store.indices(RequestContext())
    assert entry["bytes"] == len(b'{"n":4,"m":{"k":[1]}}')
    held = await store.document("i", "b", RequestContext())
    assert held.revision == done[9].revision
    assert (await change(store, "put", "b", {"n": 5}, held.revision)).version == 3


async def test_changes_beside_a_reader(store: EmbeddedDocuments) -> None:
    """A stream goes on over what it began with, while documents are replaced, deleted and made again under their ids."""
    documents = [Document(json.dumps({"n": at, "k": "x" * 50}).encode(), f"d{at}") for at in range(30_000)]
    await store.bulk("i", documents, True, RequestContext())
    source = SourceRef("es", ("i",))
    table = await store.table(source, RequestContext())
    stream = store.compile(Scan(source, ("_id", "n"), table=table)).stream(RequestContext())
    seen = (await anext(stream)).length
    assert seen < 30_000
    for _ in range(3):
        assert (await change(store, "put", "d1", {"n": -1})).result == "updated"
        assert (await change(store, "delete", "d29999")).result == "deleted"
        assert (await change(store, "put", "d29999", {"n": -2}, "absent")).result == "created"
        assert (await change(store, "patch", "d0", {"n": -3})).result in ("updated", "noop")
    async for batch in stream:
        seen += batch.length
    assert seen == 30_000
    assert await store.count("i", RequestContext()) == 30_000
    assert (await store.document("i", "d29999", RequestContext())).source == b'{"n": -2}'


_WRITES = """
import asyncio, os, sys
from pathlib import Path
from unittest_.test_embedded_changes import change, opened
from libs.context import RequestContext

async def write():
    store = opened(Path(sys.argv[1]))
    await store.create_index("i", {}, {}, RequestContext())
    for identifier in "abc":
        await change(store, "put", identifier, {"n": 1})
    await change(store, "patch", "a", {"m": [1, 2]})
    gone = await change(store, "delete", "c")
    print(gone.revision.seq_no, flush=True)
    os._exit(1)

asyncio.run(write())
"""


async def test_what_was_acknowledged_outlives_a_crash(tmp_path: Path) -> None:
    asked = (sys.executable, "-c", _WRITES, str(tmp_path))
    ran = await asyncio.create_subprocess_exec(*asked, stdout=asyncio.subprocess.PIPE)
    told, _ = await ran.communicate()
    assert ran.returncode == 1
    store = opened(tmp_path)
    assert await sources(store) == {"a": {"n": 1, "m": [1, 2]}, "b": {"n": 1}}
    assert (await change(store, "put", "c", {"n": 1}, "absent")).revision.seq_no > int(told)
    await store.close()


async def test_refusals(store: EmbeddedDocuments) -> None:
    assert await change(store, "put", "x" * 513, {}) == "VALUE_INVALID"
    assert await change(store, "put", "", {}) == "VALUE_INVALID"
    assert await change(store, "patch", "a", {"n": 1}) == "DOCUMENT_UNKNOWN"
    await change(store, "put", "a", {"n": 1, "deep": {}})
    nested = b'{"deep": ' + b'{"a":' * 2_000 + b"1" + b"}" * 2_000 + b"}"
    for source in (nested, b"[1]", b'{"n": 1, "n": 2}', b'{"n": "text"}'):
        for action in ("put", "patch"):
            with pytest.raises(RequestError) as refused:
                await store.change("i", Change(cast(Any, action), "a", source), False, RequestContext())
            assert refused.value.code.name == "VALUE_INVALID"
    assert await sources(store) == {"a": {"n": 1, "deep": {}}}
    with pytest.raises(NotFoundError):
        await store.change("other", Change("put", "a", b"{}"), False, RequestContext())
    with pytest.raises(NotFoundError):
        await store.document("other", "a", RequestContext())
    with pytest.raises(ConflictError):
        await store.change("i", Change("put", "a", b"{}", "absent"), False, RequestContext())
