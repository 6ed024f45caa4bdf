"""One Elasticsearch instance behind the seam."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from libs.context import RequestContext
from query.backend import Capabilities, InstanceConfig, Json, Query
from query.catalog import Kind, SourceRef, Table
from query.document_store import Change, Changed, Document, StoredDocument
from query.es.administration import EsAdministration
from query.es.by_filter import EsChanges
from query.es.capabilities import EsCapabilities
from query.es.catalog import EsCatalog
from query.es.client import EsClient
from query.es.compile import compile_scan
from query.es.documents import EsDocuments
from query.es.index_changes import EsIndexChanges
from query.es.ingest import EsIngest
from query.es.search import EsSource
from query.es.settings import read_settings
from query.plan import Scan


class EsBackend:
    """See query.document_store.DocumentStore."""

    def __init__(self, config: InstanceConfig) -> None:
        settings = read_settings(config)
        self.client = EsClient(config)
        self.catalog = EsCatalog(self.client, settings, config.catalog_seconds)
        self.source = EsSource(
            self.client, self.catalog, settings.page_rows, settings.page_bytes, f"{settings.keep_alive_seconds}s"
        )
        self._administration = EsAdministration(self.client, self.catalog)
        self._changes = EsIndexChanges(self.client, self.catalog, self._administration)
        self._ingest = EsIngest(self.client, self.catalog)
        self._documents = EsDocuments(self.client, self.catalog)
        self.by_filter = EsChanges(self.client, self.catalog)
        self._name, self._region = config.name, config.region
        self._capabilities = EsCapabilities()

    @property
    def name(self) -> str:
        return self._name

    @property
    def kind(self) -> Kind:
        return "documents"

    @property
    def region(self) -> str | None:
        return self._region

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    async def table(self, source: SourceRef, context: RequestContext) -> Table:
        return await self.catalog.table(source, context)

    def forget(self, source: SourceRef) -> None:
        self.catalog.forget(source.target[0])

    def compile(self, scan: Scan) -> Query:
        return compile_scan(scan, self.source)

    async def ping(self, context: RequestContext) -> Mapping[str, Json]:
        """The health of the cluster and the newest version of its nodes."""
        health = await self.client.read_json("GET", "/_cluster/health", context)
        nodes = await self.client.read_json("GET", "/_nodes?filter_path=nodes.*.version", context)
        with self.client.reading():
            versions = sorted({node["version"] for node in nodes.get("nodes", {}).values()})
            return {
                "cluster_name": health["cluster_name"],
                "status": health["status"],
                "version": versions[-1] if versions else None,
                "nodes": health["number_of_nodes"],
            }

    async def nodes(self, context: RequestContext) -> Json:
        return await self._administration.nodes(context)

    async def indices(self, context: RequestContext) -> Sequence[Mapping[str, Json]]:
        return await self._administration.indices(context)

    async def create_index(
        self, index: str, settings: Mapping[str, Json], mappings: Mapping[str, Json], context: RequestContext
    ) -> Json:
        return await self._administration.create_index(index, settings, mappings, context)

    async def describe_index(self, index: str, context: RequestContext) -> Json:
        return await self._administration.describe_index(index, context)

    async def delete_index(self, index: str, context: RequestContext) -> Json:
        return await self._administration.delete_index(index, context)

    async def change_mapping(self, index: str, patch: Mapping[str, Json], context: RequestContext) -> Json:
        return await self._changes.change_mapping(index, patch, context)

    async def change_settings(self, index: str, settings: Mapping[str, Json], context: RequestContext) -> Json:
        return await self._changes.change_settings(index, settings, context)

    async def aliases(self, context: RequestContext, alias: str | None = None) -> Mapping[str, Sequence[str]]:
        return await self._changes.aliases(context, alias)

    async def add_alias(self, index: str, alias: str, context: RequestContext) -> Json:
        return await self._changes.add_alias(index, alias, context)

    async def remove_alias(self, index: str, alias: str, context: RequestContext) -> Json:
        return await self._changes.remove_alias(index, alias, context)

    async def search(self, index: str, dsl: Mapping[str, Json], context: RequestContext) -> Json:
        return await self._administration.search(index, dsl, context)

    async def insert(self, index: str, document: Document, refresh: bool, context: RequestContext) -> Json:
        return await self._ingest.insert(index, document, refresh, context)

    async def bulk(
        self,
        index: str,
        documents: Sequence[Document],
        refresh: bool,
        context: RequestContext,
        replace: bool = False,
    ) -> Sequence[Mapping[str, Json]]:
        return await self._ingest.bulk(index, documents, refresh, context, replace)

    async def document(self, index: str, identifier: str, context: RequestContext) -> StoredDocument:
        return await self._documents.document(index, identifier, context)

    async def change(self, index: str, change: Change, refresh: bool, context: RequestContext) -> Changed:
        return await self._documents.change(index, change, refresh, context)

    async def count(self, index: str, context: RequestContext) -> int:
        return await self._documents.count(index, context)

    async def close(self) -> None:
        await self.client.close()
