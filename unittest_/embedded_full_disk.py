"""An embedded store whose files cannot grow for a while, as on a full disk: RLIMIT_FSIZE stands in for it.

Run by test_embedded_durability: python -m unittest_.embedded_full_disk DATA_DIR
"""

from __future__ import annotations

import asyncio
import resource
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from libs.context import RequestContext
from libs.errors import StoreError
from query.backend import InstanceConfig
from query.document_store import Document
from query.embedded import open_backend
from query.embedded.documents import EmbeddedDocuments

CYCLES = 5


def limit(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def largest(folder: str) -> int:
    """The size in bytes of the largest file."""
    return max(path.stat().st_size for path in Path(folder).iterdir() if path.is_file())


async def count(backend: EmbeddedDocuments) -> int:
    answer = await backend.search("a", {"size": 0, "track_total_hits": True}, RequestContext())
    return int(answer["hits"]["total"]["value"])


def batch(cycle: int, number: int) -> Sequence[Document]:
    text = b"x" * 200
    return [Document(b'{"n":%d,"s":"%b"}' % (at, text), f"{cycle}-{number}-{at}") for at in range(500)]


async def main(folder: str) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    backend = cast(EmbeddedDocuments, open_backend(InstanceConfig("es", "documents", None, folder)))
    await backend.create_index("a", {}, {}, RequestContext())
    acknowledged = 0
    for cycle in range(CYCLES):
        limit(largest(folder) + 300_000)
        refused: StoreError | None = None
        for number in range(100):
            try:
                await backend.bulk("a", batch(cycle, number), False, RequestContext())
            except StoreError as error:
                refused = error
                break
            acknowledged += 500
        assert refused is not None, "the limit was never met"
        assert (refused.code.name, refused.status) == ("STORE_FULL", 507), refused.message
        assert await count(backend) >= acknowledged
        limit(resource.RLIM_INFINITY)
        await backend.bulk("a", batch(cycle, 1000), False, RequestContext())
        acknowledged += 500
        assert await count(backend) == acknowledged, (await count(backend), acknowledged)
    await backend.close()
    backend = cast(EmbeddedDocuments, open_backend(InstanceConfig("es", "documents", None, folder)))
    assert await count(backend) == acknowledged
    await backend.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
