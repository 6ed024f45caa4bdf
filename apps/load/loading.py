"""One load, from its input to the service: batch by batch, each once, whatever interrupts it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Protocol

from rich.progress import Progress, TaskID

from apps.load import csv_rows, formats
from apps.load.formats import Convert, Options
from apps.load.place import Place
from apps.load.reading import Record, Source
from apps.load.refused import NotTaken, Refused, Rejects
from apps.load.sending import Item, Outcome, Refusal

BATCH_BYTES = 4 << 20


class Target(Protocol):
    async def send(self, items: list[Item], key: Callable[[str], str]) -> Outcome:
        """Raises Refusal, UnavailableError."""
        ...


@dataclass
class Batch:
    """Some records in a row, as they are sent; `end` and `next_line` are where the next one begins."""

    end: int
    next_line: int
    items: list[Item] = field(default_factory=list)
    texts: list[bytes] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    size: int = 0

    def add(self, record: Record, convert: Convert) -> None:
        self.end, self.next_line = record.end, record.next_line
        if record.text is None:
            self.refused.append(Refused(record.line, "it is longer than 1 MiB", None))
            return
        self.size += len(record.text)
        try:
            made = convert(record.text)
        except NotTaken as error:
            self.refused.append(Refused(record.line, str(error), record.text))
            return
        if made is not None:
            self.items.append(Item(record.line, made))
            self.texts.append(record.text)


@dataclass
class Load:
    """`measurement` is empty for documents; `batch` counts records."""

    source: Source
    place: Place
    options: Options
    measurement: str
    target: Target
    rejects: Rejects
    batch: int

    async def run(self, progress: Progress, task: TaskID) -> None:
        """Raises HostMonitorError where it has to stop; what was done until then is kept in its place."""
        records = self.source.records(self.place.offset, self.place.line, self.options.format == "csv")
        records, convert = self._prepared(records)
        for batch in self._batches(records, convert):
            if self.place.pending is None:
                self.place.pending = batch.end
                self.place.write()
            outcome = await self._sent(batch)
            refused = batch.refused + [
                Refused(batch.items[at].line, reason, batch.texts[at]) for at, reason in outcome.refused
            ]
            self.rejects.add(sorted(refused))
            self._done(batch, outcome, len(refused))
            progress.update(task, completed=self.source.position, stored=self.place.stored)
        progress.update(task, completed=self.source.position, stored=self.place.stored)
        self.place.write()

    def _prepared(self, records: Iterator[Record]) -> tuple[Iterator[Record], Convert]:
        """The records behind a header, and what makes something of them."""
        options, place = self.options, self.place
        if options.format == "ndjson":
            return records, formats.ndjson
        if options.format == "combined":
            return records, formats.log_lines(options.host)
        if options.format == "lines":
            return records, formats.point_lines(self.measurement, place.began_ns, options.precision)
        points = bool(self.measurement)
        if place.columns is None:
            first = next(records, None)
            names = formats.header(first.text if first else None)
            assert first is not None
            sample = list(islice(records, csv_rows.SAMPLED_ROWS))
            cells = formats.rows([one.text for one in sample])
            options = formats.checked(options, names, points)
            place.columns = csv_rows.column_types(names, cells, options.types)
            place.offset, place.line = first.end, first.next_line
            records = chain(sample, records)
        options = formats.checked(options, list(place.columns), points)
        make = formats.csv_points if points else formats.csv_documents
        return records, make(place.columns, options)

    def _batches(self, records: Iterator[Record], convert: Convert) -> Iterator[Batch]:
        """The first one ends where it ended when it was sent before."""
        batch = Batch(self.place.offset, self.place.line)
        for record in records:
            batch.add(record, convert)
            pending = self.place.pending
            count = len(batch.items) + len(batch.refused)
            full = batch.end >= pending if pending is not None else count >= self.batch or batch.size >= BATCH_BYTES
            if full:
                yield batch
                batch = Batch(batch.end, batch.next_line)
        if batch.end > self.place.offset:
            yield batch

    async def _sent(self, batch: Batch) -> Outcome:
        if not batch.items:
            return Outcome()
        try:
            return await self.target.send(batch.items, self.place.key)
        except Refusal:
            self.place.mended += 1
            self.place.write()
            raise

    def _done(self, batch: Batch, outcome: Outcome, refused: int) -> None:
        """Written with what is sent next: until then, the batch would be sent again, and be the same request."""
        place = self.place
        place.offset, place.line, place.pending = batch.end, batch.next_line, None
        place.stored += outcome.stored
        place.known += outcome.known
        place.refused += refused
        place.rejects_bytes = self.rejects.size
