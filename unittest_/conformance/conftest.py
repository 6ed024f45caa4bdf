"""The stores of the suite, each opened once a session."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from unittest_.conformance.stores import Store, StoreId

OpenStore = Callable[[StoreId], Store]


@pytest.fixture(scope="session")
async def open_store(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[OpenStore]:
    """Opens a store when it is first asked for; all are closed, and their data taken away, at the end."""
    prefix = f"conformance-{uuid.uuid4().hex[:8]}"
    opened: dict[StoreId, Store] = {}

    def store(identity: StoreId) -> Store:
        if identity not in opened:
            folder: Path = tmp_path_factory.mktemp(str(identity))
            opened[identity] = Store.open(identity, folder, prefix)
        return opened[identity]

    yield store
    for one in opened.values():
        await one.close()
