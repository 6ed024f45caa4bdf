"""Elasticsearch's own way to search, for clients and scripts that know it: a body of its query DSL, within the allow-list."""

from __future__ import annotations

from typing import Any

from sanic import Request

from apps.es.resources import DocumentResource, namespace, searching


@namespace.route("/<index>/_search")
@namespace.route("/index/<index>/_search", suffix="Full")
class Search(DocumentResource):
    @namespace.doc(
        "Search with Elasticsearch's query DSL, by POST",
        operation_id="searchDocumentsByPost",
        description="As GET of the index, with a body that gateways keep. The body is optional; only an allow-list of clauses "
        "passes.",
    )
    @searching
    async def post(self, request: Request, index: str, body: dict[str, Any] | None) -> Any:
        return await self.found(index, body)
