"""One search, as rows and groups send it: partial answers, ignored values and refusals told apart from answers."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from time import monotonic
from typing import Any

import orjson

from libs.context import RequestContext
from libs.errors import CostError, RequestError, StoreError
from query.es.catalog import OPEN, EsCatalog, EsTable
from query.es.client import EsClient, StoreRefused
from query.es.predicates import Clause, native_of
from query.plan import Scan

_CLOSING_SECONDS = 2.0
SEARCH = f"{OPEN}&allow_partial_search_results=true"


@dataclass(frozen=True)
class EsSource:
    """What a query needs of its instance."""

    client: EsClient
    catalog: EsCatalog
    page_rows: int
    page_bytes: int
    keep_alive: str


@dataclass(frozen=True)
class Asked:
    """What rows and groups have in common: the filter, and the fields whose ignored values would falsify it.

    `guarded` are names that `_ignored` may tell; `refusable`: the store may refuse a pattern or a script, which is NotProven.
    """

    scan: Scan
    query: Clause | None
    guarded: frozenset[str]
    refusable: bool

    @property
    def table_note(self) -> EsTable:
        table = self.scan.table
        assert table is not None
        assert isinstance(table.native, EsTable)
        return table.native

    @property
    def path(self) -> str:
        return f"/{self.table_note.target}"


async def search(source: EsSource, asked: Asked, path: str, body: bytes, context: RequestContext) -> tuple[Any, int]:
    """One search's answer and its bytes; a partial one is an error unless the context allows it, and then it is flagged."""
    content = await search_bytes(source, asked, path, body, context)
    answer = source.client.parsed(content)
    source.client.check_partial(answer, context)
    return answer, len(content)


async def search_bytes(source: EsSource, asked: Asked, path: str, body: bytes, context: RequestContext) -> bytes:
    """One search's answer as it came, not looked at."""
    try:
        content = await source.client.read("POST", path, context, body, bounded=True)
    except StoreRefused as error:
        if asked.refusable:
            raise error.as_not_proven() from error
        raise
    context.fetched(source.client.name, len(content))
    return content


async def open_point(source: EsSource, asked: Asked, context: RequestContext) -> dict[str, str]:
    """A point in time, under `id`; later answers may give it another."""
    path = f"{asked.path}/_pit?keep_alive={kept_alive(source, context)}&{OPEN}"
    opened = await source.client.read_json("POST", path, context)
    with source.client.reading():
        return {"id": opened["id"]}


def kept_alive(source: EsSource, context: RequestContext) -> str:
    """How long the store keeps a point in time that nobody reads."""
    return source.keep_alive if not context.idle_seconds else f"{int(context.idle_seconds) + 10}s"


async def close_point(source: EsSource, point: Mapping[str, str], context: RequestContext) -> None:
    """Past the deadline too; one that cannot be closed expires by itself."""
    bounded = replace(context, deadline=monotonic() + _CLOSING_SECONDS)
    with suppress(StoreError):
        await source.client.read_json("DELETE", "/_pit", bounded, orjson.dumps({"id": point["id"]}))


async def check_ignored(source: EsSource, asked: Asked, context: RequestContext) -> None:
    """Raises VALUE_IGNORED where a value of a field that decides was ignored by its index, in the scan's time range."""
    if not asked.guarded:
        return
    names = sorted(asked.guarded)
    filters: list[Clause] = [{"terms": {"_ignored": names}}]
    bounds = asked.scan.bounds
    if bounds is not None:
        field = asked.scan.typed(bounds.field)
        per = 1_000_000
        edges = {op: ns // per for op, ns in (("gte", bounds.start), ("lte", bounds.end)) if ns is not None}
        if field.type.unit == "ms" and edges:
            path = native_of(field).path
            filters.append({"range": {path: {**edges, "format": "epoch_millis"}}})
    body = {"size": 0, "terminate_after": 1, "track_total_hits": 1, "query": {"bool": {"filter": filters}}}
    answer, _ = await search(source, asked, f"{asked.path}/_search?{SEARCH}", orjson.dumps(body), context)
    if answer["hits"]["total"]["value"]:
        ignored(source, names[0], context)


def ignored(source: EsSource, name: str, context: RequestContext) -> None:
    """Notes that values which decide were ignored; raises VALUE_IGNORED unless the context allows partial answers."""
    error = value_ignored(source, name)
    if not context.partial_allowed:
        raise error
    context.warn("VALUE_IGNORED", f"{error.message} It counts as missing.", source.client.name)


def value_ignored(source: EsSource, name: str) -> RequestError:
    message = f"The index ignored values of {name!r} (ignore_above or ignore_malformed)."
    hint = "mend the mapping, or set options.partial to treat them as missing"
    return RequestError(message, code="VALUE_IGNORED", hint=hint, source=source.client.name)


def too_many(source: EsSource, context: RequestContext) -> CostError:
    limit = context.limits.rows_fetched
    return CostError(
        f"The query reads more than {limit} rows of {source.client.name!r}.",
        hint="narrow the time range or the filter, or aggregate",
        source=source.client.name,
    )
