"""An index's mapping, settings and aliases: read, and changed as far as an index that is in use can be."""

from __future__ import annotations

from typing import Any

from sanic import Request

from apps.es.resources import DocumentResource, namespace
from libs.errors import NotFoundError
from libs.rest.dry_run import DRY_RUN, DryRunQuery, counted
from libs.rest.negotiate import JSON
from query.dynamic_settings import DYNAMIC, flattened
from query.names import exact_index

MERGE_PATCH = "application/merge-patch+json"
_MAPPING = {"properties": {"host": {"type": "keyword"}, "region": {"type": "keyword"}}}
_SETTINGS = {"number_of_replicas": 1, "refresh_interval": "5s"}
_DONE = {"acknowledged": True}


@namespace.route("/<index>/mapping")
@namespace.route("/index/<index>/mapping", suffix="Full")
class Mapping(DocumentResource):
    @namespace.doc("An index's mapping", operation_id="getMapping")
    @namespace.returns(200, dict[str, Any], "As writing has extended it", example=_MAPPING, envelope=True)
    @namespace.fails("NAME_INVALID", "INDEX_UNKNOWN")
    @namespace.allow("read")
    async def get(self, request: Request, index: str) -> Any:
        described = await self.store.describe_index(index, self.instance.services.new_context())
        return described["mappings"]

    @namespace.doc(
        "Add to an index's mapping",
        operation_id="changeMapping",
        description="The body is merged into the mapping: new fields and sub-fields, `dynamic`, `ignore_above` and the like. "
        "What a field is cannot change (409): make a new index with the new mapping, copy the documents, and let an alias "
        "name the new one. Documents that are there already are found by a new field once they are written again.",
    )
    @namespace.expect(
        dict[str, Any],
        content_types=(JSON, MERGE_PATCH),
        example={"properties": {"region": {"type": "keyword"}}},
    )
    @namespace.returns(200, dict[str, Any], "Changed", example=_DONE, envelope=True)
    @namespace.fails("NAME_INVALID", "INDEX_UNKNOWN", "MAPPING_CONFLICT", "MAPPING_INVALID")
    @namespace.allow("metadata")
    async def patch(self, request: Request, index: str, body: dict[str, Any]) -> Any:
        return await self.store.change_mapping(index, body, self.instance.services.new_context())


@namespace.route("/<index>/settings")
@namespace.route("/index/<index>/settings", suffix="Full")
class Settings(DocumentResource):
    @namespace.doc("An index's settings, by their dotted names", operation_id="getSettings")
    @namespace.returns(
        200, dict[str, Any], "As they were given", example={"number_of_shards": 1} | _SETTINGS, envelope=True
    )
    @namespace.fails("NAME_INVALID", "INDEX_UNKNOWN")
    @namespace.allow("read")
    async def get(self, request: Request, index: str) -> Any:
        described = await self.store.describe_index(index, self.instance.services.new_context())
        return flattened(described["settings"])

    @namespace.doc(
        "Change settings of an index",
        operation_id="changeSettings",
        description=f"Those that can change while it is in use: {', '.join(DYNAMIC)}; null is the default. `without_effect` "
        "names those that are kept but mean nothing on this store.",
    )
    @namespace.expect(dict[str, Any], content_types=(JSON, MERGE_PATCH), example=_SETTINGS)
    @namespace.returns(200, dict[str, Any], "Changed", example=_DONE | {"without_effect": []}, envelope=True)
    @namespace.fails("NAME_INVALID", "INDEX_UNKNOWN", "SETTING_INVALID")
    @namespace.allow("metadata")
    async def patch(self, request: Request, index: str, body: dict[str, Any]) -> Any:
        return await self.store.change_settings(index, body, self.instance.services.new_context())


@namespace.route("/<index>/alias/<name>")
@namespace.route("/index/<index>/alias/<name>", suffix="Full")
@namespace.param("name", "An alias's name", example="web")
class Alias(DocumentResource):
    @namespace.doc("An alias of this index, with all its indices", operation_id="getAlias")
    @namespace.returns(
        200,
        dict[str, Any],
        "The alias",
        example={"alias": "web", "index": "access", "indices": ["access"]},
        envelope=True,
    )
    @namespace.fails("NAME_INVALID", "INDEX_UNKNOWN", "ALIAS_UNKNOWN")
    @namespace.allow("read")
    async def get(self, request: Request, index: str, name: str) -> Any:
        return {"alias": name, "index": index, "indices": await self._indices(index, name)}

    @namespace.doc(
        "Let an alias name this index",
        operation_id="putAlias",
        description="An alias of several indices is read as a pattern is; what is written through it is refused. One of a "
        "single index is written through as the index itself. It can have no index's name.",
    )
    @namespace.returns(200, dict[str, Any], "It does", example=_DONE, envelope=True)
    @namespace.fails("NAME_INVALID", "INDEX_UNKNOWN", "ALREADY_EXISTS")
    @namespace.allow("metadata")
    async def put(self, request: Request, index: str, name: str) -> Any:
        return await self.store.add_alias(index, name, self.instance.services.new_context())

    @namespace.doc("Take this index off an alias", operation_id="deleteAlias")
    @namespace.query(DryRunQuery)
    @namespace.returns(200, dict[str, Any], "Taken off", examples={"done": _DONE, "dry run": DRY_RUN}, envelope=True)
    @namespace.fails("NAME_INVALID", "INDEX_UNKNOWN", "ALIAS_UNKNOWN")
    @namespace.allow("metadata")
    async def delete(self, request: Request, index: str, name: str, query: DryRunQuery) -> Any:
        if query.dry_run:
            await self._indices(index, name)
            return counted(1)
        return await self.store.remove_alias(index, name, self.instance.services.new_context())

    async def _indices(self, index: str, name: str) -> list[str]:
        """All indices of an alias of this index. Raises NotFoundError (INDEX_UNKNOWN, ALIAS_UNKNOWN)."""
        context = self.instance.services.new_context()
        exact_index(index)
        found = list((await self.store.aliases(context, exact_index(name, "path/name"))).get(name, ()))
        if index not in found:
            await self.store.describe_index(index, context)
            raise NotFoundError(f"{index!r} has no alias {name!r}.", code="ALIAS_UNKNOWN", pointer="path/name")
        return found
