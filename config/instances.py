"""A named instance of a store, as the settings describe it."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

EMBEDDED = "embedded"
Kind = Literal["documents", "series"]

INSTANCE_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}", re.ASCII)
# An instance's name is the first segment of its routes: these are the service's own, now and as planned.
# fmt: off
RESERVED_NAMES = frozenset((
    "admin", "agents", "alerts", "api", "auth", "docs", "favicon", "freshness", "gather", "health", "ingest",
    "instances", "jobs", "keys", "login", "logout", "me", "metrics", "mix", "openapi", "pages", "queries",
    "query", "roles", "search", "settings", "static", "swagger", "users", "volume",
))
# fmt: on
DEFAULT_KINDS: dict[str, Kind] = {"es": "documents", "influx": "series"}
DEFAULT_BACKENDS: dict[Kind, str] = {"documents": "es", "series": "influx"}


def http_url(value: str) -> str:
    """An http(s) URL without credentials, query and fragment, its trailing slash removed; raises ValueError."""
    if not value.isprintable() or " " in value:
        raise ValueError("a URL holds no spaces and no control characters")
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("an absolute URL like http://127.0.0.1:9200 is needed")
    if parts.username is not None or parts.password is not None:
        raise ValueError("credentials do not stand in the URL: use username and password, or token")
    if parts.query or parts.fragment:
        raise ValueError("the URL of a server has no query and no fragment")
    parts.port  # noqa: B018 - raises ValueError out of range
    return value.rstrip("/")


def store_url(value: str) -> str:
    """`embedded`, or an http_url."""
    return value if value == EMBEDDED else http_url(value)


StoreUrl = Annotated[str, AfterValidator(store_url)]


class InstanceSettings(BaseModel):
    """One store: what it serves (`kind`), where it is, and how to get in."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Kind = Field(description="What it serves: `documents` or `series`.")
    url: StoreUrl = Field(default=EMBEDDED, description="Its server, or `embedded` for DuckDB under `data_dir`.")
    region: str | None = Field(
        default=None, min_length=1, max_length=64, description="Where it stands; `/mix/node/<region>` asks by it."
    )
    username: str | None = Field(default=None, min_length=1, description="For HTTP basic authentication.")
    password: SecretStr | None = Field(default=None, description="For HTTP basic authentication.")
    token: SecretStr | None = Field(
        default=None, description="An API key (documents) or token (series), instead of username and password."
    )
    ca_file: Path | None = Field(default=None, description="The certificates that an https server must chain to.")
    backend: str | None = Field(
        default=None,
        pattern=r"^[a-z][a-z0-9_]{0,31}$",
        description="The folder under `query/` that speaks to it; by default chosen by kind and url.",
    )
    options: dict[str, Any] = Field(default_factory=dict, description="Settings of that backend alone.")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password go together")
        if self.token is not None and self.username is not None:
            raise ValueError("either token, or username and password")
        if self.url == EMBEDDED and (self.token or self.username or self.ca_file):
            raise ValueError("an embedded store takes no credentials and no ca_file; is its url missing?")
        if self.ca_file is not None and not self.url.startswith("https:"):
            raise ValueError("ca_file needs a url of https")
        if self.ca_file is not None and not self.ca_file.is_file():
            raise ValueError(f"ca_file {self.ca_file} is no file")
        return self

    @property
    def embedded(self) -> bool:
        return self.url == EMBEDDED

    @property
    def backend_name(self) -> str:
        """The folder under query/ that speaks to it."""
        if self.backend is not None:
            return self.backend
        return EMBEDDED if self.embedded else DEFAULT_BACKENDS[self.kind]


def instance_name(name: str) -> str:
    """The name itself; raises ValueError with what a name may be."""
    if not INSTANCE_NAME.fullmatch(name):
        raise ValueError(f"the name {name!r} does not match [a-z][a-z0-9-]{{0,31}}")
    if name in RESERVED_NAMES:
        raise ValueError(f"the name {name!r} is a segment of the service's own routes")
    return name
