"""A document's JSON: read strictly, its members' dotted names and nested lists taken apart as Elasticsearch does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import orjson

from query.embedded.values import NumberText


class DocumentFault(Exception):
    """A document that the index does not take, with Elasticsearch's type of error."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind
        self.reason = reason


def loads(source: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(source)
    except orjson.JSONDecodeError as error:
        raise DocumentFault("document_parsing_exception", f"failed to parse: {error}") from None
    if not isinstance(value, dict):
        raise DocumentFault("document_parsing_exception", "Malformed content, must start with an object")
    if not _surely_without_twins(source, value):
        loads_exactly(source)
    return value


def _surely_without_twins(source: bytes, value: dict[str, Any]) -> bool:
    """Whether the text, but for its spacing, is the value's own: then no member stands twice. False is no answer."""
    try:
        text = orjson.dumps(value)
    except orjson.JSONEncodeError:
        return False  # it writes less deeply than it reads
    return text == source or text == source.replace(b": ", b":").replace(b", ", b",")


def dumps(value: Any) -> str:
    """The JSON text of a nested or flattened member. Raises DocumentFault when it is nested too deeply."""
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:  # a number past 64 bits, or kept as it was written; or too deep
        pass
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    except RecursionError:
        raise DocumentFault("document_parsing_exception", "failed to parse: nested too deeply") from None


def loads_exactly(source: bytes) -> dict[str, Any]:
    """With every number as it is written."""
    try:
        loaded: dict[str, Any] = json.loads(source, parse_float=NumberText, object_pairs_hook=_no_twins)
    except (ValueError, RecursionError) as error:
        raise DocumentFault("document_parsing_exception", f"failed to parse: {error}") from None
    return loaded


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        names = [name for name, _ in pairs]
        twin = next(name for at, name in enumerate(names) if name in names[:at])
        raise DocumentFault("document_parsing_exception", f"failed to parse: Duplicate field '{twin}'")
    return members


def member_path(name: str) -> list[str]:
    """The parts of a member's dotted name; Java's split drops empty parts at the end."""
    parts = name.split(".")
    while parts and not parts[-1]:
        parts.pop()
    why = None
    if not name:
        why = "field name cannot be an empty string"
    elif not name.strip():
        why = f"Field name cannot contain only whitespace: [{name}]"
    elif not parts:
        why = "field name cannot contain only dots"
    elif any(not part.strip() for part in parts):
        why = f"field name cannot contain only whitespace: ['{name}']"
    if why is not None:
        raise DocumentFault("document_parsing_exception", f"failed to parse: {why}")
    return parts


def flat(item: Any) -> Iterator[Any]:
    """The scalars and objects of nested lists, in order, without recursion."""
    if type(item) is not list:
        yield item
        return
    waiting = [iter(item)]
    while waiting:
        for value in waiting[-1]:
            if type(value) is list:
                waiting.append(iter(value))
                break
            yield value
        else:
            waiting.pop()
