"""The pieces that the schemas of bodies and answers are made of."""

from __future__ import annotations

from typing import Any

from parser.words import MOST_NAME

Schema = dict[str, Any]


def reference(name: str) -> Schema:
    return {"$ref": "#/$defs/" + name}


def object_of(description: str, properties: dict[str, Schema], *required: str) -> Schema:
    found: Schema = {
        "type": "object",
        "description": description,
        "properties": properties,
        "additionalProperties": False,
    }
    return found | ({"required": list(required)} if required else {})


def name(what: str) -> Schema:
    return {"type": "string", "minLength": 1, "maxLength": MOST_NAME, "description": what}


def list_of(items: list[Schema], most: int, description: str, least: int = 0) -> Schema:
    inner = items[0] if len(items) == 1 else {"anyOf": items}
    found: Schema = {"type": "array", "items": inner, "maxItems": most, "description": description}
    return found | ({"minItems": least} if least else {})
