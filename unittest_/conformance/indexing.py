"""What an index makes of documents, as the language sees it: the reference's own account of mapping, in plain Python.

`document_table` coerces each value as its mapping says: whole numbers from fractions and digits, `float` in 32 bits and then its shortest
decimal, `date` floored to milliseconds, `lowercase` keywords, addresses in canonical spelling, objects as dotted names, arrays of
objects as multi-valued names; `nested` and `flattened` members stay JSON. A field is multi-valued when any document has two values.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from unittest_.reference.filters import address
from unittest_.reference.tables import FieldSpec, Row, Table
from unittest_.reference.times import instant

Properties = Mapping[str, Any]
WHOLE = ("long", "integer", "short", "byte")


def single(value: float) -> float:
    """A number as a 32-bit float holds it, in its shortest decimal, as float64."""
    held = _narrow(value)
    return next(short for digits in range(1, 10) if _narrow(short := float(f"{held:.{digits}g}")) == held)


def document_table(properties: Properties, documents: Sequence[tuple[str, Mapping[str, Any]]]) -> Table:
    """The table of documents (id, source) under a mapping's properties."""
    fields = {"_id": FieldSpec("string", role="id")} | dict(_fields(properties, ""))
    rows: list[Row] = []
    lists: set[str] = set()
    for identifier, source in documents:
        held: dict[str, list[Any]] = {}
        row: Row = {"_id": identifier}
        _hold(properties, source, "", held, row)
        lists |= {name for name, values in held.items() if len(values) > 1}
        rows.append(row | {name: values for name, values in held.items() if values})
    for name in lists:
        spec = fields[name]
        fields[name] = FieldSpec(spec.type, True, spec.unit, spec.role)
    for row in rows:
        for name in set(row) & {name for name, spec in fields.items() if not spec.multi and spec.type != "json"}:
            value = row[name]
            row[name] = value[0] if isinstance(value, list) else value
    return Table("documents", fields, rows)


def _fields(properties: Properties, prefix: str) -> Iterator[tuple[str, FieldSpec]]:
    for name, mapping in properties.items():
        if "type" not in mapping:
            yield from _fields(mapping["properties"], f"{prefix}{name}.")
        else:
            yield prefix + name, _spec(mapping)


def _spec(mapping: Mapping[str, Any]) -> FieldSpec:
    kind = mapping["type"]
    if kind in WHOLE:
        return FieldSpec("int64")
    if kind in ("double", "float"):
        return FieldSpec("float64")
    if kind in ("nested", "flattened"):
        return FieldSpec("json")
    if kind == "date":
        return FieldSpec("timestamp", unit="ms")
    if kind == "date_nanos":
        return FieldSpec("timestamp")
    if kind == "text" and not any(sub["type"] == "keyword" for sub in mapping.get("fields", {}).values()):
        return FieldSpec("string", role="text")
    if kind == "ip":
        return FieldSpec("string", role="ip")
    return FieldSpec("boolean" if kind == "boolean" else "string")


def _hold(properties: Properties, source: Mapping[str, Any], prefix: str, held: dict[str, list[Any]], row: Row) -> None:
    for name, value in source.items():
        mapping = properties[name]
        if mapping.get("type") in ("nested", "flattened"):
            if _present(value):
                row[prefix + name] = value
        elif "type" in mapping:
            held.setdefault(prefix + name, []).extend(_held(mapping, one) for one in _flat(value))
        else:
            for inner in _flat(value):
                _hold(mapping["properties"], inner, f"{prefix}{name}.", held, row)


def _present(value: Any) -> bool:
    return value is not None and value != []


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for one in value:
            yield from _flat(one)
    elif value is not None:
        yield value


def _held(mapping: Mapping[str, Any], value: Any) -> Any:
    kind = mapping["type"]
    if kind in WHOLE:
        return int(Decimal(str(value)))
    if kind == "double":
        return float(value) + 0.0
    if kind == "float":
        return single(float(value)) + 0.0
    if kind in ("date", "date_nanos"):
        ns = value * 1_000_000 if isinstance(value, int) else instant(value, 0)
        return ns // 1_000_000 * 1_000_000 if kind == "date" else ns
    if kind == "ip":
        return address(value)
    if mapping.get("normalizer") == "lowercase":
        return value.lower()
    return value


def _narrow(value: float) -> float:
    return float(struct.unpack("<f", struct.pack("<f", value))[0])
