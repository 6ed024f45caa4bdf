"""What a drop of a database or measurement, or a delete of points, would take."""

from __future__ import annotations

from typing import Any

from apps.counting import bounded, count, counting
from apps.instance import SeriesInstance
from libs.context import RequestContext
from libs.errors import RequestError
from libs.rest.dry_run import counted
from query.catalog import SourceRef
from query.plan import Scan


async def check_unseen(instance: SeriesInstance, source: SourceRef, scan: Scan | None, context: RequestContext) -> None:
    """Raises RequestError (UNSUPPORTED) where more would go than any query shows."""
    db, *measurement = source.target
    unseen = await instance.store.deletes.unseen(db, measurement[0] if measurement else None, scan, context)
    if unseen:
        names = ", ".join(repr(name) for name in unseen[:12])
        raise RequestError(
            f"Points in the retention policies {names} would go too, which no query here shows.",
            code="UNSUPPORTED",
            source=source.instance,
            hint="delete by a statement of the store's own, which you have looked through",
        )


async def would_go(instance: SeriesInstance, db: str, measurement: str | None = None) -> dict[str, Any]:
    """The dry run of a drop: the points of the measurement, or of all of the database. Raises what counting raises."""
    services, context = instance.services, bounded(instance.services, None)
    target = (db,) if measurement is None else (db, measurement)
    async with services.places.held(context):
        names = [measurement] if measurement is not None else await _measurements(instance, db, context)
        sources = [SourceRef(instance.name, (db, name)) for name in names]
        counts = [await count(counting(source, None), services, context) for source in sources]
        await check_unseen(instance, SourceRef(instance.name, target), None, context)
    return counted(sum(counts))


async def _measurements(instance: SeriesInstance, db: str, context: RequestContext) -> list[str]:
    answer = await instance.store.measurements(db, context)
    listed = answer["results"][0].get("series", [])
    return [str(row[0]) for one in listed for row in one.get("values", [])]
