"""What the store knows of its indices: mutable while the writer works, published as frozen views after each commit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import duckdb

from libs.result import BOOLEAN, FLOAT64, INT64, JSON, STRING, TIMESTAMP, TIMESTAMP_MS, Type
from query.catalog import Field
from query.embedded.aliases import Aliases
from query.embedded.catalogue import ColumnDef, sequences
from query.embedded.index_settings import IndexSettings, read_settings
from query.embedded.mapping import IndexMapping, Leaf, ObjectNode, read_mapping, walk

Cursor = duckdb.DuckDBPyConnection
Json = Any

ID = "_id"
ID_OPS = frozenset({"eq", "ne", "in", "nin", "exists"})
TYPES: Mapping[str, Type] = {
    "long": INT64, "integer": INT64, "short": INT64, "byte": INT64, "double": FLOAT64, "float": FLOAT64, "half_float": FLOAT64,
    "boolean": BOOLEAN, "keyword": STRING, "text": STRING, "ip": STRING, "date": TIMESTAMP_MS, "date_nanos": TIMESTAMP,
    "nested": JSON, "flattened": JSON,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class StoredField:
    """`native` of a field: where its values stand. `ignored` holds the numbers in `_ignored` of what rows may lack of it, the
    `keyword` one only where a text is compared, sorted or grouped by. `above`: a sub-field that shares its parent's column, of
    which it lacks the texts longer than this (in UTF-16 units). `lowered`: its texts are lower-cased."""

    column: str
    number: int
    kind: str
    ignored: tuple[int, ...] = ()
    keyword: tuple[int, ...] = ()
    above: int | None = None
    lowered: bool = False

    @property
    def sql(self) -> str:
        """The field's values in the table `t`."""
        if self.above is None:
            return f"t.{self.column}"
        if self.column.endswith("m"):
            kept = f"list_filter(t.{self.column}, lambda v: {_fits('v', self.above)})"
            return f"CASE WHEN len({kept}) > 0 THEN {kept} END"
        return f"CASE WHEN {_fits(f't.{self.column}', self.above)} THEN t.{self.column} END"


def _fits(sql: str, units: int) -> str:
    """Whether a text has at most so many UTF-16 units."""
    return f"length({sql}) + length(regexp_replace({sql}, '[^\\x{{10000}}-\\x{{10FFFF}}]', '', 'g')) <= {units}"


@dataclass(frozen=True, slots=True)
class IndexView:
    """An index as the last commit left it."""

    id: int
    instance: str
    name: str
    uuid: str
    created_ms: int
    rows: int
    size: int  # bytes of all sources
    settings: Mapping[str, Json]
    mappings: str  # JSON text
    fields: Mapping[str, Field]

    @property
    def table(self) -> str:
        return f"d{self.id}"


@dataclass(slots=True)
class Index:
    """An index as the writer sees it."""

    id: int
    instance: str
    name: str
    uuid: str
    created_ms: int
    settings: Mapping[str, Json]
    mapping: IndexMapping
    columns: dict[str, ColumnDef]
    rows: int = 0
    size: int = 0
    sequence: int = 0
    reshaped: bool = True  # since the last publishing, beyond its rows
    _fields: Mapping[str, Field] = field(default_factory=dict)
    _mappings: str = "{}"

    @property
    def table(self) -> str:
        return f"d{self.id}"

    def new_column(self, node: Leaf | ObjectNode) -> ColumnDef:
        """The column of a member that has none yet; without an SQL type when it shares its parent's."""
        sql = "" if isinstance(node, Leaf) and node.shares else node.sql if isinstance(node, Leaf) else "VARCHAR"
        column = self.columns[node.path] = ColumnDef(len(self.columns), "member", node.path, node.kind, sql)
        return column

    def view(self) -> IndexView:
        if self.reshaped:
            self._fields = fields_of(self.mapping, self.columns)
            self._mappings = json.dumps(self.mapping.root.raw)
            self.reshaped = False
        return IndexView(
            self.id,
            self.instance,
            self.name,
            self.uuid,
            self.created_ms,
            self.rows,
            self.size,
            self.settings,
            self._mappings,
            self._fields,
        )


def fields_of(mapping: IndexMapping, columns: Mapping[str, ColumnDef]) -> dict[str, Field]:
    """The catalogue's fields by name: `_id`, then the others in order; sub-fields are hidden."""
    fields = {ID: Field(ID, STRING, "id", ops=ID_OPS, native=StoredField(ID, -1, ID))}
    found: dict[str, Field] = {}
    for node in walk(mapping.root):
        if isinstance(node, Leaf):
            _leaf_fields(node, columns, found)
        else:
            column = columns[node.path]
            found[node.path] = Field(node.path, JSON, native=StoredField(column.physical, column.number, node.kind))
    return fields | {name: found[name] for name in sorted(found)}


def _leaf_fields(leaf: Leaf, columns: Mapping[str, ColumnDef], found: dict[str, Field]) -> None:
    column = columns[leaf.path]
    keyword = next((sub for sub in leaf.subs if sub.shares), None)
    ignored = (column.number,) if column.ignored else ()
    searched = (columns[keyword.path].number,) if keyword is not None and columns[keyword.path].ignored else ()
    found[leaf.path] = Field(
        leaf.path,
        _typed(leaf.kind, column),
        exact=leaf.kind != "text" or keyword is not None,
        analysed=leaf.kind == "text",
        ops=ID_OPS if leaf.kind == "ip" else None,
        address=leaf.kind == "ip",
        native=StoredField(
            column.physical, column.number, leaf.kind, ignored, searched, lowered="normalizer" in leaf.params
        ),
    )
    for sub in leaf.subs:
        own = columns[sub.path]
        held = column if sub.shares else own
        found[sub.path] = Field(
            sub.path,
            _typed(sub.kind, held),
            exact=sub.kind != "text",
            analysed=sub.kind == "text",
            ops=ID_OPS if sub.kind == "ip" else None,
            hidden=True,
            address=sub.kind == "ip",
            native=StoredField(
                held.physical,
                own.number,
                sub.kind,
                (own.number,) if own.ignored else (),
                (),
                sub.params.get("ignore_above") if sub.shares and own.ignored else None,
                "normalizer" in sub.params,
            ),
        )


def _typed(kind: str, column: ColumnDef) -> Type:
    single = TYPES[kind]
    return Type(single.name, column.multi, single.unit)


class DocumentsState:
    """All indices, by (instance, name), and their aliases."""

    def __init__(self) -> None:
        self.aliases = Aliases()
        self.indices: dict[tuple[str, str], Index] = {}
        self.views: Mapping[tuple[str, str], IndexView] = {}
        self._touched: set[tuple[str, str]] = set()

    def touch(self, index: Index) -> None:
        self._touched.add((index.instance, index.name))

    def add(self, index: Index) -> None:
        self.indices[index.instance, index.name] = index
        self.touch(index)

    def remove(self, index: Index) -> None:
        del self.indices[index.instance, index.name]
        self.touch(index)

    def publish(self) -> None:
        self.aliases.publish()
        if not self._touched:
            return
        views = dict(self.views)
        for key in self._touched:
            index = self.indices.get(key)
            if index is None:
                views.pop(key, None)
            else:
                views[key] = index.view()
        self._touched.clear()
        self.views = views

    def load(self, cursor: Cursor, columns: Mapping[int, list[ColumnDef]]) -> None:
        """Reads everything from the file, and publishes it."""
        self.indices = {}
        following = sequences(cursor)
        rows = cursor.execute(
            "SELECT id, instance, name, uuid, created_ms, settings, mappings FROM hm_indices"
        ).fetchall()
        for number, instance, name, uuid, created_ms, settings_text, mappings_text in rows:
            settings: Json = json.loads(settings_text)
            words: IndexSettings = read_settings(settings)
            mapping = read_mapping(json.loads(mappings_text), words.normalizers, words.max_fields)
            own = {column.name: column for column in columns.get(number, ())}
            index = Index(number, instance, name, uuid, created_ms, settings, mapping, own)
            counted = cursor.execute(
                f"SELECT count(*), coalesce(max(_seq), -1) + 1, coalesce(sum(_bytes), 0)::BIGINT FROM {index.table}"
            ).fetchone()
            assert counted is not None
            index.rows, index.sequence, index.size = counted
            index.sequence = max(index.sequence, following.get(number, 0))
            self.indices[instance, name] = index
        self.views = {}
        self._touched = set(self.indices)
        self.publish()
        self.aliases.load(cursor)
