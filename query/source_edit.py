"""Fields set in the JSON text of a document, all else of it as it was: numbers keep their spelling, members their order. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from query.by_filter import Setting

JsonObject = dict[str, Any]


class NoPlace(Exception):
    """The document holds something where the field's place is, so that setting it would lose that."""


def read_verbatim(text: str | bytes) -> Any:
    """The value of a JSON text, its numbers as orjson.Fragments of their own spelling. Raises ValueError, RecursionError."""
    return json.loads(text, parse_float=orjson.Fragment, parse_int=orjson.Fragment, parse_constant=_refuse)


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is no JSON")


def written(value: Any) -> bytes:
    """The JSON text of such a value. Raises NoPlace for what is nested too deeply, or half a character."""
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError as error:
        raise NoPlace(f"the document cannot be written anew: {error}") from error


def edited(source: str | bytes, settings: Sequence[Setting]) -> bytes | None:
    """The text of the document with the fields set; None where it holds the values already. Raises NoPlace."""
    try:
        tree = read_verbatim(source)
    except (ValueError, RecursionError) as error:
        raise NoPlace("the document cannot be read") from error
    return written(tree) if set_fields(tree, settings) else None


def set_fields(source: Any, settings: Sequence[Setting]) -> bool:
    """Sets the fields in a document's value; whether that changed it. Raises NoPlace."""
    if type(source) is not dict:
        raise NoPlace("the document is no object")
    changes = [_set(source, setting) for setting in settings]
    return any(changes)


def _set(source: JsonObject, setting: Setting) -> bool:
    """A field may stand in several spellings (`{"a": {"b": 1}}`, `{"a.b": 1}`): the first keeps its place, the others go."""
    spots = list(_spots(source, setting.path))
    if not spots:
        if setting.value == b"null":
            return False
        _place(source, setting)
        return True
    (holder, name), *others = spots
    same = not others and written(holder[name]) == setting.value
    for other, again in others:
        del other[again]
    holder[name] = orjson.Fragment(setting.value)
    return not same


def _spots(node: JsonObject, path: Sequence[str]) -> Iterator[tuple[JsonObject, str]]:
    """Where the field stands: the object and its member."""
    for count in range(1, len(path) + 1):
        name = ".".join(path[:count])
        if name not in node:
            continue
        if count == len(path):
            yield node, name
        elif type(inner := node[name]) is dict:
            yield from _spots(inner, path[count:])
        elif not _is_missing(inner):
            raise _blocked(name)


def _place(node: JsonObject, setting: Setting) -> None:
    *outer, last = setting.path
    for name in outer:
        inner = node.get(name)
        if type(inner) is not dict:
            if not _is_missing(inner):
                raise _blocked(name)
            inner = node[name] = {}
        node = inner
    node[last] = orjson.Fragment(setting.value)


def _is_missing(value: Any) -> bool:
    return value is None or (type(value) is list and all(item is None for item in value))


def _blocked(name: str) -> NoPlace:
    return NoPlace(f"{name[:100]!r} is no single object in this document")
