"""The whole walk of a query in one place, each line handing its value to the next (ARCHITECTURE.md)."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from apps.catalogs import fetch_catalog, forget_catalog, row_filters
from apps.places import Places
from apps.plan_cache import PlanCache
from libs.context import Limits, Principal, RequestContext, principal_var, request_id_var, traceparent_var
from libs.errors import StoreError
from libs.idempotency import attempt_var
from libs.result import Batch
from middlewares.format import Page
from operator_.base import Operator, close
from operator_.build import build
from operator_.engine import Engine
from operator_.foresight import Foresight, ForesightOperator, Remembered
from operator_.notices import with_notices
from operator_.scan import ScanOperator, columnar
from query.backend import CatalogStale, Query
from query.bind import bind
from query.catalog import Catalog
from query.costs import demands
from query.explain import check_cost, explain
from query.factory import QueryFactory
from query.optimizer import optimize
from query.plan import Ask, Plan, Scan
from query.question import Question, sources
from query.whole import flows, unlimited, whole

if TYPE_CHECKING:
    from apps.cursors import Cursors
    from apps.jobs.runner import Jobs

# One page; all rows, in the store's own order unless told (a stream); all rows in the page's order (a cursor's walk).
Extent = Literal["page", "stream", "walk"]


@dataclass(frozen=True, slots=True)
class Services:
    """What a request needs of the running service; made once, in main. `limits` hold for every role that `roles` has not."""

    factory: QueryFactory
    engine: Engine
    limits: Limits
    slow_query_seconds: float = 1.0
    cursors: Cursors | None = None
    plans: PlanCache[Prepared] = field(default_factory=PlanCache)
    roles: Mapping[str, Limits] = field(default_factory=dict)
    places: Places = field(default_factory=Places)
    remembered: Remembered = field(default_factory=Remembered)
    jobs: Jobs | None = None
    # What stands before a route's path in a link: the public address, or the base path.
    address: str = ""

    def limits_of(self, principal: Principal) -> Limits:
        """What the caller's queries may cost."""
        return self.roles.get(principal.role, self.limits)

    def new_context(self, principal: Principal | None = None) -> RequestContext:
        """What goes with the request that is being answered, of its caller if not of another; its deadline starts now."""
        principal = principal or principal_var.get()
        limits = self.limits_of(principal)
        attempt = attempt_var.get()
        return RequestContext(
            id=request_id_var.get(),
            traceparent=traceparent_var.get(),
            principal=principal,
            limits=limits,
            deadline=time.monotonic() + limits.timeout_seconds,
            now_ns=time.time_ns() if attempt is None else attempt.began_ns,
        )


@dataclass(frozen=True, slots=True)
class Prepared:
    """A question made ready to run: nothing of it has been sent but the reading of the catalogue. `ahead` is what the operator
    asks first where the catalogue does not bound the cost."""

    ask: Ask
    plan: Plan
    queries: dict[Scan, Query]
    operator: Operator
    ahead: Foresight | None = None


async def prepare(question: Question, services: Services, context: RequestContext, extent: Extent = "page") -> Prepared:
    """Stages 4 to 7, behind the catalogue. `extent`: how much of the result."""
    apply_options(question, context)
    with Stage(context, "catalog"):
        catalog = await fetch_catalog(question, services.factory, context)
    if extent != "page":
        return plan_of(question, catalog, services, context, extent)
    return services.plans.planned(
        question, catalog, context.principal, lambda: plan_of(question, catalog, services, context, extent)
    )


def plan_of(
    question: Question, catalog: Catalog, services: Services, context: RequestContext, extent: Extent
) -> Prepared:
    """Pure: no I/O, no state of the request but its limits and its `now`."""
    with Stage(context, "bind"):
        ask = bind(question, catalog, context.now_ns, context.limits, row_filters(context.principal))
        if extent != "page":
            ask = whole(ask, question) if extent == "stream" else unlimited(ask, question)
    with Stage(context, "optimize"):
        capabilities = {name: backend.capabilities for name, backend in services.factory.backends.items()}
        plan = optimize(ask.plan, capabilities, exact=ask.options.exact)
        if extent != "page" and flows(plan):
            context.limits = context.limits.flowing()
        check_cost(plan, context.limits)
    with Stage(context, "compile"):
        queries = services.factory.compile(plan)
        if extent == "stream":
            queries = {scan: columnar(query) for scan, query in queries.items()}
        operator = with_notices(build(plan, queries, services.engine, services.factory), plan, queries)
        ahead = None
        if wanted := demands(plan, context.limits):
            ahead = Foresight(wanted, capabilities, services.factory, services.remembered)
            operator = ForesightOperator(operator, ahead)
    return Prepared(ask, plan, queries, operator, ahead)


async def run(question: Question, services: Services, context: RequestContext) -> tuple[Page, Prepared]:
    """Asks, and pulls the one page. A catalogue that proves stale is read anew, once."""
    try:
        prepared = await prepare(question, services, context)
        return await pull(prepared, context), prepared
    except CatalogStale:
        forget_catalog(question, services.factory)
        context.begin_anew()
    prepared = await prepare(question, services, context)
    try:
        return await pull(prepared, context), prepared
    except CatalogStale as error:
        raise changing(question) from error


def changing(question: Question) -> StoreError:
    """A catalogue has proved stale again."""
    names = ", ".join(repr(source.instance) for source in sources(question))
    source = sources(question)[0].instance
    return StoreError(f"The fields of {names} change while they are read.", source=source)


async def pull(prepared: Prepared, context: RequestContext) -> Page:
    """Stage 8: all I/O of the query happens here, under the context's deadline."""
    limit, operator = prepared.ask.limit, prepared.operator
    if isinstance(operator, ScanOperator) and operator.at_once is not None:
        with Stage(context, "execute"):
            batch = await operator.whole(context)
        rows = [batch if batch.length <= limit else batch.slice(0, limit)]
        return Page(operator.schema, rows if batch.length else [], batch.length > limit)
    batches: list[Batch] = []
    taken = 0
    with Stage(context, "execute"):
        stream = prepared.operator.execute(context)
        try:
            async for batch in stream:
                room = limit - taken
                batches.append(batch if batch.length <= room else batch.slice(0, room))
                taken += batch.length
                if taken > limit:
                    break
        finally:
            await close(stream)
    return Page(prepared.operator.schema, batches, taken > limit)


async def explained(question: Question, services: Services, context: RequestContext) -> dict[str, Any]:
    """The plan as it would run; nothing runs but what estimates its cost."""
    prepared = await prepare(question, services, context)
    foretold = [] if prepared.ahead is None else await prepared.ahead.forecasts(context, anew=True)
    capabilities = {name: backend.capabilities for name, backend in services.factory.backends.items()}
    told = explain(prepared.plan, prepared.queries, capabilities, context.limits)
    told["estimate"]["asked"] = [one.told() for one in foretold]
    told["estimate"]["failed"] = [warning.message for warning in context.warnings]
    return told


def apply_options(question: Question, context: RequestContext) -> None:
    """What the body's options change of the context; a timeout can only shorten the service's own."""
    options = question.options
    context.partial_allowed = options.partial
    context.exact = options.exact
    if options.timeout is not None:
        context.deadline = min(context.deadline, time.monotonic() + options.timeout)


class Stage:
    """Times what is done within into the context (milliseconds), for Server-Timing."""

    __slots__ = ("_context", "_name", "_started")

    def __init__(self, context: RequestContext, name: str) -> None:
        self._context, self._name = context, name

    def __enter__(self) -> None:
        self._started = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        timings = self._context.timings
        timings[self._name] = timings.get(self._name, 0.0) + (time.perf_counter() - self._started) * 1000
