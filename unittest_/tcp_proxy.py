"""What the proxies of the tests have in common: a port of their own before a store, and connections that end with them."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit


class TcpProxy:
    """Listens at `url` once started; a subclass says in `exchange` what happens to a connection."""

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        assert parts.hostname
        self._host, self._port = parts.hostname, parts.port or 80
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.url = ""

    @property
    def open(self) -> int:
        """The number of connections that are held open now."""
        return len(self._tasks)

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        await self.drop()

    async def drop(self) -> None:
        """Ends all connections that are open."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def store(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to the store itself."""
        return await asyncio.open_connection(self._host, self._port)

    async def exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raise NotImplementedError

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self.exchange(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            self._tasks.discard(task)
