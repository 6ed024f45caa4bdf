"""Batches as Arrow for engines that read its C stream interface, without pyarrow.

Columns are called c0, c1, … (engines fold the case of names). Types: boolean bool, int64 and timestamp int64, float64
double, string and json utf8, multi a list of these. Missing is null.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import accumulate, chain
from typing import Any

import nanoarrow  # type: ignore[import-untyped]

from libs.arrow_batch import ArrowBatch
from libs.result import Batch, Cell, Schema, Type, TypeName

_STORAGE = {
    TypeName.BOOLEAN: nanoarrow.bool_(),
    TypeName.INT64: nanoarrow.int64(),
    TypeName.FLOAT64: nanoarrow.float64(),
    TypeName.STRING: nanoarrow.string(),
    TypeName.TIMESTAMP: nanoarrow.int64(),
    TypeName.JSON: nanoarrow.string(),
}
# A table needs one column; rows without any get this one.
_NO_COLUMNS = (Type(TypeName.BOOLEAN),)


class TextTooLong(Exception):
    """A column of one batch holds more text than 32-bit offsets reach."""


def arrow_chunks(batch: Batch) -> list[Any]:
    """The batch as one Arrow struct array, or as several where a column's text needs it."""
    if isinstance(batch, ArrowBatch):
        return [batch.array]
    types, columns = _shape(batch.schema), batch.columns or ([None] * batch.length,)
    try:
        children = [_array(kind, cells) for kind, cells in zip(types, columns, strict=True)]
    except TextTooLong:
        half = batch.length // 2
        return arrow_chunks(batch.slice(0, half)) + arrow_chunks(batch.slice(half, batch.length))
    schema = _struct(types)
    return [nanoarrow.c_array_from_buffers(schema, batch.length, [None], children=children, validation_level="none")]


def arrow_table(schema: Schema, chunks: Iterable[Any]) -> Any:
    """What `connection.register(name, table)` takes; each reader gets a fresh stream. Chunks are from `arrow_chunks`."""
    found = list(chunks)
    if found:
        return nanoarrow.Array.from_chunks(found, validate=False)
    return nanoarrow.Array.from_chunks([], _struct(_shape(schema)))


def arrow_struct(schema: Schema) -> Any:
    """The schema for readers outside: under the columns' own names, timestamps as such (their storage is the same)."""
    if not schema:
        return _struct(_NO_COLUMNS)
    return nanoarrow.struct({column.name: _outer_type(column.type) for column in schema})


def _outer_type(kind: Type) -> Any:
    if kind.name is not TypeName.TIMESTAMP:
        return _arrow_type(kind)
    single = nanoarrow.timestamp(kind.unit, timezone="UTC")
    return nanoarrow.list_(single) if kind.multi else single


def _shape(schema: Schema) -> tuple[Type, ...]:
    return tuple(column.type for column in schema) or _NO_COLUMNS


@lru_cache(maxsize=256)
def _struct(types: tuple[Type, ...]) -> Any:
    return nanoarrow.struct({f"c{at}": _arrow_type(kind) for at, kind in enumerate(types)})


def _arrow_type(kind: Type) -> Any:
    single = _STORAGE[kind.name]
    return nanoarrow.list_(single) if kind.multi else single


def _array(kind: Type, cells: Sequence[Cell]) -> Any:
    """One column."""
    if kind.multi:
        lists: list[Any] = [() if cell is None else cell for cell in cells]
        offsets = array("i", accumulate(map(len, lists), initial=0))
        inner = _array(kind.single(), list(chain.from_iterable(lists)))
        return _build(_arrow_type(kind), cells, [offsets], [inner])
    match kind.name:
        case TypeName.INT64 | TypeName.TIMESTAMP:
            return _build(_STORAGE[kind.name], cells, [_numbers("q", cells)])
        case TypeName.FLOAT64:
            return _build(_STORAGE[kind.name], cells, [_numbers("d", cells)])
        case TypeName.BOOLEAN:
            return _build(_STORAGE[kind.name], cells, [_bits("1" if cell else "0" for cell in cells)])
        case TypeName.STRING | TypeName.JSON:
            return _build(_STORAGE[kind.name], cells, list(_text(cells)))


def _build(arrow_type: Any, cells: Sequence[Cell], buffers: list[Any], children: Sequence[Any] = ()) -> Any:
    present = _bits("0" if cell is None else "1" for cell in cells) if None in cells else None
    return nanoarrow.c_array_from_buffers(
        arrow_type, len(cells), [present, *buffers], children=children, validation_level="none"
    )


def _numbers(code: str, cells: Sequence[Any]) -> Any:
    if None in cells:
        return array(code, [0 if cell is None else cell for cell in cells])
    return array(code, cells)


def _bits(digits: Iterable[str]) -> bytes:
    """A bitmap, least significant bit first. An integer of base 2 is read in linear time."""
    text = "".join(digits)
    return int(text[::-1] or "0", 2).to_bytes(len(text) // 8 + 1, "little")


def _text(cells: Sequence[Any]) -> tuple[Any, bytes]:
    encoded = [b"" if cell is None else cell.encode() for cell in cells]
    try:
        offsets = array("i", accumulate(map(len, encoded), initial=0))
    except OverflowError:
        raise TextTooLong from None
    return offsets, b"".join(encoded)
