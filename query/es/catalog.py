"""The catalogue of one instance: mappings as tables, which fields hold lists and which ignored values, cached briefly.

Elasticsearch's mapping does not say which fields hold lists. Where a field has more values than documents that have it,
it does (one search without hits). That costs the store a look at every value, so it is repeated only as often as its own
cost allows; a list seen in a row is remembered at once (`saw_lists`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from libs.context import RequestContext
from libs.errors import NotFoundError, RequestError
from libs.result import TypeName
from query.catalog import Field, SourceRef, Table
from query.es.client import EsClient
from query.es.mapping import EsField, by_fields, combined, fields_of
from query.es.settings import EsSettings
from query.names import index_or_pattern, pattern_matches

OPEN = "expand_wildcards=open&ignore_unavailable=false&allow_no_indices=true"
_FIELDS_A_SEARCH = 200
_LONGEST_PATH = 3000
# Of a mapping that leaves unmapped members in `_source`, where they are no values of a field.
_SILENT = (False, "false", "runtime")


@dataclass(frozen=True, slots=True)
class EsTable:
    """A table's own note: the indices that it covers, what to name in a request's path, whether that covers more than
    those (a part whose list is too long for a path), and what was prepared for it."""

    indices: tuple[str, ...]
    target: str
    wider: bool = False
    prepared: dict[object, object] = field(default_factory=dict, compare=False)


@dataclass(slots=True)
class _Learned:
    """What searches told of a target. `lists` are due again at `due` (monotonic seconds)."""

    lists: frozenset[str] = frozenset()
    asked: frozenset[str] = frozenset()
    due: float = 0.0


@dataclass(slots=True)
class _Entry:
    table: Table
    until: float


@dataclass(slots=True)
class EsCatalog:
    """Tables by target. Not for use by several threads."""

    client: EsClient
    settings: EsSettings
    seconds: float
    _entries: dict[str, _Entry] = field(default_factory=dict)
    _learned: dict[str, _Learned] = field(default_factory=dict)
    _seen: dict[str, set[str]] = field(default_factory=dict)
    _running: dict[str, asyncio.Future[None]] = field(default_factory=dict)

    async def table(self, source: SourceRef, context: RequestContext) -> Table:
        """Raises NotFoundError (INDEX_UNKNOWN), RequestError (NAME_INVALID), StoreError."""
        target = source.target[0]
        while True:
            entry = self._entries.get(target)
            if entry is not None and time.monotonic() < entry.until:
                return entry.table
            index_or_pattern(target)
            running = self._running.get(target)
            if running is None:
                break
            await asyncio.wait([running], timeout=context.remaining(self.client.name))
        return await self._read(target, source, context)

    def forget(self, target: str) -> None:
        self._entries.pop(target, None)
        learned = self._learned.get(target)
        if learned is not None:
            learned.due = 0.0

    def forget_written(self, index: str) -> None:
        """A write may have added fields to what covers the index."""
        for target, entry in list(self._entries.items()):
            note = entry.table.native
            if "*" in target or (isinstance(note, EsTable) and index in note.indices):
                del self._entries[target]

    def saw_lists(self, target: str, names: Iterable[str]) -> None:
        """Remembers fields of which a row held several values."""
        self._seen.setdefault(target, set()).update(names)
        self._entries.pop(target, None)

    async def _read(self, target: str, source: SourceRef, context: RequestContext) -> Table:
        """One reader a target; the others wait for it, and read themselves when it failed."""
        done = self._running[target] = asyncio.get_running_loop().create_future()
        try:
            started = time.monotonic()
            found = await self.client.read_json("GET", f"/{target}/_mapping?{OPEN}", context)
            if not found:
                raise NotFoundError(f"No open index matches {target!r}.", code="INDEX_UNKNOWN", source=self.client.name)
            with self.client.reading():
                mappings = {index: entry["mappings"] for index, entry in sorted(found.items())}
                mapped = table_of(source, target, mappings)
            if mapped.parts:
                await self._check_aliases(target, context)
            table = await self._learn(target, mapped, context)
            if len(self._entries) > 1000:
                self._entries.clear()
            if self.client.name not in context.partial_sources:
                self._entries[target] = _Entry(table, started + self.seconds)
            return table
        finally:
            del self._running[target]
            done.set_result(None)

    async def _check_aliases(self, target: str, context: RequestContext) -> None:
        """Parts are asked for by their indices' own names, where a filter of an alias would not hold. Raises RequestError
        (UNSUPPORTED) for such an alias."""
        found = await self.client.read_json("GET", f"/{target}/_alias?{OPEN}", context)
        with self.client.reading():
            for index, entry in found.items():
                named = () if pattern_matches(target, index) else entry["aliases"].items()
                for alias, about in named:
                    if "filter" in about and pattern_matches(target, alias):
                        raise RequestError(
                            f"The alias {alias!r} has a filter of its own, and its indices type fields differently.",
                            code="UNSUPPORTED", source=self.client.name, hint="query its indices apart",
                        )  # fmt: skip

    async def _learn(self, target: str, table: Table, context: RequestContext) -> Table:
        learned = self._learned.setdefault(target, _Learned())
        columnar = {
            name: native.path
            for name, native in _natives(table)
            if native.columnar and native.path and name not in learned.lists and native.kind != "id"
        }
        ignorable = frozenset(name for _, native in _natives(table) for name in native.ignorable)
        now = time.monotonic()
        asked = columnar if now >= learned.due else {n: p for n, p in columnar.items() if n not in learned.asked}
        rows, lists, ignored = await self._ask(target, asked, ignorable, context)
        took = time.monotonic() - now
        if asked and self.client.name not in context.partial_sources:
            learned.due = now + max(self.seconds, took / self.settings.learn_share)
            learned.asked |= asked.keys()
        learned.lists |= lists
        multi = learned.lists | self._seen.get(target, set())
        return _known(table, multi, ignored, rows)

    async def _ask(
        self, target: str, columnar: Mapping[str, str], ignorable: frozenset[str], context: RequestContext
    ) -> tuple[int, set[str], frozenset[str]]:
        """(rows, fields that hold lists, names in `_ignored`)."""
        aggregations: dict[str, Any] = {}
        paths = sorted(set(columnar.values()))
        for at, path in enumerate(paths):
            aggregations[f"v{at}"] = {"value_count": {"field": path}}
            aggregations[f"e{at}"] = {"filter": {"exists": {"field": path}}}
        names = sorted(ignorable)
        if names:
            terms = {str(at): {"term": {"_ignored": name}} for at, name in enumerate(names)}
            aggregations["ignored"] = {"filters": {"filters": terms}}
        found: dict[str, Any] = {}
        rows = 0
        parts = list(aggregations.items())
        for at in range(0, max(len(parts), 1), 2 * _FIELDS_A_SEARCH):
            body: dict[str, Any] = {"size": 0, "track_total_hits": True}
            if parts:
                body["aggs"] = dict(parts[at : at + 2 * _FIELDS_A_SEARCH])
            answer = await self.client.read_json("POST", f"/{target}/_search?{OPEN}", context, orjson.dumps(body))
            self.client.check_partial(answer, context)
            with self.client.reading():
                rows = int(answer["hits"]["total"]["value"])
                found.update(answer.get("aggregations", {}))
        with self.client.reading():
            several = {path for at, path in enumerate(paths) if found[f"v{at}"]["value"] > found[f"e{at}"]["doc_count"]}
            told = found.get("ignored", {}).get("buckets", {})
            ignored = frozenset(name for at, name in enumerate(names) if told[str(at)]["doc_count"])
        return rows, {name for name, path in columnar.items() if path in several}, ignored


def table_of(source: SourceRef, target: str, mappings: Mapping[str, Any]) -> Table:
    """The table of some indices' mappings; with parts where they give a field different types. Pure."""
    groups: list[tuple[list[str], dict[str, Field]]] = []
    found = {index: fields_of(mapping) for index, mapping in mappings.items()}
    unmapped = {name for fields in found.values() for name in fields if any(name not in one for one in found.values())}
    hidden = unmapped if any(mapping.get("dynamic") in _SILENT for mapping in mappings.values()) else set()
    for index, fields in found.items():
        fields.update({name: by_fields(fields[name]) for name in hidden if name in fields})
        for indices, held in groups:
            if all(_same(held[name], one) for name, one in fields.items() if name in held):
                indices.append(index)
                _absorb(held, fields)
                break
        else:
            groups.append(([index], fields))
    # Each part has a source of its own, since a plan tells its scans apart by what they name.
    named = [(SourceRef(source.instance, (",".join(indices),)), indices, held) for indices, held in groups]
    parts = tuple(_table(part, indices, part.target[0], held) for part, indices, held in named)
    if len(parts) == 1:
        return replace(parts[0], source=source, native=EsTable(tuple(mappings), target))
    whole: dict[str, Field] = {}
    conflicts: dict[str, tuple[str, ...]] = {}
    for part in parts:
        for name, one in part.fields.items():
            if name not in whole:
                whole[name] = one
            elif (wide := _widened(whole[name], one)) is not None:
                whole[name] = wide
            else:
                kinds = (str(p.fields[name].type.name) for p in parts if name in p.fields)
                conflicts[name] = tuple(dict.fromkeys(kinds))
    made = _table(source, list(mappings), target, whole)
    return replace(made, parts=parts, conflicts=conflicts, native=EsTable(tuple(mappings), target))


def _table(source: SourceRef, indices: list[str], target: str, fields: Mapping[str, Field]) -> Table:
    time_field = fields.get("@timestamp")
    timed = time_field is not None and time_field.type.name is TypeName.TIMESTAMP
    named = ",".join(indices)
    native = (
        EsTable(tuple(indices), named) if len(named) < _LONGEST_PATH else EsTable(tuple(indices), target, wider=True)
    )
    return Table(source, "documents", fields, time_field="@timestamp" if timed else None, native=native)


def _same(one: Field, other: Field) -> bool:
    return (one.type, one.exact, one.analysed, one.ops) == (other.type, other.exact, other.analysed, other.ops)


def _absorb(held: dict[str, Field], fields: Mapping[str, Field]) -> None:
    for name, one in fields.items():
        held[name] = combined(held[name], one) if name in held else one


def _widened(one: Field, other: Field) -> Field | None:
    """The field over two parts; None when they have no common type."""
    if _same(one, other):
        return combined(one, other)
    merged = combined(one, other)
    names = {one.type.name, other.type.name}
    if names == {TypeName.INT64, TypeName.FLOAT64}:
        return replace(merged, type=one.type if one.type.name is TypeName.FLOAT64 else other.type)
    if names == {TypeName.TIMESTAMP}:
        return replace(merged, type=one.type if one.type.unit == "ns" else other.type)
    if names == {TypeName.STRING} and one.ops == other.ops:
        return replace(merged, exact=one.exact and other.exact, analysed=one.analysed and other.analysed)
    return None


def _natives(table: Table) -> list[tuple[str, EsField]]:
    """Of the table, and of its parts where they say more."""
    return [
        (name, one.native)
        for part in (table, *table.parts)
        for name, one in part.fields.items()
        if isinstance(one.native, EsField)
    ]


def _known(table: Table, multi: Iterable[str], ignored: frozenset[str], rows: int) -> Table:
    """The table with what was learned, its parts alike."""
    several = set(multi)
    fields: dict[str, Field] = {}
    for name, one in table.fields.items():
        native = one.native
        assert isinstance(native, EsField)
        if ignored & native.ignorable:
            one = replace(one, native=replace(native, ignored=native.ignorable & ignored))
        if name in several and one.type.name is not TypeName.JSON and name != "_id":
            one = replace(one, type=replace(one.type, multi=True))
        fields[name] = one
    parts = tuple(_known(part, several, ignored, rows) for part in table.parts)
    return replace(table, fields=fields, parts=parts, rows=rows)
