"""The catalogue of one instance: SHOW answers as tables, kept for some seconds."""

from __future__ import annotations

import time

from libs.context import RequestContext
from libs.errors import NotFoundError
from query.catalog import SourceRef, Table
from query.influx.client import InfluxClient
from query.influx.decode import rows_of
from query.influx.quote import database_name, identifier, measurement_name
from query.influx.table import table_of

MAX_KEPT = 1024


class InfluxCatalog:
    """Reads tables through a client and keeps each for `seconds`, of the least recently used no more than MAX_KEPT."""

    def __init__(self, client: InfluxClient, seconds: float) -> None:
        self._client = client
        self._seconds = seconds
        self._kept: dict[SourceRef, tuple[float, Table]] = {}

    async def table(self, source: SourceRef, context: RequestContext) -> Table:
        """Raises RequestError (NAME_INVALID), NotFoundError (DATABASE_UNKNOWN, MEASUREMENT_UNKNOWN), StoreError."""
        kept = self._kept.get(source)
        if kept is not None and kept[0] > time.monotonic():
            return kept[1]
        db, measurement = source.target
        database_name(db)
        measurement_name(measurement)
        tags, fields = await self.keys(db, measurement, context)
        table = table_of(source, tags, fields)
        self._kept.pop(source, None)
        self._kept[source] = (time.monotonic() + self._seconds, table)
        while len(self._kept) > MAX_KEPT:
            del self._kept[next(iter(self._kept))]
        return table

    def forget(self, source: SourceRef) -> None:
        self._kept.pop(source, None)

    def forget_all(self) -> None:
        self._kept.clear()

    def forget_database(self, db: str) -> None:
        for source in [source for source in self._kept if source.target[0] == db]:
            del self._kept[source]

    async def keys(self, db: str, measurement: str, context: RequestContext) -> tuple[list[str], list[tuple[str, str]]]:
        """The tag keys, and the fields' keys with InfluxDB's types, a field once for each of its types."""
        name, source = identifier(measurement), self._client.name
        # Two requests: of several statements the server tells "not executed" for whatever was wrong with the first.
        found = await self._client.ask(f"SHOW FIELD KEYS FROM {name}", context, db)
        fields = [(row[0], row[1]) for row in rows_of(found, source, 2)]
        if not fields:
            raise NotFoundError(
                f"There is no measurement {measurement!r} in the database {db!r}.",
                code="MEASUREMENT_UNKNOWN",
                source=source,
                pointer="path/measurement",
                hint=f"GET /{source}/{db} lists them.",
            )
        found = await self._client.ask(f"SHOW TAG KEYS FROM {name}", context, db)
        return [row[0] for row in rows_of(found, source, 1)], fields
