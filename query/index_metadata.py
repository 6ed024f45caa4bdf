"""What the routes of an index's metadata need of a store of documents: its mapping, its settings, its aliases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from libs.context import RequestContext
from query.backend import Json


class IndexMetadata(Protocol):
    """Part of query.document_store.DocumentStore. Names are checked here, before anything is sent (NAME_INVALID).

    `index` is exactly one index: its alias is refused as INDEX_UNKNOWN, or as UNSUPPORTED where the store says so itself.
    """

    async def change_mapping(self, index: str, patch: Mapping[str, Json], context: RequestContext) -> Json:
        """{"acknowledged"}. `patch` is merged into the mapping (query.mapping_patch). Documents that are there already are
        found by a new field only once they are written again. Raises RequestError (MAPPING_CONFLICT, MAPPING_INVALID),
        NotFoundError (INDEX_UNKNOWN)."""
        ...

    async def change_settings(self, index: str, settings: Mapping[str, Json], context: RequestContext) -> Json:
        """{"acknowledged", "without_effect": [name]}: settings of query.dynamic_settings, null for the default; what has no
        effect on this store is kept and named. Raises RequestError (SETTING_INVALID), NotFoundError (INDEX_UNKNOWN)."""
        ...

    async def aliases(self, context: RequestContext, alias: str | None = None) -> Mapping[str, Sequence[str]]:
        """The indices of every alias, both by name; hidden ones left out. Of `alias` alone where it is given: nothing where
        there is none."""
        ...

    async def add_alias(self, index: str, alias: str, context: RequestContext) -> Json:
        """{"acknowledged"}: the index belongs to the alias, also where it did. Raises NotFoundError (INDEX_UNKNOWN),
        ConflictError (ALREADY_EXISTS: an index has the name)."""
        ...

    async def remove_alias(self, index: str, alias: str, context: RequestContext) -> Json:
        """{"acknowledged"}: the index belongs to the alias no more; an alias without indices is gone. Raises NotFoundError
        (INDEX_UNKNOWN, ALIAS_UNKNOWN)."""
        ...
