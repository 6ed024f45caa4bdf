"""One search over the indices that a name stands for, as one statement: their hits together, in one order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from query.embedded.documents_state import IndexView
from query.embedded.search import Search

Json = Any


@dataclass(frozen=True, slots=True)
class Searches:
    """The same search, read for each of the indices."""

    parts: Sequence[tuple[IndexView, Search]]

    @property
    def first(self) -> Search:
        return self.parts[0][1]

    @property
    def size(self) -> int:
        return self.first.size

    def count(self) -> tuple[str, Mapping[str, Any]]:
        counts = (f"SELECT count(*) AS n FROM {view.table} AS t WHERE {search.where}" for view, search in self.parts)
        sql = f"SELECT sum(n)::BIGINT FROM ({' UNION ALL '.join(counts)})"
        return sql, self._params(sql)

    def statement(self) -> tuple[str, Mapping[str, Any]]:
        """Rows of the index's position, `_id`, `_source`, the score and the sort values."""
        outputs = ["i", "_id", "_source", "score", *(f"v{at}" for at in range(len(self.first.sort)))]
        order = [f"v{at} {key.direction}" for at, key in enumerate(self.first.sort)] or ["score DESC"]
        sql = (
            f"SELECT {', '.join(outputs)} FROM ({' UNION ALL '.join(self._selects())}) "
            f"ORDER BY {', '.join([*order, 'i', '_seq'])} LIMIT {self.size} OFFSET {self.first.offset}"
        )
        return sql, self._params(sql)

    def _selects(self) -> Iterator[str]:
        for at, (view, search) in enumerate(self.parts):
            score = f"({search.score})::DOUBLE"
            values = (score if key.scored else key.value for key in search.sort)
            outputs = [f"{at} AS i", "t._id", "t._source", f"{score} AS score", "t._seq"]
            outputs += [f"{value} AS v{number}" for number, value in enumerate(values)]
            yield f"SELECT {', '.join(outputs)} FROM {view.table} AS t WHERE {search.where}"

    def _params(self, sql: str) -> Mapping[str, Any]:
        known = {name: value for _, search in self.parts for name, value in search.params.items()}
        return {name: value for name, value in known.items() if f"${name}::" in sql}

    def answer(self, total: int, rows: Sequence[Sequence[Any]]) -> dict[str, Json]:
        """The answer in Elasticsearch's own form, out of what the two statements answer."""
        first = self.first
        hits = [self.parts[at][1].hit(self.parts[at][0].name, row) for at, *row in rows]
        scores = [hit["_score"] for hit in hits if hit["_score"] is not None]
        found: dict[str, Json] = {"max_score": None if first.sort else max(scores, default=None), "hits": hits}
        if first.tracked is not False:
            limit = total if first.tracked is True else first.tracked
            relation = "eq" if total <= limit else "gte"
            found = {"total": {"value": min(total, limit), "relation": relation}} | found
        shards = {"total": len(self.parts), "successful": len(self.parts), "skipped": 0, "failed": 0}
        return {"took": 0, "timed_out": False, "_shards": shards, "hits": found}
