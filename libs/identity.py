"""What is made of objects, remembered by which objects they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar, TypeVarTuple, Unpack

T = TypeVar("T")
Of = TypeVarTuple("Of")


class ByIdentity(Generic[*Of, T]):
    """`make(*of)`, once for the same objects: neither hashed nor compared, which takes longer than most of what is made of
    them. At most `most` are kept, with their objects, so that no other object gets an id that is known."""

    def __init__(self, make: Callable[[Unpack[Of]], T], most: int = 256) -> None:
        self._make, self._most = make, most
        self._known: dict[tuple[int, ...], tuple[tuple[*Of], T]] = {}

    def __call__(self, *of: *Of) -> T:
        key = tuple(map(id, of))
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= self._most:
                self._known.clear()
            known = self._known[key] = (of, self._make(*of))
        return known[1]
