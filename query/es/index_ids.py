"""The unique ids of what an index's name stands for: whether it is there at all, and whether it is still the same one."""

from __future__ import annotations

from collections.abc import Mapping

from libs.context import RequestContext
from libs.errors import NotFoundError
from query.es.client import EsClient


async def index_ids(client: EsClient, index: str, context: RequestContext) -> Mapping[str, str]:
    """Unique ids by index: one, or those behind an alias. Raises NotFoundError (INDEX_UNKNOWN), StoreError."""
    found = await client.read_json("GET", f"/{index}/_settings/index.uuid?expand_wildcards=none", context)
    if not found:
        raise NotFoundError(f"There is no index {index!r}.", code="INDEX_UNKNOWN", source=client.name)
    with client.reading():
        return {name: entry["settings"]["index"]["uuid"] for name, entry in found.items()}
