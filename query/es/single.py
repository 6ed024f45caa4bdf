"""32-bit floats: a stored value is the shortest decimal that reads back as it, so bounds and values move exactly. Pure."""

from __future__ import annotations

import struct
from math import inf

_PACK = struct.Struct("<f")
GREATEST = float.fromhex("0x1.fffffep+127")


def nearest(value: float) -> float:
    """The nearest 32-bit float, widened; infinite beyond them all."""
    try:
        held: float = _PACK.unpack(_PACK.pack(value))[0]
    except OverflowError:
        return inf if value > 0 else -inf
    return held


def shortest(value: float) -> float:
    """What a field holds for a number that is written to it: the shortest decimal of its nearest 32-bit float, never -0.0."""
    text = repr(value)
    if len(text) <= 7 and "e" not in text:  # six digits at the most: no two such numbers share a float
        return value + 0.0
    held = nearest(value)
    for digits in (6, 7, 8):
        short = float(f"{held:.{digits}g}")
        if nearest(short) == held:
            break
    else:
        short = float(f"{held:.9g}")
    if digits == 6:
        return _fewest(short) + 0.0
    return short + 0.0


def _fewest(short: float) -> float:
    """Six digits always read back but near the least floats, where fewer may do."""
    if abs(short) > 1e-37 or short == 0:
        return short
    held = nearest(short)
    return next(low for digits in range(1, 7) if nearest(low := float(f"{held:.{digits}g}")) == held)


def below(value: float, inclusive: bool) -> tuple[str, float] | None:
    """The bound on stored floats that keeps those whose decimal is below `value`: ("lt" | "lte", float); None: all of them."""
    held = nearest(value)
    if held == inf:
        return None
    if held == -inf:
        return "lt", -GREATEST
    decimal = shortest(held)
    return ("lte" if decimal < value or (inclusive and decimal == value) else "lt"), held


def above(value: float, inclusive: bool) -> tuple[str, float] | None:
    """As `below`, for those whose decimal is above `value`."""
    turned = below(-value, inclusive)
    if turned is None:
        return None
    return ("gte" if turned[0] == "lte" else "gt"), -turned[1]
