"""Opens backends by their configured names and turns a plan's scans into queries. No hierarchy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module

from libs.context import RequestContext
from libs.errors import ConfigError, DeadlineError, NotFoundError, StoreError
from query.backend import Backend, Capabilities, InstanceConfig, Query
from query.catalog import SourceRef, Table
from query.plan import Plan, Scan, scans

_MOST_KNOWN = 1_000


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
        self._known: dict[SourceRef, Table] = {}

    def backend(self, name: str) -> Backend:
        """Raises NotFoundError (SOURCE_UNKNOWN)."""
        try:
            return self.backends[name]
        except KeyError:
            known = ", ".join(sorted(self.instances))
            raise NotFoundError(
                f"There is no instance {name!r}.", code="SOURCE_UNKNOWN", hint=f"one of: {known}"
            ) from None

    async def table(self, source: SourceRef, context: RequestContext) -> Table:
        """The source's table. Where the request takes partial answers and the store is down, the one that was last seen:
        its columns keep their types, while the pull tells that the store is down. Raises what the backend raises."""
        try:
            table = await self.backend(source.instance).table(source, context)
        except DeadlineError:
            raise
        except StoreError:
            if context.partial_allowed and source in self._known:
                return self._known[source]
            raise
        if self._known.get(source) is not table:
            self._known.pop(source, None)
            self._known[source] = table
            if len(self._known) > _MOST_KNOWN:
                del self._known[next(iter(self._known))]
        return table

    @property
    def capabilities(self) -> Mapping[str, Capabilities]:
        """What each backend can do, by instance name."""
        return {name: backend.capabilities for name, backend in self.backends.items()}

    def compile(self, plan: Plan) -> dict[Scan, Query]:
        """One query a scan. Pure."""
        return {scan: self.backend(scan.source.instance).compile(scan) for scan in scans(plan)}

    async def close(self) -> None:
        for backend in self.backends.values():
            await backend.close()
