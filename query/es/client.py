"""Requests to one Elasticsearch in its own terms: JSON in, bytes or JSON out, its errors as the project's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import orjson

from libs.context import RequestContext
from libs.errors import (
    ConflictError,
    HostMonitorError,
    NotFoundError,
    NotSupportedError,
    RequestError,
    StoreError,
)
from libs.http import MAX_ANSWER_BYTES, Answer, HttpClient, retry_seconds
from libs.http_connection import TooLarge
from query.backend import InstanceConfig, NotProven

_OWN_STATUSES = frozenset({403, 429, 503})
_UNREAD = (LookupError, TypeError, AttributeError, ValueError)
_REASON_CHARACTERS = 500
# An answer that says what is wrong is read whatever was fetched before.
_ERROR_BYTES = 64 * 1024


class EsClient:
    """One instance's connections. Every call is bounded by the context's deadline."""

    def __init__(self, config: InstanceConfig) -> None:
        """Raises ConfigError for an address, credentials or CA file that cannot be used."""
        token = config.token
        self.name = config.name
        self._http = HttpClient(
            config.name,
            config.url or "http://127.0.0.1:9200",
            connections=config.connections,
            username=config.username,
            password=config.password,
            authorization=token if token is None or " " in token else f"ApiKey {token}",
            ca_file=config.ca_file,
        )

    async def read(
        self, method: str, path: str, context: RequestContext, body: bytes | None = None, bounded: bool = False
    ) -> bytes:
        """The answer to an idempotent request (a search is, though POSTed). Raises the store's error as the project's; where
        the answer is `bounded` by the bytes that the query may still fetch, CostError."""
        most = min(MAX_ANSWER_BYTES, max(context.bytes_left, _ERROR_BYTES)) if bounded else MAX_ANSWER_BYTES
        try:
            answer = await self._http.request(
                method, path, context, body=body, idempotent=True, own_statuses=_OWN_STATUSES, max_bytes=most
            )
        except StoreError as error:
            if most < MAX_ANSWER_BYTES and isinstance(error.__cause__, TooLarge):
                raise context.too_many_bytes(self.name) from error
            raise
        if answer.status != 200:
            raise self.error(answer)
        return answer.body

    async def read_json(
        self, method: str, path: str, context: RequestContext, body: bytes | None = None, shape: type = dict
    ) -> Any:
        """The answer's JSON, an object unless told."""
        return self._shaped(self.parsed(await self.read(method, path, context, body)), shape)

    async def write(
        self,
        method: str,
        path: str,
        context: RequestContext,
        body: bytes | None = None,
        media: str = "application/json",
    ) -> Any:
        """The JSON answer to a request that changes something; it is sent once."""
        return self._shaped(self.parsed(await self.written(method, path, context, body, media)), dict)

    async def written(
        self,
        method: str,
        path: str,
        context: RequestContext,
        body: bytes | None = None,
        media: str = "application/json",
    ) -> bytes:
        """As `write`, the answer not yet decoded."""
        answer = await self._http.request(
            method, path, context, body=body, content_type=media, idempotent=False, own_statuses=_OWN_STATUSES
        )
        if answer.status not in (200, 201):
            raise self.error(answer)
        return answer.body

    def _shaped(self, content: Any, shape: type) -> Any:
        if not isinstance(content, shape):
            raise self.unreadable("it is no object" if shape is dict else "it is no list")
        return content

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Around the reading of an answer's members: one that is missing, or of another type, is STORE_ANSWER_INVALID."""
        try:
            yield
        except _UNREAD as error:
            raise self.unreadable("it is not what was asked for") from error

    def parsed(self, body: bytes) -> Any:
        """The body's JSON. Raises StoreError (STORE_ANSWER_INVALID)."""
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise self.unreadable(str(error)) from error

    def unreadable(self, reason: str) -> StoreError:
        message = f"The answer of {self.name!r} cannot be read: {reason}."
        return StoreError(message, code="STORE_ANSWER_INVALID", source=self.name)

    def partial(self, reason: str) -> StoreError:
        return StoreError(f"{self.name!r} answered in part only: {reason}.", code="STORE_PARTIAL", source=self.name)

    def check_partial(self, answer: Any, context: RequestContext) -> None:
        """Raises STORE_PARTIAL for an answer without some shards, unless the context allows those; then flags this one."""
        try:
            shards = answer["_shards"]
            late, failed = bool(answer["timed_out"]), int(shards["failed"])
        except _UNREAD as error:
            raise self.unreadable("it is not what was asked for") from error
        if not late and not failed:
            return
        failures = shards.get("failures") or [{}]
        missing = f"{failed} of {shards.get('total')} shards gave no answer" if failed else "the search ran out of time"
        reason = str(failures[0].get("reason", {}).get("reason", missing))[:_REASON_CHARACTERS]
        if not context.partial_allowed:
            raise self.partial(reason)
        context.mark_partial(self.name, f"{self.name!r} answered in part only: {reason}.")

    def error(self, answer: Answer) -> HostMonitorError:
        """The error for an answer that is none of success."""
        content = self.parsed(answer.body)
        cause = content.get("error") if isinstance(content, dict) else None
        if isinstance(cause, dict):
            error = self._named(answer.status, cause)
        else:
            error = self._unknown(answer.status, str(cause or "no reason given"))
        if error.code.name == "STORE_BUSY":
            error.retry_after = retry_seconds(answer.headers.get("retry-after", ""))
        return error

    def _named(self, status: int, cause: Mapping[str, Any]) -> HostMonitorError:
        root = root_cause(cause)
        kind, reason = root.get("type", ""), str(root.get("reason", ""))[:_REASON_CHARACTERS]
        match kind:
            case "index_not_found_exception":
                return NotFoundError(
                    f"There is no index {root.get('index')!r}.", code="INDEX_UNKNOWN", source=self.name
                )
            case "index_closed_exception":
                message = f"The index {root.get('index')!r} is closed."
                return ConflictError(message, code="CONFLICT", hint="open it first", source=self.name)
            case "invalid_alias_name_exception" | "invalid_index_name_exception" if "exist" in reason:
                return ConflictError(f"The name is taken: {reason}.", code="ALREADY_EXISTS", source=self.name)
            case "aliases_not_found_exception":
                return NotFoundError(
                    f"{self.name!r} says: {reason}.", code="ALIAS_UNKNOWN", source=self.name, pointer="path/name"
                )
            case "resource_already_exists_exception":
                return ConflictError(f"It exists already: {reason}.", code="ALREADY_EXISTS", source=self.name)
            case "cluster_block_exception" if "read-only-allow-delete" in reason or "disk usage" in reason:
                return StoreError(f"{self.name!r} has no room: {reason}.", code="STORE_FULL", source=self.name)
            case "cluster_block_exception" if status == 403:
                return ConflictError(f"The index takes no writes: {reason}.", code="CONFLICT", source=self.name)
            case "version_conflict_engine_exception":
                return ConflictError(f"It exists already: {reason}.", code="ALREADY_EXISTS", source=self.name)
        if status == 503 and cause.get("type") == "search_phase_execution_exception":
            return self.partial(reason or "no shard is available")
        return self._unknown(status, reason)

    def _unknown(self, status: int, reason: str) -> HostMonitorError:
        if status == 403:
            return StoreError(f"{self.name!r} does not let the service do that: {reason}.", source=self.name)
        if status in (429, 503):
            message = f"{self.name!r} has too much to do: {reason}."
            return StoreError(message, code="STORE_BUSY", source=self.name)
        if status == 501:
            return NotSupportedError(f"{self.name!r} does not support it: {reason}.", source=self.name)
        if status == 400:
            return StoreRefused(f"{self.name!r} refused the request: {reason}.", source=self.name)
        return StoreError(f"{self.name!r} answered {status}: {reason}.", source=self.name)

    async def close(self) -> None:
        await self._http.close()


class StoreRefused(StoreError):
    """A 400 of the store: the caller's fault in a write or a DSL, ours in a compiled query."""

    def as_request(self, code: str) -> RequestError:
        return RequestError(self.message, code=code, source=self.source)

    def as_not_proven(self) -> NotProven:
        return NotProven(self.message)


def root_cause(cause: Mapping[str, Any]) -> Mapping[str, Any]:
    """The innermost reason that names a type."""
    roots = cause.get("root_cause")
    root: Mapping[str, Any] = roots[0] if isinstance(roots, list) and roots and isinstance(roots[0], dict) else cause
    failed = cause.get("failed_shards")
    if root.get("type") == "search_phase_execution_exception" and isinstance(failed, list) and failed:
        inner = failed[0].get("reason")
        return inner if isinstance(inner, dict) else root
    return root
