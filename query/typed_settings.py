"""What is to be set, checked against the fields of a table before anything changes. Pure, all faults at once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from libs.issues import Issues, kind_of
from libs.result import TypeName
from libs.times import TIME_HINT, parse_instant
from query.by_filter import ChangesDocuments, Setting
from query.catalog import Field, Table
from query.source_edit import read_verbatim, written

_LEAST, _MOST = -(2**63), 2**63 - 1
_WANTED = {
    TypeName.BOOLEAN: "true or false",
    TypeName.INT64: "an integer",
    TypeName.FLOAT64: "a number",
    TypeName.STRING: "a string",
    TypeName.TIMESTAMP: "an RFC 3339 time",
}


@dataclass(frozen=True, slots=True)
class Given:
    """A member of `set` as the body holds it; `at` is its JSON pointer."""

    name: str
    value: Any
    at: str


def typed_settings(
    given: Sequence[Given], table: Table, store: ChangesDocuments, issues: Issues
) -> tuple[Setting, ...]:
    """The settings; what is wrong goes to the issues: FIELD_UNKNOWN, VALUE_INVALID."""
    settings: list[Setting] = []
    for one in given:
        field = _field(one, table, issues)
        if field is None:
            continue
        _check(one, field, store, issues)
        # Integers of any size, in the form that documents are compared in.
        text = written(read_verbatim(json.dumps(one.value)))
        settings.append(Setting(tuple(field.name.split(".")), text))
    return tuple(settings)


def _field(one: Given, table: Table, issues: Issues) -> Field | None:
    found = table.fields.get(one.name)
    if one.name in table.conflicts:
        message = f"{one.name!r} has several types in what the name covers."
        issues.add("FIELD_TYPE_CONFLICT", message, one.at, "name one index")
        return None
    if found is None:
        hint = issues.nearest(one.name, table.visible()) or "the index has no fields"
        issues.add("FIELD_UNKNOWN", f"The index has no field {one.name[:100]!r}.", one.at, hint)
        return None
    if found.role == "id":
        issues.add("VALUE_INVALID", "A document's id cannot be set.", one.at, "write it anew under another id")
        return None
    if found.hidden:
        issues.add("VALUE_INVALID", f"{one.name!r} is made of another field.", one.at, "set that field")
        return None
    return found


def _check(one: Given, field: Field, store: ChangesDocuments, issues: Issues) -> None:
    if one.value is None or field.type.name is TypeName.JSON:
        return
    values = one.value if type(one.value) is list else [one.value]
    for index, value in enumerate(values):
        at = f"{one.at}/{index}" if type(one.value) is list else one.at
        reason = _unlike(value, field) or store.misfit(field, value)
        if reason is not None:
            issues.add("VALUE_INVALID", f"{field.name!r}: {reason}.", at, f"{field.name} takes {_wanted(field)}")


def _wanted(field: Field) -> str:
    return f"{_WANTED[field.type.name]}, an array of them, or null"


def _unlike(value: Any, field: Field) -> str | None:
    """Why the value is none of the field's type."""
    kind = type(value)
    match field.type.name:
        case TypeName.BOOLEAN:
            fits = kind is bool
        case TypeName.INT64:
            fits = kind is int or (kind is float and value.is_integer())
            if fits and not _LEAST <= value <= _MOST:
                return "the integer does not fit into 64 bits"
        case TypeName.FLOAT64:
            fits = kind in (int, float)
            if kind is int and abs(value) > 2**1023:
                return "the number is too large"
        case TypeName.TIMESTAMP:
            fits = kind is str
            if fits:
                return _no_time(value, field)
        case _:
            fits = kind is str
    return None if fits else f"this must be {_WANTED[field.type.name]}, not {kind_of(value)}"


def _no_time(text: str, field: Field) -> str | None:
    try:
        instant = parse_instant(text)
    except ValueError as error:
        return f"{error} ({TIME_HINT.partition(',')[0]})"
    if field.type.unit == "ns" and not 0 <= instant <= _MOST:
        return "times of nanoseconds reach from 1970 to 2262"
    return None
