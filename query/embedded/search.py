"""The fixed search route: the part of Elasticsearch's query DSL that this store answers, as one statement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from libs.errors import NotSupportedError, RequestError
from query.catalog import Field
from query.embedded.search_clauses import Clauses
from query.embedded.search_operands import unsupported
from query.embedded.search_sort import SortKey, sort_keys
from query.embedded.search_source import SourceFilter

Json = Any
WINDOW = 10_000  # as index.max_result_window
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

    def count(self, table: str) -> tuple[str, Mapping[str, Any]]:
        used = {name: value for name, value in self.params.items() if f"${name}" in self.where}
        return f"SELECT count(*) FROM {table} AS t WHERE {self.where}", used

    def statement(self, table: str) -> tuple[str, Mapping[str, Any]]:
        """Rows of `_id`, `_source`, the score and the sort values."""
        outputs = ["t._id", "t._source", f"({self.score})::DOUBLE AS score", *(key.value for key in self.sort)]
        order = [key.order for key in self.sort] or ["score DESC"]
        sql = (
            f"SELECT {', '.join(outputs)} FROM {table} AS t WHERE {self.where} "
            f"ORDER BY {', '.join([*order, 't._seq'])} LIMIT {self.size} OFFSET {self.offset}"
        )
        return sql, {name: value for name, value in self.params.items() if f"${name}" in sql}

    def answer(self, index: str, total: int, rows: Sequence[Sequence[Any]]) -> dict[str, Json]:
        hits = [self._hit(index, row) for row in rows]
        scores = [hit["_score"] for hit in hits if hit["_score"] is not None]
        found: dict[str, Json] = {"max_score": None if self.sort else max(scores, default=None), "hits": hits}
        if self.tracked is not False:
            limit = total if self.tracked is True else self.tracked
            relation = "eq" if total <= limit else "gte"
            found = {"total": {"value": min(total, limit), "relation": relation}} | found
        shards = {"total": 1, "successful": 1, "skipped": 0, "failed": 0}
        return {"took": 0, "timed_out": False, "_shards": shards, "hits": found}

    def _hit(self, index: str, row: Sequence[Any]) -> dict[str, Json]:
        identifier, source, score, *values = row
        scored = not self.sort or any(key.scored for key in self.sort)
        hit: dict[str, Json] = {"_index": index, "_id": identifier, "_score": score if scored else None}
        kept = self.source.apply(orjson.loads(source)) if self.source.wanted else None
        if kept is not None:
            hit["_source"] = kept
        if self.sort:
            hit["sort"] = [key.shown(value) for key, value in zip(self.sort, values, strict=True)]
        return hit


def read_search(dsl: Mapping[str, Json], fields: Mapping[str, Field]) -> Search:
    """Raises NotSupportedError (CLAUSE_UNSUPPORTED) naming what is not answered here, RequestError for what is wrong."""
    for name in dsl.keys() - _TAKEN:
        raise unsupported(name, f"/{name}")
    clauses = Clauses(fields)
    query = clauses.read(dsl["query"], "/query", 1) if "query" in dsl else clauses.everything()
    size, offset = _number(dsl, "size", 10), _number(dsl, "from", 0)
    if size + offset > WINDOW:
        raise RequestError(
            f"from + size is {size + offset}; at most {WINDOW} can be reached.", code="REQUEST_INVALID", pointer="/size"
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
