"""What is remembered of requests under an Idempotency-Key, in the service's state: a row from before the first effect on,
which gets the answer when there is one."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.errors import RequestError
from libs.idempotency import Answer
from libs.state import State
from libs.state_tables import IDEMPOTENCY

_NS = 10**9
_SWEPT_AT_ONCE = 500
_LONGEST_WAIT = 3600


@dataclass(frozen=True, slots=True)
class KeyLimits:
    """How long a key is remembered, how many one caller has, how large an answer is kept whole (compressed), and how much
    all answers of one caller have together."""

    seconds: float = 86_400.0
    per_caller: int = 100_000
    answer_bytes: int = 4 * 1024 * 1024
    caller_bytes: int = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Record:
    """`request` tells requests apart; `answer` is None of one that has found no end."""

    request: str
    began_ns: int
    answer: Answer | None


class IdempotencyRecords:
    """The keys of one state. Every method raises StoreError where it cannot be read or written."""

    def __init__(self, state: State, limits: KeyLimits) -> None:
        self._state, self._limits = state, limits

    async def find(self, caller: str, key: str) -> Record | None:
        """None for a key that was never seen, or long ago."""
        query = select(IDEMPOTENCY).where(IDEMPOTENCY.c.caller == caller, IDEMPOTENCY.c.key == key)
        async with self._state.read() as connection:
            row = (await connection.execute(query)).mappings().one_or_none()
        if row is None or row["expires_ns"] <= time.time_ns():
            return None
        if row["status"] is None:
            return Record(row["request"], row["began_ns"], None)
        headers = tuple((name, value) for name, value in json.loads(row["headers"]))
        answer = Answer(row["status"], headers, row["content_type"] or None, base64.b64decode(row["body"]))
        return Record(row["request"], row["began_ns"], answer)

    async def begin(self, caller: str, key: str, record: Record) -> None:
        """Remembers a request before its first effect. Raises RequestError (TOO_MANY_IDEMPOTENCY_KEYS)."""
        now = time.time_ns()
        values = {"request": record.request, "began_ns": record.began_ns, "size": 0}
        async with self._state.write() as connection:
            await _sweep(connection, now)
            own = IDEMPOTENCY.c.caller == caller
            await connection.execute(IDEMPOTENCY.delete().where(own, IDEMPOTENCY.c.key == key))
            await self._check_count(connection, caller, now)
            expires = now + int(self._limits.seconds * _NS)
            await connection.execute(IDEMPOTENCY.insert().values(caller=caller, key=key, expires_ns=expires, **values))

    async def keep(self, caller: str, key: str, answer: Answer, brief: Answer) -> None:
        """Remembers the answer, or the brief one where the answer is too large, or the caller's are together."""
        own = IDEMPOTENCY.c.caller == caller
        async with self._state.write() as connection:
            used = (await connection.execute(select(func.sum(IDEMPOTENCY.c.size)).where(own))).scalar_one() or 0
            room = min(self._limits.answer_bytes, self._limits.caller_bytes - used)
            if len(answer.packed) > room:
                answer = brief
            values = {
                "status": answer.status,
                "headers": json.dumps(answer.headers),
                "content_type": answer.content_type or "",
                "body": base64.b64encode(answer.packed).decode(),
                "size": len(answer.packed),
            }
            await connection.execute(IDEMPOTENCY.update().where(own, IDEMPOTENCY.c.key == key).values(**values))

    async def _check_count(self, connection: AsyncConnection, caller: str, now: int) -> None:
        columns = func.count(), func.min(IDEMPOTENCY.c.expires_ns)
        query = select(*columns).where(IDEMPOTENCY.c.caller == caller, IDEMPOTENCY.c.expires_ns > now)
        count, first = (await connection.execute(query)).one()
        if count >= self._limits.per_caller:
            raise RequestError(
                f"There are {count} keys of this caller; at most {self._limits.per_caller} are remembered.",
                code="TOO_MANY_IDEMPOTENCY_KEYS",
                pointer="header/Idempotency-Key",
                hint="send one key for many documents or points",
                retry_after=max(1, min(_LONGEST_WAIT, ((first or now) - now) // _NS)),
            )


async def _sweep(connection: AsyncConnection, now: int) -> None:
    """Deletes some of what has expired: more than one request adds."""
    row = IDEMPOTENCY.c
    old = select(row.caller, row.key).where(row.expires_ns <= now).limit(_SWEPT_AT_ONCE)
    found = (await connection.execute(old)).all()
    for caller, key in found:
        await connection.execute(IDEMPOTENCY.delete().where(row.caller == caller, row.key == key))
