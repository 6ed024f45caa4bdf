"""Queries that take longer than the setting, in the logs: however they end, as a page, a stream or an error."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import orjson
import structlog

from apps.pipeline import Services
from libs.context import RequestContext
from parser.canonical import canonical
from query.question import Question, sources

_log = structlog.get_logger("queries")


@dataclass(slots=True)
class Answered:
    """How many rows the caller got."""

    rows: int = 0


@contextmanager
def told_if_slow(question: Question, services: Services, context: RequestContext, started: float) -> Iterator[Answered]:
    """Logs what is asked within, if it was slow: `started` by time.perf_counter, `fetched` are the stores' rows."""
    answered = Answered()
    try:
        yield answered
    finally:
        took = time.perf_counter() - started
        if took > services.slow_query_seconds:
            _log.warning(
                "slow query",
                seconds=round(took, 3),
                plan=question_hash(question),
                sources=source_names(question),
                rows=answered.rows,
                fetched=sum(report.rows for report in context.sources),
            )


def source_names(question: Question) -> list[str]:
    """What a question reads, each as the logs show it: `es/access`, `influx/telegraf/cpu`."""
    return sorted({"/".join((source.instance, *source.target)) for source in sources(question)})


def question_hash(question: Question) -> str:
    """Twelve hex digits that are the same for bodies that ask the same; what the logs call the plan's hash."""
    return hashlib.sha256(orjson.dumps(canonical(question))).hexdigest()[:12]
