"""A result that goes out while it is pulled: the status once its first batch is there, then page by page.

A failure behind the status is never a clean short answer: the format's own last word, where it has one, and then the
connection ends without the mark that ends a chunked body.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from typing import Any
from urllib.parse import quote

import structlog
from sanic import Request

from libs.context import RequestContext
from libs.conversion import in_thread
from libs.errors import HostMonitorError
from libs.observe import METRICS
from libs.result import Batch, Schema
from middlewares.errors import problem
from middlewares.format import server_timing
from middlewares.stream_formats import StreamFormat

# Shorter than what Elasticsearch keeps a point in time between two pages.
STALLED_SECONDS = 50.0
_CELLS_AT_ONCE = 5_000
_log = structlog.get_logger("streams")


class Stalled(Exception):
    """The client has taken nothing for too long."""


async def send_stream(
    request: Request, schema: Schema, batches: AsyncIterator[Batch], form: StreamFormat, context: RequestContext
) -> None:
    """Answers 200 and all batches. The first one must have been awaited: what fails from here on shows in the stream alone."""
    answer = await request.respond(status=200, headers=_headers(schema, form, context), content_type=form.content_type)
    sender = _Sender(request, answer)
    complete = False
    try:
        await sender.send(form.start())
        async for batch in batches:
            await sender.send(await _encoded(form, batch))
        await sender.send(form.end())
        complete = True
    except HostMonitorError as error:
        METRICS.error(error.code.name)
        _log.warning("stream failed", code=error.code.name, message=error.message, bytes=sender.sent)
        with suppress(Stalled):
            await sender.send(form.failure(problem(error)))
    except Stalled:
        _log.warning("stream cut: the client takes nothing", seconds=STALLED_SECONDS, bytes=sender.sent)
    finally:
        if not complete:
            # What was written still goes out; then the connection ends, and Sanic can add no end mark.
            request.transport.close()


async def send_json(request: Request, status: int, pieces: AsyncIterator[bytes]) -> None:
    """Answers a body that is made already, and that memory should not hold."""
    await send_pieces(request, status, pieces, "application/json", {})


async def send_pieces(
    request: Request, status: int, pieces: AsyncIterator[bytes], content_type: str, headers: dict[str, str]
) -> None:
    """Answers a body as its pieces come; one that ends too early is cut visibly."""
    answer = await request.respond(status=status, content_type=content_type, headers=headers)
    sender = _Sender(request, answer)
    complete = False
    try:
        async for piece in pieces:
            await sender.send(piece)
        complete = True
    except HostMonitorError as error:
        METRICS.error(error.code.name)
        _log.error("answer cut", code=error.code.name, message=error.message, bytes=sender.sent)
    except Stalled:
        _log.warning("answer cut: the client takes nothing", seconds=STALLED_SECONDS, bytes=sender.sent)
    finally:
        if not complete:
            request.transport.close()


class _Sender:
    """Sends pieces, each once the client has room for it."""

    def __init__(self, request: Request, answer: Any) -> None:
        self._request, self._answer = request, answer
        self.sent = 0

    async def send(self, data: bytes) -> None:
        """Raises Stalled."""
        if not data:
            return
        try:
            async with asyncio.timeout(STALLED_SECONDS):
                await self._answer.send(data)
        except TimeoutError:
            transport: Any = self._request.transport
            transport.abort()
            raise Stalled from None
        self.sent += len(data)
        self._request.ctx.bytes_sent = self.sent


async def _encoded(form: StreamFormat, batch: Batch) -> bytes:
    """A large batch is encoded in a thread, so that other requests go on."""
    if batch.length * len(batch.schema) <= _CELLS_AT_ONCE:
        return form.rows(batch)
    return await in_thread(partial(form.rows, batch))


def _headers(schema: Schema, form: StreamFormat, context: RequestContext) -> dict[str, str]:
    headers = {
        "cache-control": "no-store",
        # nginx would hold the rows back in its buffers.
        "x-accel-buffering": "no",
        "content-disposition": f'attachment; filename="{form.file_name}"',
        "server-timing": server_timing(context),
    }
    approximate = [quote(column.name, safe="") for column in schema if column.approximate]
    if approximate:
        headers["x-hm-approximate"] = ", ".join(approximate)
    return headers
