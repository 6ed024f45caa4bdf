"""Batches as an Arrow IPC stream (https://arrow.apache.org/docs/format/Columnar.html), without pyarrow.

Columns have the schema's names; timestamps are timestamp[ms or ns, UTC], json is its text.
"""

from __future__ import annotations

from io import BytesIO

import nanoarrow  # type: ignore[import-untyped]
from nanoarrow.ipc import StreamWriter  # type: ignore[import-untyped]

from libs.arrow import arrow_chunks, arrow_struct
from libs.arrow_batch import ArrowBatch
from libs.result import Batch, Schema


class ArrowStream:
    """Each method answers the bytes that come next: `start` once, `batch` as often as wanted, `end` once."""

    def __init__(self, schema: Schema) -> None:
        self._struct = arrow_struct(schema)
        self._written = BytesIO()
        self._writer = StreamWriter.from_writable(self._written)

    def start(self) -> bytes:
        """The schema, which an empty result has as well."""
        self._writer.write_stream(nanoarrow.c_array_stream(nanoarrow.Array.from_chunks([], self._struct)))
        return self._taken()

    def batch(self, batch: Batch) -> bytes:
        if isinstance(batch, ArrowBatch) and batch.array.offset:  # which nanoarrow does not write
            batch = Batch(batch.schema, batch.columns, batch.length)
        for chunk in arrow_chunks(batch):
            self._writer.write_array(chunk)
        return self._taken()

    def end(self) -> bytes:
        """The mark without which the stream is not whole."""
        self._writer.close()
        return self._taken()

    def _taken(self) -> bytes:
        written = self._written.getvalue()
        self._written.seek(0)
        self._written.truncate()
        return written
