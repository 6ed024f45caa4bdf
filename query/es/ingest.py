"""Writes of documents over `_bulk`: every source passes as it was sent, every document's own outcome comes back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from libs.context import RequestContext
from libs.errors import ConflictError, HostMonitorError, NotFoundError, RequestError, StoreError
from query.backend import Document, Json
from query.es.catalog import EsCatalog
from query.es.client import EsClient
from query.names import exact_index

_BATCH_BYTES = 16 * 1024 * 1024
_LONGEST_ID = 512
_NDJSON = "application/x-ndjson"
_OUTCOME = (
    "took,errors,items.*._id,items.*._version,items.*.result,items.*.status,items.*.error.type,items.*.error.reason"
)


class EsIngest:
    """See query.backend.DocumentStore. Elasticsearch makes an index that is written to: each write asks first."""

    def __init__(self, client: EsClient, catalog: EsCatalog) -> None:
        self._client = client
        self._catalog = catalog

    async def insert(self, index: str, document: Document, refresh: bool, context: RequestContext) -> Json:
        (item,) = await self.bulk(index, (document,), refresh, context)
        if "error" in item:
            raise self._refusal(item)
        return {"_index": index, **{name: item[name] for name in ("_id", "_version", "result")}}

    async def bulk(
        self,
        index: str,
        documents: Sequence[Document],
        refresh: bool,
        context: RequestContext,
        replace: bool = False,
    ) -> Sequence[Mapping[str, Json]]:
        exact_index(index)
        await self._check_exists(index, context)
        items: list[Mapping[str, Json]] = []
        for body, batch in batches(documents, b"index" if replace else b"create"):
            try:
                items.extend(await self._send(index, body, batch, refresh, context))
            except StoreError as error:
                if not items:
                    raise
                items.extend(_unknown(error) for _ in documents[len(items) :])
                break
        if refresh:
            self._catalog.forget_written(index)
        return items

    async def _check_exists(self, index: str, context: RequestContext) -> None:
        found = await self._client.read_json("GET", f"/{index}/_settings/index.uuid?expand_wildcards=none", context)
        if not found:
            raise NotFoundError(f"There is no index {index!r}.", code="INDEX_UNKNOWN", source=self._client.name)

    async def _send(
        self, index: str, body: bytes, batch: Sequence[Document], refresh: bool, context: RequestContext
    ) -> list[Mapping[str, Json]]:
        told: list[Mapping[str, Json]] = []
        if body:
            path = f"/{index}/_bulk?filter_path={_OUTCOME}{'&refresh=true' if refresh else ''}"
            answer = await self._client.write("POST", path, context, body, _NDJSON)
            try:
                told = [outcome for item in answer["items"] for outcome in item.values()]
            except (KeyError, TypeError, AttributeError) as error:
                raise self._client.unreadable("it lists no items") from error
        fitting = [_fits(document) for document in batch]
        if len(told) != sum(fitting):
            raise self._client.unreadable(f"it lists {len(told)} items of {sum(fitting)} that were sent")
        if len(told) == len(batch):
            return told
        outcomes = iter(told)
        return [next(outcomes) if fits else _BAD_ID for fits in fitting]

    def _refusal(self, item: Mapping[str, Any]) -> HostMonitorError:
        """The error of a single document."""
        status, reason = item["status"], str(item["error"].get("reason", ""))[:500]
        source = self._client.name
        if status == 409:
            return ConflictError(f"There is such a document already: {reason}.", code="ALREADY_EXISTS", source=source)
        if status == 404:
            return NotFoundError(f"There is no such index: {reason}.", code="INDEX_UNKNOWN", source=source)
        if status == 400:
            return RequestError(f"The document does not fit: {reason}.", code="VALUE_INVALID", source=source)
        if "disk usage" in reason or "read-only-allow-delete" in reason:
            return StoreError(f"{source!r} has no room: {reason}.", code="STORE_FULL", source=source)
        if status in (429, 503):
            return StoreError(f"{source!r} is too busy: {reason}.", code="STORE_BUSY", source=source, retry_after=1)
        return StoreError(f"{source!r} did not store it ({status}): {reason}.", source=source)


_BAD_ID: Mapping[str, Json] = {
    "status": 400,
    "error": {"type": "invalid_id", "reason": f"an _id has 1 to {_LONGEST_ID} bytes of UTF-8"},
}


def batches(documents: Sequence[Document], action: bytes) -> Iterator[tuple[bytes, Sequence[Document]]]:
    """Bodies of `_bulk` of some 16 MB at the most, each with its documents."""
    plain = b'{"' + action + b'":{}}\n'
    named = b'{"' + action + b'":{"_id":'
    lines: list[bytes] = []
    size = start = 0
    for at, document in enumerate(documents):
        source = document.source
        if size + len(source) > _BATCH_BYTES and lines:
            yield b"".join(lines), documents[start:at]
            lines, size, start = [], 0, at
        if document.id is None:
            lines.append(plain)
        elif _fits(document):
            lines.append(named + orjson.dumps(document.id) + b"}}\n")
        else:
            continue
        # A line break in valid JSON is a blank between its tokens.
        lines.append(source if b"\n" not in source else source.replace(b"\n", b" "))
        lines.append(b"\n")
        size += len(source) + 64
    if start < len(documents):
        yield b"".join(lines), documents[start:]


def _fits(document: Document) -> bool:
    return document.id is None or 0 < len(document.id.encode("utf-8", "replace")) <= _LONGEST_ID


def _unknown(error: StoreError) -> Mapping[str, Json]:
    """Of a document in a batch whose answer did not come: it may be stored or not."""
    return {"status": error.status, "error": {"type": error.code.name.lower(), "reason": error.message}}
