"""The one writing thread: many waiting writes become one transaction (group commit).

A caller is acknowledged after the commit of the transaction that holds its write, so what was acknowledged is in the
log on disk. Writes of one target are handed to it together, in the order they came; a structural change (new index,
dropped database) is a transaction of its own between those before and those behind it.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

import duckdb

from libs.context import RequestContext
from libs.errors import DeadlineError, HostMonitorError, StoreError, UnavailableError

Cursor = duckdb.DuckDBPyConnection

MAX_JOBS = 4096  # writes in one transaction
MAX_BYTES = 16 * 1024 * 1024  # bytes in one transaction, a single larger write excepted
MAX_WAITING = 256 * 1024 * 1024  # bytes that may wait; beyond, writes are refused


class Target(Protocol):
    """What writes of one key go to."""

    def apply(self, cursor: Cursor, payloads: Sequence[Any]) -> Sequence[Any]:
        """Runs inside the transaction. One outcome a payload; a HostMonitorError among them is that caller's alone.
        A raised error ends the whole transaction."""
        ...


@dataclass(slots=True)
class Job:
    key: Hashable | None  # None: a structural change
    target: Target
    payload: Any
    size: int
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    abandoned: bool = False
    outcome: Any = None
    failed: bool = False


@dataclass(slots=True)
class Change:
    """A structural change as a target: `run` inside a transaction of its own. What it refuses, it refuses before it has
    changed anything."""

    run: Callable[[Cursor], Any]

    def apply(self, cursor: Cursor, payloads: Sequence[Any]) -> Sequence[Any]:
        try:
            return [self.run(cursor)]
        except HostMonitorError as refused:
            return [refused]


class Host(Protocol):
    """What the writer needs from the store around it."""

    def write_cursor(self) -> Cursor: ...
    def committing(self, cursor: Cursor) -> None:
        """The last statement of a transaction."""
        ...

    def committed(self) -> None:
        """Publishes what the transaction changed."""
        ...

    def rolled_back(self) -> None:
        """Drops what the transaction had changed in memory."""
        ...

    def recover(self) -> None:
        """Mends what a failure has ended, if it has."""
        ...

    def translate(self, error: duckdb.Error) -> HostMonitorError: ...


@dataclass
class Writer:
    host: Host
    _jobs: deque[Job] = field(default_factory=deque)
    _wake: threading.Condition = field(default_factory=threading.Condition)
    _waiting: int = 0
    _closed: bool = False
    _thread: threading.Thread | None = None
    _executor: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "embedded-commit"))

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="embedded-writer", daemon=True)
        self._thread.start()

    async def submit(
        self, key: Hashable | None, target: Target, payload: Any, size: int, context: RequestContext, source: str
    ) -> Any:
        """The outcome of one write, once it is committed. Raises DeadlineError (a write that has not started by then is
        dropped, of one that has it is not known), UnavailableError, StoreError and what the target answers."""
        left = context.remaining(source)
        loop = asyncio.get_running_loop()
        job = Job(key, target, payload, size, loop, loop.create_future())
        with self._wake:
            if self._closed:
                raise UnavailableError("The store is closing.", code="SHUTTING_DOWN")
            if self._waiting + size > MAX_WAITING and self._jobs:
                raise StoreError("Too much is waiting to be written.", code="STORE_BUSY", source=source, retry_after=1)
            self._jobs.append(job)
            self._waiting += size
            self._wake.notify()
        timer = loop.call_later(left, self._expire, job, source)
        try:
            return await job.future
        except asyncio.CancelledError:
            job.abandoned = True
            raise
        finally:
            timer.cancel()

    async def change(self, run: Callable[[Cursor], Any], context: RequestContext, source: str) -> Any:
        """A structural change, in a transaction of its own."""
        return await self.submit(None, Change(run), None, 0, context, source)

    def close(self) -> None:
        """Writes what waits, then ends the thread."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        if self._thread is not None:
            self._thread.join()
        self._executor.shutdown()

    @staticmethod
    def _expire(job: Job, source: str) -> None:
        job.abandoned = True
        if not job.future.done():
            job.future.set_exception(DeadlineError("The write was not done within the deadline.", source=source))

    def _run(self) -> None:
        while True:
            with self._wake:
                while not self._jobs and not self._closed:
                    self._wake.wait()
                if not self._jobs:
                    return
                batch = self._take()
            self._commit(batch)
            _acknowledge(batch)

    def _take(self) -> list[Job]:
        batch: list[Job] = []
        size = 0
        while self._jobs and len(batch) < MAX_JOBS:
            job = self._jobs[0]
            structural = job.key is None
            if batch and (structural or size + job.size > MAX_BYTES):
                break
            self._jobs.popleft()
            self._waiting -= job.size
            if job.abandoned:
                continue
            batch.append(job)
            size += job.size
            if structural:
                break
        return batch

    def _commit(self, batch: list[Job]) -> None:
        """One transaction for all; after a failure one for each, so that a bad write costs nobody else theirs.

        It runs in a thread of the executor's, whose future keeps whatever was raised: no fault ends the writing."""
        if not batch:
            return
        error = self._executor.submit(self._transaction, batch).exception()
        if error is None:
            return
        if len(batch) == 1:
            batch[0].failed = True
            batch[0].outcome = self.host.translate(error) if isinstance(error, duckdb.Error) else error
            self._executor.submit(self.host.recover).exception()  # if it fails, the next write tries again
            return
        for job in batch:
            self._commit([job])

    def _transaction(self, batch: list[Job]) -> None:
        groups: dict[Hashable, list[Job]] = {}
        for job in batch:
            groups.setdefault(job.key, []).append(job)
        cursor = self.host.write_cursor()
        done = False
        cursor.execute("BEGIN")
        try:
            for jobs in groups.values():
                outcomes = jobs[0].target.apply(cursor, [job.payload for job in jobs])
                for job, outcome in zip(jobs, outcomes, strict=True):
                    job.outcome, job.failed = outcome, isinstance(outcome, HostMonitorError)
            self.host.committing(cursor)
            cursor.execute("COMMIT")
            done = True
        finally:
            if done:
                self.host.committed()
            else:
                self._roll_back(cursor)

    def _roll_back(self, cursor: Cursor) -> None:
        try:
            cursor.execute("ROLLBACK")
        except duckdb.Error:
            pass  # the engine ended the transaction by itself
        finally:
            self.host.rolled_back()


def _acknowledge(batch: Sequence[Job]) -> None:
    loops: dict[asyncio.AbstractEventLoop, list[Job]] = {}
    for job in batch:
        loops.setdefault(job.loop, []).append(job)
    for loop, jobs in loops.items():
        if not loop.is_closed():
            loop.call_soon_threadsafe(_resolve, jobs)


def _resolve(jobs: Sequence[Job]) -> None:
    for job in jobs:
        if job.future.done():
            continue
        if job.failed:
            job.future.set_exception(cast(BaseException, job.outcome))
        else:
            job.future.set_result(job.outcome)
