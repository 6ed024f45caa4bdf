"""The settings of several replicas of the service behind one gateway."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from config.instances import http_url
from libs.replicas import MOST, Replicas


class ReplicaSettings(BaseModel):
    """Where the replicas reach one another; docs/replicas.md tells what they share."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    urls: str = Field(
        default="",
        description="The replicas' own addresses, with commas between, in one order everywhere; empty where there is one.",
    )
    own: int = Field(default=0, ge=0, lt=MOST, description="Which of them this one is, counted from 0.")

    @model_validator(mode="after")
    def _is_among_them(self) -> Self:
        count = len(self.named().urls)
        if self.own >= max(count, 1) or count > MOST:
            raise ValueError(f"own is {self.own}, of {count} urls")
        return self

    def named(self) -> Replicas:
        """The replicas; without urls, this one alone."""
        urls = tuple(http_url(url.strip()) for url in self.urls.split(",") if url.strip())
        return Replicas(urls, self.own)
