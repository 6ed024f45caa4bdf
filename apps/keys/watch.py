"""The keys of a running service: taken when it starts, and anew within two seconds of each change on the command line."""

from __future__ import annotations

import asyncio

import structlog

from apps.keys.records import KeyRecords
from libs.errors import StoreError
from libs.keys import KeyRing

INTERVAL_SECONDS = 1.0
_log = structlog.get_logger("keys")


class KeyWatch:
    """Keeps a ring's keys those of the state, from `open` to `close`."""

    def __init__(self, records: KeyRecords, ring: KeyRing) -> None:
        self._records = records
        self._ring = ring
        self._seen = 0
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Takes the keys. Raises StoreError: a service that does not know its keys does not start."""
        await self._take()
        self._task = asyncio.create_task(self._watch())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _take(self) -> None:
        self._seen, keys = await self._records.keys()
        self._ring.replace(keys)

    async def _watch(self) -> None:
        told = False
        while True:
            await asyncio.sleep(INTERVAL_SECONDS)
            try:
                if await self._records.change() != self._seen:
                    await self._take()
                    _log.info("keys changed", change=self._seen)
                told = False
            except StoreError as error:
                if not told:
                    _log.error("keys cannot be read; those that are known hold", reason=error.message)
                told = True
