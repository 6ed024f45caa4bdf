"""The settings of jobs: queries that run behind their request."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

GIBIBYTE = 1024 * 1024 * 1024


class JobSettings(BaseModel):
    """Jobs, and their results on disk (`jobs` in `data_dir`)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seconds: float = Field(default=3600, gt=0, le=604_800, description="The deadline of a job, from its start.")
    at_once: int = Field(default=2, ge=1, le=64, description="Jobs that run at a time; others wait their turn.")
    per_caller: int = Field(default=20, ge=0, description="Jobs kept of one caller, in any state; 0 takes none.")
    result_bytes: int = Field(default=GIBIBYTE, ge=65_536, description="The result of one job, on disk.")
    spool_bytes: int = Field(default=4 * GIBIBYTE, ge=65_536, description="The results of all jobs, on disk.")
    expiry_seconds: float = Field(
        default=86_400, gt=0, le=2_592_000, description="How long a job is kept once it has ended."
    )
