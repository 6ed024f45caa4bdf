"""Reads on what is left of a body that was refused.

A connection that is closed while its client still sends is reset, and the client may lose the answer that says why.
"""

from __future__ import annotations

import asyncio
from math import inf
from typing import Any

from sanic import Request
from sanic.exceptions import SanicException

MOST_BYTES = 128 * 1024 * 1024
MOST_SECONDS = 5.0
# Of a caller who is not known.
FEW_BYTES = 1024 * 1024


async def discard(request: Request, most_bytes: int = MOST_BYTES) -> None:
    """Drops the rest of the body, within bytes and seconds; past them the connection is closed behind the answer."""
    stream: Any = request.stream
    if stream is None or not stream.request_body:
        return
    if stream.expecting_continue:
        # The client waits for "100 Continue", which Sanic would send with any answer but 417, and has sent nothing of it.
        stream.expecting_continue, stream.request_body, stream.keep_alive = False, None, False
        return
    stream.request_max_size = inf
    room = most_bytes
    try:
        async with asyncio.timeout(MOST_SECONDS):
            async for piece in stream:
                room -= len(piece)
                if room < 0:
                    break
    except (TimeoutError, SanicException):
        # Too slow, or garbled: there is nothing to keep the connection for.
        stream.keep_alive = False
