"""Opens backends by their configured names and turns a plan's scans into queries. No hierarchy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module

from libs.errors import ConfigError, NotFoundError
from query.backend import Backend, InstanceConfig, Query
from query.plan import Plan, Scan, scans


def open_backend(folder: str, config: InstanceConfig) -> Backend:
    """Opens an instance with the backend in query/<folder>/. Raises ConfigError when there is none."""
    try:
        module = import_module(f"query.{folder}")
    except ModuleNotFoundError as error:
        if error.name != f"query.{folder}":
            raise
        raise ConfigError(
            f"Instance {config.name!r} names the backend {folder!r}, but there is no query/{folder}/."
        ) from error
    backend: Backend = module.open_backend(config)
    return backend


class QueryFactory:
    """The open backends by instance name: `instances` are the configured ones, `own` further sources of the service's own."""

    def __init__(self, instances: Iterable[Backend], own: Iterable[Backend] = ()) -> None:
        self.instances: Mapping[str, Backend] = {backend.name: backend for backend in instances}
        self.backends: Mapping[str, Backend] = {**self.instances, **{backend.name: backend for backend in own}}

    def backend(self, name: str) -> Backend:
        """Raises NotFoundError (SOURCE_UNKNOWN)."""
        try:
            return self.backends[name]
        except KeyError:
            known = ", ".join(sorted(self.instances))
            raise NotFoundError(
                f"There is no instance {name!r}.", code="SOURCE_UNKNOWN", hint=f"one of: {known}"
            ) from None

    def compile(self, plan: Plan) -> dict[Scan, Query]:
        """One query a scan. Pure."""
        return {scan: self.backend(scan.source.instance).compile(scan) for scan in scans(plan)}

    async def close(self) -> None:
        for backend in self.backends.values():
            await backend.close()
