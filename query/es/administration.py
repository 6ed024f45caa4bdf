"""Nodes and indices: the administration that the fixed routes of documents need. Every name is checked before it is sent."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from libs.context import RequestContext
from libs.errors import NotFoundError
from libs.times import format_instant
from query.backend import Json
from query.es.catalog import OPEN, EsCatalog
from query.es.client import EsClient, StoreRefused
from query.mapping_patch import check_scripts
from query.names import exact_index

EXACTLY = "expand_wildcards=none&ignore_unavailable=false&allow_no_indices=false"
_OF_NODES = (
    "cluster_name,nodes.*.name,nodes.*.host,nodes.*.ip,nodes.*.transport_address,nodes.*.version,nodes.*.roles,"
    "nodes.*.http.publish_address,nodes.*.os.name,nodes.*.jvm.version"
)
_OF_INDICES = "index,status,health,docs.count,store.size,creation.date"
_AUTOMATIC = frozenset({"routing", "provided_name", "creation_date", "uuid", "version", "history_uuid", "resize"})
# How the answer of a search begins that no shard is missing from.
_WHOLE = re.compile(
    rb'\{"took":\d+,"timed_out":false,"_shards":\{"total":\d+,"successful":\d+,"skipped":\d+,"failed":0\},'
    rb'"hits":\{"total":\{"value":\d+,"relation":"(?:eq|gte)"\},'
)


class EsAdministration:
    """See query.document_store.DocumentStore."""

    def __init__(self, client: EsClient, catalog: EsCatalog) -> None:
        self._client = client
        self._catalog = catalog

    async def nodes(self, context: RequestContext) -> Json:
        found = await self._client.read_json("GET", f"/_nodes?timeout=5s&filter_path={_OF_NODES}", context)
        if not {"cluster_name", "nodes"} <= found.keys():
            raise self._client.unreadable("it names no nodes")
        return found

    async def indices(self, context: RequestContext) -> Sequence[Mapping[str, Json]]:
        path = f"/_cat/indices?format=json&bytes=b&expand_wildcards=open,closed&s=index&h={_OF_INDICES}"
        found = await self._client.read_json("GET", path, context, shape=list)
        with self._client.reading():
            return [_listed(row) for row in found if not row["index"].startswith(".")]

    async def create_index(
        self, index: str, settings: Mapping[str, Json], mappings: Mapping[str, Json], context: RequestContext
    ) -> Json:
        exact_index(index)
        check_scripts(mappings)
        body = orjson.dumps({"settings": settings, "mappings": mappings})
        try:
            answer = await self._client.write("PUT", f"/{index}", context, body)
        except StoreRefused as error:
            raise error.as_request("MAPPING_INVALID") from error
        self._catalog.forget_written(index)
        with self._client.reading():
            return {"_index": answer["index"], "acknowledged": answer["acknowledged"]}

    async def describe_index(self, index: str, context: RequestContext) -> Json:
        exact_index(index)
        found = await self._client.read_json("GET", f"/{index}?{EXACTLY}", context)
        with self._client.reading():
            described = {name: (entry["settings"].get("index", {}), entry["mappings"]) for name, entry in found.items()}
        if index not in described:
            raise NotFoundError(f"{index!r} is an alias, no index.", code="INDEX_UNKNOWN", source=self._client.name)
        given, mappings = described[index]
        settings = {name: _scalar(value) for name, value in given.items() if name not in _AUTOMATIC}
        return {"settings": settings, "mappings": _as_given(mappings)}

    async def delete_index(self, index: str, context: RequestContext) -> Json:
        exact_index(index)
        try:
            answer = await self._client.write("DELETE", f"/{index}?{EXACTLY}", context)
        except StoreRefused as error:
            raise error.as_request("UNSUPPORTED") from error
        self._catalog.forget_written(index)
        with self._client.reading():
            return {"acknowledged": answer["acknowledged"]}

    async def search(self, index: str, dsl: Mapping[str, Json], context: RequestContext) -> Json:
        exact_index(index)
        try:
            path = f"/{index}/_search?{OPEN}"
            content = await self._client.read("POST", path, context, orjson.dumps(dsl))
        except StoreRefused as error:
            raise error.as_request("BODY_INVALID") from error
        # A whole answer goes on as it came: no number of it changes on the way, and nobody decodes it.
        if _WHOLE.match(content) and content.endswith(b"]}}"):
            return orjson.Fragment(content)
        answer = self._client.parsed(content)
        self._client.check_partial(answer, context)
        return answer


def _listed(row: Mapping[str, Any]) -> Mapping[str, Json]:
    docs, size, created = row.get("docs.count"), row.get("store.size"), row.get("creation.date")
    return {
        "index": row["index"],
        "status": row["status"],
        "health": row.get("health"),
        "docs": None if docs is None else int(docs),
        "bytes": None if size is None else int(size),
        "created": None if created is None else format_instant(int(created), "ms"),
    }


def _scalar(value: Any) -> Any:
    """A setting as it is usually given: Elasticsearch answers all of them as text."""
    if isinstance(value, dict):
        return {name: _scalar(inner) for name, inner in value.items()}
    if value in ("true", "false"):
        return value == "true"
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 16 else value


def _as_given(mapping: Any) -> Any:
    """A mapping with `dynamic` as JSON's own true and false."""
    if not isinstance(mapping, dict):
        return mapping
    return {
        name: inner == "true" if name == "dynamic" and inner in ("true", "false") else _as_given(inner)
        for name, inner in mapping.items()
    }
