"""Rows of CSV (RFC 4180) as documents and points, typed by their columns.

A column's type is told by the first rows: `boolean` where all cells are true or false, `integer` where all are whole numbers
of int64 without leading zeros, `float` where all are numbers, else `string`; or it is given. A later cell that does not fit
is refused, never turned into something else. An empty cell is missing.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from apps.load.refused import NotTaken
from libs.times import parse_instant

TYPES = ("string", "integer", "float", "boolean")
SAMPLED_ROWS = 1_000
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,18})", re.ASCII)
# A whole number past int64 is none: it would be rounded.
_FLOAT = re.compile(r"-?(?:[0-9]++\.[0-9]*+|\.[0-9]++|[0-9]++(?=[eE]))(?:[eE][+-]?[0-9]++)?", re.ASCII)
_LEADING_ZERO = re.compile(r"-?0[0-9]")
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_ZONE = re.compile(r"(?:[Zz]|[+-][0-9]{2}:?[0-9]{2})\Z")
_NS = {"ns": 1, "u": 1_000, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_INT64 = range(-(2**63), 2**63)


def cells(text: str) -> list[str]:
    """Raises NotTaken."""
    try:
        (row,) = csv.reader([text], strict=True)
    except (csv.Error, ValueError) as error:
        raise NotTaken(f"this is no row of CSV: {error}") from None
    return row


def column_types(names: Sequence[str], rows: Iterable[Sequence[str]], given: Mapping[str, str]) -> dict[str, str]:
    """The type of each column by the cells of some rows, of those that are `given` the one that is."""
    kinds: dict[str, set[str]] = {name: set() for name in names}
    for row in rows:
        for name, cell in zip(names, row, strict=False):
            if cell:
                kinds[name].add(_kind(cell))
    return {name: given.get(name) or _together(kinds[name]) for name in names}


def value(text: str, kind: str, name: str) -> Any:
    """A cell as its column's type. Raises NotTaken."""
    if kind == "string":
        return text
    found = _kind(text)
    if kind == "float" and found in ("integer", "float"):
        return float(text)
    if found != kind:
        raise NotTaken(f"{text[:40]!r} of the column {name!r} is no {kind}")
    return _BOOLEANS[text] if kind == "boolean" else int(text)


def time_ns(text: str, precision: str) -> int:
    """An instant in nanoseconds since 1970: RFC 3339, also with a blank in place of the T, in UTC where it names no zone; or a
    whole number that counts `precision` since 1970. Raises NotTaken."""
    if _INTEGER.fullmatch(text):
        instant = int(text) * _NS[precision]
    else:
        try:
            written = text.replace(" ", "T", 1)
            instant = parse_instant(written if _ZONE.search(written) else written + "Z")
        except ValueError:
            raise NotTaken(f"{text[:40]!r} is no time") from None
    if instant not in _INT64:
        raise NotTaken(f"{text[:40]!r} does not fit 64 bits of nanoseconds")
    return instant


def _kind(text: str) -> str:
    if text in _BOOLEANS:
        return "boolean"
    if _INTEGER.fullmatch(text) and int(text) in _INT64:
        return "integer"
    if _FLOAT.fullmatch(text) and not _LEADING_ZERO.match(text) and math.isfinite(float(text)):
        return "float"
    return "string"


def _together(kinds: set[str]) -> str:
    if len(kinds) == 1:
        return next(iter(kinds))
    return "float" if kinds == {"integer", "float"} else "string"
