"""The only text of a plan that may stand in SQL: what these functions return."""

from __future__ import annotations

from libs.result import Type, TypeName

_TYPES = {
    TypeName.BOOLEAN: "BOOLEAN",
    TypeName.INT64: "BIGINT",
    TypeName.FLOAT64: "DOUBLE",
    TypeName.STRING: "VARCHAR",
    TypeName.TIMESTAMP: "BIGINT",
    TypeName.JSON: "VARCHAR",
}


def identifier(name: str) -> str:
    """A quoted identifier. DuckDB folds the case even of quoted ones, so names that users chose need another defence."""
    return '"' + name.replace('"', '""') + '"'


def column_type(kind: Type) -> str:
    """How a type is represented in DuckDB."""
    return _TYPES[kind.name] + ("[]" if kind.multi else "")
