"""Arrow IPC that libs/arrow_ipc.py has written, as batches again: cell for cell what was written.

nanoarrow's own conversion would turn instants into datetimes, which have no nanoseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from itertools import pairwise
from typing import Any

import nanoarrow  # type: ignore[import-untyped]
from nanoarrow.ipc import InputStream  # type: ignore[import-untyped]

from libs.result import Batch, Cell, Schema, Type, TypeName


class DamagedArrow(Exception):
    """The bytes are no Arrow IPC of this schema."""


def read_batches(schema: Schema, stream: bytes) -> list[Batch]:
    """The batches of a whole stream of IPC messages. Raises DamagedArrow."""
    try:
        with InputStream.from_readable(BytesIO(stream)) as source:
            return [_batch(schema, array.view()) for array in nanoarrow.c_array_stream(source)]
    except (RuntimeError, ValueError, IndexError) as error:  # nanoarrow's own error is a RuntimeError
        raise DamagedArrow(str(error)) from error


def _batch(schema: Schema, view: Any) -> Batch:
    length: int = view.length
    if view.n_children != max(len(schema), 1):
        raise DamagedArrow(f"it holds {view.n_children} columns in the place of {len(schema)}")
    columns = [_cells(column.type, view.child(at)) for at, column in enumerate(schema)]
    return Batch(schema, columns, length)


def _cells(kind: Type, view: Any) -> list[Cell]:
    values = _lists(kind, view) if kind.multi else _values(kind, view)
    if not view.null_count:
        return values
    present = _bits(view.buffer(0), view.length)
    return [value if there else None for value, there in zip(values, present, strict=True)]


def _lists(kind: Type, view: Any) -> list[Any]:
    inner = _values(kind.single(), view.child(0))
    return [inner[start:stop] for start, stop in pairwise(_offsets(view))]


def _values(kind: Type, view: Any) -> list[Any]:
    length: int = view.length
    match kind.name:
        case TypeName.INT64 | TypeName.TIMESTAMP | TypeName.FLOAT64:
            return memoryview(view.buffer(1))[:length].tolist()
        case TypeName.BOOLEAN:
            return _bits(view.buffer(1), length)
        case TypeName.STRING | TypeName.JSON:
            text = bytes(view.buffer(2))
            return [text[start:stop].decode() for start, stop in pairwise(_offsets(view))]


def _offsets(view: Any) -> Sequence[int]:
    length: int = view.length
    offsets: list[int] = memoryview(view.buffer(1))[: length + 1].tolist() if length else [0]
    return offsets


def _bits(buffer: Any, length: int) -> list[bool]:
    """A bitmap, least significant bit first."""
    if not length:
        return []
    digits = f"{int.from_bytes(bytes(buffer), 'little'):0{length}b}"[::-1]
    return [digit == "1" for digit in digits[:length]]
