"""Line protocol of a body that memory should not hold: checked piece by piece, then written piece by piece.

Nothing is sent before every line is known to be of the measurement. A store that fails on the way has some of the points:
sent again, each with its time, they are the same points.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from apps.ingest import apart
from libs.context import RequestContext
from libs.errors import RequestError
from libs.overflow import Overflow
from parser.record_ends import whole_lines
from query.backend import SeriesStore, WriteReport

MAX_REASONS = 10


@dataclass(frozen=True, slots=True)
class LongLines:
    """Writes the lines of one measurement; `precision` counts for all of them."""

    store: SeriesStore
    db: str
    measurement: str
    precision: str

    async def check(self, body: Overflow, now_ns: int) -> list[int]:
        """How many lines each piece of the body holds: a piece may be comments alone. Raises RequestError (NAME_INVALID,
        VALUE_INVALID) where the body as a whole is refused."""
        first = 1
        counts: list[int] = []
        async for piece in body.pieces(whole_lines):
            told = (self.measurement, piece, self.precision, now_ns, first)
            counts.append(await apart(len(piece), self.store.check_lines, *told))
            first += piece.count(b"\n")
        if not any(counts):
            raise RequestError("There is no line.", code="VALUE_INVALID", pointer="", hint="name,tag=a field=1 0")
        return counts

    async def write(
        self, body: Overflow, counts: Sequence[int], context: RequestContext, begin: Callable[[], None]
    ) -> WriteReport:
        """What became of all lines; `begin` is called before each piece. Raises NotFoundError (DATABASE_UNKNOWN), StoreError."""
        first = 1
        written = dropped = 0
        reasons: dict[str, None] = {}
        waiting = iter(counts)
        async for piece in body.pieces(whole_lines):
            if next(waiting):
                begin()
                report = await self.store.write_lines(self.db, self.measurement, piece, self.precision, context, first)
                written, dropped = written + report.written, dropped + report.dropped
                reasons |= dict.fromkeys(report.reasons)
            first += piece.count(b"\n")
        return WriteReport(written, dropped, tuple(reasons)[:MAX_REASONS])
