"""Changes of all documents that a filter matches: what is set, how a store takes part, and what became of it.

A store does it in one of two ways. `ChangesAtOnce`: in one transaction, of a scan that it does exactly. `ChangesFound`: the
documents come as rows of a query like any other (so that an inexact filter is made exact as it always is), each with its
address at a point in time, and are changed only where they are still as they were then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from libs.context import RequestContext
from libs.errors import HostMonitorError, RequestError
from query.backend import Json
from query.catalog import Field, Table
from query.plan import Scan

# The column of addresses; no field of an index can be called so.
ADDRESS = "."
MOST_TOLD = 100


@dataclass(frozen=True, slots=True)
class Setting:
    """A field that is set: its path, and its new value as JSON text (null makes it missing), as query.source_edit writes it."""

    path: tuple[str, ...]
    value: bytes


# None: the documents are deleted.
Settings = tuple[Setting, ...] | None


@dataclass(frozen=True, slots=True)
class Failure:
    """A document that was not changed, or of which that is not known; `code` is one of the error codes."""

    id: str
    status: int
    code: str
    reason: str


@dataclass(slots=True)
class Tally:
    """What became of the documents that were found: each is done, unchanged (it held the values already), a conflict (it has
    changed since it was found) or failed. Of the last two the first hundred are told. `stopped`: why there may be more."""

    done: int = 0
    unchanged: int = 0
    conflicts: int = 0
    failed: int = 0
    conflict_ids: list[str] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    stopped: HostMonitorError | None = None

    def conflict(self, identifier: str) -> None:
        self.conflicts += 1
        if len(self.conflict_ids) < MOST_TOLD:
            self.conflict_ids.append(identifier)

    def fail(self, failure: Failure) -> None:
        self.failed += 1
        if len(self.failures) < MOST_TOLD:
            self.failures.append(failure)

    @property
    def matched(self) -> int:
        """The documents that matched, and whose turn has come."""
        return self.done + self.unchanged + self.conflicts + self.failed


class ChangesDocuments(Protocol):
    """What both ways need."""

    def misfit(self, field: Field, value: Json) -> str | None:
        """Why a value (no list, not null) of the field's type cannot be set there all the same; None where it can."""
        ...

    async def check_change(self, index: str, settings: Settings, context: RequestContext) -> None:
        """Raises RequestError (UNSUPPORTED): the name is an alias of several indices, or documents of the index cannot be
        changed field by field; NotFoundError (INDEX_UNKNOWN)."""
        ...


@runtime_checkable
class ChangesAtOnce(ChangesDocuments, Protocol):
    async def change_matching(
        self, index: str, scan: Scan, settings: Settings, most: int | None, context: RequestContext
    ) -> Tally:
        """Changes what the scan of the index (`_id` alone) answers, all of it in one transaction; past the deadline nothing. Raises
        `too_many` past `most`, RequestError (VALUE_IGNORED), NotFoundError, StoreError, CatalogStale: nothing is changed."""
        ...


@runtime_checkable
class ChangesFound(ChangesDocuments, Protocol):
    def addressed(self, table: Table) -> Table:
        """The table with the column ADDRESS: where a document is, and which write of it was found."""
        ...

    async def change_found(
        self, addresses: Sequence[str], settings: Settings, tally: Tally, context: RequestContext
    ) -> None:
        """Changes the documents that are still as they were found, and counts what became of each. Raises StoreError where
        nothing of these addresses was changed; one that comes later is noted in the tally, as are the documents it concerns."""
        ...

    async def show_changes(self, index: str, refresh: bool, context: RequestContext) -> None:
        """After the last change: forgets what the catalogue knows, and with `refresh` makes all of them visible."""
        ...


ByFilter = ChangesAtOnce | ChangesFound


def too_many(matched: int, most: int) -> RequestError:
    """The refusal of a change that matches more than its caller allows."""
    return RequestError(
        f"{matched} match, and at most {most} may be affected.",
        code="TOO_MANY_AFFECTED",
        pointer="query/max_affected",
        hint="narrow the filter, or allow more with ?max_affected=",
    )
