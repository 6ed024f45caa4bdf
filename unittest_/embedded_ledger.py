"""Writes to an embedded store until it is killed, and tells on standard output what it sends and what is acknowledged.

Run by test_embedded_durability: python -m unittest_.embedded_ledger DATA_DIR ROUND
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import sys
from typing import cast

from libs.context import RequestContext
from libs.errors import ConflictError
from query.backend import InstanceConfig, Point
from query.document_store import Document
from query.embedded import open_backend
from query.embedded.documents import EmbeddedDocuments
from query.embedded.series import EmbeddedSeries

WRITERS = 8


def tell(line: str) -> None:
    os.write(1, f"{line}\n".encode())


async def main(folder: str, round_: str) -> None:
    documents = cast(EmbeddedDocuments, open_backend(InstanceConfig("es", "documents", None, folder)))
    series = cast(EmbeddedSeries, open_backend(InstanceConfig("influx", "series", None, folder)))
    with contextlib.suppress(ConflictError):
        await documents.create_index("ledger", {}, {}, RequestContext())
    await series.create_database("ledger", RequestContext())
    numbers = itertools.count()

    async def write() -> None:
        for number in numbers:
            name = f"{'dp'[number % 2]}{round_}-{number}"
            tell(f"sent {name}")
            if number % 2:
                await series.write("ledger", [Point("points", {"name": name}, {"v": number}, number)], RequestContext())
            else:
                source = b'{"n":%d,"f%d":"new members now and then"}' % (number, number // 40 % 25)
                await documents.insert("ledger", Document(source, name), False, RequestContext())
            tell(f"acknowledged {name}")

    tell("ready")
    await asyncio.gather(*(write() for _ in range(WRITERS)))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
