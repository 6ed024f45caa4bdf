"""DuckDB's errors as the tree's."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import duckdb

from libs.context import RequestContext
from libs.errors import CostError, HostMonitorError, RequestError, StoreError

_GROUPS = "COST_EXCEEDED groups "
OVERFLOW = "NOT_FINITE"
SCALED: Mapping[str, bool] = MappingProxyType({"scaled": True})
NULLED: Mapping[str, bool] = MappingProxyType({"scaled": True, "overflow": True})


class OverflowedAggregate(RequestError):
    """A float aggregate past the greatest double, or on its way there. Never the caller's: who runs the statement runs it
    again with the parameters SCALED, and when that fails too, warns and runs it with NULLED."""

    def warn(self, context: RequestContext, source: str | None = None) -> None:
        context.warn(OVERFLOW, self.message, source)


def translate(error: duckdb.Error, source: str | None = None, memory: str | None = None) -> HostMonitorError:
    """The error to raise in DuckDB's stead. `memory` says the limit that an engine was given, for the message."""
    text = str(error)
    if _GROUPS in text:
        limit = text.split(_GROUPS, 1)[1].split()[0]
        return too_many_groups(limit)
    if OVERFLOW in text and isinstance(error, duckdb.InvalidInputException):
        message = "A sum, a mean or a deviation is past the greatest float64; it is null here."
        return OverflowedAggregate(message, code="NUMBER_OUT_OF_RANGE", source=source)
    match error:
        case duckdb.OutOfMemoryException():
            limit = f" of {memory}" if memory else ""
            return CostError(
                f"The query needs more than the local engine's memory{limit}.",
                hint="narrow the time range or the filter, or use fewer or wider groups",
                source=source,
            )
        case duckdb.ConversionException() | duckdb.OutOfRangeException():
            return RequestError(
                "A number on the way does not fit into int64.",
                code="NUMBER_OUT_OF_RANGE",
                hint="use avg, or a narrower range",
                source=source,
            )
        case _:
            return StoreError(f"The engine failed: {text.splitlines()[0]}", source=source)


def fanned_out(alias: str, at: str) -> RequestError:
    """A join's key that a left row and several right rows have; `at` points to the join."""
    return RequestError(
        f"Several rows of {alias!r} have one key, and a row of the left side has it too.",
        code="JOIN_FANOUT",
        pointer=at,
        hint='group the right side by its keys, join by more keys, or say "many": true',
    )


def too_many_joined(alias: str, at: str, rows: int, limit: int) -> CostError:
    """More rows of a join than the limit; `at` points to the join."""
    return CostError(
        f"The join {alias!r} makes {rows} rows; the limit is {limit} joined rows.",
        pointer=at,
        hint="join by more keys, group a side by its keys first, or narrow either side",
    )


def too_many_groups(limit: object, found: int | None = None) -> CostError:
    """More groups than the limit, of which `found` were foreseen before running."""
    figure = f"some {found}" if found is not None else f"more than {limit}"
    return CostError(
        f"The query makes {figure} groups; the limit is {limit}.",
        hint="narrow the time range or the filter, use wider buckets, or fewer keys",
    )


_ERRORS: Mapping[str, type[duckdb.Error]] = {
    "Out of Memory Error": duckdb.OutOfMemoryException,
    "Conversion Error": duckdb.ConversionException,
    "Out of Range Error": duckdb.OutOfRangeException,
    "FATAL Error": duckdb.FatalException,
}


def engine_error(text: str) -> duckdb.Error:
    """The engine's error, of which a stream of Arrow arrays has kept the text alone."""
    text = text.partition("): ")[2] or text
    return _ERRORS.get(text.partition(":")[0], duckdb.Error)(text)
