"""The rows of a first page as they are told apart from all others, so that a walk of the same question leaves them out.

A group is told by its keys. Other rows are by all of their cells: doubles that were summed up here may differ in their last
digits from run to run, so of rows whose other cells are equal, one is another's again when its doubles are as near as that.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain
from math import inf
from typing import Any

from libs.result import Batch, Cell, Column, Schema, TypeName
from query.question import Question

_NEAR = 1e-9  # of a double, or of the greatest of its column: what sums differ by at the most
_FEW = 16
_NOTHING = -inf  # stands for null and NaN, which a page writes as it writes this: null
_MINUS_ONE = "-1"  # -1 has the hash of -2


class Given:
    """The rows of one page: eight bytes for each, and for each double that tells it apart (`weight` counts those)."""

    def __init__(self, question: Question, schema: Schema, batches: Sequence[Batch]) -> None:
        self._keys = _keys(question, schema)
        # Of one source each double is what the store holds, or its own arithmetic.
        self._near = self._keys is None and bool(question.joins or question.union)
        self._hashes = array("q")
        self._doubles = array("d")
        for batch in batches:
            hashes, doubles = self.of(batch)
            self._hashes.extend(hashes)
            self._doubles.extend(chain.from_iterable(zip(*doubles, strict=True)))

    def __len__(self) -> int:
        return len(self._hashes)

    @property
    def weight(self) -> int:
        return len(self._hashes) + len(self._doubles)

    def of(self, batch: Batch) -> tuple[list[int], list[list[float]]]:
        """Each row's hash, and the columns of doubles that are compared beside it."""
        exact: list[Iterable[Any]] = []
        doubles: list[list[float]] = []
        for column, cells in zip(batch.schema, batch.columns, strict=True):
            if self._keys is not None and column.name not in self._keys:
                continue
            if self._near and column.type.name is TypeName.FLOAT64 and not column.type.multi:
                doubles.append([_NOTHING if cell is None or cell != cell else cell for cell in cells])  # type: ignore[misc]
            else:
                exact.append(_hashing(column, cells))
        hashes = list(map(hash, zip(*exact, strict=True))) if exact else [0] * batch.length
        return hashes, doubles

    def rows(self) -> dict[int, Counter[tuple[float, ...]]]:
        """The doubles of the rows that have a hash, and how many have them."""
        found: dict[int, Counter[tuple[float, ...]]] = {}
        width = self._width
        for at, one in enumerate(self._hashes):
            found.setdefault(one, Counter())[tuple(self._doubles[at * width : (at + 1) * width])] += 1
        return found

    def scales(self) -> list[float]:
        """How far the cells of each column of doubles may be from those of another run, however small they are."""
        columns = [self._doubles[at :: self._width] for at in range(self._width)]
        return [_NEAR * max((abs(cell) for cell in column if cell != _NOTHING), default=0.0) for column in columns]

    @property
    def _width(self) -> int:
        return len(self._doubles) // len(self._hashes) if self._hashes else 0


class LeavingOut:
    """Takes the rows of a first page out of the batches of a walk, each as often as it was there."""

    def __init__(self, given: Given) -> None:
        self._given = given
        self._left, self._scales = given.rows(), given.scales()

    @property
    def done(self) -> bool:
        """Whether all of them have come."""
        return not self._left

    def rest(self, batch: Batch) -> Batch:
        """The batch without them."""
        hashes, doubles = self._given.of(batch)
        cells = list(zip(*doubles, strict=True)) if doubles else [()] * batch.length
        kept = [at for at, one in enumerate(hashes) if one not in self._left or not self._take(one, cells[at])]
        if len(kept) == batch.length:
            return batch
        return Batch(batch.schema, [[column[at] for at in kept] for column in batch.columns], len(kept))

    def _take(self, one: int, doubles: tuple[float, ...]) -> bool:
        """Whether a row of this hash was given with these doubles, or ones so near."""
        rows = self._left[one]
        if doubles not in rows:
            # Where many rows differ in their doubles alone these are no sums, but as they are stored.
            near = (row for row in rows if self._alike(row, doubles)) if len(rows) <= _FEW else iter(())
            found = next(near, None)
            if found is None:
                return False
            doubles = found
        rows[doubles] -= 1
        if not rows[doubles]:
            del rows[doubles]
        if not rows:
            del self._left[one]
        return True

    def _alike(self, row: tuple[float, ...], other: tuple[float, ...]) -> bool:
        return all(
            one == its or abs(one - its) <= max(_NEAR * abs(one), scale) < inf
            for one, its, scale in zip(row, other, self._scales, strict=True)
        )


def _keys(question: Question, schema: Schema) -> frozenset[str] | None:
    """The columns that tell a question's rows apart, where they are known without its plan. Keys come first in a schema."""
    then = question.then
    if then is not None and (then.group_by or then.select is not None):
        keys = then.group_by
    elif question.union or any(clause.many for clause in question.joins):
        keys = ()
    else:
        keys = question.group_by
    return frozenset(column.name for column in schema[: len(keys)]) or None


def _hashing(column: Column, cells: Sequence[Cell]) -> Iterable[Any]:
    """Cells whose hashes are the same from run to run, and others' others."""
    if column.type.multi:
        return [tuple(sorted(cell, key=repr)) if isinstance(cell, list) else cell for cell in cells]
    if column.type.name is TypeName.FLOAT64:
        return [None if cell != cell else cell for cell in cells]  # NaN hashes by where it lies
    if column.type.name is TypeName.INT64 and -1 in cells:
        return [_MINUS_ONE if cell == -1 else cell for cell in cells]
    return cells
