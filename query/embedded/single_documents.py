"""Documents by their id on the embedded store: read from the last commit, changed by the one writer, in the order asked."""

from __future__ import annotations

from libs.context import RequestContext
from libs.errors import NotFoundError
from query.document_store import Change, Changed, Revision, StoredDocument
from query.embedded.document_changes import IndexTarget
from query.embedded.index_changes import IndexChanges
from query.embedded.readers import Row, TablesChanged
from query.names import exact_index


class SingleDocuments(IndexChanges):
    """See query.document_store.DocumentStore."""

    async def document(self, index: str, identifier: str, context: RequestContext) -> StoredDocument:
        exact_index(index)
        try:
            uuid, rows = await self._rows(index, identifier, context)
        except TablesChanged:  # the index was made anew meanwhile
            uuid, rows = await self._rows(index, identifier, context)
        if not rows:
            message = f"There is no document {identifier[:60]!r} in {index!r}."
            raise NotFoundError(message, code="DOCUMENT_UNKNOWN", source=self.name)
        source, version, seq = rows[0]
        return StoredDocument(identifier, source.encode(), version, Revision(uuid, seq))

    async def change(self, index: str, change: Change, refresh: bool, context: RequestContext) -> Changed:
        key = (self.name, self._view(exact_index(index)).name)
        target = IndexTarget(self.store.documents, key)
        done: Changed = await self.store.writer.submit(
            ("documents", key), target, change, len(change.source), context, self.name
        )
        return done

    async def count(self, index: str, context: RequestContext) -> int:
        views = self._views(exact_index(index))
        if views[0].name != index:
            raise self._alias(index, [view.name for view in views])
        return views[0].rows

    async def _rows(self, index: str, identifier: str, context: RequestContext) -> tuple[str, list[Row]]:
        """The index's unique id, and the document's source, version and place in the order of writes."""
        view = self._view(index)
        sql = f"SELECT _source, _version, _seq FROM {view.table} WHERE _id = ?"
        async with self.store.readers.reader(context, self.name) as reader:
            return view.uuid, await reader.all(sql, [identifier])
