"""Long queries, run behind their request: each in a task of its own, its whole result spooled on disk.

A job is a stream (apps/streams.py) that goes to a file: it has no limit of rows unless its query gives one, and a time of
its own. Jobs share an engine that is not the requests', so that these are never behind a job.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field, replace

import structlog

from apps import streams
from apps.freshness import newest
from apps.jobs.records import Job, JobRecords, JobState, later, noticed, unknown
from apps.pipeline import Services, prepare
from apps.slow import SlowQuery, question_hash, source_names
from libs.context import RequestContext
from libs.errors import HostMonitorError, StoreError, UnavailableError
from libs.observe import METRICS
from libs.replicas import ALONE, Replicas
from libs.signing import Signer
from libs.spool import Spools, SpoolWriter
from libs.state import now_text
from middlewares.errors import problem
from operator_.engine import Engine
from query.question import Question

_SWEEP_SECONDS = 60.0
_log = structlog.get_logger("jobs")


@dataclass(frozen=True, slots=True)
class JobLimits:
    """`seconds` is a job's deadline, counted from its start, `at_once` how many run at a time, `per_caller` how many are
    kept of one caller, in any state, and `expiry_seconds` how long after their end."""

    seconds: float = 3600.0
    at_once: int = 2
    per_caller: int = 20
    expiry_seconds: float = 86_400.0


@dataclass(slots=True)
class _Run:
    """A job under way. `writer` is there once its first batch is; `deleted` when it is to leave nothing behind."""

    job: Job
    writer: SpoolWriter | None = None
    deleted: bool = False
    task: asyncio.Task[None] = field(init=False)

    def now(self) -> Job:
        """The job with its progress."""
        writer = self.writer
        return self.job if writer is None else replace(self.job, rows=writer.rows, bytes=writer.bytes)


class Jobs:
    """`engine` makes the local engine that jobs use, for the first of them; `signer` signs the cursors into results."""

    def __init__(
        self,
        records: JobRecords,
        spools: Spools,
        limits: JobLimits,
        engine: Callable[[], Engine],
        signer: Signer,
        replicas: Replicas = ALONE,
    ) -> None:
        self.spools, self.signer = spools, signer
        self._records, self._limits, self._make_engine = records, limits, engine
        self._replicas = replicas
        self._engine: Engine | None = None
        self._places = asyncio.Semaphore(limits.at_once)
        self._runs: dict[str, _Run] = {}
        self._sweeper: asyncio.Task[None] | None = None
        self._stopping = False

    def count(self, state: JobState) -> int:
        """The jobs under way that are in this state."""
        return sum(run.job.state == state for run in self._runs.values())

    async def open(self) -> None:
        """Tells jobs that a stop or a kill has ended as failed, and deletes what no job needs. Raises ConfigError, StoreError."""
        known = [job for job in await self._records.list() if self._owns(job.id)]
        there = await self.spools.open([job.id for job in known if job.state == "done"])
        for job in known:
            if not job.finished:
                await self._records.put(self._failed(job, _interrupted()))
            elif job.state == "done" and job.id not in there:
                lost = StoreError("The job's result is no longer on the disk.", source="jobs")
                await self._records.put(self._failed(job, lost))
        self._sweeper = asyncio.create_task(self._sweep())

    async def close(self) -> None:
        """Ends all jobs under way; they are told as interrupted."""
        self._stopping = True
        tasks = [run.task for run in self._runs.values()]
        if self._sweeper is not None:
            self._sweeper.cancel()
            tasks.append(self._sweeper)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._engine is not None:
            self._engine.close()

    async def start(self, question: Question, services: Services, context: RequestContext) -> Job:
        """Takes a query on. It is bound under the request's own deadline, so that what is wrong with it is raised here.

        Raises also RequestError (TOO_MANY_JOBS), StoreError (SPOOL_FULL), UnavailableError."""
        if self._stopping:
            raise UnavailableError("The service is stopping.", code="SHUTTING_DOWN")
        self.spools.check_room()
        await prepare(question, services, context, "stream")
        job = Job(
            self._replicas.name(12).hex(),
            context.principal.name,
            "queued",
            now_text(),
            question_hash(question),
            tuple(source_names(question)),
        )
        # Whole, also where the client goes away meanwhile: a record without a run would never end.
        await asyncio.shield(self._take_on(job, question, services, context))
        return job

    async def _take_on(self, job: Job, question: Question, services: Services, context: RequestContext) -> None:
        await self._records.add(job, self._limits.per_caller)
        run = self._runs[job.id] = _Run(job)
        # `now` is when it was asked, however long it waits.
        own = services.new_context(context.principal)
        own.now_ns = context.now_ns
        run.task = asyncio.create_task(self._supervise(run, question, services, own))

    async def get(self, name: str, caller: str) -> Job:
        """Raises NotFoundError (JOB_UNKNOWN), StoreError, OnReplica."""
        run = self._runs.get(name)
        if run is None:
            self._replicas.check(_identity(name))
            return await self._records.get(name, caller)
        if run.job.caller != caller or run.deleted:
            raise unknown(name)
        return run.now()

    async def list(self, caller: str) -> list[Job]:
        """All jobs of a caller, the newest first. Raises StoreError."""
        found = await self._records.list(caller)
        return [self._runs[job.id].now() if job.id in self._runs else job for job in found]

    async def delete(self, name: str, caller: str) -> None:
        """Ends it, where it runs, and forgets it; the store's work has ended when this answers.

        Raises NotFoundError (JOB_UNKNOWN), StoreError."""
        await self.get(name, caller)
        await asyncio.shield(self._delete(name))

    async def _delete(self, name: str) -> None:
        run = self._runs.get(name)
        if run is not None:
            run.deleted = True
            run.task.cancel()
            await asyncio.wait({run.task})
        self._runs.pop(name, None)
        await self._records.delete([name])
        await self.spools.remove(name)

    async def _supervise(self, run: _Run, question: Question, services: Services, context: RequestContext) -> None:
        """Runs it, and records how it ended, whatever happens to it."""
        work = asyncio.create_task(self._run(run, question, services, context))
        while not work.done():
            try:
                await asyncio.wait({work})
            except asyncio.CancelledError:
                work.cancel()
        error = _interrupted() if work.cancelled() else _known(work.exception())
        if error is None:
            expiry = later(self._limits.expiry_seconds)
            job = replace(run.now(), state="done", ended_at=now_text(), expires_at=expiry, noticed=noticed(context))
        else:
            job = self._failed(run.now(), error)
        await self._settle(run, job, error)

    async def _run(self, run: _Run, question: Question, services: Services, context: RequestContext) -> None:
        async with self._places:
            run.job = replace(run.job, state="running", started_at=now_text())
            await self._records.put(run.job)
            seconds = self._limits.seconds
            context.deadline = time.monotonic() + seconds
            context.limits = replace(context.limits, timeout_seconds=seconds, stream_seconds=seconds)
            services = replace(services, engine=self._own_engine())
            with SlowQuery(question, services, context, time.perf_counter()) as answered:
                if question.options.require_fresh_ns is not None:
                    await newest(question, services, context)
                prepared, batches = await streams.begin(question, services, context)
                async with aclosing(batches):
                    schema = prepared.operator.schema
                    run.job = replace(run.job, schema=schema)
                    writer = run.writer = self.spools.write(run.job.id, schema)
                    await writer.begin()
                    async for batch in batches:
                        await writer.write(batch)
                        answered.rows = writer.rows
                await writer.finish()

    async def _settle(self, run: _Run, job: Job, error: HostMonitorError | None) -> None:
        """What is not a result leaves the disk, and what has become of it goes to the state; only then it is told."""
        if error is not None:
            await self._discard(run)
        if run.deleted:
            return
        if error is not None:
            METRICS.error(error.code.name)
        _log.info("job ended", job=job.id, state=job.state, rows=job.rows, bytes=job.bytes, plan=job.plan,
                  code=None if error is None else error.code.name)  # fmt: skip
        try:
            await self._records.put(job)
            del self._runs[job.id]
        except StoreError as unrecorded:
            # It stays among those under way, so that nobody is told it were running, until it is deleted.
            _log.error("a job's end is not recorded", job=job.id, message=unrecorded.message)
            await self._discard(run)
            run.job = self._failed(job, unrecorded)

    async def _discard(self, run: _Run) -> None:
        if run.writer is None:
            return
        writer, run.writer = run.writer, None
        try:
            await writer.abandon()
        except StoreError as error:
            _log.error("a job's result is not removed", job=run.job.id, message=error.message)

    def _failed(self, job: Job, error: HostMonitorError) -> Job:
        """What it had written is not a result."""
        expiry = later(self._limits.expiry_seconds)
        shown = problem(error)
        return replace(
            job, state="failed", ended_at=now_text(), expires_at=expiry, bytes=0, schema=(), error=shown
        )  # fmt: skip

    def _owns(self, name: str) -> bool:
        return self._replicas.owns(_identity(name))

    def _own_engine(self) -> Engine:
        if self._engine is None:
            self._engine = self._make_engine()
        return self._engine

    async def _sweep(self) -> None:
        """Deletes what has expired, again and again."""
        pause = min(_SWEEP_SECONDS, max(self._limits.expiry_seconds / 4, 0.05))
        while True:
            try:
                names = list(filter(self._owns, await self._records.expired()))
                if names:
                    await self._records.delete(names)
                for name in names:
                    await self.spools.remove(name)
            except StoreError as error:
                _log.error("expired jobs are not deleted", message=error.message)
            await asyncio.sleep(pause)


def _identity(name: str) -> bytes:
    """What a job's id was made of; for what is no id, what no replica makes."""
    try:
        return bytes.fromhex(name) or b"\xff"
    except ValueError:
        return b"\xff"


def _interrupted() -> HostMonitorError:
    return UnavailableError("The service stopped while the job ran.", code="JOB_INTERRUPTED")


def _known(error: BaseException | None) -> HostMonitorError | None:
    """What ended a job as an error of the tree; of an unexpected one only the log tells."""
    if error is None or isinstance(error, HostMonitorError):
        return error
    if isinstance(error, MemoryError):
        return UnavailableError("There is not enough memory for this now.")
    _log.error("job failed", exc_info=error)
    return HostMonitorError("The service failed. The log holds the cause under the request id.")
