"""The shapes that the reference works on: tables of plain Python rows.

Values inside a row are `bool`, `int`, `float`, `str`, a timestamp as `int` nanoseconds since 1970 UTC, any JSON value for a
`json` field, or a list of these for a multi-valued field. A missing value is an absent member, never `None`.
A `float` field of 32 bits holds the float64 of its shortest decimal; minus zero is held as zero.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Row = dict[str, Any]

TYPES = ("boolean", "int64", "float64", "string", "timestamp", "json")
NUMBERS = ("int64", "float64")


class Refused(Exception):
    """The body can't be answered: `code` is the error code of the language."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


@dataclass(frozen=True)
class FieldSpec:
    """What a field holds.

    `type` is one of TYPES; `unit` is the precision a timestamp is held in (`ms` or `ns`). `role` is one of `plain`, `id` (`_id`), `ip`,
    `text` (analysed, without a keyword sub-field), `tag` (of a series) and `time` (of a series).
    """

    type: str
    multi: bool = False
    unit: str = "ns"
    role: str = "plain"


@dataclass
class Table:
    """One index (`kind` documents) or one measurement (`kind` series)."""

    kind: str
    fields: dict[str, FieldSpec]
    rows: list[Row]

    @property
    def time_field(self) -> str:
        return "@timestamp" if self.kind == "documents" else "time"

    @property
    def every_field(self) -> list[str]:
        """The names in the order of an answer without `select`."""

        def rank(name: str) -> int:
            if self.fields[name].role == "id":
                return 0
            if name == self.time_field:
                return 1
            return 2 if self.fields[name].role == "tag" else 3

        return sorted(self.fields, key=lambda name: (rank(name), name))


@dataclass(frozen=True)
class Column:
    name: str
    type: str
    multi: bool = False


@dataclass
class Answer:
    """What the reference says: columns, and every row in order before the limit.

    `ranked` holds all rows as they go outside (timestamps in text), `ties[i]` the number of the tie class of row i (rows of one
    class may come in any order), `slack[i]` the absolute error allowed in the float cells of row i.
    """

    columns: list[Column]
    ranked: list[Row]
    ties: list[int]
    slack: list[dict[str, float]]
    limit: int

    @property
    def rows(self) -> list[Row]:
        return self.ranked[: self.limit]


@dataclass
class Scope:
    """Rows between two steps: what later steps may name, and the error that each float cell may have."""

    fields: dict[str, FieldSpec]
    rows: list[Row]
    slack: list[dict[str, float]] = field(default_factory=list)


def values_of(row: Mapping[str, Any], name: str) -> Sequence[Any]:
    """The values of a field in a row as a list; empty when it is missing."""
    value = row.get(name)
    if value is None:
        return ()
    return value if isinstance(value, list) else (value,)


def source_key(source: Mapping[str, Any]) -> str:
    """`es/access-*` or `influx/telegraf/cpu`: how `from` names a table."""
    parts = [source["source"], *(source[part] for part in ("index", "db", "measurement", "lookup") if part in source)]
    return "/".join(parts)
