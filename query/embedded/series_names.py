"""Names of databases, measurements, tags and fields: data in the catalogue here, held to what InfluxDB takes."""

from __future__ import annotations

import re
from collections.abc import Collection

from libs.errors import RequestError

NAME_BYTES = 255
TIME = "time"
SERIES_BYTES = 60_000
MIN_TIME, MAX_TIME = -(2**63) + 2, 2**63 - 2
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def fault_of(name: str) -> str | None:
    """What is wrong with a name; None when nothing is."""
    if not name:
        return "it is empty"
    if _CONTROL.search(name):
        return "it holds a control character"
    if len(name.encode()) > NAME_BYTES:
        return f"it is longer than {NAME_BYTES} bytes"
    return None


def too_long(tags: Collection[tuple[str, str]]) -> bool:
    """Whether tags are longer in all than InfluxDB takes of a series."""
    size = sum([len(name) + len(value) + 2 for name, value in tags])
    # Of the characters, which take four bytes at the most, the bytes are counted only where it matters.
    return size > SERIES_BYTES // 4 and sum(len(f"{name}{value}".encode()) + 2 for name, value in tags) > SERIES_BYTES


def database_name(name: str, pointer: str = "path/db") -> str:
    """The name itself. Raises RequestError (NAME_INVALID)."""
    why = fault_of(name)
    if why is None and (name in (".", "..") or "/" in name or "\\" in name):
        why = "it may not be a dot, two dots, or hold a slash or backslash"
    return _passed(name, "database", why, pointer)


def measurement_name(name: str, pointer: str = "path/measurement") -> str:
    """The name itself. Raises RequestError (NAME_INVALID)."""
    return _passed(name, "measurement", fault_of(name), pointer)


def _passed(name: str, what: str, why: str | None, pointer: str) -> str:
    if why is None:
        return name
    hint = f"1 to {NAME_BYTES} bytes of UTF-8 without control characters"
    raise RequestError(f"This cannot be the name of a {what}: {why}.", code="NAME_INVALID", pointer=pointer, hint=hint)
