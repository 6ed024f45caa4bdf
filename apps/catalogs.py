"""What a question needs before it is bound: the tables of all its sources, and the caller's own row filters."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from libs.context import Principal, RequestContext
from parser.filter_body import read_filter
from parser.reading import Reading
from query.catalog import Catalog
from query.expr import Predicate
from query.factory import QueryFactory
from query.question import Question, sources


async def fetch_catalog(question: Question, factory: QueryFactory, context: RequestContext) -> Catalog:
    """The tables that the question names, all asked for at once; the first failure ends the others."""
    found = sources(question)
    if len(found) == 1:
        return {found[0]: await factory.table(found[0], context)}
    for source in found:
        factory.backend(source.instance)
    tasks = [asyncio.ensure_future(factory.table(source, context)) for source in found]
    try:
        return dict(zip(found, await asyncio.gather(*tasks), strict=True))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def forget_catalog(question: Question, factory: QueryFactory) -> None:
    """Drops what is cached of the question's sources."""
    for source in sources(question):
        factory.backend(source.instance).forget(source)


def row_filters(principal: Principal) -> Mapping[str, tuple[Predicate, ...]]:
    """The caller's forced conjuncts by instance. Raises RequestError for one that is no filter."""
    found: dict[str, tuple[Predicate, ...]] = {}
    for one in principal.row_filter:
        reading = Reading()
        where = read_filter(reading, one.where, "")
        reading.issues.raise_any()
        found[one.source] = (*found.get(one.source, ()), where)
    return found
