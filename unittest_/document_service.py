"""One service over an embedded store of documents (`es`) and a real Elasticsearch (`real`) behind a proxy that notes what it gets."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from yarl import URL

from query.embedded.documents import EmbeddedDocuments
from unittest_.live import Client, service
from unittest_.recording_proxy import RecordingProxy, recording

STORES = ("es", "real")
SETTINGS = {"number_of_shards": 1, "number_of_replicas": 0, "refresh_interval": "-1"}
PROPERTIES = {
    "n": {"type": "long"},
    "host": {"type": "keyword"},
    "note": {"type": "text", "fields": {"raw": {"type": "keyword"}}},
    "tags": {"type": "keyword"},
    "at": {"type": "date"},
    "kept": {"type": "object", "enabled": False},
    "o": {"type": "object", "enabled": False},
}


class Documents:
    """An index of each store, of one name."""

    def __init__(self, client: Client, proxy: RecordingProxy) -> None:
        self.client = client
        self.proxy = proxy
        self.index = f"doc-{uuid.uuid4().hex[:12]}"

    async def make(self, **properties: Any) -> None:
        for store in STORES:
            body = {"index": self.index, "settings": SETTINGS, "mappings": {"properties": PROPERTIES | properties}}
            await self.client.ok("POST", f"/{store}/index", json=body)

    async def drop(self) -> None:
        for store in STORES:
            await self.client.send("DELETE", f"/{store}/{self.index}")

    def path(self, store: str, identifier: str) -> str:
        return f"/{store}/{self.index}/doc/{quote(identifier, safe='')}"

    async def send(
        self,
        method: str,
        store: str,
        identifier: str,
        body: Any = None,
        query: str = "",
        **headers: str,
    ) -> tuple[int, Any, str | None]:
        """(status, decoded answer or code of the error, ETag). Headers by their names with underscores."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.raw(method, self.path(store, identifier) + query, body, named)

    async def raw(self, method: str, path: str, body: Any, headers: Mapping[str, str]) -> tuple[int, Any, str | None]:
        """As `send`, of a path as it is written; a body of bytes too."""
        content = {"data": body} if isinstance(body, bytes) else {} if body is None else {"json": body}
        if isinstance(body, bytes):
            headers = {"content-type": "application/json", **headers}
        url = URL(self.client.url + path, encoded=True)
        async with self.client.session.request(method, url, headers=headers, **content) as response:
            text = await response.read()
            answer = await response.json(content_type=None) if text else None
            told = answer["code"] if response.status >= 400 and answer else answer
            return response.status, told, response.headers.get("etag")

    async def rows(self, store: str, **body: Any) -> list[Any]:
        """What a query of the language answers."""
        answer = await self.client.ok("POST", f"/{store}/{self.index}/query", json=body)
        return list(answer["data"])

    @property
    def commits(self) -> int:
        """How many transactions the embedded store has done."""
        assert self.client.services is not None
        store = self.client.services.factory.instances["es"]
        assert isinstance(store, EmbeddedDocuments)
        return store.store.commits


@asynccontextmanager
async def documents(folder: Path, es_url: str) -> AsyncIterator[tuple[Client, RecordingProxy]]:
    async with recording(es_url) as proxy:
        instances = {"real": {"kind": "documents", "url": proxy.url}}
        async with service(folder, instances=instances) as client:
            yield client, proxy
