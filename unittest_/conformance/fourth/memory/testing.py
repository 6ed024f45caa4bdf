"""What the conformance suite needs of this backend."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from libs.context import RequestContext
from libs.result import Type, TypeName
from query.catalog import Field, Kind, SourceRef, Table
from query.memory import MemoryBackend  # type: ignore[import-not-found]

KINDS: tuple[Kind, ...] = ("documents", "series")
ADDRESS: str | None = None
KNOWN_LIMITS: Mapping[str, str] = {}
_EQUALITY = frozenset({"eq", "ne", "in", "nin", "exists"})


async def load(backend: MemoryBackend, data: Any, name: str, context: RequestContext) -> tuple[str, ...]:
    table = data.tables[backend.kind]
    target = (name,) if backend.kind == "documents" else (name, "m")
    fields = {field: _field(field, table.fields[field]) for field in table.every_field}
    source = SourceRef(backend.name, target)
    backend.held[target] = (Table(source, backend.kind, fields, data.time_field(backend.kind)), tuple(table.rows))
    return target


async def unload(backend: MemoryBackend, target: tuple[str, ...], context: RequestContext) -> None:
    del backend.held[target]


def _field(name: str, spec: Any) -> Field:
    kind = Type(TypeName(spec.type), spec.multi, spec.unit)
    narrow = _EQUALITY if spec.role in ("id", "ip") else None
    text = spec.role == "text"
    return Field(name, kind, exact=not text, analysed=text, ops=narrow, address=spec.role == "ip")
