"""Arrow batches as lines of JSON, cells as the page's are (middlewares/format.py), without making them Python.

A schema that the engine does not write the same way has no such lines (`line_statement` is None), and so has a batch with
an instant outside of the years 1000 to 9999.
"""

from __future__ import annotations

from typing import Any, Literal

from libs.arrow_batch import ArrowBatch
from libs.conversion import Converter, NotConverted
from libs.result import NS_PER, Schema, Type, TypeName, Unit

_PLAIN = frozenset({TypeName.BOOLEAN, TypeName.INT64, TypeName.STRING})
_SECOND_NS = 1_000_000_000
_FIRST_NS, _LAST_NS = -30_610_224_000 * _SECOND_NS, 253_402_300_800 * _SECOND_NS - 1


class Lines:
    """Writes batches of one schema. `shape`: a row is an object, or an array in the columns' order."""

    def __init__(self, schema: Schema, shape: Literal["objects", "arrays"]) -> None:
        sql = line_statement(schema, shape)
        self._converter = None if sql is None else Converter(sql)

    def of(self, batch: ArrowBatch) -> bytes | None:
        """The lines, each with its end; None where they have to be written otherwise."""
        if self._converter is None:
            return None
        try:
            chunks = self._converter.of_table(batch.array)
        except NotConverted:
            return None
        return b"".join(_texts(chunk) for chunk in chunks)


def line_statement(schema: Schema, shape: Literal["objects", "arrays"]) -> str | None:
    """The statement that makes one text a row out of columns c0, c1, …"""
    cells = [_cell(f"c{at}", column.type) for at, column in enumerate(schema)]
    if not schema or None in cells:
        return None
    if shape == "arrays":
        row = f"json_array({', '.join(map(str, cells))})"
    else:
        members = (f"{_quoted(column.name)}, {cell}" for column, cell in zip(schema, cells, strict=True))
        row = f"json_object({', '.join(members)})"
    return f"SELECT {row} || chr(10) FROM given AS given({', '.join(f'c{at}' for at in range(len(schema)))})"


def _cell(name: str, kind: Type) -> str | None:
    if kind.name in _PLAIN:
        return name
    if kind.multi or kind.name is TypeName.JSON:
        return None
    if kind.name is TypeName.FLOAT64:
        return f"CASE WHEN isfinite({name}) THEN {name} + 0.0 END"
    return _instant(name, kind.unit)


def _instant(name: str, unit: Unit) -> str:
    """RFC 3339 with the fewest of 0, 3, 6 or 9 digits that are exact; an error for years that it writes otherwise."""
    second = _SECOND_NS // NS_PER[unit]
    first, last = _FIRST_NS // NS_PER[unit], min(_LAST_NS // NS_PER[unit], 2**63 - 1)
    first = max(first, -(2**63) + second)
    rest = f"(({name} % {second} + {second}) % {second})"
    whole = f"strftime(make_timestamp(({name} - {rest}) // {second} * 1000000), '%Y-%m-%dT%H:%M:%S')"
    ways = [f"WHEN {rest} = 0 THEN {whole} || 'Z'"]
    for digits in (3, 6) if unit == "ns" else ():
        step = 10 ** (9 - digits)
        ways.append(
            f"WHEN {rest} % {step} = 0 THEN {whole} || '.' || lpad(({rest} // {step})::VARCHAR, {digits}, '0') || 'Z'"
        )
    digits = 9 if unit == "ns" else 3
    return (
        f"CASE WHEN {name} IS NULL THEN NULL "
        f"WHEN {name} NOT BETWEEN {first} AND {last} THEN error('an instant of another form') {' '.join(ways)} "
        f"ELSE {whole} || '.' || lpad({rest}::VARCHAR, {digits}, '0') || 'Z' END"
    )


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _texts(chunk: Any) -> bytes:
    """The texts of the one column, which stand one behind the other."""
    if not chunk.length:
        return b""
    view = chunk.view().child(0)
    ends = memoryview(view.buffer(1))
    return bytes(memoryview(view.buffer(2))[ends[0] : ends[chunk.length]])
