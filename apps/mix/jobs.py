"""Jobs over HTTP: queries that were asked with `Prefer: respond-async`."""

from __future__ import annotations

from typing import Any

from pydantic import Field
from sanic import HTTPResponse, Request

from apps.es.query import ANSWER
from apps.jobs import results
from apps.jobs.docs import DONE, JOB
from apps.jobs.runner import Jobs
from apps.pipeline import Services
from apps.queries import ShapeQuery
from apps.query_docs import QUERY_ANSWER
from apps.query_docs import streams as streams_declared
from libs.rest import Namespace, Reply, Resource
from libs.rest.dry_run import DRY_RUN, DryRunQuery, counted
from parser.words import LEAST_LIMIT, MOST_LIMIT

namespace = Namespace("job", "/mix", "Jobs: long queries, run behind their request (Prefer: respond-async).")


class ResultQuery(ShapeQuery):
    limit: int | None = Field(
        None, ge=LEAST_LIMIT, le=MOST_LIMIT, description="Rows of this page; 100 without it. A stream has no pages."
    )


class JobResource(Resource):
    def __init__(self, services: Services, jobs: Jobs) -> None:
        self.services, self.jobs = services, jobs

    def caller(self) -> str:
        return self.services.new_context().principal.name


@namespace.route("/job")
class List(JobResource):
    @namespace.doc("The caller's jobs, the newest first", operation_id="list")
    @namespace.returns(200, list[dict[str, Any]], "In every state", example=[DONE], envelope=True)
    @namespace.allow("read")
    async def get(self, request: Request) -> Reply:
        found = await self.jobs.list(self.caller())
        return Reply([results.shown(job, self.services) for job in found], 200, _NO_STORE)


@namespace.route("/job/<job>")
@namespace.param("job", "A job's id", example=DONE["id"])
class One(JobResource):
    @namespace.doc(
        "A job's state and progress",
        operation_id="get",
        description="While it is queued or running, Retry-After says when to ask again. A job that failed tells why.",
    )
    @namespace.returns(200, JOB, "As it is now", example=DONE, envelope=True)
    @namespace.fails("JOB_UNKNOWN")
    @namespace.allow("read")
    async def get(self, request: Request, job: str) -> Reply:
        found = await self.jobs.get(job, self.caller())
        again = {} if found.finished else {"retry-after": str(results.wait_seconds(found))}
        return Reply(results.shown(found, self.services), 200, _NO_STORE | again)

    @namespace.doc(
        "End a job, and delete it",
        operation_id="delete",
        description="The store's work has ended, and the result is deleted, when this answers.",
    )
    @namespace.query(DryRunQuery)
    @namespace.returns(
        200, dict[str, Any], "Deleted", examples={"done": {"id": DONE["id"]}, "dry run": DRY_RUN}, envelope=True
    )
    @namespace.fails("JOB_UNKNOWN")
    @namespace.allow("read")
    async def delete(self, request: Request, job: str, query: DryRunQuery) -> Any:
        if query.dry_run:
            await self.jobs.get(job, self.caller())
            return counted(1)
        await self.jobs.delete(job, self.caller())
        return {"id": job}


@namespace.route("/job/<job>/result")
class Result(JobResource):
    @namespace.doc(
        "A job's result",
        operation_id="result",
        description="A page of JSON with a cursor to the next, or a stream of all rows, by Accept. It can be read as "
        "often as wanted until it expires.",
    )
    @namespace.query(ResultQuery)
    @namespace.returns(200, QUERY_ANSWER, "The rows or groups", example=ANSWER)
    @streams_declared(namespace)
    @namespace.fails("JOB_UNKNOWN", "JOB_NOT_DONE", "STORE_FAILED")
    @namespace.allow("read")
    async def get(self, request: Request, job: str, query: ResultQuery) -> HTTPResponse | None:
        found = await self.jobs.get(job, self.caller())
        return await results.answer(request, self.services, found, query.limit, query.shape, query.csv_guard)


_NO_STORE = {"cache-control": "no-store"}
