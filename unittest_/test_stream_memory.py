"""300,000 rows out of each store, in every format: the service's memory stays within 64 MB of what it was (G23)."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

import aiohttp
import pytest

from bench.running import Running, service
from unittest_.live import Client
from unittest_.stream_stores import INSTANCES, STORES, Stores, drop, load

pytestmark = pytest.mark.alone

ROWS = 300_000
MOST = 64 * 2**20
_CONFIG = """[instances.es-real]
kind = "documents"
url = "{es}"
[instances.influx-real]
kind = "series"
url = "{influx}"
"""


@pytest.fixture(scope="module")
async def loaded(
    tmp_path_factory: pytest.TempPathFactory, es_url: str, influx_url: str
) -> AsyncIterator[tuple[Stores, Running]]:
    """The stores behind a service of its own that has not written them: what writing took is no part of its memory."""
    folder = tmp_path_factory.mktemp("memory")
    config = folder / "stores.toml"
    config.write_text(_CONFIG.format(es=es_url, influx=influx_url))
    settings = {"data_dir": str(folder / "data"), "config": str(config)}
    name = f"memory-{uuid.uuid4().hex[:10]}"
    async with aiohttp.ClientSession() as session:
        try:
            async with service(**settings) as running:
                for store in STORES:
                    await load(Client(running.url, session), INSTANCES[store], name, ROWS)
            async with service(**settings) as running:
                yield Stores(Client(running.url, session), name), running
        finally:
            async with service(**settings) as running:
                for store in STORES:
                    await drop(Client(running.url, session), INSTANCES[store], name)


@pytest.mark.parametrize("store", STORES)
async def test_memory_of_a_stream_is_flat(loaded: tuple[Stores, Running], store: str) -> None:
    stores, running = loaded
    await _lines(stores, running, store, "text/csv", {"limit": 10_000})
    base = running.resident_bytes()
    most = 0
    for accept in ("application/x-ndjson", "text/csv", "application/vnd.apache.arrow.stream"):
        lines, peak = await _lines(stores, running, store, accept, {})
        most = max(most, peak)
        assert lines == ROWS or "ndjson" not in accept
    assert most - base <= MOST, f"{(most - base) / 2**20:.1f} MiB over {base / 2**20:.1f}"


async def _lines(stores: Stores, running: Running, store: str, accept: str, body: dict[str, int]) -> tuple[int, int]:
    """(lines, the most resident bytes while it was read)."""
    lines = peak = 0
    url, headers = stores.client.url + stores.path(store), {"accept": accept}
    async with stores.client.session.post(url, json=body, headers=headers) as response:
        assert response.status == 200
        async for piece in response.content.iter_chunked(2**18):
            lines += piece.count(b"\n")
            peak = max(peak, running.resident_bytes())
    return lines, peak
