"""The pieces that the schemas of bodies and answers are made of."""

from __future__ import annotations

from typing import Any

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
