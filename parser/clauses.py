"""The smaller clauses of a body: `from`, `time_range`, `fill`, `limit`, `cursor`, `options`."""

from __future__ import annotations

from typing import Any, cast

from libs.times import NS_PER_SECOND, parse_duration
from parser.reading import Reading
from parser.words import (
    DIRECTIONS,
    DOCUMENTS_SOURCE,
    FILL,
    FILL_MODES,
    LEAST_LIMIT,
    LOOKUP_SOURCE,
    MOST_KEYS,
    MOST_LIMIT,
    MOST_TOP,
    OPTIONS,
    SERIES_SOURCE,
    TIME_RANGE,
    TOP,
)
from query.catalog import SourceRef
from query.plan import FillMode, Options
from query.question import FillClause, TimeRange, TopClause


def read_source(reading: Reading, value: Any, at: str) -> SourceRef | None:
    """`from`: an index of a documents instance, a measurement of a series one, or a lookup table."""
    series = type(value) is dict and ("db" in value or "measurement" in value) and "index" not in value
    lookup = type(value) is dict and "lookup" in value and "index" not in value
    known = SERIES_SOURCE if series else LOOKUP_SOURCE if lookup else DOCUMENTS_SOURCE
    parts = ("source", "db", "measurement") if series else ("source", "lookup") if lookup else ("source", "index")
    item = reading.object(value, at, known, parts)
    if item is None or not item.keys() >= known:
        return None
    instance, *target = [reading.name(item[part], f"{at}/{part}", f"the {part}'s name") for part in parts]
    return SourceRef(instance, tuple(target))


def read_time_range(reading: Reading, value: Any, at: str) -> TimeRange:
    item = reading.object(value, at, TIME_RANGE) or {}
    bounds: list[str | None] = []
    for name in ("from", "to"):
        bound = item.get(name)
        if (bound is not None and type(bound) is not str) or (bound is None and name in item):
            reading.wrong(
                bound, "a time, a string", f"{at}/{name}", "use RFC 3339 or now-1h/h; leave it away for no bound"
            )
            bound = None
        bounds.append(bound)
    field = reading.name(item["field"], at + "/field", "a field's name") if "field" in item else None
    return TimeRange(bounds[0], bounds[1], field, at)


def read_fill(reading: Reading, value: Any, at: str) -> FillClause | None:
    item = reading.object(value, at, FILL, ("mode",))
    if item is None or "mode" not in item:
        return None
    mode = reading.word(item["mode"], FILL_MODES, at + "/mode", "a mode of fill")
    if mode == "value" and "value" not in item:
        reading.missing("value", at)
    elif mode is not None and mode != "value" and "value" in item:
        reading.issues.add("BODY_INVALID", f"The mode {mode!r} takes no value.", at + "/value", 'use "mode": "value"')
    filler = item.get("value")
    if "value" in item and type(filler) not in (int, float):
        reading.wrong(filler, "a number", at + "/value")
    return FillClause(cast(FillMode, mode), filler, at)


def read_top(reading: Reading, value: Any, at: str) -> TopClause | None:
    item = reading.object(value, at, TOP, ("by", "n"))
    if item is None:
        return None
    by = reading.name(item["by"], at + "/by", "an output's name") if "by" in item else ""
    count = item.get("n", 1)
    if type(count) is not int or not 1 <= count <= MOST_TOP:
        message = f"`n` must be a whole number from 1 to {MOST_TOP}."
        reading.issues.add("LIMIT_INVALID", message, at + "/n", "say how many rows to keep")
        count = 1
    per = reading.items(item["per"], at + "/per", MOST_KEYS) if "per" in item else []
    names = tuple([reading.name(one, f"{at}/per/{index}", "a key's name") for index, one in enumerate(per)])
    direction = reading.word(item.get("dir", "desc"), DIRECTIONS, at + "/dir", "a direction")
    return TopClause(by, count, names, direction != "asc", at)


def read_limit(reading: Reading, value: Any, at: str) -> int | None:
    if type(value) is int and LEAST_LIMIT <= value <= MOST_LIMIT:
        return value
    message = f"The limit must be a whole number from {LEAST_LIMIT} to {MOST_LIMIT}."
    reading.issues.add("LIMIT_INVALID", message, at, "leave it away for 100")
    return None


def read_cursor(reading: Reading, value: Any, at: str) -> None:
    """Null alone: the text of a page is followed before a body is read as a question."""
    if value is not None:
        reading.issues.add("BODY_INVALID", "This is no cursor of a page.", at, "use page.cursor of a /query, or null")


def read_options(reading: Reading, value: Any, at: str) -> Options:
    item = reading.object(value, at, OPTIONS) or {}
    return Options(
        partial="partial" in item and reading.flag(item["partial"], at + "/partial"),
        timeout=_timeout(reading, item["timeout"], at + "/timeout") if "timeout" in item else None,
        exact="exact" in item and reading.flag(item["exact"], at + "/exact"),
        total="total" in item and reading.flag(item["total"], at + "/total"),
        require_fresh_ns=_duration(reading, item["require_fresh"], at + "/require_fresh")
        if "require_fresh" in item
        else None,
    )


def _timeout(reading: Reading, value: Any, at: str) -> float | None:
    nanoseconds = _duration(reading, value, at)
    if nanoseconds == 0:
        reading.issues.add("TIME_INVALID", "A timeout of nothing leaves no time.", at, "use more, such as 20s")
    return None if nanoseconds is None else nanoseconds / NS_PER_SECOND


def _duration(reading: Reading, value: Any, at: str) -> int | None:
    """Nanoseconds."""
    if type(value) is not str:
        reading.wrong(value, "a duration, a string", at, "such as 20s")
        return None
    try:
        return parse_duration(value)
    except ValueError as error:
        reading.issues.add("TIME_INVALID", f"{error}.", at, "use a duration such as 500ms, 20s, 5m")
        return None
