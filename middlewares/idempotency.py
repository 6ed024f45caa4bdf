"""Idempotency-Key: the same request again gets the first answer, and has no second effect.

Put around the handlers of what writes (Api.around), inside of who may call it. A key is remembered before the first effect,
its answer before that goes out. A key has one run at a time; one that found no end, and one that a dead process has left, is
run again when the request comes again (libs/idempotency.py says what makes that safe).
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import structlog
from sanic import HTTPResponse, Request

from libs.context import principal_var
from libs.errors import HostMonitorError, RequestError, StoreError
from libs.idempotency import HEADER, REPLAYED, Answer, Attempt, Replayed, attempt_var, identity
from libs.idempotency_records import LEASE_SECONDS, IdempotencyRecords, running
from libs.rest.api import Endpoint
from libs.rest.handlers import Handler, encode
from libs.rest.prefer import RESPOND_ASYNC, prefers
from middlewares.errors import respond

_KEY = re.compile(r"[!-~]{1,255}", re.ASCII)
# What another moment, or another caller, would be answered otherwise.
_PASSING = frozenset({401, 403, 408, 429})
_APART_BYTES = 32 * 1024
_log = structlog.get_logger("idempotency")


class Idempotency:
    """The keys of one process."""

    def __init__(self, records: IdempotencyRecords) -> None:
        self._records = records
        self._running: set[tuple[str, str]] = set()

    def around(self, endpoint: Endpoint, handler: Handler) -> Handler:
        """The handler, which heeds the key where the endpoint writes, or begins a job."""
        if not endpoint.takes_idempotency_key:
            return handler
        reads = not endpoint.writes
        streams = endpoint.operation.body is not None and endpoint.operation.body.stream

        async def handle(request: Request, **arguments: Any) -> HTTPResponse | None:
            if HEADER not in request.headers or (reads and not prefers(request, RESPOND_ASYNC)):
                return await handler(request, **arguments)
            run = _Run(self._records, principal_var.get().name, _key(request), request)
            if run.name in self._running:
                raise running()
            self._running.add(run.name)
            try:
                return await run.answer(lambda: handler(request, **arguments), streams)
            finally:
                run.end(lambda: self._running.discard(run.name))

        return handle


class _Run:
    """One run of a request."""

    def __init__(self, records: IdempotencyRecords, caller: str, key: str, request: Request) -> None:
        self.name = (caller, key)
        self._records, self._request = records, request
        self._attempt = Attempt(time.time_ns(), self._settle)
        self._behind: asyncio.Task[None] | None = None
        self._renewing: asyncio.Task[None] | None = None

    async def answer(self, handler: Callable[[], Any], streams: bool) -> HTTPResponse | None:
        """The first answer, or that of the handler, which is kept."""
        self._attempt.began_ns = await self._records.first_seen(*self.name) or self._attempt.began_ns
        token = attempt_var.set(self._attempt)
        try:
            if not streams:
                await self._settle(hashlib.sha256(self._request.body).digest())
            response: HTTPResponse | None = await handler()
        except Replayed as replayed:
            return await _again(replayed.answer)
        except HostMonitorError as error:
            if self._attempt.settled:
                await self._keep(await _recorded(respond(error)))
            raise
        finally:
            attempt_var.reset(token)
        if self._attempt.settled:
            await self._keep(self._attempt.sent if response is None else await _recorded(response))
        return response

    def end(self, done: Callable[[], None]) -> None:
        """Lets go of the request, and calls `done` when nothing of this run goes on any more: a client that went away does
        not end what is written of it."""
        if self._renewing is not None:
            self._renewing.cancel()
            if self._behind is None:
                self._behind = asyncio.create_task(self._let_go())
        if self._behind is None or self._behind.done():
            done()
        else:
            self._behind.add_done_callback(lambda _: done())

    async def _settle(self, digest: bytes) -> None:
        """Called once with the body's digest, before the first effect. Raises Replayed, and what `begin` raises."""
        request = _told_by(self._request, digest)
        self._attempt.identity = identity(*self.name, request)
        answer = await self._records.begin(*self.name, request, self._attempt.began_ns)
        if answer is not None:
            raise Replayed(answer)
        self._attempt.settled = True
        if self._records.shared:
            self._renewing = asyncio.create_task(self._renew())

    async def _renew(self) -> None:
        """Tells other replicas that it goes on."""
        while True:
            await asyncio.sleep(LEASE_SECONDS / 3)
            with suppress(StoreError):
                await self._records.renew(*self.name)

    async def _let_go(self) -> None:
        """Else the lease runs out."""
        with suppress(StoreError):
            await self._records.renew(*self.name, 0)

    async def _keep(self, answer: Answer | None) -> None:
        """Keeps what is an end: none is what did not go out whole."""
        if answer is None or answer.status >= 500 or answer.status in _PASSING or not self._attempt.final:
            return
        self._behind = asyncio.create_task(self._kept(answer))
        await asyncio.shield(self._behind)

    async def _kept(self, answer: Answer) -> None:
        try:
            await self._records.keep(*self.name, answer, self._brief(answer))
        except StoreError as error:
            # What the answer says has happened: it goes out, and the request would be run again.
            _log.error("an answer is not kept under its key", message=error.message)

    def _brief(self, answer: Answer) -> Answer:
        """What is kept in place of an answer that is too large."""
        payload = {"result": answer.status < 400, "data": None, "omitted": "the answer was too large to be kept"}
        body = encode(self._attempt.brief() if self._attempt.brief else payload)
        return Answer(answer.status, answer.headers, "application/json", zlib.compress(body))


def _key(request: Request) -> str:
    """Raises RequestError (HEADERS_INVALID)."""
    found = request.headers.getall(HEADER)
    if len(found) != 1 or not _KEY.fullmatch(found[0]):
        raise RequestError(
            "The Idempotency-Key cannot be read.",
            code="HEADERS_INVALID",
            pointer="header/Idempotency-Key",
            hint="once, 1 to 255 visible characters of ASCII, such as a UUID",
        )
    key: str = found[0]
    return key


def _told_by(request: Request, body: bytes) -> str:
    """What tells one request from another, as text: its method, path and query string as they were sent, and its body."""
    parts = (request.method.encode(), request.raw_url, body)
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


async def _recorded(response: HTTPResponse) -> Answer:
    headers = tuple((str(name), str(value)) for name, value in response.headers.items())
    packed = await _apart(zlib.compress, response.body or b"")
    return Answer(response.status, headers, response.content_type, packed)


async def _again(answer: Answer) -> HTTPResponse:
    headers = {**dict(answer.headers), REPLAYED: "true"}
    return HTTPResponse(await _apart(zlib.decompress, answer.packed), answer.status, headers, answer.content_type)


async def _apart(work: Callable[[bytes], bytes], data: bytes) -> bytes:
    """In a thread where it takes so long that others would wait."""
    return work(data) if len(data) < _APART_BYTES else await asyncio.to_thread(work, data)
