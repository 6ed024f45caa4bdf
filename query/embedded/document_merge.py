"""A partial update of a document, as Elasticsearch merges one into a source. Pure."""

from __future__ import annotations

import json
from typing import Any

from query.embedded.document_json import DocumentFault, dumps, loads_exactly

Json = Any


def merged(source: bytes, patch: bytes) -> bytes | None:
    """The source with the patch's members: objects merged member by member, all else replaced, null as a value like any.

    None where that says nothing new. Raises DocumentFault.
    """
    try:
        held, given = loads_exactly(source), loads_exactly(patch)
        if not isinstance(given, dict):
            raise DocumentFault("x_content_parse_exception", "[UpdateRequest] doc doesn't support values of this type")
        return dumps(held).encode() if _merge(held, given) else None
    except RecursionError:
        raise DocumentFault("document_parsing_exception", "failed to parse: nested too deeply") from None


def _merge(held: dict[str, Json], given: dict[str, Json]) -> bool:
    """Whether anything has changed."""
    changed = False
    for name, value in given.items():
        earlier = held.get(name)
        if isinstance(earlier, dict) and isinstance(value, dict):
            changed |= _merge(earlier, value)
        elif name not in held or not _same(earlier, value):
            held[name] = value
            changed = True
    return changed


def _same(one: Json, other: Json) -> bool:
    """Equal in type and value: 1 is not 1.0, nor true."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
