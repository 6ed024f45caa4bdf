"""The type that a value of an unmapped member gets: Elasticsearch's dynamic mapping."""

from __future__ import annotations

import math
import re
from typing import Any

from query.embedded.dates import DEFAULT_FORMAT, detected
from query.embedded.mapping import IndexMapping
from query.embedded.values import NeedsText, NumberText, java_double

_INTEGER = re.compile(r"[+-]?\d{1,19}", re.ASCII)


def dynamic_type(value: Any, mapping: IndexMapping) -> dict[str, Any]:
    """The mapping that a scalar of an unmapped member gets."""
    if isinstance(value, bool):
        return {"type": "boolean"}
    if isinstance(value, int):
        return {"type": "long"}
    if isinstance(value, float):
        if abs(value) >= 2**63 and not isinstance(value, NumberText):
            raise NeedsText  # perhaps an integer that no float64 is
        return {"type": "float"}
    return _dynamic_text(value, mapping)


def _dynamic_text(text: str, mapping: IndexMapping) -> dict[str, Any]:
    number = _number(text)
    if number is not None and mapping.numeric_detection:
        return {"type": "long" if isinstance(number, int) else "float"}
    if number is None and mapping.date_detection:
        form = detected(text)
        if form is not None:
            return {"type": "date"} if form == DEFAULT_FORMAT else {"type": "date", "format": form, "locale": ""}
    return {"type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": 256}}}


def _number(text: str) -> int | float | None:
    """The number that a text is by itself; such a text is never taken for a date."""
    if _INTEGER.fullmatch(text) and -(2**63) <= int(text) < 2**63:
        return int(text)
    number = java_double(text)
    return number if number is not None and math.isfinite(number) else None
