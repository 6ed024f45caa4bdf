"""What pydantic found wrong, as issues of the project's errors: every one at once, at the place in what was sent."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

from libs.errors import Issue

Location = tuple[int | str, ...]

# pydantic's texts speak of Python; these speak of JSON.
_MESSAGES = {
    "missing": "this member is required",
    "extra_forbidden": "this member is not known",
    "model_type": "this must be an object",
    "dict_type": "this must be an object",
    "model_attributes_type": "this must be an object",
    "list_type": "this must be an array",
    "tuple_type": "this must be an array",
    "string_type": "this must be a string",
    "int_type": "this must be a whole number",
    "int_from_float": "this must be a whole number",
    "int_parsing": "this must be a whole number",
    "float_type": "this must be a number",
    "float_parsing": "this must be a number",
    "bool_type": "this must be true or false",
    "bool_parsing": "this must be true or false",
    "none_required": "this must be null",
}


def of_body(error: ValidationError, sent: Any, known: Iterable[str] = ()) -> list[Issue]:
    """One issue for each error, with a JSON pointer into `sent`. `known` are the members of the outermost object."""
    found: dict[tuple[str, str], Issue] = {}
    for detail in error.errors(include_url=False, include_context=False, include_input=False):
        location = real_location(detail["loc"], sent)
        message = _MESSAGES.get(detail["type"], detail["msg"])
        pointer = to_pointer(location)
        hint = nearest(location[0], known) if detail["type"] == "extra_forbidden" and len(location) == 1 else None
        found.setdefault((pointer, message), Issue("BODY_INVALID", message, pointer, hint))
    return list(found.values())


def of_query(error: ValidationError, known: Iterable[str]) -> list[Issue]:
    """One issue for each query parameter that is wrong."""
    issues = []
    for detail in error.errors(include_url=False, include_context=False, include_input=False):
        name = str(detail["loc"][0]) if detail["loc"] else ""
        if detail["type"] == "extra_forbidden":
            message, hint = "this query parameter is not known here", nearest(name, known)
        elif detail["type"] == "missing":
            message, hint = "this query parameter is required", None
        else:
            message, hint = _MESSAGES.get(detail["type"], detail["msg"]), None
        issues.append(Issue("REQUEST_INVALID", message, f"query/{escape(name)}", hint))
    return issues


def real_location(location: Location, sent: Any) -> Location:
    """A location of pydantic without the tags of unions and the like: only steps that exist in what was sent,
    and a last one that may be missing there."""
    steps: list[int | str] = []
    here = sent
    for position, step in enumerate(location):
        last = position == len(location) - 1
        if isinstance(here, dict) and isinstance(step, str) and (step in here or last):
            steps.append(step)
            here = here.get(step)
        elif isinstance(here, list) and isinstance(step, int) and 0 <= step < len(here):
            steps.append(step)
            here = here[step]
    return tuple(steps)


def to_pointer(location: Location) -> str:
    """A location as a JSON pointer (RFC 6901)."""
    return "".join("/" + escape(str(step)) for step in location)


def escape(text: str) -> str:
    """A member's name within a JSON pointer."""
    return text.replace("~", "~0").replace("/", "~1")


def nearest(name: object, known: Iterable[str]) -> str | None:
    """A hint that names what was probably meant, or else everything there is."""
    names = sorted(known)
    if not names:
        return None
    if close := get_close_matches(str(name), names, n=1):
        return f"did you mean {close[0]}?"
    return "known are " + ", ".join(names)
