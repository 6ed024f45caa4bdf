"""Writes of documents over `_bulk`: every source passes as it was sent, every document's own outcome comes back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from libs.context import RequestContext
from query.backend import Json
from query.document_store import Document
from query.es.bulk_bodies import LONGEST_ID, all_stored, batches, fits
from query.es.bulk_errors import item_error
from query.es.bulk_sending import Entries, Sending
from query.es.catalog import EsCatalog
from query.es.client import EsClient
from query.es.index_ids import index_ids
from query.names import exact_index
from query.plain_documents import PlainDocuments

_NDJSON = "application/x-ndjson"
_OUTCOME = (
    "took,errors,items.*._id,items.*._version,items.*.result,items.*.status,items.*.error.type,items.*.error.reason"
)


class EsIngest:
    """See query.document_store.DocumentStore. Elasticsearch makes an index that is written to: each write asks first."""

    def __init__(self, client: EsClient, catalog: EsCatalog) -> None:
        self._client = client
        self._catalog = catalog

    async def insert(self, index: str, document: Document, refresh: bool, context: RequestContext) -> Json:
        (item,) = await self.bulk(index, (document,), refresh, context)
        if "error" in item:
            raise item_error(item, self._client.name)
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
        await index_ids(self._client, index, context)  # one that is not there would be made
        action = b"index" if replace else b"create"

        async def send(body: bytes, batch: Sequence[Document]) -> Entries:
            return await self._send(index, body, batch, action, refresh, context)

        # Documents with ids stay in their order: one that comes twice is a conflict of the second.
        lanes = 2 if isinstance(documents, PlainDocuments) else 1
        items = await Sending(send, batches(documents, action), lanes).all()
        if refresh:
            self._catalog.forget_written(index)
        return items

    async def _send(
        self, index: str, body: bytes, batch: Sequence[Document], action: bytes, refresh: bool, context: RequestContext
    ) -> Entries:
        """The entries of one batch, with those of documents that cannot be sent."""
        told: list[Mapping[str, Json]] = []
        if body:
            path = f"/{index}/_bulk?filter_path={_OUTCOME}{'&refresh=true' if refresh else ''}"
            answer = await self._client.written("POST", path, context, body, _NDJSON)
            stored = all_stored(answer, action, len(batch))
            if stored is not None:
                return stored
            try:
                told = [outcome for item in self._client.parsed(answer)["items"] for outcome in item.values()]
            except (KeyError, TypeError, AttributeError) as error:
                raise self._client.unreadable("it lists no items") from error
        fitting = [fits(document) for document in batch]
        if len(told) != sum(fitting):
            raise self._client.unreadable(f"it lists {len(told)} items of {sum(fitting)} that were sent")
        if len(told) == len(batch):
            return told
        outcomes = iter(told)
        return [next(outcomes) if sent else _BAD_ID for sent in fitting]


_BAD_ID: Mapping[str, Json] = {
    "status": 400,
    "error": {"type": "invalid_id", "reason": f"an _id has 1 to {LONGEST_ID} bytes of UTF-8"},
}
