"""Requests whose answers are passed on as they come: any status, a body of any length in both directions.

As libs/http.py, but the store's own refusals are answers here. What no client of ours should see raises StoreError all the
same: that the service's own credentials are not accepted, a redirect, and a page that is no answer of the store's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from libs.context import RequestContext
from libs.errors import StoreError
from libs.http import HttpClient, StreamedAnswer
from libs.http_connection import Broken, Connection, Expired, Garbled
from libs.observe import METRICS

_IDENTITY, _GZIP = b"\r\nAccept-Encoding: identity\r\n", b"\r\nAccept-Encoding: gzip\r\n"


class RelayedAnswer(StreamedAnswer):
    """A StreamedAnswer that tells whether all of it has come."""

    __slots__ = ()

    @property
    def complete(self) -> bool:
        return self._connection.complete


class RelayClient(HttpClient):
    """An HttpClient that can pass on, too."""

    @asynccontextmanager
    async def relay(
        self,
        method: str,
        path: str,
        context: RequestContext,
        *,
        headers: Mapping[str, str],
        media_types: frozenset[str],
        body: AsyncIterator[bytes] | None = None,
        size: int = 0,
        gzip: bool = False,
        idempotent: bool = False,
    ) -> AsyncIterator[RelayedAnswer]:
        """`body` has `size` bytes in all, and is pulled as the store takes it. `gzip` lets the store compress its answer.
        `media_types` are those that an answer with a body may have. Leaving before its end drops the connection. Raises
        StoreError, DeadlineError, and what `body` raises."""
        told = headers if body is None else {**headers, "Content-Length": str(size)}
        head = self._head(method, path, context, None, "", told)
        if gzip:
            head = head.replace(_IDENTITY, _GZIP, 1)
        with METRICS.store_call(self.name, len(head) + size):
            whole = True
            if body is None:
                connection = await self._exchange(head, None, context, idempotent, None)
            else:
                connection, whole = await self._exchange_of(head, body, context)
        try:
            answer = RelayedAnswer(self, connection, context)
            self._check_relayed(answer, media_types, gzip)
            yield answer
        finally:
            if whole:
                connection.give_back()
            else:
                connection.drop()

    async def _exchange_of(
        self, head: bytes, body: AsyncIterator[bytes], context: RequestContext
    ) -> tuple[Connection, bool]:
        """As `_exchange`, with a body in pieces: sent once, whatever happens; and whether the store took all of it."""
        connection = await self._connect(self._opened(), context)
        arrived, whole = False, True
        try:
            connection.start(head, None, None)
            async for piece in body:
                whole = await connection.send(piece, context.remaining(self.name))
                if not whole:
                    break
            await connection.ready(context.remaining(self.name))
            arrived = True
            return connection, whole
        except (Broken, Garbled, Expired) as error:
            raise self.failure(error) from error
        finally:
            if not arrived:
                connection.drop()

    def _check_relayed(self, answer: RelayedAnswer, media_types: frozenset[str], gzip: bool) -> None:
        name, status = self.name, answer.status
        if status in (401, 403):
            raise StoreError(f"{name!r} does not accept the service's credentials ({status}).", source=name)
        encoding = answer.headers.get("content-encoding", "identity")
        if 300 <= status < 400:
            reason = f"redirects ({status})"
        elif encoding not in (("identity", "gzip") if gzip else ("identity",)):
            reason = "sent what was compressed unasked"
        elif status != 204 and answer.headers.get("content-length") != "0" and answer.content_type not in media_types:
            reason = f"sent {answer.content_type or 'no media type'} ({status})"
        else:
            return
        raise StoreError(f"{name!r} {reason}.", code="STORE_ANSWER_INVALID", source=name)
