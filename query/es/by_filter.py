"""Changes of documents found at a point in time: `_bulk`, each guarded by the write that was found (if_seq_no).

What is set goes into a document's whole source, read by `_mget` and indexed again: a partial update would merge objects, and
leave a second spelling of a dotted field where it is. Ingest pipelines that an index has by default are not run again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from libs.context import RequestContext
from libs.errors import CostError, HostMonitorError, RequestError
from libs.http import MAX_ANSWER_BYTES
from libs.result import STRING
from query.by_filter import ADDRESS, Failure, Setting, Settings, Tally
from query.catalog import Field, Table
from query.es.address import Address
from query.es.bulk_errors import item_error
from query.es.catalog import EsCatalog
from query.es.client import EsClient
from query.es.mapping import EsField
from query.source_edit import NoPlace, read_verbatim, set_fields, written

_NDJSON = "application/x-ndjson"
_OUTCOME = "errors,items.*._id,items.*.result,items.*.status,items.*.error.type,items.*.error.reason"
_SOURCES_BYTES = 32 * 1024 * 1024  # of one answer of `_mget`; beyond, fewer are asked for
_BULK_BYTES = 16 * 1024 * 1024
_THREAD_BYTES = 256 * 1024
# A write that is under way at the deadline gets so much longer: what became of it is better known.
_GRACE_SECONDS = 10.0
_NATIVE = EsField("odd", "", "", "", read="address", indexed=False, columnar=False)
_COLUMN = Field(ADDRESS, STRING, hidden=True, native=_NATIVE)


@dataclass(frozen=True, slots=True)
class _Line:
    """One guarded change as it is sent."""

    found: Address
    text: bytes


class EsChanges:
    """See query.by_filter.ChangesFound."""

    def __init__(self, client: EsClient, catalog: EsCatalog) -> None:
        self._client = client
        self._catalog = catalog

    def addressed(self, table: Table) -> Table:
        parts = tuple(self.addressed(part) for part in table.parts)
        return replace(table, fields={**table.fields, ADDRESS: _COLUMN}, parts=parts)

    def misfit(self, field: Field, value: Any) -> str | None:
        native = field.native
        assert isinstance(native, EsField)
        if native.kind == "integer" and not -(2 ** (native.bits - 1)) <= value < 2 ** (native.bits - 1):
            return f"the integer does not fit into {native.bits} bits"
        return None

    async def check_change(self, index: str, settings: Settings, context: RequestContext) -> None:
        found = await self._client.read_json("GET", f"/{index}/_mapping?expand_wildcards=none", context)
        if len(found) > 1:
            message = f"The alias {index!r} has {len(found)} indices, and this is done to one index alone."
            hint = "name one of " + ", ".join(sorted(found)[:12])
            raise RequestError(message, code="UNSUPPORTED", source=self._client.name, pointer="path/index", hint=hint)
        if settings is not None:
            self._check_whole(index, found, settings)

    def _check_whole(self, index: str, found: Any, settings: tuple[Setting, ...]) -> None:
        with self._client.reading():
            mappings = [entry["mappings"] for entry in found.values()]
            cut = any(
                source.get("enabled") is False or source.get("includes") or source.get("excludes")
                for source in (mapping.get("_source", {}) for mapping in mappings)
            )
            computed = {name for mapping in mappings for name in mapping.get("runtime", {})}
        if cut:
            message = f"The index {index!r} does not keep the whole of its documents, so that none can be written anew."
            raise RequestError(message, code="UNSUPPORTED", pointer="path/index", hint="replace the documents instead")
        for setting in settings:
            if (name := ".".join(setting.path)) in computed:
                message = f"{name!r} is computed when it is asked for, and never stored."
                raise RequestError(message, code="VALUE_INVALID", pointer="/set", hint="set what it is made of")

    async def change_found(
        self, addresses: Sequence[str], settings: Settings, tally: Tally, context: RequestContext
    ) -> None:
        found = [Address.of(address) for address in addresses]
        bounded = replace(context, deadline=max(context.deadline, time.monotonic() + _GRACE_SECONDS))
        if settings is None:
            lines = [_Line(one, orjson.dumps({"delete": one.guarded}) + b"\n") for one in found]
            await self._send(lines, tally, bounded)
        else:
            await self._update(found, settings, tally, bounded)

    async def show_changes(self, index: str, refresh: bool, context: RequestContext) -> None:
        self._catalog.forget_written(index)
        if refresh:
            bounded = replace(context, deadline=max(context.deadline, time.monotonic() + _GRACE_SECONDS))
            await self._client.read_json("POST", f"/{index}/_refresh", bounded)

    async def _update(
        self, found: Sequence[Address], settings: tuple[Setting, ...], tally: Tally, context: RequestContext
    ) -> None:
        """Half as many at a time where their sources are too large for one answer."""
        body = orjson.dumps({"docs": [one.place for one in found]})
        most = _SOURCES_BYTES if len(found) > 1 else MAX_ANSWER_BYTES
        small = replace(context, limits=replace(context.limits, bytes_fetched=most), fetched_bytes=0)
        try:
            content = await self._client.read("POST", "/_mget", small, body, bounded=True)
        except CostError:
            if len(found) == 1:
                raise
            half = len(found) // 2
            for part in (found[:half], found[half:]):
                if tally.stopped is None:
                    await self._update(part, settings, tally, context)
            return
        if len(content) < _THREAD_BYTES:
            lines = self._edited(content, found, settings, tally)
        else:
            lines = await asyncio.to_thread(self._edited, content, found, settings, tally)
        await self._send(lines, tally, context)

    def _edited(
        self, content: bytes, found: Sequence[Address], settings: tuple[Setting, ...], tally: Tally
    ) -> list[_Line]:
        """The documents that are still as they were found, with the fields set."""
        try:
            told = read_verbatim(content)["docs"]
        except (ValueError, LookupError, TypeError, RecursionError) as error:
            raise self._client.unreadable("it lists no documents") from error
        if len(told) != len(found):
            raise self._client.unreadable(f"it lists {len(told)} documents of {len(found)}")
        lines: list[_Line] = []
        for one, entry in zip(found, told, strict=True):
            if "error" in entry or not entry.get("found") or not _same(one, entry):
                tally.conflict(one.id)
                continue
            try:
                if not set_fields(entry.get("_source"), settings):
                    tally.unchanged += 1
                    continue
                text = written(entry["_source"])
            except NoPlace as fault:
                tally.fail(Failure(one.id, 422, "VALUE_INVALID", str(fault)))
            else:
                lines.append(_Line(one, orjson.dumps({"index": one.guarded}) + b"\n" + text + b"\n"))
        return lines

    async def _send(self, lines: Sequence[_Line], tally: Tally, context: RequestContext) -> None:
        for part in _parts(lines):
            body = b"".join(line.text for line in part)
            path = f"/_bulk?pipeline=_none&filter_path={_OUTCOME}"
            try:
                answer = await self._client.write("POST", path, context, body, _NDJSON)
                self._count(answer, part, tally)
            except HostMonitorError as error:
                if not tally.matched:
                    raise
                for line in part:
                    reason = f"it may have been done or not: {error.message}"
                    tally.fail(Failure(line.found.id, error.status, error.code.name, reason))
                tally.stopped = error
                return

    def _count(self, answer: Any, part: Sequence[_Line], tally: Tally) -> None:
        with self._client.reading():
            items: list[Mapping[str, Any]] = [outcome for item in answer["items"] for outcome in item.values()]
        if len(items) != len(part):
            raise self._client.unreadable(f"it lists {len(items)} items of {len(part)} that were sent")
        for line, item in zip(part, items, strict=True):
            status = item.get("status")
            if status in (200, 201) and "error" not in item:
                tally.done += 1
            elif status in (404, 409):
                tally.conflict(line.found.id)
            else:
                with self._client.reading():
                    error = item_error(item, self._client.name)
                tally.fail(Failure(line.found.id, error.status, error.code.name, error.message))


def _same(found: Address, entry: Mapping[str, Any]) -> bool:
    """Whether the document is still as it was found; numbers are in their own spelling here."""
    told = (entry.get("_seq_no"), entry.get("_primary_term"))
    return [written(one) for one in told] == [written(found.seq_no), written(found.primary_term)]


def _parts(lines: Sequence[_Line]) -> Iterator[Sequence[_Line]]:
    """In bulks of some 16 MB at the most."""
    start = size = 0
    for at, line in enumerate(lines):
        if size and size + len(line.text) > _BULK_BYTES:
            yield lines[start:at]
            start, size = at, 0
        size += len(line.text)
    if start < len(lines):
        yield lines[start:]
