"""Which members of `_source` a search answers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from libs.errors import RequestError

Json = Any


@dataclass(frozen=True, slots=True)
class SourceFilter:
    """`includes` and `excludes` are patterns of dotted names; a name covers all below it."""

    wanted: bool
    includes: tuple[re.Pattern[str], ...] = ()
    excludes: tuple[re.Pattern[str], ...] = ()

    @classmethod
    def read(cls, value: Json) -> SourceFilter:
        """Raises RequestError."""
        if isinstance(value, bool):
            return cls(value)
        if isinstance(value, str | list):
            return cls(True, _patterns(value))
        if isinstance(value, dict) and value.keys() <= {"includes", "excludes"}:
            return cls(True, _patterns(value.get("includes", [])), _patterns(value.get("excludes", [])))
        raise RequestError(
            "_source cannot be read.", code="BODY_INVALID", pointer="/_source", hint="true, false or names"
        )

    def apply(self, source: Json) -> Json:
        """The members of a document that are asked for."""
        if not self.includes and not self.excludes:
            return source
        return _kept(source, "", self, not self.includes)


def _patterns(value: Json) -> tuple[re.Pattern[str], ...]:
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(name, str) and len(name) <= 1000 for name in names):
        raise RequestError("_source takes names.", code="BODY_INVALID", pointer="/_source")
    return tuple(re.compile(".*".join(map(re.escape, re.split(r"\*+", name))), re.DOTALL) for name in names)


def _kept(value: Json, path: str, wanted: SourceFilter, covered: bool) -> Json:
    """What stays of an object at `path`; `covered`: a name above it is included."""
    kept = {}
    for name, item in value.items():
        full = f"{path}.{name}" if path else name
        if any(pattern.fullmatch(full) for pattern in wanted.excludes):
            continue
        inside = covered or any(pattern.fullmatch(full) for pattern in wanted.includes)
        if isinstance(item, dict):
            inner = _kept(item, full, wanted, inside)
            if inner or (inside and not item):
                kept[name] = inner
        elif isinstance(item, list):
            inner = [
                _kept(one, full, wanted, inside) if isinstance(one, dict) else one
                for one in item
                if inside or isinstance(one, dict)
            ]
            inner = [one for one in inner if one != {} or inside]
            if inner or inside:
                kept[name] = inner
        elif inside:
            kept[name] = item
    return kept
