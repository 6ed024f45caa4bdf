"""Values of `_source`, and of `fields`, as cells: only where what was sent proves to be what the index holds. Pure.

A converter takes the values of one field over a page (each a JSON value, None where it is absent) and gives cells, or
raises NotSame: the index may hold something else (a number in quotes, a date in another format), so that the page has
to be asked again with `fields`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import orjson

from libs.result import Cell
from libs.times import days_from_civil, days_in_month
from query.backend import CatalogStale
from query.es import single

Converter = Callable[[list[Any]], Sequence[Cell]]
_ABSENT = type(None)
_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)?", re.ASCII)


class NotSame(Exception):
    """The value in `_source` does not prove what the index holds."""


def strings(values: list[Any]) -> Sequence[Cell]:
    if set(map(type, values)) <= {str, _ABSENT}:
        return values
    raise NotSame


def booleans(values: list[Any]) -> Sequence[Cell]:
    if set(map(type, values)) <= {bool, _ABSENT}:
        return values
    raise NotSame


def integers(values: list[Any]) -> Sequence[Cell]:
    if set(map(type, values)) <= {int, _ABSENT}:
        return values
    raise NotSame


def doubles(values: list[Any]) -> Sequence[Cell]:
    if set(map(type, values)) <= {float, int, _ABSENT}:
        return [None if value is None else value + 0.0 for value in values]
    raise NotSame


def floats(values: list[Any]) -> Sequence[Cell]:
    if set(map(type, values)) <= {float, int, _ABSENT}:
        return [None if value is None else single.shortest(value) for value in values]
    raise NotSame


def addresses(values: list[Any]) -> Sequence[Cell]:
    """IPv4 alone; IPv6 has many spellings."""
    if set(map(type, values)) <= {str, _ABSENT} and all(value is None or _is_ipv4(value) for value in values):
        return values
    raise NotSame


def milliseconds(values: list[Any]) -> Sequence[Cell]:
    """Of a `date` whose format takes RFC 3339 and milliseconds; floored."""
    return [None if value is None else _milliseconds(value) for value in values]


def _milliseconds(value: Any) -> int:
    """Floored. The common spelling, `2026-11-22T10:00:00.123Z`, goes the fast way: neighbouring rows share a minute."""
    if type(value) is str and len(value) == 24 and value[19] == "." and value[23] == "Z" and value.isascii():
        second, fraction = value[17:19], value[20:23]
        if second.isdigit() and fraction.isdigit() and second < "60":
            return _minute(value[:17]) + int(second) * 1000 + int(fraction)
    return _nanoseconds(value) // 1_000_000


@lru_cache(maxsize=8192)
def _minute(text: str) -> int:
    """Milliseconds of `2026-11-22T10:00:`; raises NotSame."""
    return instant(text + "00Z") // 1_000_000


def nanoseconds(values: list[Any]) -> Sequence[Cell]:
    """Of a `date_nanos`."""
    return [None if value is None else _nanoseconds(value) for value in values]


def _nanoseconds(value: Any) -> int:
    if type(value) is str:
        return instant(value)
    if type(value) is int and not 1000 <= abs(value) <= 9999:  # four digits are a year to Elasticsearch
        return value * 1_000_000
    raise NotSame


@lru_cache(maxsize=4096)
def _day_start(year: int, month: int, day: int) -> int:
    """Seconds; raises NotSame where there is no such day."""
    if not 1 <= month <= 12 or not 1 <= day <= days_in_month(year, month):
        raise NotSame
    return days_from_civil(year, month, day) * 86400


def instant(text: str) -> int:
    """Nanoseconds since 1970 of a whole RFC 3339 time (in UTC without a zone, as Elasticsearch reads it)."""
    found = _TIME.fullmatch(text)
    if found is None:
        raise NotSame
    year, month, day, hour, minute, second, fraction, zone = found.groups()
    if hour > "23" or minute > "59" or second > "59":
        raise NotSame
    total = _day_start(int(year), int(month), int(day)) + int(hour) * 3600 + int(minute) * 60 + int(second)
    if zone is not None and zone != "Z":
        if zone[1:3] > "17" or zone[4:] > "59":
            raise NotSame
        offset = int(zone[1:3]) * 3600 + int(zone[4:]) * 60
        total += offset if zone[0] == "-" else -offset
    return total * 1_000_000_000 + (int(fraction.ljust(9, "0")) if fraction else 0)


def texts(values: list[Any]) -> Sequence[Cell]:
    """JSON text of whatever was sent; null and an empty list are missing."""
    return [None if value is None or value == [] else orjson.dumps(value).decode() for value in values]


@lru_cache(maxsize=65536)
def _is_ipv4(text: str) -> bool:
    parts = text.split(".")
    return len(parts) == 4 and all(
        part.isascii() and part.isdigit() and int(part) < 256 and str(int(part)) == part for part in parts
    )


def column(values: list[Any], convert: Converter, multi: bool) -> Sequence[Cell]:
    """The cells of a field's values over a page. Raises NotSame, CatalogStale."""
    if not multi:
        try:
            return convert(values)
        except NotSame:
            if list not in map(type, values):
                raise
    flat: list[Any] = []
    counts: list[int] = []
    for value in values:
        before = len(flat)
        flat.extend(_members(value))
        counts.append(len(flat) - before)
    if not multi and max(counts) > 1:
        raise CatalogStale
    cells = iter(convert(flat))
    if multi:
        return [[next(cells) for _ in range(count)] or None for count in counts]  # type: ignore[misc]
    return [next(cells) if count else None for count in counts]


def _members(value: Any) -> Iterator[Any]:
    """The values in a list, however nested, without nulls."""
    if isinstance(value, list):
        for one in value:
            yield from _members(one)
    elif value is not None:
        yield value


def reader(name: str) -> Callable[[list[Any]], list[Any]]:
    """Takes the value at a dotted place out of each `_source`: objects may be nested or dotted, in lists or not."""
    parts = name.split(".")
    if len(parts) == 1:
        return lambda sources: [source.get(name) for source in sources]

    def read(sources: list[Any]) -> list[Any]:
        values: list[Any] = []
        for source in sources:
            inner = source.get(parts[0])
            if len(parts) == 2 and type(inner) is dict and name not in source:
                values.append(inner.get(parts[1]))
            else:
                found = list(_found(source, parts))
                values.append(found[0] if len(found) == 1 else found or None)
        return values

    return read


def _found(node: Any, parts: list[str]) -> Iterator[Any]:
    if isinstance(node, list):
        for one in node:
            yield from _found(one, parts)
    elif isinstance(node, dict):
        for at in range(1, len(parts)):
            inner = node.get(".".join(parts[:at]))
            if inner is not None:
                yield from _found(inner, parts[at:])
        value = node.get(".".join(parts))
        if value is not None:
            yield value


def given_milliseconds(values: list[Any]) -> Sequence[Cell]:
    """Of `fields` in the format `epoch_millis`, which sends text."""
    if set(map(type, values)) <= {str, _ABSENT}:
        return [None if value is None else int(value) for value in values]
    raise NotSame


OF_SOURCE: Mapping[str, Converter] = {
    "keyword": strings,
    "text": strings,
    "ip": addresses,
    "boolean": booleans,
    "integer": integers,
    "double": doubles,
    "float": floats,
    "date": milliseconds,
    "date_nanos": nanoseconds,
    "json": texts,
}
OF_FIELDS: Mapping[str, Converter] = {
    **OF_SOURCE,
    "ip": strings,
    "date": given_milliseconds,
    "odd": doubles,
}
FORMATS: Mapping[str, str] = {"date": "epoch_millis", "date_nanos": "strict_date_optional_time_nanos"}
