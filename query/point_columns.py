"""Points of one measurement that all have the same members, held as columns of the text that was sent.

They are points like any others to who iterates; a store that speaks text can pass the columns on without making values of
them first, which costs several times as much as reading them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Literal, overload

from query.backend import Point

# "mixed": numbers with and without a fraction.
Form = Literal["boolean", "integer", "float", "mixed", "string"]
Cell = bool | int | float | str


@dataclass(frozen=True, slots=True)
class Column:
    """One field's values as they stand in the JSON text: `true` or `false`; numbers in plain decimals, an integer of at most
    18 digits; strings without their quotes, none of which holds a backslash, a quote or a control character."""

    form: Form
    texts: Sequence[str]

    def values(self) -> list[Cell]:
        match self.form:
            case "integer":
                return list(map(int, self.texts))
            case "float":
                return list(map(float, self.texts))
            case "mixed":
                return [float(text) if "." in text else int(text) for text in self.texts]
            case "boolean":
                return [text == "true" for text in self.texts]
        return list(self.texts)


class PointColumns(Sequence[Point]):
    """`series` tells for each point which of `tags` it has; `times` are nanoseconds since 1970 in decimal, None where no
    point has one; `fields` are the columns by name, one at least. All columns have one length."""

    __slots__ = ("_points", "fields", "measurement", "series", "tags", "times")

    def __init__(
        self,
        measurement: str,
        series: Sequence[str],
        tags: Mapping[str, Mapping[str, str]],
        fields: Mapping[str, Column],
        times: Sequence[str] | None,
    ) -> None:
        self.measurement = measurement
        self.series = series
        self.tags = tags
        self.fields = fields
        self.times = times
        self._points: list[Point] | None = None

    @property
    def names(self) -> set[str]:
        """All tags and fields."""
        return set(self.fields).union(*self.tags.values())

    def __len__(self) -> int:
        return len(self.series)

    def __iter__(self) -> Iterator[Point]:
        return iter(self._made())

    @overload
    def __getitem__(self, index: int) -> Point: ...
    @overload
    def __getitem__(self, index: slice) -> list[Point]: ...
    def __getitem__(self, index: int | slice) -> Point | list[Point]:
        return self._made()[index]

    def _made(self) -> list[Point]:
        """The points one by one, made when they are first asked for."""
        if self._points is None:
            names = tuple(self.fields)
            rows = zip(*(column.values() for column in self.fields.values()), strict=True)
            fields = map(dict, map(zip, repeat(names), rows))
            times: Iterator[int | None] = repeat(None) if self.times is None else iter(map(int, self.times))
            tags = map(self.tags.__getitem__, self.series)
            self._points = list(map(Point._make, zip(repeat(self.measurement), tags, fields, times, strict=False)))
        return self._points
