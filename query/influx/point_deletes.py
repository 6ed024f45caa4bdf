"""Points deleted by one DELETE: its conditions on tags and the time mean what a SELECT's do (tried on a real server).

A DELETE takes no retention policy: it takes the points of all of them, while a SELECT reads those of the default one.
"""

from __future__ import annotations

from collections.abc import Sequence

from libs.context import RequestContext
from libs.errors import RequestError
from query.influx.catalog import InfluxCatalog
from query.influx.client import InfluxClient
from query.influx.compile import measurement_of, where_clause
from query.influx.decode import Json, series, unreadable
from query.influx.quote import database_name, identifier, measurement_name, quotable
from query.influx.table import MAX_TIME, MIN_TIME, TIME
from query.plan import Scan

_ALWAYS = f"{TIME} >= {MIN_TIME} AND {TIME} <= {MAX_TIME}"


class InfluxDeletes:
    """See query.backend.PointDeletes."""

    counts = False

    def __init__(self, client: InfluxClient, catalog: InfluxCatalog) -> None:
        self._client, self._catalog = client, catalog

    async def delete(self, scan: Scan, most: int | None, context: RequestContext) -> int | None:
        measurement = measurement_of(scan)
        where = where_clause(scan)
        if where is None:
            return 0
        await self._client.order(f"DELETE FROM {identifier(measurement.name)} WHERE {where}", context, measurement.db)
        self._catalog.forget(scan.source)
        return None

    async def unseen(
        self, db: str, measurement: str | None, scan: Scan | None, context: RequestContext
    ) -> Sequence[str]:
        where = _ALWAYS if scan is None else where_clause(scan)
        if where is None:
            return ()
        name = "/.*/" if measurement is None else identifier(measurement_name(measurement))
        return [
            policy
            for policy in await self._policies(database_name(db), context)
            if await self._holds(f"{identifier(policy)}.{name}", where, db, context)
        ]

    async def _policies(self, db: str, context: RequestContext) -> list[str]:
        """All but the default one."""
        found = await self._client.ask(f"SHOW RETENTION POLICIES ON {identifier(db)}", context, db)
        names = [name for one in series(found, self._client.name) for name in self._others(one)]
        for name in names:
            if not quotable(name):
                message = f"A retention policy of {db!r} has a name that no statement can hold."
                raise RequestError(message, code="UNSUPPORTED", source=self._client.name)
        return names

    def _others(self, told: Json) -> list[str]:
        try:
            name, default = told["columns"].index("name"), told["columns"].index("default")
            return [str(row[name]) for row in told.get("values", ()) if row[default] is not True]
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise unreadable(self._client.name, "it lists no retention policies") from error

    async def _holds(self, source: str, where: str, db: str, context: RequestContext) -> bool:
        statement = f"SELECT * FROM {source} WHERE {where} LIMIT 1 SLIMIT 1"
        return bool(series(await self._client.ask(statement, context, db), self._client.name))
