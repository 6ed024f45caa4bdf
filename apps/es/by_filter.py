"""Updates and deletes of all documents that a filter matches."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from sanic import Request

from apps.catalogs import fetch_catalog, forget_catalog
from apps.counting import BoundedQuery, bounded, check_most, count, counting
from apps.es.models import WriteQuery
from apps.es.resources import DocumentResource, namespace
from apps.instance import DocumentInstance
from apps.pipeline import changing, plan_of
from apps.query_docs import Decorator, stack
from libs.context import RequestContext
from libs.errors import HostMonitorError, RequestError
from libs.issues import Issues
from libs.rest import RawSchema, Reply
from libs.rest.dry_run import DRY_RUN, counted
from operator_.base import close
from operator_.by_filter import change_all
from parser.change_body import DELETE, UPDATE, ChangeBody, change_schema, parse_change
from query.backend import CatalogStale
from query.by_filter import ADDRESS, ByFilter, ChangesAtOnce, Settings, Tally
from query.catalog import SourceRef
from query.names import exact_index
from query.plan import Scan
from query.question import Question, SelectField
from query.typed_settings import typed_settings

# While a page is changed, the store keeps the point in time of the next.
_IDLE_SECONDS = 120.0
_WHERE = {"field": "status", "op": "gte", "value": 500}
_COUNTS = {
    "matched": 3,
    "conflicts": 0,
    "conflict_ids": [],
    "failed": 0,
    "failures": [],
    "complete": True,
    "took_ms": 9.1,
}
_CONFLICT = {"conflicts": 1, "conflict_ids": ["w2k8"]}
_CODES = (
    "INDEX_UNKNOWN", "NAME_INVALID", "FILTER_REQUIRED", "TOO_MANY_AFFECTED", "FIELD_UNKNOWN", "TYPE_MISMATCH", "VALUE_IGNORED",
    "COST_EXCEEDED", "UNSUPPORTED", "RATE_LIMITED", "DEADLINE_EXCEEDED", "STORE_FAILED", "STORE_UNAVAILABLE",
)  # fmt: skip


class ChangeQuery(WriteQuery, BoundedQuery):
    """What bounds a change of documents."""


def _declared(done: str, unchanged: dict[str, int]) -> Decorator:
    """What both routes declare; `done` is the member that counts what was changed."""
    answer = {"matched": 3, done: 3, **unchanged, **_COUNTS}
    return stack(
        namespace.query(ChangeQuery),
        namespace.allow("read", "write"),
        namespace.returns(200, dict[str, Any], "All done", examples={"example": answer, "dry_run": DRY_RUN}),
        namespace.returns(
            207, dict[str, Any], "Some in conflict, failed, or left", example={**answer, done: 2, **_CONFLICT}
        ),
        *(namespace.fails(code) for code in _CODES),
    )


@namespace.route("/<index>/docs/update")
@namespace.route("/index/<index>/docs/update", suffix="Full")
class UpdateByFilter(DocumentResource):
    @namespace.doc(
        "Set fields of all documents that a filter matches",
        operation_id="updateDocumentsByFilter",
        description="`where` is a query's, `set` holds fields and their new values, checked against the mapping. Elasticsearch: "
        "the documents of one point in time, each changed only if nobody has since (a conflict is counted). Embedded: one "
        "transaction. 200 when all was done, 207 with what was not.",
    )
    @namespace.expect(
        RawSchema("UpdateByFilter", change_schema(UPDATE)), example={"where": _WHERE, "set": {"host": "web-9"}}
    )
    @_declared("updated", {"unchanged": 0})
    @namespace.fails("VALUE_INVALID")
    async def post(self, request: Request, index: str, query: ChangeQuery) -> Any:
        return await _answer(self.instance, index, parse_change(request.body, UPDATE), query)


@namespace.route("/<index>/docs/delete")
@namespace.route("/index/<index>/docs/delete", suffix="Full")
class DeleteByFilter(DocumentResource):
    @namespace.doc(
        "Delete all documents that a filter matches",
        operation_id="deleteDocumentsByFilter",
        description="As the update by filter: those of one point in time, each deleted only if nobody has changed it since.",
    )
    @namespace.expect(RawSchema("DeleteByFilter", change_schema(DELETE)), example={"where": _WHERE})
    @_declared("deleted", {})
    async def post(self, request: Request, index: str, query: ChangeQuery) -> Any:
        return await _answer(self.instance, index, parse_change(request.body, DELETE), query)


async def _answer(instance: DocumentInstance, index: str, body: ChangeBody, query: ChangeQuery) -> Any:
    started = time.perf_counter()
    services, context = instance.services, bounded(instance.services, query.timeout)
    source = SourceRef(instance.name, (exact_index(index),))
    asked = counting(source, body.where)
    async with services.places.held(context):
        settings = await _prepared(instance, asked, body, context)
        if query.dry_run:
            return counted(await count(asked, services, context))
        tally = await _changed(instance, asked, settings, query, context)
        await _show(instance.store.by_filter, index, tally, query.refresh, context)
    return _told(tally, "deleted" if settings is None else "updated", (time.perf_counter() - started) * 1000)


async def _prepared(instance: DocumentInstance, asked: Question, body: ChangeBody, context: RequestContext) -> Settings:
    """What is to be set, once the whole of the request has proven right. Raises RequestError, NotFoundError."""
    catalog = await fetch_catalog(asked, instance.services.factory, context)
    faults = Issues()
    settings: Settings = None
    if body.given:
        settings = typed_settings(body.given, catalog[asked.source], instance.store.by_filter, faults)
    try:
        plan_of(asked, catalog, instance.services, replace(context), "stream")
    except RequestError as error:
        if not faults.found or not error.issues:
            raise
        raise RequestError.of([*error.issues, *faults.found]) from None
    faults.raise_any()
    await instance.store.by_filter.check_change(asked.source.target[0], settings, context)
    return settings


async def _changed(
    instance: DocumentInstance, asked: Question, settings: Settings, query: ChangeQuery, context: RequestContext
) -> Tally:
    """What became of the documents. A catalogue that proves stale before anything was changed is read anew, once."""
    limits = context.limits
    try:
        return await _change(instance, asked, settings, query, context)
    except CatalogStale:
        forget_catalog(asked, instance.services.factory)
        context.begin_anew()
        context.limits = limits
    try:
        return await _change(instance, asked, settings, query, context)
    except CatalogStale as error:
        raise changing(asked) from error


async def _change(
    instance: DocumentInstance, asked: Question, settings: Settings, query: ChangeQuery, context: RequestContext
) -> Tally:
    services, way = instance.services, instance.store.by_filter
    catalog = await fetch_catalog(asked, services.factory, context)
    table = catalog[asked.source]
    if isinstance(way, ChangesAtOnce):
        rows = Question(asked.source, where=asked.where, select=(SelectField("_id"),))
        plan = plan_of(rows, catalog, services, context, "stream").plan
        assert isinstance(plan, Scan), "a store that changes at once does every filter exactly"
        return await way.change_matching(asked.source.target[0], plan, settings, query.max_affected, context)
    await check_most(asked, services, query.max_affected, context)
    rows = Question(asked.source, where=asked.where, select=(SelectField(ADDRESS),))
    prepared = plan_of(rows, {asked.source: way.addressed(table)}, services, context, "stream")
    context.idle_seconds = _IDLE_SECONDS
    found = prepared.operator.execute(context)
    try:
        return await change_all(found, way, settings, query.max_affected, context)
    finally:
        await close(found)


async def _show(way: ByFilter, index: str, tally: Tally, refresh: bool, context: RequestContext) -> None:
    if isinstance(way, ChangesAtOnce) or not tally.done:
        return
    try:
        await way.show_changes(index, refresh, context)
    except HostMonitorError as error:
        tally.stopped = tally.stopped or error


def _told(tally: Tally, done: str, took_ms: float) -> Reply:
    told: dict[str, Any] = {"matched": tally.matched, done: tally.done}
    if done == "updated":
        told["unchanged"] = tally.unchanged
    told |= {
        "conflicts": tally.conflicts,
        "conflict_ids": tally.conflict_ids,
        "failed": tally.failed,
        "failures": [
            {"id": one.id, "status": one.status, "code": one.code, "reason": one.reason} for one in tally.failures
        ],
        "complete": tally.stopped is None,
        "took_ms": round(took_ms, 3),
    }
    if tally.stopped is not None:
        told["stopped"] = {"code": tally.stopped.code.name, "message": tally.stopped.message}
    whole = tally.stopped is None and not tally.conflicts and not tally.failed
    return Reply(told, 200 if whole else 207)
