"""Bytes to a decoded JSON value, strictly; and whether an object of it held a member twice."""

from __future__ import annotations

import json
from typing import Any

import orjson

from libs.errors import RequestError
from libs.issues import Issues, escape

# Bodies above this are searched for repeated members only when they are right otherwise.
_SMALL = 65_536
# Four joins in one another, and filters of the depth that they may have.
_MOST_DEPTH = 200
_FLAT = "filters nest at most 16 deep"


def decode(body: bytes) -> Any:
    """The value of a JSON text in UTF-8. Raises RequestError: JSON_INVALID, TOO_DEEP.

    Integers past 64 bits come as floats (`decode_exact` keeps them), a repeated member as its last value.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if "depth" in error.msg or "recursion" in error.msg.lower():
            raise RequestError("The body is nested too deeply.", code="TOO_DEEP", pointer="", hint=_FLAT) from None
        if not body:
            raise RequestError("The body is empty.", code="JSON_INVALID", pointer="", hint="send a query") from None
        place = f"line {error.lineno}, column {error.colno}"
        raise RequestError(
            f"The body is not valid JSON: {error.msg} ({place}).",
            code="JSON_INVALID",
            pointer="",
            hint="send one JSON value in UTF-8",
        ) from None


def decode_exact(body: bytes) -> Any:
    """As `decode`, with every integer exact."""
    try:
        return json.loads(body)
    except RecursionError:
        raise RequestError("The body is nested too deeply.", code="TOO_DEEP", pointer="", hint=_FLAT) from None
    except ValueError:
        # What orjson took fails here on the digits of an integer alone.
        raise RequestError(
            "The body holds a number too long to read.", code="JSON_INVALID", pointer="", hint="use fewer digits"
        ) from None


def check_depth(value: Any) -> None:
    """Raises RequestError (TOO_DEEP) for what no body is as deep as, before anything walks down a value by recursion."""
    waiting = [(value, 1)]
    while waiting:
        here, depth = waiting.pop()
        if depth > _MOST_DEPTH:
            raise RequestError("The body is nested too deeply.", code="TOO_DEEP", pointer="", hint=_FLAT)
        if type(here) is dict:
            waiting += [(item, depth + 1) for item in here.values()]
        elif type(here) is list:
            waiting += [(item, depth + 1) for item in here]


def surely_unique(body: bytes, members: int) -> bool:
    """Whether no object holds a member twice, when `members` of the decoded value were seen.

    Every member of the text ends its name with `":` unless there is a space before the colon, and texts may add such
    pairs but never hide one: when there are as many as members, none was lost.
    """
    if body.count(b'":') != members:
        return False
    # Four plain searches: a loop over them costs more than they do.
    return b" :" not in body and b"\n:" not in body and b"\t:" not in body and b"\r:" not in body


class _Pairs(list[tuple[str, Any]]):
    """An object with all its members."""


def find_duplicates(body: bytes, issues: Issues) -> None:
    """Adds DUPLICATE_KEY for every member that its object held before. The slow way, for what may have some."""
    if issues.found and len(body) > _SMALL:
        return
    try:
        waiting: list[tuple[str, Any]] = [("", json.loads(body, object_pairs_hook=_Pairs))]
    except (RecursionError, ValueError):
        # Deeper, or with longer numbers, than any body that has no other fault.
        if not issues.found:
            issues.add("TOO_DEEP", "The body is nested too deeply.", "", _FLAT)
        return
    while waiting and not issues.full:
        at, value = waiting.pop()
        if isinstance(value, _Pairs):
            seen: set[str] = set()
            for name, member in value:
                pointer = f"{at}/{escape(name)}"
                if name in seen:
                    issues.add("DUPLICATE_KEY", f"The member {name[:100]!r} stands twice.", pointer, "remove one")
                seen.add(name)
                waiting.append((pointer, member))
        elif isinstance(value, list):
            waiting.extend((f"{at}/{index}", item) for index, item in enumerate(value))
