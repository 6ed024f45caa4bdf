"""How the query routes look in the document: one declaration for every kind of source."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from apps.jobs.docs import takes_jobs
from apps.queries import ShapeQuery
from libs.rest import Namespace, RawSchema
from middlewares.stream_formats import ARROW, CSV, NDJSON
from parser.answer_schema import answer_schema
from parser.grammar import body_schema

QUERY_BODY = RawSchema("QueryBody", body_schema())
QUERY_ANSWER = RawSchema("QueryAnswer", answer_schema())

FAILURES = (
    "FIELD_UNKNOWN", "TYPE_MISMATCH", "OPERATOR_UNKNOWN", "TIME_INVALID", "EXPRESSION_INVALID", "COST_EXCEEDED",
    "RATE_LIMITED", "STORE_UNAVAILABLE", "STORE_FAILED", "DEADLINE_EXCEEDED",
)  # fmt: skip
_PLAN = {
    "plan": {"node": "scan", "source": "es/access", "native": {"sql": "SELECT …"}},
    "pushed": ["where", "order", "limit"],
    "residual": [],
    "estimate": {"rows": 1200},
}

_STREAMS = (
    (CSV, "host,errors\r\nweb-1,12\r\n"),
    (NDJSON, '{"host":"web-1","errors":12}\n'),
    (ARROW, "a schema message, record batches, an end mark"),
)

Decorator = Callable[[Any], Any]


def answers(namespace: Namespace, unknown: str, example: Mapping[str, Any], answer: Mapping[str, Any]) -> Decorator:
    """Declares a /query: `unknown` is the code for a source that is not there."""
    return stack(
        namespace.doc(
            "Ask for rows or groups",
            operation_id="query",
            description="The language is in docs/query-language.md. CSV, NDJSON and Arrow IPC stream the whole result.",
        ),
        namespace.expect(QUERY_BODY, example=dict(example)),
        namespace.query(ShapeQuery),
        namespace.allow("read"),
        namespace.returns(200, QUERY_ANSWER, "The rows or groups", example=dict(answer)),
        streams(namespace),
        takes_jobs(namespace),
        *(namespace.fails(code) for code in (unknown, "CURSOR_INVALID", "CURSOR_EXPIRED", *FAILURES)),
    )


def streams(namespace: Namespace) -> Decorator:
    """Declares the forms that stream the whole result."""
    return stack(
        *(namespace.returns(200, str, content_types=(media_type,), example=shown) for media_type, shown in _STREAMS)
    )


def explains(namespace: Namespace, unknown: str, example: Mapping[str, Any]) -> Decorator:
    return stack(
        namespace.doc(
            "Show the plan of a query; nothing runs but what estimates its cost", operation_id="explainQuery"
        ),
        namespace.allow("read"),
        namespace.expect(QUERY_BODY, example=dict(example)),
        namespace.returns(
            200,
            dict[str, Any],
            "The plan, the native requests, what is pushed and why not",
            example=_PLAN,
            envelope=True,
        ),
        *(namespace.fails(code) for code in (unknown, *FAILURES)),
    )


def validates(namespace: Namespace, unknown: str, example: Mapping[str, Any]) -> Decorator:
    return stack(
        namespace.doc("Check a query and write it out in its canonical form", operation_id="validateQuery"),
        namespace.allow("read"),
        namespace.expect(QUERY_BODY, example=dict(example)),
        namespace.returns(200, QUERY_BODY, "The canonical form", example=dict(example), envelope=True),
        *(namespace.fails(code) for code in (unknown, *FAILURES)),
    )


def stack(*decorators: Decorator) -> Decorator:
    def decorate(function: Any) -> Any:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate
