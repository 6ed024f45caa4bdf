"""Points of a measurement deleted in one transaction, exactly those that a query shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import duckdb

from libs.context import RequestContext
from libs.errors import NotFoundError
from libs.result import INT64, Column
from query.backend import CatalogStale
from query.by_filter import too_many
from query.embedded.series_state import Database, Measurement, MeasurementView
from query.embedded.store import Store
from query.plan import Attempt, Scan
from query.plan_joins import Narrowed
from query.sql import Cell, Relation, lower, unfold

Cursor = duckdb.DuckDBPyConnection
ROW = "\x00row"  # no tag and no field can have this name: the place of a point in its table


class EmbeddedDeletes:
    """See query.backend.PointDeletes."""

    counts = True

    def __init__(self, store: Store, name: str) -> None:
        self._store, self._name = store, name

    async def delete(self, scan: Scan, most: int | None, context: RequestContext) -> int | None:
        statement = lower(unfold(replace(scan, columns=(ROW,))), relation)
        chosen = f"SELECT c0 FROM ({statement.sql})"

        def delete(cursor: Cursor) -> int | CatalogStale:
            try:
                database, measurement = self._held(scan)
            except CatalogStale as stale:
                return stale
            row = cursor.execute(f"SELECT count(*) FROM ({chosen})", dict(statement.params)).fetchone()
            assert row is not None
            matched = int(row[0])
            if most is not None and matched > most:
                raise too_many(matched, most)
            cursor.execute(f"DELETE FROM {measurement.table} WHERE rowid IN ({chosen})", dict(statement.params))
            measurement.rows -= matched
            measurement.newest, measurement.many = None, False
            self._store.series.touch(database, measurement.name)
            return matched

        matched = await self._store.writer.change(delete, context, self._name)
        if isinstance(matched, CatalogStale):
            raise matched
        assert isinstance(matched, int)
        return matched

    async def unseen(
        self, db: str, measurement: str | None, scan: Scan | None, context: RequestContext
    ) -> Sequence[str]:
        return ()

    def _held(self, scan: Scan) -> tuple[Database, Measurement]:
        """The measurement that the scan was made for. Raises NotFoundError, CatalogStale."""
        db, name = scan.source.target
        database = self._store.series.databases.get((self._name, db))
        measurement = database.measurements.get(name) if database is not None else None
        if database is None or measurement is None:
            message = f"There is no measurement {name!r} in {db!r}."
            raise NotFoundError(message, code="MEASUREMENT_UNKNOWN", source=self._name, pointer="path/measurement")
        now = measurement.view()
        view = _view(scan)
        if now.id != view.id or (now.fields is not view.fields and now.fields != view.fields):
            raise CatalogStale("the measurement has got other fields")
        return database, measurement


def _view(scan: Scan) -> MeasurementView:
    assert scan.table is not None
    assert isinstance(scan.table.native, MeasurementView)
    return scan.table.native


def relation(scan: Scan | Attempt | Narrowed) -> Relation:
    """The rows of a bare scan of a measurement, with their places."""
    assert isinstance(scan, Scan)
    view, source = _view(scan), scan.source.instance
    cells = tuple(
        Cell("t.rowid", Column(ROW, INT64, source))
        if name == ROW
        else Cell(f"t.{view.fields[name].native}", Column(name, view.fields[name].type, source))
        for name in scan.columns
    )
    return Relation(f"{view.table} AS t", cells)
