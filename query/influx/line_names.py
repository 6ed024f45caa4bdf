"""Measurements, tags and keys as line protocol writes them, or the reason why it cannot. Pure.

Names hold no control character; what would be read as structure is escaped. A backslash before a comma, a space, an equals
sign or the end has no escaped form (InfluxDB finds the ends of lines and of names by different rules), so it is refused;
so is one before a double quote in a measurement or a field, where InfluxDB drops it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from libs.errors import Issue, RequestError
from query.influx.quote import NAME_BYTES
from query.influx.table import TIME

MAX_SERIES_BYTES = 60_000
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_TAG_CONTROL = re.compile("[\n\ud800-\udfff]")
_LOST_BACKSLASH = re.compile(r"\\(?:[ ,=]|\Z)")
_DROPPED_BACKSLASH = re.compile(r'\\"')
_IN_MEASUREMENT = re.compile(r"[, ]")
_IN_KEY = re.compile(r"[,= ]")
_ESCAPED = r"\\\g<0>"


class Refused(Exception):
    """`code`, what is wrong, and below the point the pointer to it."""

    def __init__(self, message: str, *path: str, code: str = "VALUE_INVALID", hint: str | None = None) -> None:
        super().__init__(message)
        self.message, self.path, self.code, self.hint = message, path, code, hint

    def at(self, position: int) -> Issue:
        path = "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in (str(position), *self.path))
        return Issue(self.code, self.message, path, self.hint)


def measurement_text(name: str) -> str:
    """The measurement as a line begins with it. Raises RequestError (NAME_INVALID) when no line can."""
    try:
        return _measurement(name)
    except Refused as refused:
        raise RequestError(refused.message, code=refused.code, pointer="path/measurement", hint=refused.hint) from None


def _measurement(name: str) -> str:
    _check(name, "measurement")
    if name.startswith("#"):
        raise Refused("A measurement that is written to cannot begin with #.", "measurement", code="NAME_INVALID")
    return _IN_MEASUREMENT.sub(_ESCAPED, name)


def series_text(measurement: str, tags: Mapping[str, str]) -> str:
    """The measurement and its tags, ordered; empty ones are left out. Raises Refused."""
    text = _measurement(measurement)
    for name, value in sorted(tags.items()):
        key = key_text(name, "tags")
        if value == "":
            continue
        if _TAG_CONTROL.search(value):
            raise Refused("A tag's value cannot hold a line break or half a character.", "tags", name)
        if _LOST_BACKSLASH.search(value):
            hint = "Not before a comma, a space, an equals sign or the end."
            raise Refused("A tag's value holds a backslash that cannot be written there.", "tags", name, hint=hint)
        text += f",{key}=" + _IN_KEY.sub(_ESCAPED, value)
    if len(text.encode()) > MAX_SERIES_BYTES:
        raise Refused(f"The tags are longer than {MAX_SERIES_BYTES} bytes in all.", "tags")
    return text


def key_text(name: str, where: str) -> str:
    """A tag's or a field's key; `where` is "tags" or "fields". Raises Refused."""
    if name == TIME:
        raise Refused("No tag and no field can be called time.", where, name, code="NAME_INVALID")
    _check(name, where, name)
    return _IN_KEY.sub(_ESCAPED, name)


def _check(name: str, *path: str) -> None:
    wrong = None
    if not name:
        wrong = "is empty"
    elif _CONTROL.search(name):
        wrong = "holds a control character"
    elif _LOST_BACKSLASH.search(name):
        wrong = "holds a backslash before a comma, a space, an equals sign or its end"
    elif path[0] != "tags" and _DROPPED_BACKSLASH.search(name):
        wrong = "holds a backslash before a double quote"
    elif len(name.encode()) > NAME_BYTES:
        wrong = f"is longer than {NAME_BYTES} bytes"
    if wrong:
        raise Refused(f"The name {wrong}.", *path, code="NAME_INVALID")
