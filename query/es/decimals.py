"""Sums over 32-bit floats: a value counts by its shortest decimal, which a script in the store finds. Pure.

Left alone the store adds widened values, off by 3e-8 of each. The script tries six to nine digits, as `single.shortest`
does: scaled by a power of ten that a double holds exactly, rounded, and kept where it reads back as the same float. It
leaves values alone below LEAST, where they hardly count, and from GREATEST on; `check` refuses sums that rest on such.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from query.backend import NotProven
from query.es import single
from query.es.mapping import EsField
from query.es.predicates import Clause

LEAST, GREATEST = 1e-13, 1e27
# Of a sum's tolerance (1e-9 of the absolute values) what values below LEAST may take, by the count of values.
_HARDLY = 1e-10
_TENS = [10.0**power for power in range(23)]
SOURCE = (
    "double v = _value; double a = Math.abs(v); if (a < params.least || a >= params.greatest) { return v; } "
    "float f = (float) a; int e = (int) Math.floor(Math.log10(a)); "
    "for (int d = 5 - e; d <= 8 - e; ++d) { double s = params.tens[d < 0 ? -d : d]; "
    "double r = d < 0 ? Math.rint(a / s) * s : Math.rint(a * s) / s; "
    "if ((float) r == f) { return v < 0 ? -r : r; } } return v;"
)
_SCRIPT = {"lang": "painless", "source": SOURCE, "params": {"least": LEAST, "greatest": GREATEST, "tens": _TENS}}


def values_of(native: EsField) -> Clause:
    """What a sum of the field is taken over, in the store's terms."""
    return {"field": native.path, "script": _SCRIPT} if native.kind == "float" else {"field": native.path}


def check(found: Mapping[str, Any]) -> None:
    """Raises NotProven where the store's statistics of such values rest on what the script left alone, or where their
    extremes show that it did not run as it should."""
    largest = max(abs(found["min"]), abs(found["max"]))
    if largest and not _HARDLY * found["count"] < largest < GREATEST:
        raise NotProven("32-bit floats that are too small or too great for the script")
    if any(single.shortest(edge) != edge for edge in (found["min"], found["max"]) if abs(edge) >= LEAST):
        raise NotProven("the store's script gave other values than decimals")
