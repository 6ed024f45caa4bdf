"""Aliases: further names of indices. Held by the writer, published with the indices after each commit."""

from __future__ import annotations

from collections.abc import Mapping

import duckdb

Cursor = duckdb.DuckDBPyConnection
Name = tuple[str, str]  # instance, and alias or index


class Aliases:
    """`views` has the indices of every alias, by name, as the last commit left them; no alias is without one."""

    def __init__(self) -> None:
        self.held: dict[Name, dict[str, int]] = {}
        self.views: Mapping[Name, tuple[str, ...]] = {}
        self._changed = False

    def add(self, cursor: Cursor, alias: Name, index: str, index_id: int) -> None:
        """The index belongs to the alias, also where it did."""
        held = self.held.setdefault(alias, {})
        if index not in held:
            cursor.execute("INSERT INTO hm_aliases VALUES (?, ?, ?)", [*alias, index_id])
            held[index] = index_id
            self._changed = True

    def remove(self, cursor: Cursor, alias: Name, index: str) -> bool:
        """Whether the index did belong to the alias."""
        held = self.held.get(alias, {})
        if index not in held:
            return False
        instance, name = alias
        where = "instance = ? AND name = ? AND index_id = ?"
        cursor.execute(f"DELETE FROM hm_aliases WHERE {where}", [instance, name, held.pop(index)])
        if not held:
            del self.held[alias]
        self._changed = True
        return True

    def index_gone(self, cursor: Cursor, index: Name) -> None:
        """Takes a deleted index off every alias."""
        instance, name = index
        for alias in [one for one, held in self.held.items() if one[0] == instance and name in held]:
            self.remove(cursor, alias, name)

    def publish(self) -> None:
        if self._changed:
            self.views = {alias: tuple(sorted(held)) for alias, held in self.held.items()}
            self._changed = False

    def load(self, cursor: Cursor) -> None:
        """Reads everything from the file, and publishes it."""
        self.held = {}
        joined = "hm_aliases AS a JOIN hm_indices AS i ON a.index_id = i.id"
        for instance, alias, index, number in cursor.execute(
            f"SELECT a.instance, a.name, i.name, i.id FROM {joined}"
        ).fetchall():
            self.held.setdefault((instance, alias), {})[index] = number
        self._changed = True
        self.publish()
