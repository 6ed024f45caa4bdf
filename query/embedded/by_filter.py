"""Changes of all documents of an index that a filter matches, in one transaction: all of them, or none."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import duckdb

from libs.context import RequestContext
from libs.errors import DeadlineError, HostMonitorError, NotFoundError, RequestError, StoreError
from query.backend import CatalogStale
from query.by_filter import Failure, Settings, Tally, too_many
from query.catalog import Field
from query.embedded.document_json import DocumentFault
from query.embedded.document_relation import Indices, compiled, ignored_check
from query.embedded.document_writer import Batch
from query.embedded.documents_state import DocumentsState, Index, IndexView, StoredField
from query.embedded.store import Store
from query.plan import Scan
from query.source_edit import NoPlace, edited

Cursor = duckdb.DuckDBPyConnection

_AT_ONCE = 5_000
_BYTES_AT_ONCE = 16 * 1024 * 1024
# The transaction ends at the deadline, and tells so; its commit may take a little longer.
_GRACE_SECONDS = 20.0
_BITS = {"byte": 8, "short": 16, "integer": 32}
_MATCHED = "hm_matched"


class EmbeddedChanges:
    """See query.by_filter.ChangesAtOnce. `view` looks an index up by its name."""

    def __init__(self, store: Store, name: str, view: Callable[[str], IndexView]) -> None:
        self._store, self._name, self._view = store, name, view

    def misfit(self, field: Field, value: Any) -> str | None:
        native = field.native
        assert isinstance(native, StoredField)
        bits = _BITS.get(native.kind)
        if bits is not None and not -(2 ** (bits - 1)) <= value < 2 ** (bits - 1):
            return f"the integer does not fit into {bits} bits"
        return None

    async def check_change(self, index: str, settings: Settings, context: RequestContext) -> None:
        self._view(index)

    async def change_matching(
        self, index: str, scan: Scan, settings: Settings, most: int | None, context: RequestContext
    ) -> Tally:
        change = _Change(self._store.documents, _seen(scan), scan, settings, most, context)
        patient = replace(context, deadline=context.deadline + _GRACE_SECONDS)
        try:
            tally = await self._store.writer.submit(None, change, None, 0, patient, self._name)
        finally:
            change.given_up.set()  # of nobody's interest any more, where it still runs
        if isinstance(tally, CatalogStale):
            raise tally
        assert isinstance(tally, Tally)
        return tally


@dataclass(slots=True)
class _Change:
    """One change as the writer's target. What it refuses before it has changed anything is an outcome; what comes later is
    raised, and rolled back."""

    state: DocumentsState
    view: IndexView
    scan: Scan
    settings: Settings
    most: int | None
    context: RequestContext
    given_up: threading.Event = field(default_factory=threading.Event)

    def apply(self, cursor: Cursor, payloads: Sequence[Any]) -> Sequence[Any]:
        try:
            index = self._index()
            self._check_ignored(cursor)
            matched = self._find(cursor, index)
        except (HostMonitorError, CatalogStale) as refused:
            return [refused]
        tally = self._change(cursor, index)
        assert tally.matched == matched, "every document that was found has had its turn"
        cursor.execute(f"DROP TABLE {_MATCHED}")
        return [tally]

    def _index(self) -> Index:
        key = (self.view.instance, self.view.name)
        index, now = self.state.indices.get(key), self.state.views.get(key)
        if index is None or now is None or now.uuid != self.view.uuid:
            raise NotFoundError(f"There is no index {key[1]!r}.", code="INDEX_UNKNOWN", source=key[0])
        if now.fields is not self.view.fields and now.fields != self.view.fields:
            raise CatalogStale("the index has got other fields")
        return index

    def _check_ignored(self, cursor: Cursor) -> None:
        check = ignored_check(self.scan)
        row = None if check is None else cursor.execute(check.sql, check.params).fetchone()
        if check is not None and row is not None and row[0]:
            message = f"{row[0]} documents have a value of {', '.join(check.fields)} that their index ignored."
            raise RequestError(message, code="VALUE_IGNORED", hint="mend the mapping, or filter by other fields")

    def _find(self, cursor: Cursor, index: Index) -> int:
        statement = compiled(self.scan)
        found = f"SELECT _id AS id, _seq AS seq, _bytes AS bytes FROM {index.table} WHERE _id IN (SELECT c0 FROM ({statement.sql}))"
        sql = f"CREATE OR REPLACE TEMP TABLE {_MATCHED} AS {found} ORDER BY seq"
        cursor.execute(sql, dict(statement.params))
        row = cursor.execute(f"SELECT count(*) FROM {_MATCHED}").fetchone()
        assert row is not None
        matched = int(row[0])
        if self.most is not None and matched > self.most:
            cursor.execute(f"DROP TABLE {_MATCHED}")
            raise too_many(matched, self.most)
        return matched

    def _change(self, cursor: Cursor, index: Index) -> Tally:
        """In the order of writing: a document that is changed is written behind all of those that were found."""
        tally, last = Tally(), -1
        columns = "m.id" if self.settings is None else "m.id, t._source"
        while (end := _page_end(cursor, last)) is not None:
            self._check_time()
            within = f"m.seq > {last} AND m.seq <= {end} AND t._seq > {last} AND t._seq <= {end}"
            sql = f"SELECT {columns} FROM {_MATCHED} AS m JOIN {index.table} AS t ON t._seq = m.seq WHERE {within}"
            rows = cursor.execute(sql).fetchall()
            batch = Batch(cursor, index, {row[0] for row in rows})
            for row in rows:
                self._change_one(batch, tally, *row)
            batch.store()
            last = end
        self._check_time()
        if tally.done:
            self.state.touch(index)
        return tally

    def _change_one(self, batch: Batch, tally: Tally, identifier: str, source: str = "") -> None:
        if self.settings is None:
            batch.remove(identifier)
            tally.done += 1
            return
        try:
            text = edited(source, self.settings)
            if text is None:
                tally.unchanged += 1
            else:
                batch.put(identifier, text)
                tally.done += 1
        except NoPlace as fault:
            tally.fail(Failure(identifier, 422, "VALUE_INVALID", str(fault)))
        except DocumentFault as fault:
            reason = f"The document does not fit: {fault.reason}."
            tally.fail(Failure(identifier, 422, "VALUE_INVALID", reason))

    def _check_time(self) -> None:
        if self.given_up.is_set():
            raise StoreError("Nobody waits for the change any more.", source=self.view.instance)
        if time.monotonic() > self.context.deadline:
            message = "The change was not done within the deadline; nothing was changed."
            raise DeadlineError(message, source=self.view.instance)


def _seen(scan: Scan) -> IndexView:
    """The index as it was when the scan was made."""
    assert scan.table is not None
    assert isinstance(scan.table.native, Indices)
    (view,) = scan.table.native.views
    return view


def _page_end(cursor: Cursor, last: int) -> int | None:
    """The place of the last document of the next page, behind `last`; None at the end."""
    sql = f"SELECT seq, bytes FROM {_MATCHED} WHERE seq > {last} ORDER BY seq LIMIT {_AT_ONCE}"
    end, size = None, 0
    for seq, bytes_ in cursor.execute(sql).fetchall():
        size += bytes_
        if end is not None and size > _BYTES_AT_ONCE:
            break
        end = int(seq)
    return end
