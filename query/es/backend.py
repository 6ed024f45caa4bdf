"""One Elasticsearch instance behind the seam."""

from __future__ import annotations

from collections.abc import Mapping

from libs.context import RequestContext
from query.backend import Capabilities, InstanceConfig, Json, Query
from query.catalog import Kind, SourceRef, Table
from query.es.capabilities import EsCapabilities
from query.es.catalog import EsCatalog
from query.es.client import EsClient
from query.es.compile import compile_scan
from query.es.search import EsSource
from query.es.settings import read_settings
from query.plan import Scan


class EsBackend:
    """See query.backend.DocumentStore."""

    def __init__(self, config: InstanceConfig) -> None:
        settings = read_settings(config)
        self.client = EsClient(config)
        self.catalog = EsCatalog(self.client, settings, config.catalog_seconds)
        self.source = EsSource(
            self.client, self.catalog, settings.page_rows, settings.page_bytes, f"{settings.keep_alive_seconds}s"
        )
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
        versions = sorted({node["version"] for node in nodes.get("nodes", {}).values()})
        return {
            "cluster_name": health["cluster_name"],
            "status": health["status"],
            "version": versions[-1] if versions else None,
            "nodes": health["number_of_nodes"],
        }

    async def close(self) -> None:
        await self.client.close()
