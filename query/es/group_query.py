"""Groups out of Elasticsearch: composite pages, all of them before the first batch, so that their numbers can be proven."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

import orjson

from libs.context import RequestContext
from libs.errors import CostError
from libs.result import Batch, Cell, Schema
from query.backend import Json
from query.es.groups import GroupsRequest
from query.es.search import SEARCH, Asked, EsSource, check_ignored, close_point, open_point, search


@dataclass(frozen=True)
class GroupsQuery:
    """One grouped scan."""

    source: EsSource
    asked: Asked
    request: GroupsRequest

    @property
    def schema(self) -> Schema:
        return self.request.decoder.schema

    def explain(self) -> Json:
        """The native request; of several pages the first."""
        return {"method": "POST", "path": self._path, "body": self.request.body(self.asked.query)}

    @property
    def _path(self) -> str:
        return f"{self.asked.path}/_search?{SEARCH}"

    async def stream(self, context: RequestContext) -> AsyncGenerator[Batch]:
        """See query.backend.Query. Raises NotProven."""
        await check_ignored(self.source, self.asked, context)
        body = orjson.dumps(self.request.body(self.asked.query))
        answer, _ = await search(self.source, self.asked, self._path, body, context)
        if self.request.sources:
            batches = await self._pages(answer, context)
        else:
            count = {"doc_count": answer["hits"]["total"]["value"]}
            batches = [self.request.decoder.columns([{**answer.get("aggregations", {}), **count}])]
        for columns in batches:
            length = len(columns[0]) if columns else 1
            yield Batch(self.schema, columns, length)

    async def _pages(self, answer: Any, context: RequestContext) -> list[list[list[Cell]]]:
        """All groups, page by page; more pages than one are read from one point in time."""
        found = answer["aggregations"]["groups"]
        if len(found["buckets"]) < self.request.size or self.request.most == self.request.size:
            self._check_cost(len(found["buckets"]), context)
            return [self.request.decoder.columns(found["buckets"])]
        self._check_cost(len(found["buckets"]), context)
        point = await open_point(self.source, self.asked, context)
        try:
            return await self._walk(point, context)
        finally:
            await asyncio.shield(close_point(self.source, point, context))

    async def _walk(self, point: dict[str, str], context: RequestContext) -> list[list[list[Cell]]]:
        pages: list[list[list[Cell]]] = []
        groups, after = 0, None
        while True:
            body = self.request.body(self.asked.query, after)
            body["pit"] = {"id": point["id"], "keep_alive": self.source.keep_alive}
            path = "/_search?allow_partial_search_results=true"
            answer, _ = await search(self.source, self.asked, path, orjson.dumps(body), context)
            point["id"] = answer.get("pit_id", point["id"])
            found = answer["aggregations"]["groups"]
            buckets = found["buckets"]
            most = self.request.most
            taken = buckets if most is None else buckets[: most - groups]
            groups += len(taken)
            self._check_cost(groups, context)
            pages.append(self.request.decoder.columns(taken))
            if len(buckets) < self.request.size or groups == most:
                return pages
            after = found["after_key"]

    def _check_cost(self, groups: int, context: RequestContext) -> None:
        limit = context.limits.groups
        if groups > limit:
            name = self.source.client.name
            message = f"The query makes more than {limit} groups of {name!r}."
            raise CostError(message, hint="narrow the filter, or use wider buckets or fewer keys", source=name)
