"""Several queries in one request: at once, under one deadline, each with its own answer or error."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import orjson
from sanic import Request

from apps.es.query import ANSWER
from apps.mix.resources import MIX_EXAMPLE, MixResource, namespace
from apps.pipeline import Stage
from apps.queries import answer_question
from apps.query_docs import FAILURES
from libs.errors import HostMonitorError
from libs.rest import RawSchema, Reply
from middlewares.errors import problem
from parser.batch_body import MOST_BODIES, parse_batch
from parser.json_body import parse_body

# Of one batch, how many queries run at a time: a batch is one caller among others.
AT_ONCE = 4
_BODIES = RawSchema(
    "Batch",
    {
        "type": "array",
        "description": "Queries, each naming its source in `from` (QueryBody).",
        "items": {"type": "object"},
        "minItems": 1,
        "maxItems": MOST_BODIES,
    },
)
_ANSWERS = [{"status": 200, "answer": ANSWER}]


@namespace.route("/batch")
class Batch(MixResource):
    @namespace.doc(
        "Ask several queries at once",
        operation_id="batch",
        description="Each entry of the answer, in the queries' order, has the status and the body that the query alone "
        "would have had; pointers are into its own body. One deadline holds for all.",
    )
    @namespace.expect(_BODIES, example=[MIX_EXAMPLE, {"from": {"source": "es", "index": "access"}, "limit": 1}])
    @namespace.returns(200, list[dict[str, Any]], "All answered", example=_ANSWERS, envelope=True)
    @namespace.returns(207, list[dict[str, Any]], "Some failed", example=_ANSWERS, envelope=True)
    @namespace.fails(*FAILURES)
    @namespace.allow("read")
    async def post(self, request: Request) -> Reply:
        bodies = parse_batch(request.body)
        deadline = self.services.new_context().deadline
        places = asyncio.Semaphore(AT_ONCE)

        async def one(body: bytes) -> dict[str, Any]:
            async with places:
                return await self._answer(body, deadline)

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(body)) for body in bodies]
        entries = [task.result() for task in tasks]
        return Reply(entries, 200 if all(entry["status"] == 200 for entry in entries) else 207)

    async def _answer(self, body: bytes, deadline: float) -> dict[str, Any]:
        started = time.perf_counter()
        context = self.services.new_context()
        context.deadline = deadline
        try:
            context.remaining()
            with Stage(context, "parse"):
                question = parse_body(body)
            response = await answer_question(question, self.services, context, "objects", started)
        except HostMonitorError as error:
            return {"status": error.status, "answer": problem(error)}
        return {"status": response.status, "answer": orjson.Fragment(response.body or b"null")}
