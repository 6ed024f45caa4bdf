"""InfluxDB's answers as values. Pure, but for the context's warnings.

JSON tells '' from null. Times are int64 (epoch=ns); a float without a fraction comes as an integer, so every cell takes
its type from the catalogue. A chunked answer is one JSON object a line; the last one is not `partial`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from libs.context import RequestContext
from libs.errors import CostError, DeadlineError, HostMonitorError, NotFoundError, RequestError, StoreError
from libs.result import Cell, Type, TypeName

Json = Any
MAX_LINE_BYTES = 64 * 1024 * 1024
_MAX_INT64 = 2**63 - 1
_TAKEN: dict[TypeName, frozenset[type]] = {
    TypeName.BOOLEAN: frozenset({bool, type(None)}),
    TypeName.INT64: frozenset({int, type(None)}),
    TypeName.FLOAT64: frozenset({int, float, type(None)}),
    TypeName.STRING: frozenset({str, type(None)}),
    TypeName.TIMESTAMP: frozenset({int}),
}


class NotFinite(StoreError):
    """InfluxDB has no way to write the answer: an infinity is in it."""


class Lines:
    """Cuts a stream of bytes into whole lines."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The lines that are whole now. Raises StoreError when one does not end."""
        *whole, rest = data.split(b"\n")
        for line in whole:
            yield b"".join((*self._parts, line)) if self._parts else line
            self._parts, self._size = [], 0
        if rest:
            self._parts.append(rest)
            self._size += len(rest)
            if self._size > MAX_LINE_BYTES:
                raise unreadable(self._source, "a part of the answer is too large")

    def rest(self) -> bytes:
        """What came after the last line's end."""
        return b"".join(self._parts)


def results(body: bytes, source: str) -> list[Json]:
    """The `results` of an answer, one a statement. Raises what an `error` inside of it means, StoreError
    (STORE_ANSWER_INVALID) for what cannot be read."""
    answer = _loaded(body, source)
    if "error" in answer:
        raise failure(str(answer["error"]), source)
    found = answer.get("results")
    if not isinstance(found, list) or not all(isinstance(result, dict) for result in found):
        raise unreadable(source, "it has no results")
    for result in found:
        if "error" in result:
            raise failure(str(result["error"]), source)
    return found


def only(body: bytes, source: str) -> Json:
    """The result of the one statement that was sent. Raises as `results` does."""
    found = results(body, source)
    if len(found) != 1:
        raise unreadable(source, "it has not one result")
    return found[0]


def series(result: Json, source: str) -> list[Json]:
    """The series of one statement's result; none when nothing was found. Raises StoreError when they have no shape."""
    found = result.get("series", [])
    if not isinstance(found, list) or not all(isinstance(one, dict) and "columns" in one for one in found):
        raise unreadable(source, "a series of it has no columns")
    return found


def rows_of(result: Json, source: str, width: int) -> list[list[str]]:
    """The rows of a SHOW answer, of `width` texts each. Raises StoreError when they have another shape."""
    rows = [row for one in series(result, source) for row in one.get("values", [])]
    if not all(isinstance(row, list) and len(row) == width and all(isinstance(v, str) for v in row) for row in rows):
        raise unreadable(source, "its rows are not what was asked for")
    return rows


def whole(result: Json, source: str, context: RequestContext) -> None:
    """Refuses the last word on a statement when it says that it is a part only (or marks the answer, if that was
    allowed). Raises StoreError (STORE_PARTIAL)."""
    if not result.get("partial") and not any(one.get("partial") for one in series(result, source)):
        return
    message = f"{source!r} cut its answer short (a limit of rows of its own)."
    if not context.partial_allowed:
        raise StoreError(message, code="STORE_PARTIAL", source=source)
    context.mark_partial(source, message)


def _loaded(body: bytes, source: str) -> dict[str, Json]:
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if b"unsupported value" in body[-200:]:
            raise NotFinite("A sum is past the largest float64.", source=source) from error
        raise unreadable(source, "it is no JSON") from error
    if not isinstance(answer, dict):
        raise unreadable(source, "it is no JSON object")
    return answer


def columns(
    values: Sequence[Sequence[Json]], positions: Sequence[int], types: Sequence[Type], source: str
) -> list[list[Cell]]:
    """The cells of rows, column by column. Raises StoreError when they are of another shape than was asked for."""
    try:
        turned = list(zip(*values, strict=True))
        return [_cells(turned[place], kind) for place, kind in zip(positions, types, strict=True)]
    except (ValueError, TypeError, IndexError) as error:
        raise unreadable(source, "its rows are not what was asked for") from error


def _cells(found: Sequence[Json], kind: Type) -> list[Cell]:
    seen = set(map(type, found))
    if not seen <= _TAKEN[kind.name]:
        raise ValueError("a cell of another type")
    if kind.name is TypeName.FLOAT64:
        # Adding 0.0 makes integers floats and -0 zero.
        if type(None) in seen:
            return [None if value is None else value + 0.0 for value in found]
        return [value + 0.0 for value in found]
    if kind.name is TypeName.INT64 and max((value for value in found if value is not None), default=0) > _MAX_INT64:
        raise ValueError("not an int64")
    return list(found)


def unreadable(source: str, why: str) -> StoreError:
    return StoreError(f"The answer of {source!r} cannot be read: {why}.", code="STORE_ANSWER_INVALID", source=source)


def failure(message: str, source: str) -> HostMonitorError:
    """What InfluxDB's own error text means."""
    text = message.lower()
    said = f"{source!r}: {message[:500]}"
    if "database not found" in text:
        return NotFoundError(said, code="DATABASE_UNKNOWN", source=source)
    if text == "invalid name":
        return RequestError(
            said, code="NAME_INVALID", source=source, hint="printable characters, no slash, no backslash"
        )
    if "measurement not found" in text:
        return NotFoundError(said, code="MEASUREMENT_UNKNOWN", source=source)
    if "max-select-" in text:
        return CostError(said, hint="Narrow the time range or the filter.", source=source)
    if "max-concurrent-queries" in text or "cache-max-memory-size" in text:
        return StoreError(said, code="STORE_BUSY", source=source, retry_after=1)
    if "query-timeout" in text or "timeout" in text:
        return DeadlineError(said, source=source)
    if "no space left" in text:
        return StoreError(said, code="STORE_FULL", source=source)
    return StoreError(said, source=source)
