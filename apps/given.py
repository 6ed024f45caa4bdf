"""The rows of a first page as they are told apart from all others, so that a walk of the same question leaves them out.

A group is told by its keys. Other rows are by all of their cells: doubles that were summed up here may differ in their last
digits from run to run, so of rows whose other cells are equal, one is another's again when its doubles are as near as that.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from math import inf
from operator import ne
from typing import Any

from libs.identity import ByIdentity
from libs.result import Batch, Schema, TypeName
from query.question import Question

_NEAR = 1e-9  # of a double, or of the greatest of its column: what sums differ by at the most
_FEW = 16
_NOTHING = -inf  # stands for null and NaN, which a page writes as it writes this: null
_MINUS_ONE = "-1"  # -1 has the hash of -2

_Read = Callable[[Sequence[Any]], Sequence[Any]]
_ToldBy = tuple[list[tuple[int, _Read | None]], list[int]]


class Given:
    """The rows of one page: eight bytes for each, and for each double that tells it apart (`weight` counts those)."""

    def __init__(self, question: Question, schema: Schema, batches: Sequence[Batch]) -> None:
        self._exact, self._near = _told_by(question, schema)
        self._hashes = array("q")
        self._doubles = array("d")
        for batch in batches:
            hashes, doubles = self.of(batch)
            self._hashes.extend(hashes)
            if doubles:
                self._doubles.extend(chain.from_iterable(zip(*doubles, strict=True)))

    def __len__(self) -> int:
        return len(self._hashes)

    @property
    def weight(self) -> int:
        return len(self._hashes) + len(self._doubles)

    def of(self, batch: Batch) -> tuple[list[int], list[list[float]]]:
        """Each row's hash, and the columns of doubles that are compared beside it."""
        columns = batch.columns
        exact = [columns[at] if read is None else read(columns[at]) for at, read in self._exact]
        doubles = [_comparable(columns[at]) for at in self._near]
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


def _read_by(question: Question, schema: Schema) -> _ToldBy:
    """The columns whose cells are hashed, and those of doubles that are compared."""
    keys = _keys(question, schema)
    # Of one source each double is what the store holds, or its own arithmetic.
    near = keys is None and bool(question.joins or question.union)
    exact: list[tuple[int, _Read | None]] = []
    doubles: list[int] = []
    for at, column in enumerate(schema):
        if keys is None or column.name in keys:
            if near and column.type.name is TypeName.FLOAT64 and not column.type.multi:
                doubles.append(at)
            else:
                exact.append((at, _multi if column.type.multi else _READ.get(column.type.name)))
    return exact, doubles


def _comparable(cells: Sequence[Any]) -> list[float]:
    return [_NOTHING if cell is None or cell != cell else cell for cell in cells]


# Cells whose hashes are the same from run to run, and others' others.


def _multi(cells: Sequence[Any]) -> Sequence[Any]:
    return [tuple(sorted(cell, key=repr)) if isinstance(cell, list) else cell for cell in cells]


def _floats(cells: Sequence[Any]) -> Sequence[Any]:
    # NaN hashes by where it lies.
    return [None if cell != cell else cell for cell in cells] if any(map(ne, cells, cells)) else cells


def _integers(cells: Sequence[Any]) -> Sequence[Any]:
    return [_MINUS_ONE if cell == -1 else cell for cell in cells] if -1 in cells else cells


_READ: Mapping[TypeName, _Read] = {TypeName.FLOAT64: _floats, TypeName.INT64: _integers}

# A plan that comes again has the same question and schema.
_told_by = ByIdentity(_read_by)
