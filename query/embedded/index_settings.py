"""An index's settings: those that mean something here, those that only tune a cluster, and no others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from libs.errors import Issue, RequestError
from query.embedded.mapping import MAX_FIELDS

Json = Any

# Taken and kept, without effect on one file in one process.
TUNING = frozenset(
    {
        "number_of_shards", "number_of_replicas", "auto_expand_replicas", "refresh_interval", "codec", "priority",
        "number_of_routing_shards", "translog.durability", "translog.sync_interval", "query.default_field",
    }
)  # fmt: skip
RESULT_WINDOW = 10_000


@dataclass(frozen=True, slots=True)
class IndexSettings:
    """`normalizers` are the names that mean lower-casing; `result_window` bounds from + size of a search."""

    normalizers: frozenset[str]
    max_fields: int
    result_window: int = RESULT_WINDOW


def read_settings(settings: Mapping[str, Json]) -> IndexSettings:
    """Raises RequestError (MAPPING_INVALID) naming every setting that this store does not do."""
    issues: list[Issue] = []
    normalizers = {"lowercase"}
    max_fields, window = MAX_FIELDS, RESULT_WINDOW
    chains: dict[str, dict[str, Json]] = {}
    for path, value in _flattened(settings, ""):
        name = path.removeprefix("index.")
        number = int(value) if str(value).isdecimal() and len(str(value)) < 10 else None
        if name == "mapping.total_fields.limit" and number is not None:
            max_fields = number
        elif name == "max_result_window":
            window = number or RESULT_WINDOW
        elif name.startswith("analysis.normalizer.") and name.count(".") == 3:
            _, _, normalizer, part = name.split(".")
            chains.setdefault(normalizer, {})[part] = value
        elif name not in TUNING:
            issues.append(_refused(path, f"The setting [{path}] is not done by this store."))
    for normalizer, chain in chains.items():
        if chain.get("filter") in ("lowercase", ["lowercase"]) and chain.keys() <= {"type", "filter", "char_filter"}:
            normalizers.add(normalizer)
            if chain.get("char_filter"):
                issues.append(
                    _refused(
                        normalizer, f"Character filters of the normalizer [{normalizer}] are not done by this store."
                    )
                )
        else:
            issues.append(_refused(normalizer, f"The normalizer [{normalizer}] does more than lower-casing."))
    if issues:
        raise RequestError.of(issues)
    return IndexSettings(frozenset(normalizers), max_fields, window)


def _refused(path: str, message: str) -> Issue:
    return Issue("MAPPING_INVALID", message, "/settings/" + path.replace("~", "~0").replace("/", "~1"), "leave it away")


def _flattened(settings: Mapping[str, Json], prefix: str) -> Iterator[tuple[str, Json]]:
    """Every setting by its dotted path, however it was nested."""
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from _flattened(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value
