"""Documents by their id: realtime reads over `_mget`, guarded changes over `_bulk`; an id stands in a body, never in a path."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from typing import Any

import orjson

from libs.context import RequestContext
from libs.errors import ConflictError, HostMonitorError, NotFoundError, RequestError
from query.document_store import Change, Changed, Revision, StoredDocument
from query.es.bulk_errors import item_error
from query.es.catalog import EsCatalog
from query.es.client import EsClient, StoreRefused
from query.es.index_ids import index_ids
from query.names import exact_index

_OUTCOME = (
    "items.*._id,items.*._version,items.*._seq_no,items.*._primary_term,items.*.result,items.*.status,"
    "items.*.error.type,items.*.error.reason"
)
_NDJSON = "application/x-ndjson"
# Other writers come between reading and writing of a patch that the store repeats.
_RETRIES = 100
_ACTIONS = {"put": "index", "patch": "update", "delete": "delete"}
# A document of such an index has a routing beside its id; or the name stands for several indices.
_BY_NO_ID = frozenset({"routing_missing_exception", "illegal_argument_exception"})
_SOURCE = b'"found":true,"_source":'
_END = b"}]}"


class EsDocuments:
    """See query.document_store.DocumentStore."""

    def __init__(self, client: EsClient, catalog: EsCatalog) -> None:
        self._client = client
        self._catalog = catalog

    async def document(self, index: str, identifier: str, context: RequestContext) -> StoredDocument:
        exact_index(index)
        body = orjson.dumps({"ids": [identifier]})
        held, answer = await _both(
            self._index_id(index, context),
            self._client.read("POST", f"/{index}/_mget", context, body),
        )
        with self._client.reading():
            (found,) = self._client.parsed(answer)["docs"]
            if "error" in found:
                raise self._unreadable(found)
            if not found["found"]:
                raise self._missing(index, identifier)
            source = self._source(index, answer, found)
            return StoredDocument(found["_id"], source, found["_version"], _revision(found, held))

    async def change(self, index: str, change: Change, refresh: bool, context: RequestContext) -> Changed:
        exact_index(index)
        # An index that is not there would be made by a write.
        held = await self._index_id(index, context)
        if isinstance(change.expected, Revision) and change.expected.index != held:  # an earlier index of this name
            raise self._conflict(change.id)
        if change.action == "patch":
            await self._check_whole(index, context)
        item = await self._send(index, change, refresh, context)
        if refresh:
            self._catalog.forget_written(index)
        with self._client.reading():
            if "error" not in item and item["result"] != "not_found":
                return Changed(item["_id"], item["_version"], _revision(item, held), item["result"])
            raise self._refusal(index, change, item)

    async def count(self, index: str, context: RequestContext) -> int:
        exact_index(index)
        held = await index_ids(self._client, index, context)
        if index not in held:
            raise RequestError(
                f"{index!r} is an alias: an index is deleted by its own name alone.",
                code="UNSUPPORTED", source=self._client.name, hint="its indices are " + ", ".join(sorted(held)[:12]),
            )  # fmt: skip
        await self._client.read_json("POST", f"/{index}/_refresh?expand_wildcards=none", context)
        answer = await self._client.read_json("GET", f"/{index}/_count?expand_wildcards=none", context)
        with self._client.reading():
            if answer["_shards"]["failed"]:
                raise self._client.partial("some shards gave no count")
            return int(answer["count"])

    async def _index_id(self, index: str, context: RequestContext) -> str:
        """The unique id of the index that the name stands for. Raises RequestError (UNSUPPORTED: an alias of several)."""
        held = await index_ids(self._client, index, context)
        if len(held) > 1:
            raise RequestError(
                f"The alias {index!r} has {len(held)} indices, and this is done to one index alone.",
                code="UNSUPPORTED", source=self._client.name, hint="name one of " + ", ".join(sorted(held)[:12]),
            )  # fmt: skip
        return next(iter(held.values()))

    async def _check_whole(self, index: str, context: RequestContext) -> None:
        """A patch goes into the stored source: one that lacks members would lose them from the index too. Raises RequestError."""
        path = f"/{index}/_mapping?expand_wildcards=none&filter_path=*.mappings._source"
        found = await self._client.read_json("GET", path, context)
        with self._client.reading():
            kept = [entry["mappings"]["_source"] for entry in found.values()]
            cut = any(one.get("enabled") is False or one.get("includes") or one.get("excludes") for one in kept)
        if cut:
            message = f"The index {index!r} does not keep the whole of its documents, so that none can be patched."
            raise RequestError(
                message, code="UNSUPPORTED", source=self._client.name, hint="replace the document instead"
            )

    async def _send(self, index: str, change: Change, refresh: bool, context: RequestContext) -> Mapping[str, Any]:
        """The item of the store's answer."""
        path = f"/{index}/_bulk?filter_path={_OUTCOME}{'&refresh=true' if refresh else ''}"
        try:
            answer = await self._client.write("POST", path, context, _lines(change), _NDJSON)
        except StoreRefused as error:  # a patch that cannot be read
            raise error.as_request("VALUE_INVALID") from error
        with self._client.reading():
            (item,) = answer["items"]
            (outcome,) = item.values()
            return dict(outcome)

    def _refusal(self, index: str, change: Change, item: Mapping[str, Any]) -> HostMonitorError:
        if "error" not in item or item["error"]["type"] == "document_missing_exception":
            return self._missing(index, change.id) if change.expected is None else self._conflict(change.id)
        if item["status"] != 409:
            return item_error(item, self._client.name)
        if change.expected is None:
            message = f"Others kept changing the document {change.id[:60]!r}."
            return ConflictError(message, code="CONFLICT", source=self._client.name, hint="repeat it")
        return self._conflict(change.id)

    def _conflict(self, identifier: str) -> ConflictError:
        message = f"The document {identifier[:60]!r} is not as it was expected to be."
        return ConflictError(
            message, code="PRECONDITION_FAILED", source=self._client.name, hint="read it again, then repeat"
        )

    def _missing(self, index: str, identifier: str) -> NotFoundError:
        message = f"There is no document {identifier[:60]!r} in {index!r}."
        return NotFoundError(message, code="DOCUMENT_UNKNOWN", source=self._client.name)

    def _unreadable(self, found: Mapping[str, Any]) -> HostMonitorError:
        """The error of a document that could not be looked for."""
        if found["error"]["type"] in _BY_NO_ID:
            reason = str(found["error"].get("reason", ""))[:500]
            return RequestError(f"It cannot be read by its id: {reason}.", code="UNSUPPORTED", source=self._client.name)
        return item_error(found, self._client.name)

    def _source(self, index: str, answer: bytes, found: Mapping[str, Any]) -> bytes:
        """The source's own text: decoding would change long numbers."""
        if "_source" not in found:
            message = f"The index {index!r} keeps no sources of its documents."
            raise RequestError(message, code="UNSUPPORTED", source=self._client.name)
        start = answer.find(_SOURCE) + len(_SOURCE)
        source = answer[start : -len(_END)]
        if start < len(_SOURCE) or not answer.endswith(_END) or self._client.parsed(source) != found["_source"]:
            raise self._client.unreadable("the document's source does not stand in its place")
        return source


async def _both(held: Awaitable[str], document: Awaitable[bytes]) -> tuple[str, bytes]:
    """Both, asked for at the same time; what failed is raised when both have ended."""
    found, answer = await asyncio.gather(held, document, return_exceptions=True)
    if isinstance(found, BaseException):
        raise found
    if isinstance(answer, BaseException):
        raise answer
    return found, answer


def _revision(item: Mapping[str, Any], held: str) -> Revision:
    return Revision(held, int(item["_seq_no"]), int(item["_primary_term"]))


def _lines(change: Change) -> bytes:
    """The lines of `_bulk` for a change."""
    action = _ACTIONS[change.action]
    about: dict[str, str | int] = {"_id": change.id}
    if isinstance(change.expected, Revision):
        about |= {"if_seq_no": change.expected.seq_no, "if_primary_term": change.expected.primary_term}
    elif change.action == "put" and change.expected == "absent":
        action = "create"
    elif change.action == "patch":
        about["retry_on_conflict"] = _RETRIES
    head = orjson.dumps({action: about}) + b"\n"
    # A line break in valid JSON is a blank between its tokens.
    source = change.source.replace(b"\n", b" ")
    match change.action:
        case "put":
            return head + source + b"\n"
        case "patch":
            return head + b'{"doc":' + source + b"}\n"
        case "delete":
            return head
