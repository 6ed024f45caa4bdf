"""The settings of an index that can change while it is in use: an allow-list, the same for every store. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from libs.errors import Issue, RequestError
from libs.issues import MOST_ISSUES, escape, nearest

Json = Any

# What the service's own pages need of `max_result_window`.
LEAST_WINDOW = 10_000
_TIME = re.compile(r"-1|[1-9][0-9]{0,8}(?:ms|s|m|h|d)")
_EXPAND = re.compile(r"false|0-(?:all|[0-9]{1,2})|[1-9][0-9]?-(?:all|[0-9]{1,2})")


@dataclass(frozen=True, slots=True)
class Setting:
    """`fits` judges a value that is not null; `form` says which do."""

    fits: Callable[[Json], bool]
    form: str


def _whole(low: int, high: int) -> Setting:
    def fits(value: Json) -> bool:
        text = str(value)
        is_number = isinstance(value, int | str) and not isinstance(value, bool) and text.isascii() and text.isdigit()
        return is_number and len(text) < 12 and low <= int(text) <= high

    return Setting(fits, f"a whole number from {low} to {high}")


def _text(pattern: re.Pattern[str], form: str) -> Setting:
    return Setting(lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None, form)


DYNAMIC: Mapping[str, Setting] = {
    "number_of_replicas": _whole(0, 100),
    "auto_expand_replicas": Setting(
        lambda value: value is False or (isinstance(value, str) and _EXPAND.fullmatch(value) is not None),
        "false, or a range such as 0-1 or 0-all",
    ),
    "refresh_interval": _text(_TIME, "a time such as 1s or 30s, or -1 for never"),
    "max_result_window": _whole(LEAST_WINDOW, 1_000_000),
    "mapping.total_fields.limit": _whole(1, 100_000),
    "priority": _whole(0, 2**31 - 1),
    "translog.durability": _text(re.compile("request|async"), "request or async"),
    "translog.sync_interval": _text(re.compile("[1-9][0-9]{0,5}(?:s|m)|[1-9][0-9]{2,6}ms"), "a time from 100ms"),
}
# Known, and fixed when an index is made: what is below one of these too.
_STATIC = (
    "number_of_shards", "number_of_routing_shards", "codec", "analysis", "similarity", "sort", "mode", "routing_partition_size",
    "routing_path", "store", "soft_deletes", "uuid", "version", "creation_date", "provided_name", "history_uuid", "time_series",
    "load_fixed_bitset_filters_eagerly", "hidden", "shard",
)  # fmt: skip


def read_dynamic(settings: Mapping[str, Json]) -> dict[str, Json]:
    """The settings by their dotted names without `index.`, null where the default is meant.

    Raises RequestError (SETTING_INVALID) with every one that is not taken; pointers are into `settings`."""
    found: dict[str, Json] = {}
    issues: list[Issue] = []
    for path, at, value in _flat(settings, "", "", 1):
        name = path.removeprefix("index.")
        fault = _fault(name, value) if name not in found else ("is given twice", "give it once")
        if fault is not None:
            issues.append(Issue("SETTING_INVALID", f"The setting [{name[:100]}] {fault[0]}.", at, fault[1]))
        found[name] = value
    if not found:
        issues.append(Issue("SETTING_INVALID", "No setting is named.", "", "one of " + ", ".join(DYNAMIC)))
    if issues:
        raise RequestError.of(issues[:MOST_ISSUES])
    return found


def flattened(settings: Mapping[str, Json]) -> dict[str, Json]:
    """An index's settings by their dotted names without `index.`."""
    return {path.removeprefix("index."): value for path, _, value in _flat(settings, "", "", 1)}


def _fault(name: str, value: Json) -> tuple[str, str] | None:
    """What is wrong with a setting, and what to do."""
    setting = DYNAMIC.get(name)
    if setting is not None:
        if value is None or setting.fits(value):
            return None
        return "cannot have this value", f"{setting.form}, or null for the default"
    if any(name == fixed or name.startswith(fixed + ".") for fixed in _STATIC):
        return "is fixed when an index is made", "make a new index with it, and copy the documents"
    return "is none that can be changed here", nearest(name, DYNAMIC) or ""


def _flat(settings: Mapping[str, Json], prefix: str, at: str, depth: int) -> Iterator[tuple[str, str, Json]]:
    """(dotted path, pointer, value) of every setting, however it was nested."""
    for name, value in settings.items():
        path, place = prefix + name, f"{at}/{escape(name)}"
        if isinstance(value, dict) and value and depth < 8:
            yield from _flat(value, f"{path}.", place, depth + 1)
        else:
            yield path, place, value
