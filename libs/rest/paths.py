"""Paths of routes and of requests, as segments.

A template is `/index/<index>/docs`: words and `<parameters>`, each a whole segment.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from libs.errors import RequestError

_PARAMETER = re.compile(r"<([a-z][a-z0-9_]*)>")
_WORD = re.compile(r"[A-Za-z0-9._~-]*")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment of a template: a fixed word, or a parameter's name."""

    text: str
    is_parameter: bool = False


def parse(template: str) -> tuple[Segment, ...]:
    """The segments of a template such as `/<index>/query`; "" has none. Raises ValueError for any other form."""
    if not template:
        return ()
    if not template.startswith("/"):
        raise ValueError(f"the path {template!r} does not start with a slash")
    return tuple(_segment(part, template) for part in template[1:].split("/"))


def _segment(part: str, template: str) -> Segment:
    if match := _PARAMETER.fullmatch(part):
        return Segment(match[1], is_parameter=True)
    if _WORD.fullmatch(part):
        return Segment(part)
    raise ValueError(f"{part!r} in the path {template!r} is neither a word nor a <parameter>")


def join(*templates: str) -> str:
    """Templates behind one another, each "" or with a leading slash."""
    return "".join(templates)


def parameters(template: str) -> tuple[str, ...]:
    """The names of a template's parameters, in their order."""
    return tuple(segment.text for segment in parse(template) if segment.is_parameter)


def to_openapi(template: str) -> str:
    """`/<index>/query` as OpenAPI writes it: `/{index}/query`."""
    return _PARAMETER.sub(r"{\1}", template)


def split(path: str) -> list[str]:
    """The segments of a request's path, each percent-decoded exactly once: `%2F` stays within its segment.

    A trailing or doubled slash gives an empty segment. Raises RequestError (400) where an escape is broken
    or does not decode to UTF-8.
    """
    segments = path.split("/")
    del segments[0]
    if "%" not in path:
        return segments
    return [_decode(segment) if "%" in segment else segment for segment in segments]


def _decode(segment: str) -> str:
    if _BAD_ESCAPE.search(segment):
        raise RequestError(
            "The path holds a percent sign that starts no escape.", hint="write % as %25", pointer="path"
        )
    try:
        return unquote_to_bytes(segment).decode()
    except UnicodeDecodeError:
        raise RequestError(
            "An escape in the path does not decode to UTF-8.", hint="encode the path as UTF-8", pointer="path"
        ) from None
