"""The settings of requests under an Idempotency-Key."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

MEBIBYTE = 1024 * 1024


class IdempotencySettings(BaseModel):
    """What is remembered of such requests, in the state of the data folder."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seconds: float = Field(default=86_400, gt=0, le=2_592_000, description="How long a key is remembered.")
    per_caller: int = Field(default=100_000, ge=1, description="Keys of one caller; past them: 429.")
    answer_bytes: int = Field(default=4 * MEBIBYTE, ge=0, description="The largest answer kept whole, compressed.")
    caller_bytes: int = Field(default=256 * MEBIBYTE, ge=0, description="The answers of one caller, compressed.")
