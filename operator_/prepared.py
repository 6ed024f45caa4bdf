"""Cursors on the local engine that keep what they have planned: inputs stay under their names from one request to the next,
and what they hold is put in anew. Planning is more than half of what a small statement costs, showing it its inputs a third.

Only what starts afresh is run twice: DuckDB's operators that sort in partitions (as-of joins, windows) find what the first
run left in them, and end the second one with an internal error. It plans a prepared statement anew for each set of values,
so that these stand in its text: integers and booleans alone, in the types that they have as parameters. All other
statements are planned each time.
"""

from __future__ import annotations

import re
from collections import OrderedDict, deque
from collections.abc import Hashable, Mapping
from typing import Any

import duckdb

_PARAMETER = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)")
_ONCE = (" ASOF ", " OVER (")
_MOST_STATEMENTS = 8
_INT32, _INT64 = 2**31, 2**63


class _Input:
    """What the engine reads under a name: whatever is held when it does."""

    def __init__(self, table: Any) -> None:
        self.table = table

    def __arrow_c_stream__(self, requested_schema: object = None) -> Any:
        return self.table.__arrow_c_stream__(requested_schema)


class EngineCursor:
    """A cursor; one that is not `plain` prepares its statements. Serves one request at a time."""

    def __init__(self, raw: duckdb.DuckDBPyConnection, plain: bool = True) -> None:
        self.raw, self.plain = raw, plain
        self._inputs: dict[str, _Input] = {}
        self._statements: dict[str, str] = {}

    def show(self, name: str, table: Any) -> bool:
        """Puts a table of the same columns under a name that stands for one already; False for another name. Needs no engine."""
        held = self._inputs.get(name)
        if held is None:
            return False
        held.table = table
        return True

    def register(self, name: str, table: Any) -> None:
        if self.plain:
            self.raw.register(name, table)
        elif not self.show(name, table):
            held = self._inputs[name] = _Input(table)
            self.raw.register(name, held)

    def alone(self, name: str) -> duckdb.DuckDBPyConnection:
        """DuckDB's cursor, for a table that is this request's own: nothing of it is prepared or kept from here on."""
        self.plain = True
        if self._inputs.pop(name, None) is not None:
            self.raw.unregister(name)
        return self.raw

    def execute(self, sql: str, params: Mapping[str, Any] | None = None) -> duckdb.DuckDBPyConnection:
        text = None if self.plain else written(sql, params or {})
        if text is None:
            return self.raw.execute(sql, params)
        name = self._statements.get(text)
        if name is None:
            if len(self._statements) >= _MOST_STATEMENTS:
                return self.raw.execute(sql, params)
            name = f"statement{len(self._statements)}"
            self.raw.execute(f"PREPARE {name} AS {text}")
            self._statements[text] = name
        return self.raw.execute(f"EXECUTE {name}")

    def fetchmany(self, size: int) -> list[tuple[Any, ...]]:
        return self.raw.fetchmany(size)

    def interrupt(self) -> None:
        self.raw.interrupt()

    def forget(self) -> None:
        """Lets go of what the inputs hold."""
        for held in self._inputs.values():
            held.table = None

    def close(self) -> None:
        self.raw.close()


class Shelf:
    """Cursors between two requests, by what they have prepared. Of what comes for the first time nothing is kept: most
    statements do not come again. The least recently used go first."""

    def __init__(self, known: int = 256, kept: int = 16) -> None:
        self._most_known, self._most_kept = known, kept
        self._known: OrderedDict[Hashable, None] = OrderedDict()
        self._kept: deque[tuple[Hashable, EngineCursor]] = deque()

    def comes_again(self, key: Hashable) -> bool:
        """Whether it has been asked for before."""
        again = key in self._known
        self._known[key] = None
        self._known.move_to_end(key)
        if len(self._known) > self._most_known:
            self._known.popitem(last=False)
        return again

    def take(self, key: Hashable) -> EngineCursor | None:
        """A cursor that has prepared this, if one is there."""
        for found in reversed(self._kept):
            if found[0] == key:
                self._kept.remove(found)
                return found[1]
        return None

    def put(self, key: Hashable, cursor: EngineCursor) -> None:
        cursor.forget()
        self._kept.append((key, cursor))
        if len(self._kept) > self._most_kept:
            self._kept.popleft()[1].close()

    def clear(self) -> None:
        while self._kept:
            self._kept.pop()[1].close()


def written(sql: str, params: Mapping[str, Any]) -> str | None:
    """The statement with its values in the text; None where one has no such text, or where it cannot be run twice."""
    if any(word in sql for word in _ONCE):
        return None
    if not all(isinstance(value, int) and -_INT64 <= value < _INT64 for value in params.values()):
        return None
    return _PARAMETER.sub(lambda found: _literal(params[found[1]]) if found[1] in params else found[0], sql)


def _literal(value: int) -> str:
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    return f"({value})::{'INTEGER' if -_INT32 <= value < _INT32 else 'BIGINT'}"
