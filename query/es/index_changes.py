"""Changes of an index that is there: what its mapping gains, its settings, its aliases (query.index_metadata)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import orjson

from libs.context import RequestContext
from libs.errors import NotFoundError
from query.backend import Json
from query.dynamic_settings import read_dynamic
from query.es.administration import EXACTLY, EsAdministration
from query.es.catalog import EsCatalog
from query.es.client import EsClient, StoreRefused
from query.mapping_patch import patched
from query.names import exact_index

# How Elasticsearch says that a field is something else already.
_CONFLICTS = (
    "cannot be changed from type",
    "Cannot update parameter",
    "can't merge a",
    "can't be updated",
    "conflicts with",
)


class EsIndexChanges:
    """Every change names exactly one index: Elasticsearch itself would change all those of an alias."""

    def __init__(self, client: EsClient, catalog: EsCatalog, administration: EsAdministration) -> None:
        self._client = client
        self._catalog = catalog
        self._administration = administration

    async def change_mapping(self, index: str, patch: Mapping[str, Json], context: RequestContext) -> Json:
        known = (await self._administration.describe_index(index, context))["mappings"]
        merged = patched(known, patch)
        body = {name: merged[name] for name in patch}
        if "properties" in body:
            before = known.get("properties", {})
            body["properties"] = {name: spec for name, spec in merged["properties"].items() if before.get(name) != spec}
        try:
            answer = await self._client.write("PUT", f"/{index}/_mapping?{EXACTLY}", context, orjson.dumps(body))
        except StoreRefused as error:
            conflict = any(sign in error.message for sign in _CONFLICTS)
            raise error.as_request("MAPPING_CONFLICT" if conflict else "MAPPING_INVALID") from error
        self._catalog.forget_written(index)
        return self._acknowledged(answer)

    async def change_settings(self, index: str, settings: Mapping[str, Json], context: RequestContext) -> Json:
        exact_index(index)
        asked = read_dynamic(settings)
        await self._check_index(index, context)
        body = orjson.dumps({f"index.{name}": value for name, value in asked.items()})
        try:
            answer = await self._client.write("PUT", f"/{index}/_settings?{EXACTLY}", context, body)
        except StoreRefused as error:
            raise error.as_request("SETTING_INVALID") from error
        return self._acknowledged(answer) | {"without_effect": []}

    async def aliases(self, context: RequestContext, alias: str | None = None) -> Mapping[str, Sequence[str]]:
        named = "" if alias is None else f"/{exact_index(alias, 'path/name')}"
        path = f"/_cat/aliases{named}?format=json&h=alias,index&expand_wildcards=open,closed"
        rows = await self._client.read_json("GET", path, context, shape=list)
        found: dict[str, list[str]] = {}
        with self._client.reading():
            for name, index in sorted((row["alias"], row["index"]) for row in rows):
                if not name.startswith(".") and not index.startswith("."):
                    found.setdefault(name, []).append(index)
        return found

    async def add_alias(self, index: str, alias: str, context: RequestContext) -> Json:
        return await self._change_alias("PUT", index, alias, context)

    async def remove_alias(self, index: str, alias: str, context: RequestContext) -> Json:
        return await self._change_alias("DELETE", index, alias, context)

    async def _change_alias(self, method: str, index: str, alias: str, context: RequestContext) -> Json:
        exact_index(index)
        exact_index(alias, "path/name")
        await self._check_index(index, context)
        try:
            answer = await self._client.write(method, f"/{index}/_alias/{alias}", context)
        except StoreRefused as error:
            raise error.as_request("UNSUPPORTED") from error
        self._catalog.forget(alias)
        self._catalog.forget_written(index)
        return self._acknowledged(answer)

    async def _check_index(self, index: str, context: RequestContext) -> None:
        """Raises NotFoundError (INDEX_UNKNOWN), for an alias too."""
        found = await self._client.read_json("GET", f"/{index}/_settings/index.uuid?{EXACTLY}", context)
        if index not in found:
            raise NotFoundError(f"{index!r} is an alias, no index.", code="INDEX_UNKNOWN", source=self._client.name)

    def _acknowledged(self, answer: Json) -> dict[str, Json]:
        with self._client.reading():
            return {"acknowledged": answer["acknowledged"]}
