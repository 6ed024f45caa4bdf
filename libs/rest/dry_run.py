"""`?dry_run=true` on a DELETE: nothing changes, and the answer counts what would go."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from libs.rest.operation import QueryModel


class DryRunQuery(QueryModel):
    dry_run: bool = Field(False, description="Changes nothing, and counts what would go.")


def counted(affected: int) -> dict[str, Any]:
    """The answer of a dry run."""
    return {"dry_run": True, "affected": affected}


DRY_RUN = counted(1)
