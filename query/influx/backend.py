"""One InfluxDB instance as a backend."""

from __future__ import annotations

from collections.abc import Mapping

from libs.context import RequestContext
from libs.errors import ConfigError
from query.backend import InstanceConfig, Json, Query
from query.catalog import Kind, SourceRef, Table
from query.influx.capabilities import InfluxCapabilities
from query.influx.catalog import InfluxCatalog
from query.influx.client import InfluxClient
from query.influx.compile import compile_rows
from query.influx.groups import compile_groups
from query.influx.query import InfluxGroups, InfluxRows
from query.plan import Scan


class InfluxBackend:
    """Speaks InfluxDB's v1 HTTP API (1.x, and what serves it)."""

    kind: Kind = "series"

    def __init__(self, config: InstanceConfig) -> None:
        if config.url is None:
            raise ConfigError(f"Instance {config.name!r}: InfluxDB needs a url.")
        if config.kind != "series":
            raise ConfigError(f"Instance {config.name!r}: InfluxDB serves the kind series.")
        self.name = config.name
        self.region = config.region
        self.capabilities = InfluxCapabilities()
        self.client = InfluxClient(config)
        self.catalog = InfluxCatalog(self.client, config.catalog_seconds)

    async def table(self, source: SourceRef, context: RequestContext) -> Table:
        return await self.catalog.table(source, context)

    def forget(self, source: SourceRef) -> None:
        self.catalog.forget(source)

    def compile(self, scan: Scan) -> Query:
        self.capabilities.require(scan)
        if scan.group is None:
            return InfluxRows(compile_rows(scan), self.client)
        return InfluxGroups(compile_groups(scan, scan.group), self.client)

    async def ping(self, context: RequestContext) -> Mapping[str, Json]:
        return {"version": await self.client.ping(context)}

    async def close(self) -> None:
        await self.client.close()
