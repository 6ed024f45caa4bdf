"""What a source holds: its fields and their types, read from the store and cached briefly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from libs.result import Type

Kind = Literal["documents", "series"]
Role = Literal["id", "member", "time", "tag", "field"]


@dataclass(frozen=True, slots=True)
class SourceRef:
    """What a body's `from` names. `target` is (index or pattern,) for documents, (db, measurement) for series."""

    instance: str
    target: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a source.

    `exact` is false for an analysed text without a keyword sub-field: it takes `exists`, `count`, `match` and
    `match_phrase` alone. `analysed` says that `match` is meant. `ops` narrows the operators when it is not None
    (`ip`, `_id`: eq ne in nin exists). `address` says that its strings are canonical IP addresses (`ip`), so that operands are
    addresses in any spelling. `hidden` fields can be named but are not part of "every field" (sub-fields).
    `native` is the backend's own note about the field (an Elasticsearch mapping, say); only its backend reads it.
    """

    name: str
    type: Type
    role: Role = "member"
    exact: bool = True
    analysed: bool = False
    ops: frozenset[str] | None = None
    hidden: bool = False
    address: bool = False
    native: object = None


@dataclass(frozen=True, slots=True)
class Table:
    """One source's fields in a fixed order; `time_field` is the default time field, when the source has it.

    Where a pattern's indices (or a measurement's shards) type fields differently, `parts` are the homogeneous tables and
    `fields` holds what they widen to; `conflicts` names the fields that have no common type, with the types' names.
    `ambiguous` names what is a tag and a field at once. `rows` is an estimate for the cost, None when not known.
    `native` is the backend's own (resolved index names, say).
    """

    source: SourceRef
    kind: Kind
    fields: Mapping[str, Field]
    time_field: str | None = None
    parts: tuple[Table, ...] = ()
    conflicts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    ambiguous: frozenset[str] = frozenset()
    rows: int | None = None
    native: object = None

    def visible(self) -> tuple[str, ...]:
        """The names that "every field" means."""
        return tuple(name for name, member in self.fields.items() if not member.hidden)


Catalog = Mapping[SourceRef, Table]
