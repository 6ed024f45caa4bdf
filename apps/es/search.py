"""Elasticsearch's own way to search, for clients and scripts that know it: a body of its query DSL, within the allow-list."""

from __future__ import annotations

from typing import Any

from sanic import Request

from apps.es.resources import DocumentResource, namespace

_HIT = {"_index": "access", "_id": "w2k8", "_score": None, "_source": {"host": "web-1", "status": 503}}


@namespace.route("/<index>/_search")
@namespace.route("/index/<index>/_search", suffix="Full")
class Search(DocumentResource):
    @namespace.doc(
        "Search with Elasticsearch's query DSL, by POST",
        operation_id="searchDocumentsByPost",
        description="As GET of the index, with a body that gateways keep. The body is optional; only an allow-list of clauses "
        "passes.",
    )
    @namespace.expect(dict[str, Any], required=False, example={"query": {"term": {"status": 503}}, "size": 3})
    @namespace.returns(
        200, dict[str, Any], "The hits", example={"hits": {"total": {"value": 1, "relation": "eq"}, "hits": [_HIT]}}
    )
    @namespace.fails("INDEX_UNKNOWN")
    @namespace.fails("CLAUSE_UNSUPPORTED")
    @namespace.fails("RATE_LIMITED")
    @namespace.allow("read", "native")
    async def post(self, request: Request, index: str, body: dict[str, Any] | None) -> Any:
        return await self.found(index, body)
