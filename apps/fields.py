"""A source's fields as clients see them: canonical type, role, what can be done with each; from the catalogue alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from query.catalog import Field, Table
from query.vocabulary import ANALYSED_OPERATORS, OPERATORS_OF, STRING
from query.vocabulary import JSON as JSON_TYPE

FIELD = {
    "field": "host",
    "type": "string",
    "multi": False,
    "role": "keyword",
    "filter": True,
    "sort": True,
    "group": True,
    "full_text": False,
    "operators": ["eq", "ne", "in", "nin", "exists"],
    "parent": None,
}
_NOTHING = {"filter": False, "sort": False, "group": False, "full_text": False, "operators": []}


def described(table: Table) -> list[dict[str, Any]]:
    """Every field by name. Those that no query can name come with the reason: `conflict` (no common type; `types` has the
    indices of each), `ambiguous` (a tag and a field at once)."""
    names = sorted({*table.fields, *table.conflicts})
    return [_described(name, table) for name in names]


def outlined(table: Table) -> list[dict[str, Any]]:
    """The visible fields by name, shortly; those of no common type have none."""
    shown = sorted({*table.visible(), *table.conflicts})
    return [
        {name: entry[name] for name in ("field", "type", "role")} for entry in (_named(one, table) for one in shown)
    ]


def _named(name: str, table: Table) -> dict[str, Any]:
    known = table.fields.get(name)
    unusable = known is None or name in table.conflicts
    return {
        "field": name,
        "type": None if known is None or unusable else known.type.name.value,
        "multi": known is not None and known.type.multi,
        "role": "field" if known is None else _role(known, table),
    }


def _described(name: str, table: Table) -> dict[str, Any]:
    entry = _named(name, table)
    known = table.fields.get(name)
    if known is None or name in table.conflicts:
        entry |= _NOTHING | {"conflict": True}
    elif name in table.ambiguous:
        entry |= _NOTHING | {"ambiguous": True}
    else:
        entry |= _uses(known)
    entry["parent"] = _parent(name, table.fields) if known is not None and known.hidden else None
    if types := _types(name, table):
        entry["types"] = types
    return entry


def _role(field: Field, table: Table) -> str:
    """time, tag, field, text or keyword; `id` is a document's own."""
    if field.role == "time" or field.name == table.time_field:
        return "time"
    if field.role != "member":
        return field.role
    if field.analysed:
        return "text"
    return "keyword" if field.type.name is STRING else "field"


def _uses(field: Field) -> dict[str, Any]:
    ordered = field.exact and field.type.name is not JSON_TYPE
    return {
        "filter": ordered,
        "sort": ordered,
        "group": ordered,
        "full_text": field.analysed,
        "operators": [op for op in OPERATORS_OF[field.type.name] if _takes(field, op)],
    }


def _takes(field: Field, op: str) -> bool:
    if not field.exact and op not in ANALYSED_OPERATORS:
        return False
    return field.ops is None or op in field.ops


def _parent(name: str, fields: Mapping[str, Field]) -> str | None:
    """The field that a sub-field is a form of."""
    while "." in name:
        name = name.rpartition(".")[0]
        if name in fields:
            return name
    return None


def _types(name: str, table: Table) -> Sequence[Mapping[str, Any]]:
    """Where the parts of the source type the field differently: each type, with its indices."""
    found: dict[str, list[str]] = {kind: [] for kind in table.conflicts.get(name, ())}
    for part in table.parts:
        if name in part.fields:
            indices = part.source.target[0].split(",")
            found.setdefault(part.fields[name].type.name.value, []).extend(indices)
    if len(found) < 2:
        return ()
    return [{"type": kind, "indices": sorted(indices)} for kind, indices in sorted(found.items())]
