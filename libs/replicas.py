"""Several replicas of the service behind one gateway: which of them holds what is under way in its memory or on its disk.

A name of such a thing (a cursor's result, a job) carries the number of the replica that made it in its first byte.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

MOST = 250


class OnReplica(Exception):
    """What was asked for is on the replica of this `number`, and is to be answered by it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@dataclass(frozen=True, slots=True)
class Replicas:
    """`urls` are the addresses of all, in one order everywhere; `own` is the place of this one among them."""

    urls: tuple[str, ...] = ()
    own: int = 0

    def name(self, size: int) -> bytes:
        """A new name for something of this replica, of so many bytes; all but the first are random."""
        return bytes([self.own]) + os.urandom(size - 1)

    def owns(self, name: bytes) -> bool:
        """Whether this replica made the name, or none that is known did."""
        return name[:1] == bytes([self.own]) or name[0] >= len(self.urls)

    def check(self, name: bytes) -> None:
        """Raises OnReplica for a name that another replica made."""
        if not self.owns(name):
            raise OnReplica(name[0])


ALONE = Replicas()
