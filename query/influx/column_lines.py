"""Points that came as columns, as line protocol: their numbers stay the text that was sent. Pure.

What does not fit, or takes another form here, is left to query/influx/line_protocol.py, which tells what is wrong where.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, repeat

from query.influx.line_names import Refused, key_text, series_text
from query.influx.line_protocol import BATCH_POINTS
from query.point_columns import Column, PointColumns

# An integer of so many digits is the same as a float.
_EXACT_DIGITS = 15
_NATIVE = {"mixed": "float", "integer": "integer", "float": "float", "boolean": "boolean", "string": "string"}
# What stands before and behind a value.
_AROUND = {"integer": ("", "i"), "string": ('"', '"'), "float": ("", ""), "boolean": ("", "")}


def column_lines(points: PointColumns, types: Mapping[str, str], now_ns: int) -> Iterator[bytes] | None:
    """Batches of lines, BATCH_POINTS or fewer, each made when it is pulled; None where any point needs a closer look."""
    try:
        heads = {text: series_text(points.measurement, tags) for text, tags in points.tags.items()}
        keys = [key_text(name, "fields") + "=" for name in points.fields]
    except Refused:
        return None
    parts: list[str] = []
    behind = " "
    for (name, column), key in zip(points.fields.items(), keys, strict=True):
        kind = _written(column, types.get(name))
        if kind is None:
            return None
        before, after = _AROUND[kind]
        parts.append(behind + key + before)
        behind = after + ","
    heads = {text: f"\n{head}{parts[0]}" for text, head in heads.items()}
    parts = [*parts[1:], behind[:-1] + " "]
    places = (slice(start, start + BATCH_POINTS) for start in range(0, len(points), BATCH_POINTS))
    return (_batch(points, heads, parts, place, now_ns) for place in places)


def _written(column: Column, wanted: str | None) -> str | None:
    """The type to write a column as, when its texts can stand as they are."""
    native = _NATIVE[column.form]
    if wanted is not None and wanted != native and (wanted, native) != ("float", "integer"):
        return None
    kind = wanted or native
    if kind == "float" and column.form != "float":
        integers = column.texts if column.form == "integer" else [text for text in column.texts if "." not in text]
        if max(map(len, integers)) > _EXACT_DIGITS:
            return None
    return kind


def _batch(points: PointColumns, heads: Mapping[str, str], parts: list[str], place: slice, now_ns: int) -> bytes:
    """`heads` are a line's start up to its first value; `parts` follow a value each, the last before the time."""
    pieces: list[Iterable[str]] = [map(heads.__getitem__, points.series[place])]
    for part, column in zip(parts, points.fields.values(), strict=True):
        pieces += (column.texts[place], repeat(part))
    pieces.append(repeat(str(now_ns)) if points.times is None else points.times[place])
    return "".join(chain.from_iterable(zip(*pieces, strict=False)))[1:].encode()
