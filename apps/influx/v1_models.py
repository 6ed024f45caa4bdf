"""Parameters of InfluxDB's v1 protocol. What InfluxDB does not know it ignores, and so do we."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class V1Parameters(BaseModel):
    """Others are ignored, as InfluxDB does."""

    model_config = ConfigDict(extra="allow", frozen=True)


class PingParameters(V1Parameters):
    """Others are ignored, as InfluxDB does."""

    verbose: str | None = Field(None, description="Anything but `0` and `false`: answer 200 with the version as JSON.")


class QueryParameters(V1Parameters):
    """`params` is a JSON object of values for `$name` in the statements; others are ignored, as InfluxDB does."""

    q: str | None = Field(
        None, description="Statements of InfluxQL, parted by semicolons.", examples=["SHOW MEASUREMENTS"]
    )
    db: str | None = Field(None, description="The database that names without one are of.", examples=["telegraf"])
    rp: str | None = Field(None, description="The retention policy that names without one are of.")
    epoch: str | None = Field(None, description="Times as integers: `ns u ms s m h`; without it, RFC 3339.")
    pretty: str | None = Field(None, description="`true` indents the JSON.")
    chunked: str | None = Field(None, description="`true` answers a JSON object for each part, as they come.")
    chunk_size: str | None = Field(None, description="The rows of a part; InfluxDB's default is 10000.")


class QueryForm(BaseModel):
    """The parameters of a query, as a form: each may stand here or in the address."""

    q: str = Field(description="Statements of InfluxQL, parted by semicolons.")
    db: str | None = Field(None, description="The database that names without one are of.")


class WriteParameters(V1Parameters):
    """Others are ignored, as InfluxDB does."""

    db: str = Field(description="The database.", min_length=1, examples=["telegraf"])
    rp: str | None = Field(None, description="The retention policy, without it the database's default one.")
    precision: Literal["n", "ns", "u", "us", "µ", "ms", "s", "m", "h", ""] = Field(
        "", description="What the times count; nanoseconds without it."
    )
    consistency: Literal["any", "one", "quorum", "all", ""] = Field(
        "", description="How many of a cluster's nodes have to have it."
    )
