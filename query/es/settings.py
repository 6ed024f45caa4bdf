"""The options of an Elasticsearch instance: `[instances.<name>.options]`, all optional."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from libs.errors import ConfigError
from query.backend import InstanceConfig, Json


@dataclass(frozen=True, slots=True)
class EsSettings:
    """`page_rows`: rows (and groups) a request of a whole scan. `page_bytes`: what such a page should weigh at the most.
    `keep_alive_seconds`: how long the store keeps a point in time between two pages.
    `learn_share`: the part of the store's time that learning which fields are multi-valued may take.
    """

    page_rows: int = 10_000
    page_bytes: int = 16 * 1024 * 1024
    keep_alive_seconds: int = 60
    learn_share: float = 0.02


def read_settings(config: InstanceConfig) -> EsSettings:
    """The settings out of a configured instance. Raises ConfigError, which names the option."""
    known = {field.name for field in fields(EsSettings)}
    unknown = sorted(set(config.options) - known)
    if unknown:
        raise ConfigError(
            f"Instance {config.name!r} has the unknown option {unknown[0]!r}; known are {', '.join(sorted(known))}."
        )
    return EsSettings(
        page_rows=_whole(config, "page_rows", 1, 10_000),
        page_bytes=_whole(config, "page_bytes", 1024, 2**30),
        keep_alive_seconds=_whole(config, "keep_alive_seconds", 5, 3600),
        learn_share=_share(config.name, config.options),
    )


def _whole(config: InstanceConfig, name: str, low: int, high: int) -> int:
    value = config.options.get(name, getattr(EsSettings(), name))
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ConfigError(f"Instance {config.name!r}: {name} must be a whole number from {low} to {high}.")
    return value


def _share(instance: str, options: Mapping[str, Json]) -> float:
    value = options.get("learn_share", EsSettings().learn_share)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
        raise ConfigError(f"Instance {instance!r}: learn_share must be a number above 0, 1 at the most.")
    return float(value)
