"""A request under an Idempotency-Key: what its handler needs so that a second run of it makes no second effect.

A run that found no end (a kill, a store that failed, a client that went away) is run again when the request comes again. What
it writes is then the same as before: a document without `_id` has its id from the key, a point without time that of the
first run.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

HEADER = "idempotency-key"
REPLAYED = "idempotency-replayed"
_IDENTITY_BYTES = 15


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it went out; `headers` without those that belong to one exchange, the body as zlib compresses it."""

    status: int
    headers: tuple[tuple[str, str], ...]
    content_type: str | None
    packed: bytes


class Replayed(Exception):
    """Ends a handler whose request turns out, once its body is read, to be answered already. It never leaves
    middlewares/idempotency.py."""

    def __init__(self, answer: Answer) -> None:
        super().__init__("answered before")
        self.answer = answer


@dataclass(slots=True)
class Attempt:
    """The run of a request that is under way. `began_ns` is the instant of its first run, in nanoseconds since 1970.

    What a handler says of its answer: that it is not `final` (something of it should be tried again: it is not kept), the
    `brief` payload that is kept in place of an answer that is too large, and what went out piece by piece (`recorded`).
    """

    began_ns: int
    settle: Callable[[bytes], Awaitable[None]]
    identity: str = ""
    settled: bool = False
    final: bool = True
    brief: Callable[[], Any] | None = field(default=None, repr=False)
    sent: Answer | None = field(default=None, repr=False)
    named: int = 0

    def document_ids(self, count: int) -> list[str]:
        """Ids for the next documents of the body, by their positions in it: the same in every run."""
        first, self.named = self.named, self.named + count
        return [f"{self.identity}-{position}" for position in range(first, self.named)]

    def owns(self, identifier: object) -> bool:
        """Whether a document's id was made here, so that what bears it was written by a run of this request."""
        return isinstance(identifier, str) and identifier.startswith(f"{self.identity}-")

    async def recorded(self, status: int, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The pieces of a body of JSON; what went out is known once the last one has."""
        packer = zlib.compressobj()
        parts: list[bytes] = []
        async for piece in pieces:
            yield piece
            parts.append(await asyncio.to_thread(packer.compress, piece))
        parts.append(packer.flush())
        self.sent = Answer(status, (), "application/json", b"".join(parts))


# The run that the request being answered is; None without a key.
attempt_var: ContextVar[Attempt | None] = ContextVar("attempt", default=None)


def identity(caller: str, key: str, request: str) -> str:
    """20 characters that another caller, key or request has not."""
    digest = hashlib.sha256("\0".join((caller, key, request)).encode()).digest()
    return base64.urlsafe_b64encode(digest[:_IDENTITY_BYTES]).decode()
