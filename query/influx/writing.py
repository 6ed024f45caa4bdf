"""Sending line protocol, and telling exactly what of it was dropped (G11).

InfluxDB writes what it can and answers 400 for the rest, but tells the count of one shard alone, and of unreadable lines
only when nothing else was wrong. A batch that was not taken whole is therefore sent again, each shard's lines by
themselves: writing a point twice changes nothing, and then each answer's count is the truth.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime

import orjson

from libs.context import RequestContext
from libs.errors import HostMonitorError, StoreError
from query.backend import WriteReport
from query.influx.client import InfluxClient
from query.influx.decode import failure, series, unreadable
from query.influx.text_lines import split

MAX_REASONS = 10
_PARTIAL = re.compile(r"partial write: (.*) dropped=([0-9]+)\s*\Z", re.DOTALL)
_UNREADABLE = re.compile(r"(?:\A|\n)unable to parse '")
_NO_TIME = datetime.fromisoformat("1970-01-01T00:00:00Z")


class LineWriter:
    """Writes lines of one measurement into one database; `precision` counts for all of them."""

    def __init__(
        self, client: InfluxClient, db: str, measurement: str, precision: str, context: RequestContext
    ) -> None:
        self._client = client
        self._db = db
        self._measurement = measurement
        self._precision = precision
        self._context = context
        self._dropped = 0
        self._reasons: dict[str, None] = {}

    async def write(self, batches: Iterable[bytes], count: int, bad: Sequence[str] = ()) -> WriteReport:
        """Writes batches of `count` points in all, and reports those that are none as dropped, too. Raises NotFoundError
        (DATABASE_UNKNOWN), StoreError."""
        self._drop(len(bad), *bad)
        for batch in batches:
            if await self._send(batch) is not None:
                await self._send_by_shard(batch)
        return WriteReport(count + len(bad) - self._dropped, self._dropped, tuple(self._reasons)[:MAX_REASONS])

    async def _send(self, lines: bytes) -> tuple[int, str] | None:
        """None when all was taken; else how many were dropped, as far as the store tells, and why."""
        status, body = await self._client.write(self._db, lines, self._precision, self._context)
        if status == 204:
            return None
        if status < 300:
            # A gateway's page, say: whether anything is stored is not known.
            raise unreadable(self._client.name, f"a write was answered with {status}")
        message = _message(body)
        partial = _PARTIAL.search(message)
        if partial is None and not message.startswith("unable to parse '"):
            raise self._failure(status, message)
        reason = partial[1] if partial is not None else message
        unread = len(_UNREADABLE.findall(reason))
        return (unread or int(partial[2]) if partial is not None else unread), reason[:500]

    async def _send_by_shard(self, batch: bytes) -> None:
        bad: list[str] = []
        shards = await self._shards()
        parts: dict[int, list[bytes]] = defaultdict(list)
        for line, time in split(batch, self._measurement, self._precision, self._context.now_ns, bad):
            parts[_place(shards, time)].append(line)
        self._drop(len(bad), *bad)
        for lines in parts.values():
            outcome = await self._send(b"\n".join(lines))
            if outcome is not None:
                self._drop(*outcome)

    def _drop(self, count: int, *reasons: str) -> None:
        self._dropped += count
        for reason in reasons:
            if len(self._reasons) < MAX_REASONS:
                self._reasons[reason] = None

    async def _shards(self) -> list[tuple[int, int]]:
        """(first instant, first instant after) of the database's shards, ordered, in nanoseconds."""
        result = await self._client.ask("SHOW SHARDS", self._context)
        source, found = self._client.name, set()
        for one in series(result, source):
            for row in one.get("values", []):
                told = dict(zip(one["columns"], row, strict=True))
                if told.get("database") == self._db:
                    found.add((_instant(told, "start_time", source), _instant(told, "end_time", source)))
        return sorted(found)

    def _failure(self, status: int, message: str) -> HostMonitorError:
        source = self._client.name
        if status == 413:
            return StoreError(f"{source!r} takes no batch of this size.", source=source)
        return failure(message or f"status {status}", source)


def _message(body: bytes) -> str:
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return body[:500].decode("utf-8", "replace")
    return str(answer.get("error", "")) if isinstance(answer, dict) else ""


def _instant(told: dict[str, object], key: str, source: str) -> int:
    try:
        return int((datetime.fromisoformat(str(told[key])) - _NO_TIME).total_seconds()) * 10**9
    except (KeyError, ValueError) as error:
        raise unreadable(source, "a shard of it has no times") from error


def _place(shards: list[tuple[int, int]], time: int) -> int:
    """The shard that holds the instant; -1 for none."""
    place = bisect_right(shards, (time, 2**63)) - 1
    return place if place >= 0 and time < shards[place][1] else -1
