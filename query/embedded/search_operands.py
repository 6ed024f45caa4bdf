"""Operands of the query DSL as the fields hold them, and the errors of a search."""

from __future__ import annotations

import math
from typing import Any

from libs.errors import NotSupportedError, RequestError
from query.embedded.documents_state import StoredField
from query.embedded.values import INT_RANGES, Ignored, Malformed, NeedsText, converter

Json = Any
SIGNS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def unsupported(name: str, pointer: str) -> NotSupportedError:
    return NotSupportedError(
        f"The embedded store does not answer {name[:100]!r}.",
        code="CLAUSE_UNSUPPORTED",
        pointer=pointer,
        hint="it answers match_all, term, terms, range, exists, prefix, wildcard, bool, sort, size and from",
    )


def invalid(message: str, at: str) -> RequestError:
    return RequestError(message, code="BODY_INVALID", pointer=at)


def operand_of(native: StoredField, value: Json, at: str) -> Any:
    """An operand as the field holds it; None when no value of the field can equal it."""
    kind = native.kind
    if value is None or isinstance(value, dict | list):
        raise invalid("An operand is a plain value.", at)
    if kind in INT_RANGES:
        number = _numeric(value, at)
        whole = int(number) if _finite(number) and number == int(number) else None
        return whole if whole is not None and -(2**63) <= whole < 2**63 else None
    if kind == "_id":
        kind = "keyword"
    if kind == "ip" and isinstance(value, str) and "/" in value:
        raise unsupported("a network of addresses", at)
    try:
        return converter(kind, {"normalizer": "lowercase"} if native.lowered else {})(value)
    except NeedsText:
        return repr(value)
    except (Malformed, Ignored) as error:
        raise invalid(f"The operand does not fit a field of type {kind}: {error}", at) from None


def _finite(number: int | float) -> bool:
    return isinstance(number, int) or math.isfinite(number)


def _numeric(value: Json, at: str) -> int | float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    try:
        return int(value)
    except (ValueError, TypeError):
        pass
    try:
        return float(value)
    except (ValueError, TypeError):
        raise invalid("The operand is not a number.", at) from None


def bound_of(native: StoredField, sign: str, value: Json, at: str) -> tuple[str, Any] | None:
    """The SQL sign and operand of one bound; None when nothing can be within it."""
    if native.kind not in INT_RANGES:
        return SIGNS[sign], operand_of(native, value, at)
    number = _numeric(value, at)
    upper = sign in ("lt", "lte")
    if not _finite(number) or not -(2**63) <= number < 2**63:
        within = (number > 0) == upper
        return (">=", -(2**63)) if within else None
    if number == int(number):
        return SIGNS[sign], int(number)
    return ("<=", math.floor(number)) if upper else (">=", math.ceil(number))
