"""JSON as it must be: one value in UTF-8, no NaN, no lone surrogates, no member twice, whole numbers exact."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import orjson

from libs.errors import RequestError
from libs.rest.issues import Location, to_pointer

# Far above any real document, far below what the encoders and stores take.
MAX_DEPTH = 100


def loads(data: bytes) -> Any:
    """The value of a JSON text. Raises RequestError: JSON_INVALID, DUPLICATE_KEY or TOO_DEEP."""
    try:
        # orjson is the stricter judge; the standard library keeps big integers exact and shows every pair.
        orjson.loads(data)
    except orjson.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise RequestError(
            f"The body is not valid JSON: {error.msg} ({place})", code="JSON_INVALID", pointer=""
        ) from None
    repeated: list[tuple[dict[str, Any], str]] = []

    def gather(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        gathered = dict(pairs)
        if len(gathered) < len(pairs):
            repeated.append((gathered, _first_repeated(pairs)))
        return gathered

    try:
        value = json.loads(data, object_pairs_hook=gather)
    except RecursionError:
        raise _too_deep() from None
    except ValueError:
        # What orjson took can only fail on the digits of a number.
        raise RequestError("The body holds a number too long to read.", code="JSON_INVALID", pointer="") from None
    if data.count(b"[") + data.count(b"{") > MAX_DEPTH:
        _check_depth(value)
    if repeated:
        _refuse(value, *repeated[-1])
    return value


def _check_depth(value: Any) -> None:
    if any(len(location) >= MAX_DEPTH for location, _ in _walk(value)):
        raise _too_deep()


def _too_deep() -> RequestError:
    return RequestError(
        f"The body is nested deeper than {MAX_DEPTH} levels.", code="TOO_DEEP", pointer="", hint="nest it less"
    )


def _first_repeated(pairs: list[tuple[str, Any]]) -> str:
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            return name
        seen.add(name)
    return ""


def _refuse(value: Any, holder: dict[str, Any], name: str) -> None:
    location = next((steps for steps, node in _walk(value) if node is holder), ())
    pointer = to_pointer((*location, name))
    raise RequestError(
        f"The member {name[:100]!r} stands twice in one object.",
        code="DUPLICATE_KEY",
        pointer=pointer,
        hint="remove one of the two",
    )


def _walk(value: Any) -> Iterator[tuple[Location, Any]]:
    """Every value within a value with its location, without recursion."""
    waiting: list[tuple[Location, Any]] = [((), value)]
    while waiting:
        location, node = waiting.pop()
        yield location, node
        if isinstance(node, dict):
            waiting.extend(((*location, key), child) for key, child in node.items())
        elif isinstance(node, list):
            waiting.extend(((*location, index), child) for index, child in enumerate(node))
