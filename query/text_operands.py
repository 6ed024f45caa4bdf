"""Operands that came as text, from a URL say, read as their field's type: what a body's JSON says by its own types."""

from __future__ import annotations

import math
import re
from dataclasses import replace

from libs.issues import Issues
from libs.result import TypeName
from query.expr import Compare, Scalar, Untyped

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_WORDS = {"true": True, "false": False}
_SHOWN = 60


def read_untyped(leaf: Compare, kind: TypeName, issues: Issues) -> Compare | None:
    """The leaf with each `Untyped` operand as `kind` spells it in JSON; others stay. None, and an issue, where one cannot be."""
    if isinstance(leaf.value, tuple):
        if not any(isinstance(value, Untyped) for value in leaf.value):
            return leaf
        read = [_read(leaf, value, kind, f"/value/{index}", issues) for index, value in enumerate(leaf.value)]
        values = tuple(value for value in read if value is not None)
        return replace(leaf, value=values) if len(values) == len(read) else None
    if not isinstance(leaf.value, Untyped):
        return leaf
    value = _read(leaf, leaf.value, kind, "/value", issues)
    return None if value is None else replace(leaf, value=value)


def _read(leaf: Compare, value: Scalar, kind: TypeName, step: str, issues: Issues) -> Scalar | None:
    if not isinstance(value, Untyped):
        return value
    text, read = str(value), None
    if kind in (TypeName.INT64, TypeName.FLOAT64):
        read, wanted = _number(text), "a number as JSON writes it, such as 500 or -0.5"
    elif kind is TypeName.BOOLEAN:
        read, wanted = _WORDS.get(text), "true or false"
    else:
        return text
    if read is None:
        shown = text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
        message = f"{leaf.field!r} holds {kind}, but {shown!r} is none."
        issues.add("TYPE_MISMATCH", message, leaf.at + step, f"use {wanted}")
    return read


def _number(text: str) -> int | float | None:
    """As JSON reads it: an integer is exact whatever its size, anything else the nearest finite double."""
    match = _NUMBER.fullmatch(text)
    if match is None:
        return None
    if match[1] is None and match[2] is None:
        return int(text)
    number = float(text)
    return number if math.isfinite(number) else None
