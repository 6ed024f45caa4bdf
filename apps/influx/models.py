"""Bodies and parameters of the series' fixed routes."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from libs.rest import BodyModel, QueryModel
from libs.rest.dry_run import DryRunQuery


class DatabaseBody(BodyModel):
    """A database to create or drop."""

    db: str = Field(description="Its name.")


class DatabaseQuery(QueryModel):
    db: str | None = Field(None, description="The database's name, in place of the body.")


class DropQuery(DatabaseQuery, DryRunQuery):
    """Which database, and whether it is only counted."""


class PrecisionQuery(QueryModel):
    precision: Literal["ns", "u", "ms", "s", "m", "h"] = Field(
        "ns", description="What the times of line protocol count; JSON has its own."
    )


class PointBody(BodyModel):
    """A point. `time` is RFC 3339, or an integer of nanoseconds since 1970; without it, now."""

    time: str | int | None = None
    tags: dict[str, str] = Field(default_factory=dict)
    fields: dict[str, bool | int | float | str]
