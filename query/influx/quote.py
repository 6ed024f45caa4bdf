"""Texts as parts of InfluxQL: whatever a text holds, it stays one identifier, one string or one regular expression.

InfluxQL's reader takes NUL for the end of the statement and turns a carriage return into a newline, in quotes too, so
neither can stand in an identifier or a string; a regular expression says every character by its code point.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal

from libs.errors import RequestError

NAME_BYTES = 255
# Sources of the server's own, which no SELECT can name.
_SYSTEM = frozenset({"_name", "_fieldKeys", "_measurements", "_series", "_tagKey", "_tagKeys", "_tags"})
_UNQUOTABLE = re.compile("[\x00\r\ud800-\udfff]")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_SPECIAL = re.compile(r"[^0-9A-Za-z_]")
_MIN_INT64 = -(2**63)
_MAX_INT64 = 2**63 - 1


def quotable(text: str) -> bool:
    """Whether an identifier or a string of InfluxQL can hold the text."""
    return _UNQUOTABLE.search(text) is None


def identifier(text: str) -> str:
    """The text as a quoted identifier. Raises ValueError when it is not quotable."""
    return _quoted(text, '"')


def string(text: str) -> str:
    """The text as a quoted string. Raises ValueError when it is not quotable."""
    return _quoted(text, "'")


def _quoted(text: str, mark: str) -> str:
    if not quotable(text):
        raise ValueError("InfluxQL cannot quote NUL, a carriage return or half a character")
    return mark + text.replace("\\", "\\\\").replace(mark, "\\" + mark).replace("\n", "\\n") + mark


def regex(pattern: str) -> str:
    """A pattern in RE2's syntax between slashes. It must hold no slash, newline or NUL: `verbatim` and
    `query.pattern.to_re2` write them as code points. Raises ValueError when it does."""
    if "/" in pattern or not quotable(pattern) or "\n" in pattern:
        raise ValueError("a pattern for InfluxQL must write slashes and control characters as code points")
    return f"/{pattern}/"


def verbatim(text: str) -> str:
    """A pattern in RE2's syntax that matches exactly the text."""
    return _SPECIAL.sub(lambda match: f"\\x{{{ord(match[0]):X}}}", text)


def number(value: int | float) -> str:
    """An integer as one literal; a float as all its digits (InfluxQL knows no exponents). Both read back exactly.
    Raises ValueError for what is not finite or no int64."""
    if isinstance(value, int):
        if not _MIN_INT64 <= value <= _MAX_INT64:
            raise ValueError("not an int64")
        return str(value)
    if not math.isfinite(value):
        raise ValueError("not finite")
    digits = format(Decimal(value), "f")
    return digits if "." in digits else digits + ".0"


def database_name(text: str, pointer: str = "path/db") -> str:
    """The name of a database, checked: InfluxDB makes a folder of it. Raises RequestError (NAME_INVALID)."""
    _name(text, "database", pointer)
    if text in (".", "..") or "/" in text or "\\" in text:
        raise _invalid("database", "it may not be a dot, two dots, or hold a slash or backslash", pointer)
    return text


def measurement_name(text: str, pointer: str = "path/measurement") -> str:
    """The name of a measurement, checked. Raises RequestError (NAME_INVALID)."""
    _name(text, "measurement", pointer)
    if text in _SYSTEM:
        raise _invalid("measurement", "InfluxDB keeps it for itself", pointer)
    return text


def _name(text: str, what: str, pointer: str) -> str:
    if not text:
        raise _invalid(what, "it is empty", pointer)
    if _CONTROL.search(text):
        raise _invalid(what, "it holds a control character", pointer)
    if len(text.encode()) > NAME_BYTES:
        raise _invalid(what, f"it is longer than {NAME_BYTES} bytes", pointer)
    return text


def _invalid(what: str, why: str, pointer: str) -> RequestError:
    hint = f"1 to {NAME_BYTES} bytes of UTF-8 without control characters"
    return RequestError(f"This cannot be the name of a {what}: {why}.", code="NAME_INVALID", pointer=pointer, hint=hint)
