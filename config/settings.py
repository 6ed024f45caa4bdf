"""The service's settings, typed; docs/settings.md lists them. config/load.py reads them."""

import ipaddress
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from config.first_key import key_in_file, strong
from config.idempotency import IdempotencySettings
from config.instances import DEFAULT_KINDS, EMBEDDED, InstanceSettings, StoreUrl, http_url, instance_name
from config.jobs import JobSettings
from config.limits import MEBIBYTE, LimitsSettings, RoleSettings, role_name
from config.replicas import ReplicaSettings
from libs.context import Limits
from libs.errors import ConfigError


def _public_url(value: str | None) -> str | None:
    return http_url(value) if value else None


def _blank_is_none(value: object) -> object:
    return None if value == "" else value


class PoolSettings(BaseModel):
    """The connections to one remote store."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    connections: int = Field(default=100, ge=1, le=10_000, description="Connections to one instance at a time.")


class ServerSettings(BaseModel):
    """The HTTP server's own times, in seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    request_seconds: float = Field(default=30, gt=0, le=3600, description="Idle time while a request arrives.")
    keep_alive_seconds: float = Field(default=75, ge=0, le=3600, description="Idle time between two requests.")
    shutdown_seconds: float = Field(default=15, gt=0, le=300, description="Time for requests to finish on SIGTERM.")
    connections_per_address: int = Field(
        default=1000, ge=0, le=1_000_000, description="Connections of one address, of IPv6 one /64; 0 is any number."
    )

    allowed_hosts: Annotated[str, Field(pattern=r"^[A-Za-z0-9._,: \[\]-]*$")] = Field(
        default="",
        description="Names, with commas between, by which a service without keys may be called besides the loopback's.",
    )

    def host_names(self) -> list[str]:
        """The names of `allowed_hosts`."""
        return [name.strip().strip("[]") for name in self.allowed_hosts.split(",") if name.strip()]


class LogSettings(BaseModel):
    """The log files in `log_dir`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_bytes: int = Field(default=32 * MEBIBYTE, ge=65_536, description="A log file is rotated at this size.")
    files: int = Field(default=5, ge=1, le=1000, description="Rotated files that are kept.")
    level: Annotated[str, Field(pattern="^(debug|info|warning|error)$")] = Field(
        default="info", description="The least severe level written: debug, info, warning, error."
    )


class Settings(BaseSettings):
    """All settings. Made by load_settings, or in tests from keywords alone: it reads nothing by itself."""

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, env_prefix="HOSTMONITOR_", env_nested_delimiter="__", validate_default=False
    )

    host: str = Field(default="127.0.0.1", min_length=1, description="The address to listen at.")
    port: int = Field(default=8000, ge=0, le=65_535, description="The port to listen at; 0 takes a free one.")
    data_dir: Path = Field(default=Path("data"), description="The embedded store's folder.")
    state_dir: Annotated[Path | None, BeforeValidator(_blank_is_none)] = Field(
        default=None, description="The folder of the service's own state, which replicas share; `data_dir` without it."
    )
    es_url: StoreUrl = Field(default=EMBEDDED, description="The url of the instance `es`.")
    influx_url: StoreUrl = Field(default=EMBEDDED, description="The url of the instance `influx`.")
    base_path: str = Field(
        default="",
        pattern=r"^(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*$",
        description="The path a gateway serves it under, like `/monitor`; in the page, the document and the links.",
    )
    public_url: Annotated[str | None, AfterValidator(_public_url), BeforeValidator(_blank_is_none)] = Field(
        default=None, description="The address users see, as `servers` of the OpenAPI document."
    )
    api_key: Annotated[SecretStr | None, AfterValidator(strong), BeforeValidator(_blank_is_none)] = Field(
        default=None,
        description="A first key, which may do everything: 32 characters or more, such as `keys add` makes.",
    )
    api_key_file: Annotated[Path | None, BeforeValidator(_blank_is_none)] = Field(
        default=None, description="A file that holds the first key, in the place of `api_key`."
    )
    log_dir: Path = Field(default=Path("logs"), description="The folder of `app.log` and `access.log`.")
    slow_query_seconds: float = Field(default=1, ge=0, description="Queries that take longer are logged.")
    limits: LimitsSettings = Field(default=LimitsSettings(), description="")
    pool: PoolSettings = Field(default=PoolSettings(), description="")
    server: ServerSettings = Field(default=ServerSettings(), description="")
    log: LogSettings = Field(default=LogSettings(), description="")
    jobs: JobSettings = Field(default=JobSettings(), description="")
    replicas: ReplicaSettings = Field(default=ReplicaSettings(), description="")
    idempotency: IdempotencySettings = Field(default=IdempotencySettings(), description="")
    instances: dict[Annotated[str, AfterValidator(instance_name)], InstanceSettings] = Field(
        default_factory=dict, description="The named instances; `es` and `influx` exist in any case."
    )

    roles: dict[Annotated[str, AfterValidator(role_name)], RoleSettings] = Field(
        default_factory=dict, description="What callers of a role may do; `[limits]` holds for all others."
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)

    @model_validator(mode="after")
    def _one_first_key(self) -> Self:
        if self.api_key is not None and self.api_key_file is not None:
            raise ValueError("api_key and api_key_file are both set: take one of them")
        return self

    @model_validator(mode="after")
    def _default_kinds(self) -> Self:
        for name, kind in DEFAULT_KINDS.items():
            if name in self.instances and self.instances[name].kind != kind:
                raise ValueError(f"the instance {name!r} is of kind {kind!r}")
        self.stores()
        return self

    def stores(self) -> dict[str, InstanceSettings]:
        """Every instance by its name: `es` and `influx` first; `es_url` and `influx_url`, where set, are their url."""
        found: dict[str, InstanceSettings] = {}
        for name, kind in DEFAULT_KINDS.items():
            described = self.instances.get(name)
            fields = described.model_dump(exclude_unset=True) if described else {"kind": kind, "region": "local"}
            if f"{name}_url" in self.model_fields_set:
                fields["url"] = getattr(self, f"{name}_url")
            found[name] = InstanceSettings.model_validate(fields)
        return found | {name: instance for name, instance in self.instances.items() if name not in found}

    def role_limits(self) -> dict[str, Limits]:
        """The limits of every role that has some of its own."""
        defaults = self.limits.costs()
        return {name: role.costs(defaults) for name, role in self.roles.items()}

    @property
    def state_folder(self) -> Path:
        """Where the service's own state is: keys, saved queries, lookup tables, the records of jobs."""
        return self.state_dir or self.data_dir

    @property
    def longest_seconds(self) -> float:
        """The longest deadline that any caller's query has."""
        return max([self.limits.timeout_seconds, *(limits.timeout_seconds for limits in self.role_limits().values())])

    @property
    def loopback(self) -> bool:
        """Whether the service can be reached from this machine alone."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host.strip("[]")).is_loopback
        except ValueError:
            return False

    def first_key(self) -> str | None:
        """The key of the settings or of the file that they name. Raises ConfigError where that holds none."""
        if self.api_key is not None:
            return self.api_key.get_secret_value()
        return key_in_file(self.api_key_file) if self.api_key_file is not None else None


def check_exposure(settings: Settings, has_keys: bool) -> str | None:
    """What to say at start about who can reach the service; None where it has keys, of the settings or stored.

    Raises ConfigError when anybody on the network could: without a key the service stays on the loopback.
    """
    if has_keys:
        return None
    if not settings.loopback:
        raise ConfigError(
            f"HOSTMONITOR_HOST={settings.host} can be reached from other machines, and there is no key: everybody could"
            " read and delete everything. Add a key (`main.py keys add NAME --allow read`, or HOSTMONITOR_API_KEY), or bind"
            " to the loopback (127.0.0.1 or ::1)."
        )
    return (
        "no key: whoever can open a connection on this machine may read and delete everything"
        " (`main.py keys add` makes one)"
    )
