"""What queries and requests may cost: the defaults under `[limits]`, and by role under `[roles.<name>.limits]`."""

import re
from dataclasses import fields, replace

from pydantic import BaseModel, ConfigDict, Field, field_validator

from libs.context import DEFAULT_ROLE, Limits

MEBIBYTE = 1024 * 1024
GIBIBYTE = 1024 * MEBIBYTE
_ROLE_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}", re.ASCII)


class LimitsSettings(BaseModel):
    """What one query or request may cost at the most."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    timeout_seconds: float = Field(default=30, gt=0, le=3600, description="The deadline of a query.")
    rows_fetched: int = Field(default=1_000_000, ge=1, description="Rows that one query fetches from its stores.")
    bytes_fetched: int = Field(default=GIBIBYTE, ge=1024, description="Bytes of the stores' answers to one query.")
    stream_rows: int = Field(
        default=100_000_000,
        ge=1,
        le=2_000_000_000,
        description="Rows that a stream passes on which holds one page at a time.",
    )
    stream_bytes: int = Field(
        default=100 * GIBIBYTE, ge=1024, description="Bytes of the stores' answers to such a stream."
    )
    stream_seconds: float = Field(
        default=3600, gt=0, le=86_400, description="How long a stream may take; each page has `timeout_seconds`."
    )
    cursor_seconds: float = Field(default=120, gt=0, le=3600, description="How long a cursor waits to be followed.")
    groups: int = Field(default=100_000, ge=1, description="Groups that one query makes.")
    joined_rows: int = Field(default=1_000_000, ge=1, description='Rows that one join with `"many": true` makes.')
    concurrent_queries: int = Field(default=200, ge=1, description="Queries of one caller that run at a time.")
    waiting_queries: int = Field(
        default=200, ge=0, description="Further ones that wait for their turn; past them: 429 `RATE_LIMITED`."
    )
    memory_mb: int = Field(default=256, ge=32, description="Memory of the local engine (DuckDB), in MiB.")
    body_bytes: int = Field(default=2 * MEBIBYTE, ge=1024, description="A request's body.")
    ingest_bytes: int = Field(
        default=64 * MEBIBYTE, ge=1024, description="The body of `docs` and `points`, also once inflated."
    )
    lookups: int = Field(default=1_000, ge=0, description="Lookup tables that are kept.")
    lookup_rows: int = Field(
        default=100_000, ge=1, description="Rows of one lookup table; its body is within `body_bytes`."
    )
    saved_queries: int = Field(default=1_000, ge=0, description="Saved queries that are kept.")
    threads: int = Field(default=2, ge=1, le=64, description="Threads of the local engine's pool.")
    catalog_seconds: float = Field(default=5, ge=0, le=3600, description="How long a store's catalogue is cached.")

    def costs(self) -> Limits:
        """Those of them that go with each query."""
        return Limits(**{field.name: getattr(self, field.name) for field in fields(Limits)})


# What a role may change: all that goes with a query, but the one engine's memory.
ROLE_LIMITS = tuple(field.name for field in fields(Limits) if field.name != "memory_mb")


class RoleSettings(BaseModel):
    """What callers of one role may do."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    limits: LimitsSettings = Field(default=LimitsSettings(), description="What differs from `[limits]`.")

    @field_validator("limits")
    @classmethod
    def _of_queries(cls, limits: LimitsSettings) -> LimitsSettings:
        others = sorted(limits.model_fields_set - set(ROLE_LIMITS))
        if others:
            raise ValueError(f"{', '.join(others)}: a role has only {', '.join(ROLE_LIMITS)}")
        return limits

    def costs(self, defaults: Limits) -> Limits:
        """The limits of the role's queries: its own, and else the defaults."""
        return replace(defaults, **self.limits.model_dump(exclude_unset=True))


def role_name(name: str) -> str:
    """Raises ValueError."""
    if not _ROLE_NAME.fullmatch(name):
        raise ValueError("a role's name is a small letter, then small letters, digits, - and _, 32 at most")
    if name == DEFAULT_ROLE:
        raise ValueError(f"the limits of the role {DEFAULT_ROLE!r} are those under [limits]")
    return name
