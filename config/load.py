"""Reads the settings once: the environment over the TOML file that HOSTMONITOR_CONFIG names."""

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsError,
    TomlConfigSettingsSource,
)

from config.instances import InstanceSettings
from config.limits import ROLE_LIMITS
from config.settings import Settings
from libs.errors import ConfigError

PREFIX = "HOSTMONITOR_"
CONFIG_VARIABLE = PREFIX + "CONFIG"
TEST_PREFIX = PREFIX + "TEST_"
INSTANCE_VARIABLE = re.compile(r"HOSTMONITOR_INSTANCES__(?P<name>[A-Z][A-Z0-9_]*?)__(?P<field>[A-Z_]+)")


def load_settings(environ: Mapping[str, str]) -> Settings:
    """The settings from the environment given and the TOML file it names.

    Raises ConfigError that names every wrong setting, and the nearest known name of an unknown one.
    """
    variables = {
        name: value
        for name, value in environ.items()
        if name.startswith(PREFIX) and not name.startswith(TEST_PREFIX) and name != CONFIG_VARIABLE
    }
    problems = [_unknown(name) for name in sorted(variables) if not _known(name)]
    if problems:
        raise ConfigError("; ".join(problems))
    path = environ.get(CONFIG_VARIABLE) or None
    if path is not None and not Path(path).is_file():
        raise ConfigError(f"{CONFIG_VARIABLE}={path} is no file")
    try:
        return _loaded(variables, path)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from None
    except (UnicodeDecodeError, OSError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from None
    except SettingsError as error:
        raise ConfigError(f"{error}: {error.__cause__}") from None
    except ValidationError as error:
        raise ConfigError(
            "; ".join(_problem(item["loc"], item["type"], item["msg"]) for item in error.errors())
        ) from None


def setting_paths(model: type[BaseModel] = Settings, above: tuple[str, ...] = ()) -> Iterable[tuple[str, ...]]:
    """The path of every setting but those of named instances and roles, like ("limits", "groups")."""
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from setting_paths(field.annotation, (*above, name))
        elif name not in ("instances", "roles"):
            yield (*above, name)


def variable(path: Iterable[str]) -> str:
    """The environment variable of a setting's path."""
    return PREFIX + "__".join(part.upper().replace("-", "_") for part in path)


def _loaded(variables: Mapping[str, str], path: str | None) -> Settings:
    class Loaded(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            environment = _Environment(settings_cls, variables)
            return (environment, TomlConfigSettingsSource(settings_cls, toml_file=path))

    return Loaded()


class _Environment(EnvSettingsSource):
    """The variables handed in, not the process's own: only main reads those."""

    def __init__(self, settings_cls: type[BaseSettings], variables: Mapping[str, str]) -> None:
        super().__init__(settings_cls)
        instances = {name: match for name in variables if (match := INSTANCE_VARIABLE.fullmatch(name))}
        self.env_vars = {name.lower(): value for name, value in variables.items() if name not in instances}
        self.instances: dict[str, dict[str, Any]] = {}
        for name, match in instances.items():
            # A shell's variables have no hyphens: ES_EU is the instance es-eu.
            instance = self.instances.setdefault(match["name"].lower().replace("_", "-"), {})
            instance[match["field"].lower()] = variables[name]

    def __call__(self) -> dict[str, Any]:
        found = super().__call__()
        return {**found, "instances": self.instances} if self.instances else found


def _known_variables() -> set[str]:
    return {variable(path) for path in setting_paths()} | {CONFIG_VARIABLE}


def _known(name: str) -> bool:
    match = INSTANCE_VARIABLE.fullmatch(name)
    if match:
        # Nested tables (options) are written in TOML alone.
        return match["field"].lower() in set(InstanceSettings.model_fields) - {"options"}
    return name in _known_variables()


def _unknown(name: str) -> str:
    known = _known_variables()
    match = INSTANCE_VARIABLE.fullmatch(name)
    if match:
        known = {variable(("instances", match["name"], field)) for field in InstanceSettings.model_fields}
    return f"{name} is not a setting{_nearest(name, known)}"


def _nearest(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.0)
    return f"; the nearest one is {close[0]}" if close else ""


def _problem(location: tuple[int | str, ...], kind: str, message: str) -> str:
    """A validation error as a sentence; values are left out, they may be secrets."""
    path = tuple(str(part) for part in location if part != "[key]")
    name = ".".join(path)
    if kind != "extra_forbidden":
        return f"{name or 'settings'}: {message.removeprefix('Value error, ')}"
    if path[0] == "instances":
        known = [".".join((*path[:2], field)) for field in InstanceSettings.model_fields]
    elif path[0] == "roles":
        known = [".".join((*path[:2], "limits", limit)) for limit in ROLE_LIMITS]
    else:
        known = [".".join(known_path) for known_path in setting_paths()]
    return f"{name} is not a setting{_nearest(name, known)}"
