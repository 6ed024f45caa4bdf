"""Bodies and parameters of the documents' fixed routes."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from libs.rest import BodyModel, QueryModel
from libs.rest.dry_run import DryRunQuery


class IndexBody(BodyModel):
    """An index to create."""

    index: str = Field(description="Its name: lower case, at most 255 bytes.")
    settings: dict[str, Any] = Field(default_factory=dict, description="As Elasticsearch takes them.")
    mappings: dict[str, Any] = Field(default_factory=dict, description="As Elasticsearch takes them.")


class IndexName(DryRunQuery):
    index: str = Field(description="The index's name, exactly.")


class WriteQuery(QueryModel):
    refresh: bool = Field(False, description="Makes what is written visible to the next query before the answer.")


class BulkQuery(WriteQuery):
    mode: Literal["create", "replace"] = Field(
        "create", description="What happens to a document whose `_id` is there already: 409 for that item, or replaced."
    )
