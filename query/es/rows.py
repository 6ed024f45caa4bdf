"""Rows: a scan as a search body, and its pages of hits as columns. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from libs.result import Cell, Column, Schema, TypeName
from query.backend import CatalogStale, UnsupportedPart
from query.es.address import address_of
from query.es.mapping import EsField
from query.es.predicates import Clause, native_of
from query.es.values import FORMATS, OF_FIELDS, OF_SOURCE, Converter, NotSame, column, reader
from query.plan import Order, Scan

FLOATS = frozenset({"double", "float"})
_UNMAPPED = {kind: kind for kind in ("date", "date_nanos", "boolean", "double", "float")} | {"integer": "long"}
_SHORT_PAGE = 256
_SORTED = frozenset({"keyword", "text", "integer", "double", "float", "boolean", "date", "date_nanos"})


class NeedsFields(Exception):
    """The page has to be asked again, these columns through `fields`."""

    def __init__(self, names: frozenset[str]) -> None:
        super().__init__()
        self.names = names


class Unreadable(Exception):
    """What `fields` says of a field is of no form that its mapping has."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name


class ListSeen(CatalogStale):
    """A row holds a list in a field that the catalogue says is single."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name


def sortable(native: EsField) -> str:
    """Why a field cannot be sorted by in the store; empty when it can."""
    if native.kind not in _SORTED:
        return "the store sorts this type otherwise"
    if not native.path or not native.columnar:
        return "the field has no doc values"
    return "the index holds another form of the values" if native.coerced else ""


def sort_of(order: Sequence[Order], scan: Scan) -> tuple[list[Clause], tuple[int, ...]]:
    """Elasticsearch's own `sort`, and the positions of floats in it that something is ordered by after them.

    Missing 64-bit integers sort as the greatest (or least) of them: the same field the other way round behind it tells
    those from values that are so great. Raises UnsupportedPart.
    """
    keys: list[Clause] = []
    floats: list[int] = []
    for key in order:
        native = native_of(scan.typed(key.field))
        reason = sortable(native)
        if reason:
            raise UnsupportedPart(f"order by {key.field}: {reason}")
        if native.kind in FLOATS and key is not order[-1]:
            floats.append(len(keys))
        unmapped = _UNMAPPED.get(native.kind, "keyword")
        keys.append(_sort_key(native.path, key.descending, unmapped))
        if native.kind in ("integer", "date_nanos"):
            keys.append(_sort_key(native.path, not key.descending, unmapped))
            keys[-1][native.path]["mode"] = "max" if key.descending else "min"
    return keys, tuple(floats)


def _sort_key(path: str, descending: bool, unmapped: str) -> Clause:
    return {path: {"order": "desc" if descending else "asc", "missing": "_last", "unmapped_type": unmapped}}


@dataclass(frozen=True, slots=True)
class _Member:
    """One column's way out of a page."""

    name: str
    native: EsField
    multi: bool
    read: Callable[[list[Any]], list[Any]]
    of_source: Converter
    of_fields: Converter


class RowDecoder:
    """Pages of hits to columns of one schema."""

    def __init__(self, scan: Scan) -> None:
        self.schema: Schema = tuple(Column(name, scan.typed(name).type, scan.source.instance) for name in scan.columns)
        self._members = [_member(name, scan) for name in scan.columns]
        self._asked = self._asks(frozenset())
        self._plain = [
            member.native.source
            for member in self._members
            if member.native.read == "source" and "." not in member.native.source
        ]
        self._take = itemgetter(*self._plain) if len(self._plain) > 1 else None

    def asks(self, by_fields: frozenset[str]) -> Mapping[str, Any]:
        """The members of a search's body that bring the values, the columns of `by_fields` through `fields`."""
        return self._asks(by_fields) if by_fields else self._asked

    def _asks(self, by_fields: frozenset[str]) -> Mapping[str, Any]:
        asked: list[Any] = []
        guarded: dict[str, Any] = {}
        sourced = False
        for member in self._members:
            read, form = member.native.read, FORMATS.get(member.native.kind)
            if read == "fields" or (read == "source" and member.name in by_fields):
                asked.append({"field": member.name, "format": form} if form else member.name)
            elif read == "address":
                guarded = {"seq_no_primary_term": True}
            else:
                sourced = sourced or read != "id"
        return ({} if sourced else {"_source": False}) | ({"fields": asked} if asked else {}) | guarded

    def columns(
        self, hits: list[Any], by_fields: frozenset[str], on_ignored: Callable[[str], None]
    ) -> list[Sequence[Cell]]:
        """`on_ignored` is told a column of which the index ignored a value. Raises NeedsFields, ListSeen, Unreadable."""
        if [True for hit in hits if "_ignored" in hit]:
            by_fields = self._ignored(hits, by_fields, on_ignored)
        sources = [hit.get("_source") or {} for hit in hits]
        at_once = self._at_once(sources)
        fields: list[Any] | None = None
        columns: list[Sequence[Cell]] = []
        failed: set[str] = set()
        for member in self._members:
            read = member.native.read
            try:
                if read == "id":
                    columns.append([hit["_id"] for hit in hits])
                elif read == "address":
                    columns.append([address_of(hit) for hit in hits])
                elif read == "json":
                    columns.append(member.of_source(member.read(sources)))
                elif read == "source" and member.name not in by_fields:
                    values = at_once.get(member.native.source) or member.read(sources)
                    columns.append(column(values, member.of_source, member.multi))
                else:
                    if fields is None:
                        fields = [hit.get("fields") or {} for hit in hits]
                    values = [found.get(member.name) for found in fields]
                    columns.append(column(values, member.of_fields, member.multi))
            except NotSame:
                if read != "source" or member.name in by_fields:
                    raise Unreadable(member.name) from None
                failed.add(member.name)
            except CatalogStale:
                raise ListSeen(member.name) from None
        if failed:
            raise NeedsFields(by_fields | failed)
        return columns

    def _at_once(self, sources: list[Any]) -> Mapping[str, list[Any]]:
        """The plain fields' values of a short page where each row has every one of them; else nothing."""
        if self._take is None or not 0 < len(sources) <= _SHORT_PAGE:
            return {}
        try:
            return dict(zip(self._plain, map(list, zip(*map(self._take, sources), strict=True)), strict=True))
        except KeyError:
            return {}

    def _ignored(self, hits: list[Any], by_fields: frozenset[str], on_ignored: Callable[[str], None]) -> frozenset[str]:
        """Columns with ignored values are read through `fields`, which leaves those away."""
        told = {name for hit in hits for name in hit.get("_ignored", ())}
        struck = frozenset(member.name for member in self._members if member.native.own in told)
        if struck:
            on_ignored(min(struck))
        if struck - by_fields - {member.name for member in self._members if member.native.read != "source"}:
            raise NeedsFields(by_fields | struck)
        return by_fields


def _member(name: str, scan: Scan) -> _Member:
    field = scan.typed(name)
    native = native_of(field)
    if field.type.name is TypeName.JSON:
        return _Member(name, native, False, reader(native.source), OF_SOURCE["json"], OF_SOURCE["json"])
    of_source = OF_SOURCE.get(native.kind, _never)
    if native.kind in ("date", "date_nanos") and not native.millis:
        of_source = _never
    if field.type.name is TypeName.FLOAT64 and native.kind == "integer":
        return _Member(name, native, field.type.multi, reader(native.source), OF_SOURCE["double"], OF_FIELDS["double"])
    return _Member(name, native, field.type.multi, reader(native.source), of_source, OF_FIELDS.get(native.kind, _never))


def _never(values: list[Any]) -> Sequence[Cell]:
    if any(value is not None for value in values):
        raise NotSame
    return values
