"""Saved queries in the service's state: each replaced as a whole, under the next version."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import func, select

from libs.errors import NotFoundError, RequestError
from libs.state import State, now_text
from libs.state_tables import SAVED_QUERY as SAVED
from parser.saved_body import SavedBody, SavedParameter

Check = Callable[[str | None], None]


@dataclass(frozen=True, slots=True)
class SavedQuery:
    name: str
    version: int
    changed_at: str
    tag: str
    saved: SavedBody

    def about(self) -> dict[str, Any]:
        """As the API shows it: `query` is the body as it was sent."""
        parameters = {one.name: shown_parameter(one) for one in self.saved.parameters}
        query = {"parameters": parameters, "max_age": f"{self.saved.max_age}s", **self.saved.body}
        return {"name": self.name, "version": self.version, "changed_at": self.changed_at, "query": query}


def shown_parameter(parameter: SavedParameter) -> dict[str, Any]:
    """A parameter as it is declared."""
    return {
        name: value for name, value in asdict(parameter).items() if name != "name" and value not in (None, "", False)
    }


class SavedQueries:
    """The saved queries of one state."""

    def __init__(self, state: State, most: int = 1_000) -> None:
        self._state = state
        self._most = most

    async def get(self, name: str) -> SavedQuery:
        """Raises NotFoundError (SAVED_UNKNOWN), StoreError."""
        async with self._state.read() as connection:
            row = (await connection.execute(select(SAVED).where(SAVED.c.name == name))).one_or_none()
        if row is None:
            raise _unknown(name)
        return _query(row._mapping)

    async def list(self) -> list[SavedQuery]:
        """All of them, by name. Raises StoreError."""
        async with self._state.read() as connection:
            rows = (await connection.execute(select(SAVED).order_by(SAVED.c.name))).all()
        return [_query(row._mapping) for row in rows]

    async def put(self, name: str, saved: SavedBody, check: Check) -> SavedQuery:
        """Makes or replaces one. Raises RequestError (TOO_MANY_VALUES), what `check` raises, StoreError."""
        body = json.dumps(saved.body, ensure_ascii=False)
        declared = {"parameters": [asdict(one) for one in saved.parameters], "max_age": saved.max_age}
        parameters = json.dumps(declared, ensure_ascii=False)
        tag = hashlib.sha256((body + parameters).encode()).hexdigest()[:32]
        async with self._state.write() as connection:
            query = select(SAVED.c.version, SAVED.c.tag).where(SAVED.c.name == name)
            known = (await connection.execute(query)).one_or_none()
            check(None if known is None else known.tag)
            at, version = now_text(), 1 if known is None else known.version + 1
            values = {"version": version, "changed_at": at, "tag": tag, "body": body, "parameters": parameters}
            if known is None:
                self._check_count((await connection.execute(select(func.count()).select_from(SAVED))).scalar_one())
                await connection.execute(SAVED.insert().values(name=name, **values))
            else:
                await connection.execute(SAVED.update().where(SAVED.c.name == name).values(**values))
        return SavedQuery(name, version, at, tag, saved)

    async def delete(self, name: str, check: Check) -> None:
        """Raises NotFoundError (SAVED_UNKNOWN), what `check` raises, StoreError."""
        async with self._state.write() as connection:
            query = select(SAVED.c.tag).where(SAVED.c.name == name)
            tag = (await connection.execute(query)).scalar_one_or_none()
            if tag is None:
                raise _unknown(name)
            check(tag)
            await connection.execute(SAVED.delete().where(SAVED.c.name == name))

    def _check_count(self, count: int) -> None:
        if count >= self._most:
            raise RequestError(
                f"There are {count} saved queries; at most {self._most} are kept.",
                code="TOO_MANY_VALUES", hint="delete one, or raise limits.saved_queries",
            )  # fmt: skip


def _query(row: Mapping[Any, Any]) -> SavedQuery:
    declared = json.loads(row["parameters"])
    parameters = tuple(SavedParameter(**one) for one in declared["parameters"])
    saved = SavedBody(json.loads(row["body"]), parameters, declared["max_age"])
    return SavedQuery(row["name"], row["version"], row["changed_at"], row["tag"], saved)


def _unknown(name: str) -> NotFoundError:
    return NotFoundError(
        f"There is no saved query {name[:100]!r}.", code="SAVED_UNKNOWN", hint="GET /mix/saved lists them"
    )
