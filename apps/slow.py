"""Queries that take longer than the setting, in the logs: however they end, as a page, a stream or an error."""

from __future__ import annotations

import hashlib
import time
from typing import Self

import orjson
import structlog

from apps.pipeline import Services
from libs.context import RequestContext
from parser.canonical import canonical
from query.question import Question, sources

_log = structlog.get_logger("queries")


class SlowQuery:
    """Logs what is asked within, if it was slow and however it ends: `started` by time.perf_counter. `rows` are what the
    caller got, told by who answers; the line's `fetched` are the stores'."""

    __slots__ = ("_context", "_question", "_services", "_started", "rows")

    def __init__(self, question: Question, services: Services, context: RequestContext, started: float) -> None:
        self._question, self._services, self._context, self._started = question, services, context, started
        self.rows = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        took = time.perf_counter() - self._started
        if took > self._services.slow_query_seconds:
            _log.warning(
                "slow query",
                seconds=round(took, 3),
                plan=question_hash(self._question),
                sources=source_names(self._question),
                rows=self.rows,
                fetched=sum(report.rows for report in self._context.sources),
            )


def source_names(question: Question) -> list[str]:
    """What a question reads, each as the logs show it: `es/access`, `influx/telegraf/cpu`."""
    return sorted({"/".join((source.instance, *source.target)) for source in sources(question)})


def question_hash(question: Question) -> str:
    """Twelve hex digits that are the same for bodies that ask the same; what the logs call the plan's hash."""
    return hashlib.sha256(orjson.dumps(canonical(question))).hexdigest()[:12]
