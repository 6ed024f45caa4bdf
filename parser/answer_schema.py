"""A query's answer as JSON Schema, for the OpenAPI document."""

from __future__ import annotations

from libs.result import TypeName
from parser.schema_parts import Schema, object_of, reference


def answer_schema() -> Schema:
    """A query's answer; `$defs` holds its components."""
    properties: dict[str, Schema] = {
        "result": {"type": "boolean", "const": True},
        "columns": {"type": "array", "items": reference("AnswerColumn")},
        "data": {
            "type": "array",
            "items": {"anyOf": [{"type": "object", "additionalProperties": True}, {"type": "array", "items": {}}]},
            "description": "rows as objects; with `shape=arrays` as arrays in the columns' order",
        },
        "page": reference("AnswerPage"),
        "meta": reference("AnswerMeta"),
    }
    return object_of("The rows or groups of one page.", properties, *properties) | {
        "$defs": {
            "AnswerColumn": _column(),
            "AnswerPage": _page(),
            "AnswerMeta": _meta(),
            "AnswerSource": _source_report(),
            "AnswerTotal": _total(),
            "AnswerWarning": _warning(),
        }
    }


def _column() -> Schema:
    properties: dict[str, Schema] = {
        "name": {"type": "string"},
        "type": {"type": "string", "enum": [kind.value for kind in TypeName]},
        "multi": {"type": "boolean", "description": "cells are lists"},
        "source": {"type": ["string", "null"], "description": "the instance; null when computed from several"},
        "approximate": {"type": "boolean"},
    }
    return object_of("A column of the answer.", properties, *properties)


def _page() -> Schema:
    properties: dict[str, Schema] = {
        "cursor": {"type": ["string", "null"]},
        "has_more": {"type": "boolean", "description": "rows beyond the limit exist"},
        "total": {"oneOf": [reference("AnswerTotal"), {"type": "null"}]},
    }
    return object_of("Where the page stands.", properties, *properties)


def _meta() -> Schema:
    properties: dict[str, Schema] = {
        "request_id": {"type": "string"},
        "took_ms": {"type": "number"},
        "partial": {"type": "boolean", "description": "a store failed in part, and `options.partial` took the rest"},
        "warnings": {"type": "array", "items": reference("AnswerWarning")},
        "sources": {"type": "array", "items": reference("AnswerSource")},
    }
    return object_of("How the answer came about.", properties, *properties)


def _source_report() -> Schema:
    properties: dict[str, Schema] = {
        "source": {"type": "string"},
        "took_ms": {"type": "number"},
        "rows": {"type": "integer"},
        "status": {"type": "string"},
        "freshness": {"type": "string", "description": "its newest time in the range, where `require_fresh` asked"},
    }
    return object_of("One store's part.", properties, "source", "took_ms", "rows", "status")


def _total() -> Schema:
    properties: dict[str, Schema] = {"value": {"type": "integer"}, "relation": {"type": "string", "enum": ["eq"]}}
    return object_of("All rows or groups there are.", properties, *properties)


def _warning() -> Schema:
    properties: dict[str, Schema] = {
        "code": {"type": "string"},
        "message": {"type": "string"},
        "source": {"type": ["string", "null"]},
    }
    return object_of("Something to know about an answer that is right all the same.", properties, *properties)
