"""The whole service, run in the test's process on a free port."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

from config.settings import Settings
from main import create_app
from unittest_.sample_service import running

_numbers = count(1)


@asynccontextmanager
async def service(settings: Settings) -> AsyncIterator[str]:
    """Run the service with these settings; yields its address, without base path and trailing slash."""
    app = create_app(settings, name=f"service-{next(_numbers)}")
    # Sanic can rewrite its classes for one app in a process alone.
    app.config.TOUCHUP = False
    async with running(app) as address:
        yield address


async def exchange(address: str, request: bytes, seconds: float = 5.0) -> bytes:
    """Send raw bytes on a connection of their own, then read until the server closes it or falls silent."""
    host, _, port = address.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    received = b""
    try:
        writer.write(request)
        await writer.drain()
        while True:
            # The first bytes may take their time, an answer's end comes at once.
            chunk = await asyncio.wait_for(reader.read(65536), 0.3 if received else seconds)
            if not chunk:
                break
            received += chunk
    except (TimeoutError, ConnectionResetError):
        pass
    finally:
        writer.close()
    return received
