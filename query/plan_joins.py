"""Plan nodes of several inputs, and of windows over groups: joins, unions, `over`, `top`. Frozen data without logic."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field as member
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from query.plan import BucketKey, Plan

How = Literal["inner", "left", "semi", "anti", "asof"]
Direction = Literal["backward", "forward", "nearest"]
Normalization = Literal["lower", "strip_domain"]
OverFunction = Literal["rate", "difference", "moving_avg", "cumulative_sum"]


@dataclass(frozen=True, slots=True)
class JoinKey:
    """Equal columns of both sides; a null one matches nothing."""

    left: str
    right: str


@dataclass(frozen=True, slots=True)
class Asof:
    """The right row that is nearest in `direction` by these timestamps, `tolerance` (nanoseconds, included) away at most;
    `nearest` prefers the earlier."""

    left: str
    right: str
    direction: Direction
    tolerance: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """How many rows a side answers, by what was known before it ran; `filtered`: a filter's share is a rule of thumb, so that
    they may be far fewer."""

    rows: int
    by: str
    filtered: bool = False


@dataclass(frozen=True, slots=True)
class KeyChoice:
    """Whether the keys of one side go `to` the other (None: both are fetched at once), why, and by which estimates."""

    to: Literal["left", "right"] | None
    reason: str
    left: Estimate
    right: Estimate


@dataclass(frozen=True, slots=True)
class Join:
    """The left's columns, then the right's but its keys, as `<alias>.<name>`; `semi` and `anti` add none.

    `left` and `asof` keep a left row without a match, with nulls. Unless `many`, a key (asof: at the chosen time) that a left
    row has and several right rows have is an error; `unique` says that the right side cannot hold one twice. `normalize`
    changes text keys of both sides before they are compared, in its order. `choice` is the optimizer's.
    """

    left: Plan
    right: Plan
    how: How
    on: tuple[JoinKey, ...]
    alias: str
    many: bool = False
    unique: bool = False
    normalize: tuple[Normalization, ...] = ()
    asof: Asof | None = None
    at: str = member(default="", compare=False)
    choice: KeyChoice | None = member(default=None, compare=False)

    @property
    def widens(self) -> bool:
        """Whether the right side's columns are answered."""
        return self.how not in ("semi", "anti")


@dataclass(frozen=True, slots=True)
class KeyLink:
    """What a row of the side `asked` for must share with some row of the side `given`: a column's value, after `normalize` of
    both; or, with `around`, a time that many nanoseconds before and after it at the most. `bucket` is what the asked column's
    values are starts of."""

    given: str
    asked: str
    around: tuple[int, int] | None = None
    bucket: BucketKey | None = None
    normalize: tuple[Normalization, ...] = ()


@dataclass(frozen=True, slots=True)
class Narrowed:
    """A side of a join that waits for the side `given`, and is then asked for what shares all `links` with it: a superset of the
    rows that can match, groups of them whole. All of `input` where `given` has more than `most` rows or keys."""

    input: Plan
    given: Plan
    links: tuple[KeyLink, ...]
    most: int


@dataclass(frozen=True, slots=True)
class Union:
    """All rows of the inputs under one schema, a missing column null, and last a column `source` that holds each input's
    label."""

    inputs: tuple[Plan, ...]
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OverItem:
    """One output along the buckets of a series, float64. `window` counts buckets, this one included (`moving_avg`)."""

    function: OverFunction
    of: str
    window: int | None
    name: str


@dataclass(frozen=True, slots=True)
class Over:
    """Adds the items to groups, in their order; `keys` are the groups' other keys, which part the series."""

    input: Plan
    items: tuple[OverItem, ...]
    bucket: BucketKey
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Top:
    """The first `n` rows by `by` in each combination of `per`, missing last; ties go by `keys`, ascending."""

    input: Plan
    by: str
    descending: bool
    n: int
    per: tuple[str, ...]
    keys: tuple[str, ...]
