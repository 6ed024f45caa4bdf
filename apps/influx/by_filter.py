"""Deletes of the points that tags and a time range choose."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from sanic import Request

from apps.catalogs import fetch_catalog, forget_catalog
from apps.counting import BoundedQuery, bounded, check_most, count, counting
from apps.influx.drops import check_unseen
from apps.influx.resources import SeriesResource, namespace
from apps.instance import SeriesInstance
from apps.pipeline import changing, plan_of
from libs.context import RequestContext
from libs.errors import CostError
from libs.rest import RawSchema
from libs.rest.dry_run import DRY_RUN, counted
from parser.change_body import POINTS, ChangeBody, change_schema, parse_change
from query.backend import CatalogStale
from query.catalog import SourceRef
from query.plan import Scan
from query.point_deletes import check_fields, deletable
from query.question import Question, SelectField

_TIME = "time"
_EXAMPLE = {
    "where": {"field": "host", "op": "eq", "value": "web-1"},
    "time_range": {"from": "2026-11-22T10:00:00Z", "to": "2026-11-22T11:00:00Z"},
}
_CODES = (
    "DATABASE_UNKNOWN", "MEASUREMENT_UNKNOWN", "NAME_INVALID", "FILTER_REQUIRED", "TOO_MANY_AFFECTED", "UNSUPPORTED",
    "FIELD_UNKNOWN", "TYPE_MISMATCH", "TIME_INVALID", "COST_EXCEEDED", "RATE_LIMITED", "DEADLINE_EXCEEDED", "STORE_FAILED",
    "STORE_UNAVAILABLE",
)  # fmt: skip


@namespace.route("/<db>/<measurement>/points/delete")
@namespace.route("/db/<db>/<measurement>/points/delete", suffix="Full")
class DeletePoints(SeriesResource):
    @namespace.doc(
        "Delete the points that tags and a time range choose",
        operation_id="deletePoints",
        description="`where` is a query's, over tags and the time alone; a condition on a field is refused. `deleted` is exact on "
        "the embedded store; InfluxDB tells no number, so that the points are counted right before (null where counting "
        "would cost too much).",
    )
    @namespace.expect(RawSchema("DeletePoints", change_schema(POINTS)), example=_EXAMPLE)
    @namespace.query(BoundedQuery)
    @namespace.allow("read", "write")
    @namespace.returns(
        200, dict[str, Any], "Deleted", examples={"example": {"deleted": 3, "took_ms": 4.2}, "dry_run": DRY_RUN}
    )
    @namespace.fails(*_CODES)
    async def post(self, request: Request, db: str, measurement: str, query: BoundedQuery) -> Any:
        body = parse_change(request.body, POINTS)
        return await _answer(self.instance, SourceRef(self.instance.name, (db, measurement)), body, query)


async def _answer(instance: SeriesInstance, source: SourceRef, body: ChangeBody, query: BoundedQuery) -> Any:
    started = time.perf_counter()
    services, context = instance.services, bounded(instance.services, query.timeout)
    asked = counting(source, body.where, body.time_range)
    async with services.places.held(context):
        scan = await _scan(instance, asked, context)
        await check_unseen(instance, source, scan, context)
        if query.dry_run:
            return counted(await count(asked, services, context))
        before = None
        if not instance.store.deletes.counts:
            await check_most(asked, services, query.max_affected, context)
            before = await _before(instance, asked, context)
        try:
            deleted = await instance.store.deletes.delete(scan, query.max_affected, context)
        except CatalogStale:
            forget_catalog(asked, services.factory)
            deleted = await _again(instance, asked, query, context)
    told = before if deleted is None else deleted
    return {"deleted": told, "took_ms": round((time.perf_counter() - started) * 1000, 3)}


async def _again(instance: SeriesInstance, asked: Question, query: BoundedQuery, context: RequestContext) -> int | None:
    scan = await _scan(instance, asked, context)
    try:
        return await instance.store.deletes.delete(scan, query.max_affected, context)
    except CatalogStale as error:
        raise changing(asked) from error


async def _scan(instance: SeriesInstance, asked: Question, context: RequestContext) -> Scan:
    """What is to be deleted, as the store is to do it. Raises RequestError, NotFoundError."""
    services = instance.services
    catalog = await fetch_catalog(asked, services.factory, context)
    check_fields(asked.where, catalog[asked.source])
    rows = Question(asked.source, asked.time_range, asked.where, select=(SelectField(_TIME),))
    plan = plan_of(rows, catalog, services, replace(context), "stream").plan
    return deletable(plan, services.factory.backend(instance.name).capabilities)


async def _before(instance: SeriesInstance, asked: Question, context: RequestContext) -> int | None:
    """None where counting costs more than a query may."""
    try:
        return await count(asked, instance.services, context)
    except CostError:
        return None
