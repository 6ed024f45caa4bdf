"""GET …/fields and …/fields/<field>/values, the same for every kind of source.

The values are a query: groups by the field, counted, the first of them in one of two orders. So one mechanism answers it
on every store, under the caller's row filters, limits and deadline.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Literal

from pydantic import Field
from sanic import HTTPResponse

from apps.fields import FIELD, described
from apps.pipeline import Services, Stage, run
from apps.query_docs import FAILURES, stack
from apps.slow import SlowQuery
from libs.issues import Issues
from libs.rest import Namespace, QueryModel
from libs.result import Column
from middlewares.format import Page, page_response, server_timing
from parser.words import MOST_CHARACTERS, MOST_LIMIT
from query.bind_names import SourceFields, check_sortable
from query.catalog import Field as SourceField
from query.catalog import SourceRef, Table
from query.expr import And, Compare, Predicate
from query.plan import Aggregation, FieldKey, Options, Order
from query.question import Question, TimeRange

_AT_FIELD, _AT_PREFIX = "path/field", "query/prefix"
_META = {"request_id": "0b6e7d9c", "took_ms": 4.2, "partial": False, "warnings": []}
_FIELDS = {"time_field": "@timestamp", "fields": [FIELD]}
_VALUES = {
    "result": True,
    "columns": [
        {"name": "value", "type": "string", "multi": False, "source": "es", "approximate": False},
        {"name": "count", "type": "int64", "multi": False, "source": "es", "approximate": False},
    ],
    "data": [{"value": "web-1", "count": 812}, {"value": "web-2", "count": 388}],
    "page": {"cursor": None, "has_more": False, "total": None},
    "meta": _META | {"sources": [{"source": "es", "took_ms": 3.1, "rows": 2, "status": "ok"}]},
}


class ValuesQuery(QueryModel):
    prefix: str | None = Field(None, description="Only values that start with this text, exactly so.")
    limit: int = Field(100, ge=1, le=MOST_LIMIT, description="Values at the most.")
    order: Literal["count", "value"] = Field(
        "count", description="The most frequent first (of equally many, in order), or all in order."
    )
    from_: str | None = Field(
        None, alias="from", description="The first instant: RFC 3339, or `now-1h/h`.", examples=["now-24h"]
    )
    to: str | None = Field(None, description="The instant behind the last one.")
    time_field: str | None = Field(None, description="The field of `from` and `to`, if not the usual one.")
    partial: bool = Field(
        False, description="`true` takes a partial answer, and values that an index has ignored as missing."
    )


async def fields(services: Services, instance: str, target: tuple[str, ...]) -> dict[str, Any]:
    """The source's fields. Raises NotFoundError, RequestError (NAME_INVALID), StoreError."""
    table = await services.factory.table(SourceRef(instance, target), services.new_context())
    return {"time_field": table.time_field, "fields": described(table)}


async def values(
    services: Services, instance: str, target: tuple[str, ...], field: str, query: ValuesQuery
) -> HTTPResponse:
    """A field's values with their counts. Raises what a query raises, RequestError (RATE_LIMITED)."""
    started = time.perf_counter()
    context = services.new_context()
    context.partial_allowed = query.partial
    source = SourceRef(instance, target)
    async with services.places.held(context):
        with Stage(context, "catalog"):
            table = await services.factory.table(source, context)
        question = question_of(source, table, field, query)
        with SlowQuery(question, services, context, started) as answered:
            page, _ = await run(question, services, context)
            answered.rows = sum(batch.length for batch in page.batches)
            key, count = page.schema
            schema = (
                Column("value", key.type, key.source, key.approximate),
                Column("count", count.type, count.source, count.approximate),
            )
            with Stage(context, "format"):
                took = (time.perf_counter() - started) * 1000
                response = page_response(Page(schema, page.batches, page.has_more), context, took, "objects")
    response.headers["server-timing"] = server_timing(context)
    return response


def question_of(source: SourceRef, table: Table, field: str, query: ValuesQuery) -> Question:
    """The values as a question. Raises RequestError: FIELD_UNKNOWN, FIELD_AMBIGUOUS, FIELD_TYPE_CONFLICT,
    FIELD_NOT_FILTERABLE, TYPE_MISMATCH."""
    known = _checked(table, field, query)
    there = Compare(field, "exists", True, at=_AT_FIELD)
    # A text may be there whose keyword its index has ignored.
    having: Predicate | None = there if known.analysed else None
    where: Predicate = there
    if query.prefix:
        starts = Compare(field, "starts_with", query.prefix, at=_AT_PREFIX)
        where = And((there, starts))
        # A row of several values has others beside the one that starts so.
        having = starts if known.type.multi else having
    count = "count" if field != "count" else "counted"
    by_value = Order(field, at=_AT_FIELD)
    span = None
    if query.from_ is not None or query.to is not None:
        span = TimeRange(query.from_, query.to, query.time_field, "query")
    return Question(
        source,
        time_range=span,
        where=where,
        group_by=(FieldKey(field, _AT_FIELD),),
        select=(Aggregation("count", None, count),),
        having=having,
        order_by=(by_value,) if query.order == "value" else (Order(count, descending=True), by_value),
        limit=query.limit,
        options=Options(partial=query.partial),
    )


def _checked(table: Table, name: str, query: ValuesQuery) -> SourceField:
    issues = Issues()
    known = SourceFields(table, issues).use(name, _AT_FIELD)
    usable = known is not None and check_sortable(known, _AT_FIELD, issues)
    if query.prefix and len(query.prefix) > MOST_CHARACTERS:
        message = f"The prefix has more than {MOST_CHARACTERS} characters."
        issues.add("TOO_MANY_VALUES", message, _AT_PREFIX, "shorten it")
    if known is not None and usable and query.prefix and not _textual(known):
        issues.add(
            "TYPE_MISMATCH",
            f"{name[:100]!r} holds no texts that could start with one.",
            _AT_PREFIX,
            "leave the prefix away, or filter in a query",
        )
    issues.raise_any()
    assert known is not None
    return known


def _textual(field: SourceField) -> bool:
    return field.type.name.value == "string" and (field.ops is None or "starts_with" in field.ops)


def lists_fields(namespace: Namespace, unknown: str) -> Callable[[Any], Any]:
    """Declares a …/fields: `unknown` is the code for a source that is not there."""
    return stack(
        namespace.doc(
            "The fields, by name",
            operation_id="listFields",
            description="Each with its type in the query language, its role (`time`, `tag`, `field`, `text`, `keyword`, `id`) "
            "and what can be done with it. `parent` is the field that a sub-field is another form of. Where indices type a "
            "field differently, `types` lists them with their indices; `conflict` says that no type holds all.",
        ),
        namespace.returns(200, dict[str, Any], "Every field", example=_FIELDS, envelope=True),
        namespace.fails("NAME_INVALID", unknown, "UNSUPPORTED"),
        namespace.fails("STORE_UNAVAILABLE", "STORE_FAILED", "DEADLINE_EXCEEDED"),
        namespace.allow("read"),
    )


def lists_values(namespace: Namespace, unknown: str) -> Callable[[Any], Any]:
    """Declares a …/fields/<field>/values."""
    return stack(
        namespace.doc(
            "A field's values with their counts",
            operation_id="listValues",
            description="`count` is the rows that have the value; a row of several values counts for each. A query of groups "
            "by the field answers it, within the same limits. There are no further pages: narrow by `prefix`.",
        ),
        namespace.query(ValuesQuery),
        namespace.returns(200, dict[str, Any], "The first values", example=_VALUES),
        namespace.fails("NAME_INVALID", "FIELD_NOT_FILTERABLE", "FIELD_AMBIGUOUS", "FIELD_TYPE_CONFLICT"),
        *(namespace.fails(code) for code in (unknown, *FAILURES)),
        namespace.allow("read"),
    )
