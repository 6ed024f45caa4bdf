"""The real service, in the test's own process, on a free port."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from yarl import URL

from apps.pipeline import Services
from config.settings import Settings
from main import create_app
from unittest_.sample_service import running


class Client:
    """A thin client of one running service; `services` is its inside, for what no route shows."""

    def __init__(self, url: str, session: aiohttp.ClientSession, services: Services | None = None) -> None:
        self.url = url
        self.session = session
        self.services = services

    async def send(self, method: str, path: str, **arguments: Any) -> tuple[int, Any]:
        """(status, decoded JSON or None). `path` is sent as it is written."""
        url = URL(self.url + path, encoded=True)
        async with self.session.request(method, url, **arguments) as response:
            body = await response.read()
            kind = response.content_type
            return response.status, (await response.json(content_type=None)) if body and kind.endswith("json") else body

    async def ok(self, method: str, path: str, **arguments: Any) -> Any:
        """The answer of a request that must succeed."""
        status, answer = await self.send(method, path, **arguments)
        assert status < 300, (method, path, status, answer)
        return answer


@asynccontextmanager
async def service(folder: Path, **settings: Any) -> AsyncIterator[Client]:
    """Runs the service with its data under `folder`; settings as keywords of Settings."""
    made = Settings(data_dir=folder / "data", log_dir=folder / "logs", **settings)
    app = create_app(made, name=f"test_{uuid.uuid4().hex}")
    # Sanic can rewrite its classes for one app in a process alone.
    app.config.TOUCHUP = False
    async with running(app) as url, aiohttp.ClientSession() as session:
        yield Client(url, session, app.ctx.services)
