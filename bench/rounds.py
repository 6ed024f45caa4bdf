"""Paired rounds: ours and the reference in turn, so that a drift of the machine's speed falls on both."""

from __future__ import annotations

import statistics
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

ROUNDS = 5
Measure = Callable[[], Awaitable[float]]


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of the table. `ratios` are ours over the reference, a round each; `goal` in words, `met` None without one."""

    name: str
    ratios: tuple[float, ...]
    goal: str
    met: bool | None
    ours: float
    reference: float
    unit: str
    note: str = ""
    extra: dict[str, float] = field(default_factory=dict)

    @property
    def median(self) -> float:
        return statistics.median(self.ratios)


async def paired(
    name: str,
    ours: Measure,
    reference: Measure,
    *,
    at_least: float | None = None,
    at_most: float | None = None,
    unit: str = "/s",
    note: str = "",
    rounds: int = ROUNDS,
) -> Figure:
    """Warms both up once, then measures them in turn; the order changes from round to round."""
    await ours()
    await reference()
    mine: list[float] = []
    theirs: list[float] = []
    for number in range(rounds):
        if number % 2:
            theirs.append(await reference())
            mine.append(await ours())
        else:
            mine.append(await ours())
            theirs.append(await reference())
    ratios = tuple(a / b for a, b in zip(mine, theirs, strict=True))
    median = statistics.median(ratios)
    met = (at_least is None or median >= at_least) and (at_most is None or median <= at_most)
    goal = f"≥ {at_least:g}" if at_least is not None else f"≤ {at_most:g}"
    return Figure(name, ratios, goal, met, statistics.median(mine), statistics.median(theirs), unit, note)


async def beside(name: str, ours: Measure, reference: Measure, rounds: int = 3) -> Figure:
    """As `paired`, in fewer rounds, for what is told beside the goals and has none."""
    figure = await paired(name, ours, reference, at_least=0, rounds=rounds)
    return replace(figure, goal="", met=None)


def bound(name: str, value: float, *, at_most: float | None = None, at_least: float | None = None, unit: str) -> Figure:
    """A figure that has no reference but a bound of its own."""
    met = (at_most is None or value <= at_most) and (at_least is None or value >= at_least)
    limit = at_most if at_most is not None else at_least
    sign = "≤" if at_most is not None else "≥"
    return Figure(name, (value / (limit or 1.0),), f"{sign} {limit:g} {unit}", met, value, limit or 0.0, unit)
