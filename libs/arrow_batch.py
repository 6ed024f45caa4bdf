"""Batches that stay Arrow until somebody asks for their cells: what passes from engine to engine is never made Python."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import nanoarrow  # type: ignore[import-untyped]

from libs.result import Batch, Cell, Schema, Type, TypeName


class ArrowBatch(Batch):
    """Rows `start` to `stop` of an Arrow struct array (nanoarrow's) with the columns of `schema`, in the representation of
    libs/arrow.py. The array itself has no offset."""

    __slots__ = ("_array", "_cells", "_start")

    def __init__(self, schema: Schema, array: Any, start: int, stop: int) -> None:
        self.schema = schema
        self.length = stop - start
        self._array, self._start = array, start
        self._cells: list[list[Cell]] | None = None

    @property
    def array(self) -> Any:
        """These rows alone, as a struct array that shares the memory."""
        return self._array[self._start : self._start + self.length]

    @property
    def columns(self) -> Sequence[Sequence[Cell]]:  # type: ignore[override]
        if self._cells is None:
            view, stop = self._array.view(), self._start + self.length
            self._cells = [
                _column(column.type, view.child(at), self._start, stop) for at, column in enumerate(self.schema)
            ]
        return self._cells

    def weight(self) -> int:
        view, stop = self._array.view(), self._start + self.length
        return sum(_weight(column.type, view.child(at), self._start, stop) for at, column in enumerate(self.schema))

    def picked(self, schema: Schema, places: Sequence[int]) -> ArrowBatch:
        """The same rows with the columns at these places, under `schema`."""
        children = [self._array.child(place) for place in places]
        form = nanoarrow.struct({f"c{at}": nanoarrow.Schema(child.schema) for at, child in enumerate(children)})
        array = nanoarrow.c_array_from_buffers(
            form, self._array.length, [None], children=children, validation_level="none"
        )
        return ArrowBatch(schema, array, self._start, self._start + self.length)

    def slice(self, start: int, stop: int) -> ArrowBatch:
        first, last = min(start, self.length), min(stop, self.length)
        return ArrowBatch(self.schema, self._array, self._start + first, self._start + max(first, last))


def _column(kind: Type, view: Any, start: int, stop: int) -> list[Cell]:
    values = _lists(kind, view, start, stop) if kind.multi else _values(kind, view, start, stop)
    if not view.null_count:
        return values
    present = _bits(view.buffer(0), start, stop)
    return [value if there else None for value, there in zip(values, present, strict=True)]


def _lists(kind: Type, view: Any, start: int, stop: int) -> list[Any]:
    offsets = _offsets(view, start, stop)
    first = offsets[0]
    inner = _values(kind.single(), view.child(0), first, offsets[-1])
    return [inner[begin - first : end - first] for begin, end in pairwise(offsets)]


def _values(kind: Type, view: Any, start: int, stop: int) -> list[Any]:
    match kind.name:
        case TypeName.INT64 | TypeName.TIMESTAMP | TypeName.FLOAT64:
            return memoryview(view.buffer(1))[start:stop].tolist()
        case TypeName.BOOLEAN:
            return _bits(view.buffer(1), start, stop)
        case TypeName.STRING | TypeName.JSON:
            return _texts(view, start, stop)


def _texts(view: Any, start: int, stop: int) -> list[str]:
    offsets = _offsets(view, start, stop)
    first = offsets[0]
    held = bytes(memoryview(view.buffer(2))[first : offsets[-1]])
    if held.isascii():
        text = held.decode("ascii")
        return [text[begin - first : end - first] for begin, end in pairwise(offsets)]
    return [held[begin - first : end - first].decode() for begin, end in pairwise(offsets)]


def _offsets(view: Any, start: int, stop: int) -> list[int]:
    if start == stop:
        return [0]
    found: list[int] = memoryview(view.buffer(1))[start : stop + 1].tolist()
    return found


def _bits(buffer: Any, start: int, stop: int) -> list[bool]:
    """Some of a bitmap, least significant bit first."""
    if start == stop:
        return []
    first = start // 8
    held = int.from_bytes(bytes(memoryview(buffer)[first : (stop + 7) // 8]), "little") >> (start - 8 * first)
    digits = f"{held:0{stop - start}b}"[::-1]
    return [digit == "1" for digit in digits[: stop - start]]


def _weight(kind: Type, view: Any, start: int, stop: int) -> int:
    if kind.multi:
        offsets = _offsets(view, start, stop)
        return _weight(kind.single(), view.child(0), offsets[0], offsets[-1])
    if kind.name in (TypeName.STRING, TypeName.JSON):
        if start == stop:
            return 0
        ends = memoryview(view.buffer(1))
        return int(ends[stop] - ends[start])
    return 8 * (stop - start)
