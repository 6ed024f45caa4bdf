"""The fixed search route: the part of Elasticsearch's query DSL that this store answers, as one statement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from libs.errors import NotSupportedError, RequestError
from query.embedded.documents_state import IndexView
from query.embedded.index_settings import read_settings
from query.embedded.search_clauses import Clauses
from query.embedded.search_operands import unsupported
from query.embedded.search_sort import SortKey, sort_keys
from query.embedded.search_source import SourceFilter

Json = Any
TRACKED = 10_000  # hits counted exactly unless track_total_hits says otherwise
_TAKEN = frozenset({"query", "sort", "size", "from", "_source", "track_total_hits", "timeout"})


@dataclass(frozen=True, slots=True)
class Search:
    """One search, read and checked."""

    where: str
    score: str
    params: Mapping[str, Any]
    sort: Sequence[SortKey]
    size: int
    offset: int
    source: SourceFilter
    tracked: bool | int

    def hit(self, index: str, row: Sequence[Any]) -> dict[str, Json]:
        """A hit of an index: `row` is `_id`, `_source`, the score and the sort values."""
        identifier, source, score, *values = row
        scored = not self.sort or any(key.scored for key in self.sort)
        hit: dict[str, Json] = {"_index": index, "_id": identifier, "_score": score if scored else None}
        kept = self.source.apply(orjson.loads(source)) if self.source.wanted else None
        if kept is not None:
            hit["_source"] = kept
        if self.sort:
            hit["sort"] = [key.shown(value) for key, value in zip(self.sort, values, strict=True)]
        return hit


def read_search(dsl: Mapping[str, Json], view: IndexView, prefix: str = "q") -> Search:
    """The search of one index; its operands are bound behind the prefix.

    Raises NotSupportedError (CLAUSE_UNSUPPORTED) naming what is not answered here, RequestError for what is wrong."""
    for name in dsl.keys() - _TAKEN:
        raise unsupported(name, f"/{name}")
    fields = view.fields
    clauses = Clauses(fields, prefix)
    query = clauses.read(dsl["query"], "/query", 1) if "query" in dsl else clauses.everything()
    size, offset = _number(dsl, "size", 10), _number(dsl, "from", 0)
    window = read_settings(view.settings).result_window
    if size + offset > window:
        raise RequestError(
            f"from + size is {size + offset}; at most {window} can be reached.", code="REQUEST_INVALID", pointer="/size"
        )
    return Search(
        query.sql,
        query.score,
        clauses.params,
        sort_keys(dsl.get("sort"), fields),
        size,
        offset,
        SourceFilter.read(dsl.get("_source", True)),
        _tracked(dsl.get("track_total_hits", TRACKED)),
    )


def _number(dsl: Mapping[str, Json], name: str, default: int) -> int:
    value = dsl.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise RequestError(f"{name} must be a whole number, 0 or more.", code="REQUEST_INVALID", pointer=f"/{name}")
    return value


def _tracked(value: Json) -> bool | int:
    if isinstance(value, bool) or (isinstance(value, int) and value >= 0):
        return value
    raise NotSupportedError("track_total_hits must be true, false or a number.", code="CLAUSE_UNSUPPORTED")
