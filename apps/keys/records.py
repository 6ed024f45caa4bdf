"""API keys in the service's state: made, listed, revoked, and read by a running service."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.actions import ACTIONS
from libs.context import ANYBODY, DEFAULT_ROLE, Principal
from libs.errors import NotFoundError, RequestError
from libs.keys import Key, digest_of, id_of, new_key
from libs.state import State, now_text
from libs.state_tables import API_KEY

# The caller of the key that the settings hold.
FIRST = "configured"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII)
_RESERVED = frozenset({ANYBODY.name, FIRST})


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """What is kept of a key. Times are RFC 3339; `name` is the caller, whom several keys may name."""

    id: str
    name: str
    actions: tuple[str, ...]
    role: str
    created_at: str
    expires_at: str | None
    revoked_at: str | None

    @property
    def state(self) -> str:
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and seconds_of(self.expires_at) <= time.time() else "valid"


class KeyRecords:
    """The keys of one state."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def add(
        self, name: str, actions: Iterable[str], role: str = DEFAULT_ROLE, expires_at: str | None = None
    ) -> tuple[KeyRecord, str]:
        """Makes a key; what it is stands nowhere but in the answer. Raises RequestError (NAME_INVALID), StoreError."""
        if not _NAME.fullmatch(name) or name in _RESERVED:
            raise RequestError(
                f"{name[:70]!r} cannot be the name of a key: letters, digits, '_', '.' and '-', the first a letter or "
                f"digit, 64 at the most, and none of {', '.join(sorted(_RESERVED))}.",
                code="NAME_INVALID",
            )
        allowed = tuple(action for action in ACTIONS if action in set(actions))
        key_id, text = new_key()
        record = KeyRecord(key_id, name, allowed, role, now_text(), expires_at, None)
        async with self._state.write() as connection:
            await connection.execute(
                API_KEY.insert().values(
                    id=key_id,
                    name=name,
                    digest=digest_of(text).hex(),
                    actions=",".join(allowed),
                    role=role,
                    created_at=record.created_at,
                    expires_at=expires_at,
                    changed=await _next_change(connection),
                )
            )
        return record, text

    async def list(self) -> list[KeyRecord]:
        """All that ever were, the oldest first. Raises StoreError."""
        async with self._state.read() as connection:
            rows = (await connection.execute(select(API_KEY).order_by(API_KEY.c.created_at, API_KEY.c.id))).all()
        return [_record(row._mapping) for row in rows]

    async def revoke(self, id_or_name: str) -> KeyRecord:
        """Ends a key that is not revoked yet, by its id or by a name that no other such key has.

        Raises NotFoundError, RequestError (several have the name), StoreError.
        """
        async with self._state.write() as connection:
            live = select(API_KEY).where(API_KEY.c.revoked_at.is_(None))
            rows = (await connection.execute(live.where(API_KEY.c.id == id_or_name))).all()
            rows = rows or (await connection.execute(live.where(API_KEY.c.name == id_or_name))).all()
            if len(rows) != 1:
                raise _not_one(id_or_name, [row.id for row in rows])
            found, at = rows[0], now_text()
            await connection.execute(
                API_KEY.update()
                .where(API_KEY.c.id == found.id)
                .values(revoked_at=at, digest="", changed=await _next_change(connection))
            )
        return _record({**found._mapping, "revoked_at": at})

    async def change(self) -> int:
        """A number that is another one whenever a key was added or revoked. Raises StoreError."""
        async with self._state.read() as connection:
            return await _change(connection)

    async def keys(self) -> tuple[int, Sequence[Key]]:
        """The change they are of, and all keys that are not revoked, expired ones too. Raises StoreError."""
        async with self._state.read() as connection:
            number = await _change(connection)
            rows = (await connection.execute(select(API_KEY).where(API_KEY.c.revoked_at.is_(None)))).all()
        return number, [_key(row._mapping) for row in rows]


async def has_keys(folder: Path) -> bool:
    """Whether the state in a folder has keys that are not revoked. Raises ConfigError, StoreError."""
    state = State(folder)
    if not state.path.exists():
        return False
    await state.open()
    try:
        _, keys = await KeyRecords(state).keys()
        return bool(keys)
    finally:
        await state.close()


def first_key(text: str | None) -> Key | None:
    """The key that the settings hold, where they do: it may do everything."""
    if text is None:
        return None
    return Key(id_of(text), digest_of(text), Principal(FIRST, actions=ANYBODY.actions))


def seconds_of(text: str) -> float:
    """An RFC 3339 text as seconds since 1970."""
    return datetime.fromisoformat(text).timestamp()


def text_of(seconds: float) -> str:
    """Seconds since 1970 as RFC 3339, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def _change(connection: AsyncConnection) -> int:
    found: int = (await connection.execute(select(func.coalesce(func.max(API_KEY.c.changed), 0)))).scalar_one()
    return found


async def _next_change(connection: AsyncConnection) -> int:
    return await _change(connection) + 1


def _record(row: Mapping[Any, Any]) -> KeyRecord:
    actions = tuple(row["actions"].split(","))
    times = (row["created_at"], row["expires_at"], row["revoked_at"])
    return KeyRecord(row["id"], row["name"], actions, row["role"], *times)


def _key(row: Mapping[Any, Any]) -> Key:
    principal = Principal(row["name"], role=row["role"], actions=frozenset(row["actions"].split(",")))
    expires = {} if row["expires_at"] is None else {"expires": seconds_of(row["expires_at"])}
    return Key(row["id"], bytes.fromhex(row["digest"]), principal, **expires)


def _not_one(id_or_name: str, ids: Sequence[str]) -> RequestError:
    if ids:
        return RequestError(f"{len(ids)} keys are called {id_or_name[:70]!r}: revoke one by its id, {', '.join(ids)}.")
    return NotFoundError(f"There is no key {id_or_name[:70]!r} that is not revoked: `keys list` shows all.")
