"""Changes of an index that is there: what its mapping gains, and its settings."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import duckdb

from libs.context import RequestContext
from libs.errors import RequestError
from query.dynamic_settings import flattened, read_dynamic
from query.embedded.catalogue import add_columns
from query.embedded.document_writer import columns_for
from query.embedded.documents_state import Index
from query.embedded.index_names import IndexNames
from query.embedded.index_settings import TUNING, read_settings
from query.embedded.mapping import IndexMapping, Leaf, read_mapping, walk
from query.mapping_patch import patched
from query.names import exact_index

Cursor = duckdb.DuckDBPyConnection
Json = Any


class IndexChanges(IndexNames):
    """See query.index_metadata."""

    async def change_mapping(self, index: str, patch: Mapping[str, Json], context: RequestContext) -> Json:
        exact_index(index)

        def change(cursor: Cursor) -> None:
            held = self._held(index)
            words = read_settings(held.settings)
            raw = copy.deepcopy(patched(held.mapping.root.raw, patch))
            try:
                mapping = read_mapping(raw, words.normalizers, words.max_fields)
            except RequestError as error:
                raise _at_patch(error) from None
            _check_shared(held, mapping)
            held.mapping = mapping
            members = (member for node in walk(mapping.root) for member in columns_for(node))
            fresh = [held.new_column(member) for member in members if member.path not in held.columns]
            add_columns(cursor, held.table, held.id, fresh, held.rows)
            cursor.execute("UPDATE hm_indices SET mappings = ? WHERE id = ?", [json.dumps(raw), held.id])
            held.reshaped = True
            self.store.documents.touch(held)

        await self.store.writer.change(change, context, self.name)
        return {"acknowledged": True}

    async def change_settings(self, index: str, settings: Mapping[str, Json], context: RequestContext) -> Json:
        exact_index(index)
        asked = read_dynamic(settings)

        def change(cursor: Cursor) -> None:
            held = self._held(index)
            kept = {name: value for name, value in flattened(held.settings).items() if name not in asked}
            kept |= {name: value for name, value in asked.items() if value is not None}
            words = read_settings(kept)
            held.settings = kept
            held.mapping.max_fields = words.max_fields
            cursor.execute("UPDATE hm_indices SET settings = ? WHERE id = ?", [json.dumps(kept), held.id])
            self.store.documents.touch(held)

        await self.store.writer.change(change, context, self.name)
        return {"acknowledged": True, "without_effect": sorted(TUNING & asked.keys())}

    def _held(self, index: str) -> Index:
        held = self.store.documents.indices.get((self.name, index))
        if held is None:
            raise self._no_index(index)
        return held


def _check_shared(held: Index, mapping: IndexMapping) -> None:
    """A sub-field that shares its text's column leaves out long texts when it is read, of documents written before too."""
    before = dict(_limits(held.mapping))
    for path, limit in _limits(mapping):
        if held.rows and before.get(path, limit) != limit:
            raise RequestError(
                f"[ignore_above] of the sub-field [{path}] cannot change in this store while the index has documents.",
                code="MAPPING_CONFLICT", pointer="/properties",
                hint="make a new index with the new mapping, and copy the documents",
            )  # fmt: skip


def _limits(mapping: IndexMapping) -> Iterator[tuple[str, Json]]:
    for node in walk(mapping.root):
        for sub in node.subs if isinstance(node, Leaf) else ():
            if sub.shares:
                yield sub.path, sub.params.get("ignore_above", -1)


def _at_patch(error: RequestError) -> RequestError:
    """What is wrong with the whole mapping, at the place of the patch."""
    return RequestError.of([replace(one, pointer=one.pointer.removeprefix("/mappings")) for one in error.issues])
