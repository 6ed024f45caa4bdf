"""What is remembered of requests under an Idempotency-Key, in the service's state: a row from before the first effect on,
which gets the answer when there is one.

Until then the row is the process's that runs the request. One of the same replica that has another boot is dead, and its
requests are taken over at once; one of another replica is asked for by a lease, which it renews.
"""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.errors import ConflictError, RequestError
from libs.idempotency import Answer
from libs.replicas import ALONE, Replicas
from libs.state import State
from libs.state_tables import IDEMPOTENCY

LEASE_SECONDS = 15
_NS = 10**9
_SWEPT_AT_ONCE = 500
_LONGEST_WAIT = 3600
_POINTER = "header/Idempotency-Key"
_ROW = IDEMPOTENCY.c


@dataclass(frozen=True, slots=True)
class KeyLimits:
    """How long a key is remembered, how many one caller has, how large an answer is kept whole (compressed), and how much
    all answers of one caller have together."""

    seconds: float = 86_400.0
    per_caller: int = 100_000
    answer_bytes: int = 4 * 1024 * 1024
    caller_bytes: int = 256 * 1024 * 1024


class IdempotencyRecords:
    """The keys of one state. Every method raises StoreError where it cannot be read or written."""

    def __init__(self, state: State, limits: KeyLimits, replicas: Replicas = ALONE) -> None:
        self._state, self._limits = state, limits
        self._runner = f"{replicas.own}-{os.urandom(8).hex()}"
        # Whether other processes look at the leases.
        self.shared = len(replicas.urls) > 1

    async def first_seen(self, caller: str, key: str) -> int | None:
        """When the request first came, in nanoseconds since 1970; None for a key that was never seen, or long ago."""
        query = select(_ROW.began_ns).where(_own(caller, key), _ROW.expires_ns > time.time_ns())
        async with self._state.read() as connection:
            found: int | None = (await connection.execute(query)).scalar_one_or_none()
            return found

    async def begin(self, caller: str, key: str, request: str, began_ns: int) -> Answer | None:
        """Remembers a request before its first effect; or the answer that it had. `request` tells it from others.

        Raises RequestError (IDEMPOTENCY_MISMATCH, TOO_MANY_IDEMPOTENCY_KEYS), ConflictError (IDEMPOTENCY_RUNNING)."""
        now = time.time_ns()
        query = select(IDEMPOTENCY).where(_own(caller, key), _ROW.expires_ns > now)
        lease = {"runner": self._runner, "leased_ns": now + LEASE_SECONDS * _NS}
        async with self._state.write() as connection:
            row = (await connection.execute(query)).mappings().one_or_none()
            if row is None:
                await _sweep(connection, now)
                await connection.execute(IDEMPOTENCY.delete().where(_own(caller, key)))
                await self._check_count(connection, caller, now)
                times = {"began_ns": began_ns, "expires_ns": now + int(self._limits.seconds * _NS)}
                values = {"caller": caller, "key": key, "request": request, "size": 0} | times | lease
                await connection.execute(IDEMPOTENCY.insert().values(**values))
                return None
            if row["request"] != request:
                raise mismatch()
            if row["status"] is not None:
                return _answer(row)
            # Another time than this run took: another process has begun it since, and given it up.
            if self._is_held(row, now) or row["began_ns"] != began_ns:
                raise running()
            await connection.execute(IDEMPOTENCY.update().where(_own(caller, key)).values(**lease))
            return None

    async def renew(self, caller: str, key: str, seconds: float = LEASE_SECONDS) -> None:
        """Leases a request of this process for so long from now on; for 0, whoever asks may have it."""
        until = time.time_ns() + int(seconds * _NS)
        mine = _own(caller, key) & (_ROW.runner == self._runner)
        async with self._state.write() as connection:
            await connection.execute(IDEMPOTENCY.update().where(mine).values(leased_ns=until))

    async def keep(self, caller: str, key: str, answer: Answer, brief: Answer) -> None:
        """Remembers the answer, or the brief one where the answer is too large, or the caller's are together."""
        async with self._state.write() as connection:
            used = select(func.sum(_ROW.size)).where(_ROW.caller == caller)
            room = self._limits.caller_bytes - ((await connection.execute(used)).scalar_one() or 0)
            if len(answer.packed) > min(room, self._limits.answer_bytes):
                answer = brief
            values = {
                "status": answer.status,
                "headers": json.dumps(answer.headers),
                "content_type": answer.content_type or "",
                "body": base64.b64encode(answer.packed).decode(),
                "size": len(answer.packed),
            }
            await connection.execute(IDEMPOTENCY.update().where(_own(caller, key)).values(**values))

    def _is_held(self, row: Mapping[Any, Any], now: int) -> bool:
        """Whether a process of another replica runs it: one request of this process has the key at a time."""
        replica, _, _ = self._runner.partition("-")
        return not row["runner"].startswith(f"{replica}-") and row["leased_ns"] > now

    async def _check_count(self, connection: AsyncConnection, caller: str, now: int) -> None:
        columns = func.count(), func.min(_ROW.expires_ns)
        query = select(*columns).where(_ROW.caller == caller, _ROW.expires_ns > now)
        count, first = (await connection.execute(query)).one()
        if count >= self._limits.per_caller:
            raise RequestError(
                f"There are {count} keys of this caller; at most {self._limits.per_caller} are remembered.",
                code="TOO_MANY_IDEMPOTENCY_KEYS",
                pointer=_POINTER,
                hint="send one key for many documents or points",
                retry_after=max(1, min(_LONGEST_WAIT, ((first or now) - now) // _NS)),
            )


def running() -> ConflictError:
    """The key has a run already."""
    return ConflictError(
        "The first request with this Idempotency-Key is still running.",
        code="IDEMPOTENCY_RUNNING",
        pointer=_POINTER,
        hint="send it again after the seconds in Retry-After",
        retry_after=1,
    )


def mismatch() -> RequestError:
    """The key is another request's."""
    return RequestError(
        "This Idempotency-Key was sent with another request.",
        code="IDEMPOTENCY_MISMATCH",
        pointer=_POINTER,
        hint="a new request takes a new key",
    )


def _own(caller: str, key: str) -> ColumnElement[bool]:
    return (_ROW.caller == caller) & (_ROW.key == key)


def _answer(row: Mapping[Any, Any]) -> Answer:
    headers = tuple((name, value) for name, value in json.loads(row["headers"]))
    return Answer(row["status"], headers, row["content_type"] or None, base64.b64decode(row["body"]))


async def _sweep(connection: AsyncConnection, now: int) -> None:
    """Deletes some of what has expired: more than one request adds."""
    old = select(_ROW.caller, _ROW.key).where(_ROW.expires_ns <= now).limit(_SWEPT_AT_ONCE)
    for caller, key in (await connection.execute(old)).all():
        await connection.execute(IDEMPOTENCY.delete().where(_own(caller, key)))
