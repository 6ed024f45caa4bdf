"""Names of indices: the exact form that alone reaches a store, and patterns for queries.

The form is narrower than Elasticsearch's own, so that no name can be read as a pattern, a list, an exclusion, date
maths, another cluster's, a hidden or system index, or a path.
"""

from __future__ import annotations

import re

from libs.errors import RequestError

_EXACT = re.compile(r"[a-z0-9][a-z0-9_.-]{0,254}")
_PATTERN = re.compile(r"(?:[a-z0-9*])[a-z0-9_.*-]{0,254}")
_FORM = "a to z, 0 to 9, '_', '.' and '-', the first a letter or digit, 255 at the most"


def exact_index(name: str, pointer: str = "path/index") -> str:
    """The name itself. Raises RequestError (NAME_INVALID)."""
    if not _EXACT.fullmatch(name):
        raise _refused(name, _FORM, pointer)
    return name


def index_or_pattern(name: str, pointer: str = "path/index") -> str:
    """A name, or a pattern with `*` for any text in it. A pattern never names hidden indices. Raises RequestError (NAME_INVALID)."""
    if not _PATTERN.fullmatch(name):
        raise _refused(name, _FORM + "; in a query also '*'", pointer)
    return name


def pattern_matches(pattern: str, name: str) -> bool:
    """Whether an exact name belongs to a pattern; hidden names (with a dot in front) never do."""
    if name.startswith("."):
        return False
    parts = pattern.split("*")
    if len(parts) == 1:
        return name == pattern
    if not name.startswith(parts[0]) or len(name) < sum(map(len, parts)):
        return False
    at = len(parts[0])
    for part in parts[1:-1]:
        found = name.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    return name.endswith(parts[-1]) and len(name) - len(parts[-1]) >= at


def _refused(name: str, form: str, pointer: str) -> RequestError:
    shown = name if len(name) <= 60 else name[:60] + "…"
    return RequestError(f"{shown!r} cannot be the name of an index.", code="NAME_INVALID", hint=form, pointer=pointer)
