"""The fixed routes of a documents instance; their answers are in Elasticsearch's own form, not wrapped."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from functools import partial
from typing import Any

from sanic import Request

from apps.es import once
from apps.es.dsl import check_dsl
from apps.es.long_bulk import LongBulk, answer, check
from apps.es.models import BulkQuery, IndexBody, IndexName, WriteQuery
from apps.ingest import apart, begin_piece, read_body, received
from apps.instance import DocumentInstance
from apps.query_docs import stack
from libs.context import RequestContext
from libs.errors import NotSupportedError, RequestError
from libs.overflow import Overflow
from libs.rest import Namespace, Reply, Resource
from libs.rest.dry_run import DryRunQuery, counted
from middlewares.stream import send_json
from parser.documents import parse_array, parse_document, parse_ndjson
from query.document_store import Document
from query.plain_documents import StoredItems

NDJSON = "application/x-ndjson"
namespace = Namespace("documents", "/es", "Documents: indices, their documents, queries.", reserved=("node", "index"))

_HIT = {"_index": "access", "_id": "w2k8", "_score": None, "_source": {"host": "web-1", "status": 503}}
_DOCUMENT = {"@timestamp": "2026-11-22T10:00:00Z", "host": "web-1", "status": 503, "bytes": 512}
_DELETED = {"deleted": {"acknowledged": True}, "dry run": counted(1200)}


# What a search declares, by whichever method its body comes.
searching = stack(
    namespace.expect(dict[str, Any], required=False, example={"query": {"term": {"status": 503}}, "size": 3}),
    namespace.returns(
        200, dict[str, Any], "The hits", example={"hits": {"total": {"value": 1, "relation": "eq"}, "hits": [_HIT]}}
    ),
    namespace.fails("INDEX_UNKNOWN", "CLAUSE_UNSUPPORTED", "RATE_LIMITED"),
    namespace.allow("read", "native"),
)


class DocumentResource(Resource):
    def __init__(self, instance: DocumentInstance) -> None:
        self.instance = instance
        self.store = instance.store

    def unfiltered(self, what: str) -> RequestContext:
        """The context of a request for what row filters cannot be put into. Raises RequestError (PERMISSION_DENIED) where its
        caller has one."""
        name, context = self.instance.name, self.instance.services.new_context()
        if any(one.source == name for one in context.principal.row_filter):
            raise RequestError(
                f"{context.principal.name!r} may see some rows of {name!r} only, and {what} cannot be held to them.",
                code="PERMISSION_DENIED",
                pointer="",
                hint=f"POST /{name}/<index>/query holds the filter",
            )
        return context

    async def found(self, index: str, dsl: dict[str, Any] | None) -> Any:
        """What a body of Elasticsearch's own query DSL finds. Raises RequestError: clauses that do not pass, and
        PERMISSION_DENIED where the caller may see some rows only: such a body cannot be held to them."""
        services = self.instance.services
        context = self.unfiltered("the query DSL")
        async with services.places.held(context):
            return await self.store.search(index, check_dsl(dsl or {}), context)

    async def _deleted(self, index: str, dry_run: bool) -> Any:
        """Deletes an index, or counts its documents."""
        context = self.instance.services.new_context()
        if dry_run:
            return counted(await self.store.count(index, context))
        return await self.store.delete_index(index, context)


@namespace.route("/node")
class Node(DocumentResource):
    @namespace.doc("The nodes of the cluster", operation_id="getNodes")
    @namespace.returns(
        200, dict[str, Any], "The cluster's name and its nodes by id", example={"cluster_name": "embedded", "nodes": {}}
    )
    @namespace.allow("read")
    async def get(self, request: Request) -> Any:
        return await self.store.nodes(self.instance.services.new_context())

    @namespace.doc("Not supported: a store's nodes are not made over HTTP", operation_id="createNode")
    @namespace.fails("NOT_SUPPORTED")
    @namespace.allow("admin")
    async def post(self, request: Request) -> Any:
        raise NotSupportedError(
            "A node joins its cluster by its own configuration, not through this service.",
            hint="start Elasticsearch on the new machine with the cluster's seed hosts",
        )


@namespace.route("/index")
class Indices(DocumentResource):
    @namespace.doc("The indices, by name", operation_id="listIndices")
    @namespace.returns(
        200,
        list[dict[str, Any]],
        "One entry an index",
        example=[
            {
                "index": "access",
                "status": "open",
                "health": "green",
                "docs": 1200,
                "bytes": 88123,
                "created": "2026-11-22T09:00:00Z",
            }
        ],
    )
    @namespace.allow("read")
    async def get(self, request: Request) -> Any:
        return list(await self.store.indices(self.instance.services.new_context()))

    @namespace.doc("Create an index", operation_id="createIndex")
    @namespace.expect(
        IndexBody,
        example={
            "index": "events",
            "settings": {"number_of_shards": 1},
            "mappings": {"properties": {"host": {"type": "keyword"}}},
        },
    )
    @namespace.returns(200, dict[str, Any], "Created", example={"_index": "events", "acknowledged": True})
    @namespace.fails("NAME_INVALID")
    @namespace.fails("ALREADY_EXISTS")
    @namespace.fails("MAPPING_INVALID")
    @namespace.allow("metadata")
    async def post(self, request: Request, body: IndexBody) -> Any:
        context = self.instance.services.new_context()
        return await self.store.create_index(body.index, body.settings, body.mappings, context)

    @namespace.doc("Delete exactly one index", operation_id="deleteIndexByQuery")
    @namespace.query(IndexName)
    @namespace.returns(200, dict[str, Any], "Deleted", examples=_DELETED)
    @namespace.fails("NAME_INVALID")
    @namespace.fails("INDEX_UNKNOWN")
    @namespace.allow("metadata")
    async def delete(self, request: Request, query: IndexName) -> Any:
        return await self._deleted(query.index, query.dry_run)


@namespace.route("/<index>")
@namespace.route("/index/<index>", suffix="Full")
@namespace.param("index", "An index's name", example="access")
class Index(DocumentResource):
    @namespace.doc(
        "Search with Elasticsearch's query DSL",
        operation_id="searchDocuments",
        description="The body is optional; only an allow-list of clauses passes. Bodies of GET are kept for clients of the "
        "earlier HostMonitor: gateways drop them, so prefer POST …/query, or POST …/_search.",
    )
    @searching
    async def get(self, request: Request, index: str, body: dict[str, Any] | None) -> Any:
        return await self.found(index, body)

    @namespace.doc("Insert a document", operation_id="insertDocument")
    @namespace.expect(dict[str, Any], example=_DOCUMENT, validate=False)
    @namespace.query(WriteQuery)
    @namespace.returns(
        200, dict[str, Any], "Created", example={"_index": "access", "_id": "w2k8", "_version": 1, "result": "created"}
    )
    @namespace.fails("INDEX_UNKNOWN")
    @namespace.fails("VALUE_INVALID")
    @namespace.fails("ALREADY_EXISTS")
    @namespace.allow("write")
    async def put(self, request: Request, index: str, query: WriteQuery) -> Any:
        document = parse_document(request.body)
        context = self.instance.services.new_context()
        return await once.insert(self.store, index, document, query.refresh, context)

    @namespace.doc("Delete exactly this index", operation_id="deleteIndex")
    @namespace.query(DryRunQuery)
    @namespace.returns(200, dict[str, Any], "Deleted", examples=_DELETED)
    @namespace.fails("NAME_INVALID")
    @namespace.fails("INDEX_UNKNOWN")
    @namespace.allow("metadata")
    async def delete(self, request: Request, index: str, query: DryRunQuery) -> Any:
        return await self._deleted(index, query.dry_run)


@namespace.route("/<index>/docs")
@namespace.route("/index/<index>/docs", suffix="Full")
class Documents(DocumentResource):
    @namespace.doc(
        "Write many documents",
        operation_id="writeDocuments",
        description="A JSON array or NDJSON, 64 MB at most, gzip allowed. 200 when all were written, 207 when any failed: "
        "every item has its status, in the order sent.",
    )
    @namespace.expect(list[dict[str, Any]], example=[_DOCUMENT], encodings=("gzip",), stream=True)
    @namespace.expect(
        str, content_types=(NDJSON,), example='{"host": "web-1"}\n{"host": "web-2"}\n', encodings=("gzip",), stream=True
    )
    @namespace.query(BulkQuery)
    @namespace.returns(
        200,
        dict[str, Any],
        "All written",
        example={"errors": False, "items": [{"_id": "w2k8", "_version": 1, "result": "created", "status": 201}]},
    )
    @namespace.returns(
        207,
        dict[str, Any],
        "Some failed",
        example={
            "errors": True,
            "items": [{"status": 409, "error": {"type": "version_conflict_engine_exception", "reason": "…"}}],
        },
    )
    @namespace.fails("INDEX_UNKNOWN")
    @namespace.fails("VALUE_INVALID")
    @namespace.allow("write")
    async def post(self, request: Request, index: str, query: BulkQuery) -> Any:
        if not is_ndjson(request):
            array = await read_body(request, self.instance.ingest_bytes)
            return await self._written(index, await apart(len(array), parse_array, array), query)
        folder = self.instance.services.engine.folder
        async with received(request, self.instance.ingest_bytes, folder) as body:
            if body.small:
                return await self._written(index, await apart(body.size, parse_ndjson, body.whole()), query)
            await check(body)
            with closing(Overflow(folder)) as items:
                context = self.instance.services.new_context()
                begin = partial(begin_piece, request, context)
                bulk = LongBulk(self.store, index, query.refresh, query.mode == "replace", context, begin, items)
                await bulk.write(body)
                status = 207 if bulk.failed else 200
                return await send_json(request, status, once.recorded(status, answer(bulk.failed, items)))

    async def _written(self, index: str, documents: Sequence[Document], query: BulkQuery) -> Any:
        context = self.instance.services.new_context()
        items = await once.bulk(self.store, index, documents, query.refresh, context, query.mode == "replace")
        if isinstance(items, StoredItems):
            return {"errors": False, "items": items.json}
        failed = any("error" in item for item in items)
        return Reply({"errors": failed, "items": list(items)}, 207 if failed else 200)


@namespace.route("/<index>/schema")
@namespace.route("/index/<index>/schema", suffix="Full")
class Schema(DocumentResource):
    @namespace.doc("An index's settings and mappings", operation_id="getIndexSchema")
    @namespace.returns(
        200,
        dict[str, Any],
        "As they were given, and as writing has extended them",
        envelope=True,
        example={"settings": {"number_of_shards": "1"}, "mappings": {"properties": {"host": {"type": "keyword"}}}},
    )
    @namespace.fails("INDEX_UNKNOWN")
    @namespace.allow("read")
    async def get(self, request: Request, index: str) -> Any:
        return await self.store.describe_index(index, self.instance.services.new_context())


def is_ndjson(request: Request) -> bool:
    return request.headers.get("content-type", "").split(";")[0].strip().lower() == NDJSON
