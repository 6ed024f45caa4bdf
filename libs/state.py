"""The service's own state (not the monitored data): one SQLite file, by SQLAlchemy Core, off the event loop.

async with state.write() as connection:
    await connection.execute(LOOKUP.insert().values(…))

What a write acknowledged is on disk. One process writes at a time; readers never wait for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from libs.errors import ConfigError, StoreError
from libs.state_migrations import STEPS

FILE = "state.sqlite"
SOURCE = "state"
_BUSY_SECONDS = 5
_PRAGMAS = ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", f"busy_timeout = {_BUSY_SECONDS * 1000}")
_WRITES = "hostmonitor_writes"
_MADE = "CREATE TABLE IF NOT EXISTS migration (number BIGINT PRIMARY KEY, applied_at TEXT NOT NULL)"


class State:
    """Closed when it is made. `steps` are the migrations, oldest first."""

    def __init__(self, folder: str | Path, steps: Sequence[Sequence[str]] = STEPS) -> None:
        self.path = Path(folder) / FILE
        self._steps = steps
        self._engine: AsyncEngine | None = None
        self._writing = asyncio.Lock()

    async def open(self) -> None:
        """Makes the file, or brings an older one forward. Raises ConfigError: it cannot be used, or is a newer release's."""
        if self._engine is not None:
            return
        try:
            await asyncio.to_thread(self.path.parent.mkdir, parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"the folder of {self.path} cannot be made: {error}") from error
        self._engine = _engine(self.path)
        try:
            await self._migrate()
        except StoreError as error:
            await self.close()
            raise ConfigError(f"{self.path} cannot be used: {error.__cause__}") from error
        except ConfigError:
            await self.close()
            raise

    async def close(self) -> None:
        if self._engine is not None:
            engine, self._engine = self._engine, None
            await engine.dispose()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A connection that sees one state throughout. Raises StoreError."""
        with _translated():
            async with self._opened().connect() as connection:
                yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """A connection in a transaction, committed at the block's end and undone by whatever it raises. Raises StoreError."""
        async with self._writing:
            with _translated():
                async with self._opened().connect() as connection:
                    await connection.execution_options(**{_WRITES: True})
                    async with connection.begin():
                        yield connection

    def _opened(self) -> AsyncEngine:
        if self._engine is None:
            raise StoreError("The service's state is not open.", code="STORE_UNAVAILABLE", source=SOURCE)
        return self._engine

    async def _migrate(self) -> None:
        async with self.write() as connection:
            await connection.execute(text(_MADE))
            done = (await connection.execute(text("SELECT coalesce(max(number), 0) FROM migration"))).scalar_one()
            if done > len(self._steps):
                raise ConfigError(f"{self.path} was written by a newer release (its schema is {done})")
            for number, statements in enumerate(self._steps[done:], done + 1):
                for statement in statements:
                    await connection.execute(text(statement))
                await connection.execute(
                    text("INSERT INTO migration VALUES (:number, :at)"), {"number": number, "at": now_text()}
                )


def now_text() -> str:
    """This instant as RFC 3339, in UTC, with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _engine(path: Path) -> AsyncEngine:
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}")

    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: Any, record: Any) -> None:
        # SQLite's own driver would begin no transaction before a CREATE TABLE: it is told to leave that to us.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in _PRAGMAS:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get(_WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


@contextmanager
def _translated() -> Iterator[None]:
    """Turns the driver's errors into StoreError."""
    try:
        yield
    except DBAPIError as error:
        full = "full" in str(error.orig).lower()
        why = "has no room left" if full else "cannot be read or written"
        code = "STORE_FULL" if full else "STORE_UNAVAILABLE"
        raise StoreError(f"The service's state {why}.", code=code, source=SOURCE) from error.orig
