"""Where a found document is, and which write of it was found: the column ADDRESS of a walk that changes what it finds. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson


@dataclass(frozen=True, slots=True)
class Address:
    """`index` is the concrete one, also where an alias was asked."""

    index: str
    id: str
    seq_no: int
    primary_term: int
    routing: str | None

    @classmethod
    def of(cls, cell: str) -> Address:
        """The reading of `address_of`."""
        return cls(*orjson.loads(cell))

    @property
    def place(self) -> dict[str, Any]:
        """What `_mget` and `_bulk` name it by."""
        place = {"_index": self.index, "_id": self.id}
        return place if self.routing is None else {**place, "routing": self.routing}

    @property
    def guarded(self) -> dict[str, Any]:
        """The same for a change that is done only while nobody else has written it."""
        return {**self.place, "if_seq_no": self.seq_no, "if_primary_term": self.primary_term}


def address_of(hit: Mapping[str, Any]) -> str:
    """A hit's cell in that column. Raises LookupError for a hit that was asked for otherwise."""
    place = (hit["_index"], hit["_id"], hit["_seq_no"], hit["_primary_term"], hit.get("_routing"))
    return orjson.dumps(place).decode()
