"""Jobs in the service's state: what is told of a query that runs behind its request, also after a restart."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from sqlalchemy import func, select

from libs.context import Notice, RequestContext, SourceReport
from libs.errors import NotFoundError, RequestError
from libs.result import Column, Schema, Type, TypeName
from libs.state import State, now_text
from libs.state_tables import JOB

JobState = Literal["queued", "running", "done", "failed"]
UNFINISHED: tuple[JobState, ...] = ("queued", "running")


@dataclass(frozen=True, slots=True)
class Noticed:
    """What `meta` says of an answer: who gave it, what to know about it."""

    sources: tuple[SourceReport, ...] = ()
    warnings: tuple[Notice, ...] = ()
    partial: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Job:
    """One query and its result. Times are RFC 3339; `plan` is the hash that the logs show; `bytes` are those of the
    result on disk; `schema` and `noticed` belong to one that is done, `error`, in the common shape, to one that failed."""

    id: str
    caller: str
    state: JobState
    created_at: str
    plan: str
    sources: tuple[str, ...]
    started_at: str | None = None
    ended_at: str | None = None
    expires_at: str | None = None
    rows: int = 0
    bytes: int = 0
    schema: Schema = ()
    noticed: Noticed = Noticed()
    error: Mapping[str, Any] | None = None

    @property
    def finished(self) -> bool:
        return self.state not in UNFINISHED


def noticed(context: RequestContext) -> Noticed:
    """What was noticed on the way of one request."""
    return Noticed(tuple(context.sources), tuple(context.warnings), tuple(sorted(context.partial_sources)))


def later(seconds: float) -> str:
    """The instant in so many seconds, as `now_text` writes it: such texts compare as the instants do."""
    at = datetime.now(UTC) + timedelta(seconds=seconds)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class JobRecords:
    """The jobs of one state. Every method raises StoreError where it cannot be read or written."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def add(self, job: Job, most: int) -> None:
        """Raises RequestError (TOO_MANY_JOBS) where the caller has as many as `most`."""
        async with self._state.write() as connection:
            mine = select(func.count()).select_from(JOB).where(JOB.c.caller == job.caller)
            count = (await connection.execute(mine)).scalar_one()
            if count >= most:
                raise RequestError(
                    f"There are {count} jobs of this caller; at most {most} are kept.",
                    code="TOO_MANY_JOBS", hint="delete one that is done: GET /mix/job lists them", retry_after=30,
                )  # fmt: skip
            await connection.execute(JOB.insert().values(**_values(job)))

    async def put(self, job: Job) -> None:
        """What has become of it."""
        async with self._state.write() as connection:
            await connection.execute(JOB.update().where(JOB.c.id == job.id).values(**_values(job)))

    async def get(self, name: str, caller: str) -> Job:
        """Raises NotFoundError (JOB_UNKNOWN), also for another caller's."""
        query = select(JOB).where(JOB.c.id == name, JOB.c.caller == caller)
        async with self._state.read() as connection:
            row = (await connection.execute(query)).one_or_none()
        if row is None or (row.expires_at or "~") <= now_text():
            raise unknown(name)
        return _job(row._mapping)

    async def list(self, caller: str | None = None) -> list[Job]:
        """The jobs of a caller, or of all, the newest first."""
        query = select(JOB).order_by(JOB.c.created_at.desc(), JOB.c.id)
        async with self._state.read() as connection:
            rows = (await connection.execute(query if caller is None else query.where(JOB.c.caller == caller))).all()
        return [_job(row._mapping) for row in rows]

    async def delete(self, names: Sequence[str]) -> None:
        async with self._state.write() as connection:
            await connection.execute(JOB.delete().where(JOB.c.id.in_(names)))

    async def expired(self) -> Sequence[str]:
        """The names of those whose time is over."""
        query = select(JOB.c.id).where(JOB.c.expires_at <= now_text())
        async with self._state.read() as connection:
            return list((await connection.execute(query)).scalars())


def unknown(name: str) -> NotFoundError:
    """There is no such job, for this caller."""
    message = f"There is no job {name[:100]!r}."
    return NotFoundError(message, code="JOB_UNKNOWN", hint="GET /mix/job lists them; a job is deleted when it expires")


def _values(job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "caller": job.caller,
        "state": job.state,
        "created_at": job.created_at,
        "plan": job.plan,
        "sources": json.dumps(job.sources),
        "started_at": job.started_at,
        "ended_at": job.ended_at,
        "expires_at": job.expires_at,
        "rows": job.rows,
        "bytes": job.bytes,
        "columns": json.dumps([_column_values(column) for column in job.schema]),
        "noticed": json.dumps(_noticed_values(job.noticed)),
        "error": None if job.error is None else json.dumps(job.error),
    }


def _column_values(column: Column) -> dict[str, Any]:
    kind = {"type": column.type.name.value, "multi": column.type.multi, "unit": column.type.unit}
    return {"name": column.name, **kind, "source": column.source, "approximate": column.approximate}


def _noticed_values(seen: Noticed) -> dict[str, Any]:
    return {
        "sources": [[one.source, one.took_ms, one.rows, one.status, one.freshness_ns] for one in seen.sources],
        "warnings": [[one.code, one.message, one.source] for one in seen.warnings],
        "partial": seen.partial,
    }


def _job(row: Mapping[Any, Any]) -> Job:
    values = dict(row)
    columns, seen, error = json.loads(values.pop("columns")), json.loads(values["noticed"]), values["error"]
    return Job(
        **values
        | {
            "sources": tuple(json.loads(values["sources"])),
            "schema": tuple(map(_column, columns)),
            "noticed": Noticed(
                tuple(SourceReport(*one) for one in seen["sources"]),
                tuple(Notice(*one) for one in seen["warnings"]),
                tuple(seen["partial"]),
            ),
            "error": None if error is None else json.loads(error),
        }
    )


def _column(values: Mapping[str, Any]) -> Column:
    kind = Type(TypeName(values["type"]), values["multi"], values["unit"])
    return Column(values["name"], kind, values["source"], values["approximate"])
