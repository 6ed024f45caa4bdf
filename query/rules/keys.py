"""Semi-joins: the keys of a join's small side go to the store of the other, where the estimates say that it pays.

Asking one side after the other costs the time of the small one at the most, fetching rows that match nothing has no such
bound; so a side is waited for where it is surely or likely small, and the other surely or likely large.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from libs.result import Column
from query.backend import Capabilities
from query.estimates import estimate
from query.narrowed_plans import can_narrow
from query.plan import Plan
from query.plan_joins import Estimate, Join, KeyChoice, KeyLink, Narrowed
from query.rules.rewrite import bottom_up
from query.schema import schema_of

MOST_KEYS = 10_000
_FEW = 1_000  # rows that are fetched as fast as they are narrowed
_MANY = 2 * MOST_KEYS  # rows that are worth a look at the first MOST_KEYS of a filtered side
_To = Literal["left", "right"]
# Where every left row is kept, the right side's keys choose nothing of it.
_NARROWS: Mapping[str, tuple[_To, ...]] = {
    "inner": ("right", "left"),
    "semi": ("right", "left"),
    "left": ("right",),
    "anti": ("right",),
    "asof": ("right",),
}


def push_keys(plan: Plan, capabilities: Mapping[str, Capabilities]) -> Plan:
    """Chooses for every join, inner ones first."""

    def step(node: Plan) -> Plan:
        return _chosen(node, capabilities) if isinstance(node, Join) and node.choice is None else node

    return bottom_up(plan, step)


def _chosen(join: Join, capabilities: Mapping[str, Capabilities]) -> Join:
    sides: Mapping[_To, Estimate] = {"left": estimate(join.left), "right": estimate(join.right)}
    reasons: dict[_To, str] = {}
    for to in sorted(_NARROWS[join.how], key=lambda side: sides[side].rows, reverse=True):
        small, big = sides["left" if to == "right" else "right"], sides[to]
        why_not = refused(small, big, "left" if to == "right" else "right")
        if why_not is not None:
            reasons[to] = why_not
            continue
        links = _links(join, to, capabilities)
        if not links:
            reasons[to] = f"the store of the {to} side takes none of these keys"
            continue
        return _narrowed(join, to, links, KeyChoice(to, _reason(small, big, to), sides["left"], sides["right"]))
    (first, *_) = reasons.values()
    return replace(join, choice=KeyChoice(None, first, sides["left"], sides["right"]))


def refused(small: Estimate, big: Estimate, of: _To) -> str | None:
    """Why it does not pay to wait for the small side."""
    if big.rows < _FEW:
        return f"fewer than {_FEW} rows are fetched as fast without keys"
    if small.rows * 2 <= big.rows and small.rows <= MOST_KEYS:
        return None
    if small.filtered and big.rows >= _MANY:
        return None
    if small.rows <= MOST_KEYS:
        return f"the {of} side is not much smaller"
    return f"the {of} side has too many rows to wait for"


def _reason(small: Estimate, big: Estimate, to: _To) -> str:
    if small.rows <= MOST_KEYS:
        return f"the {to} side is estimated to be larger"
    return f"the {to} side is large, and filters may leave few keys: at most {MOST_KEYS} are waited for"


def _links(join: Join, to: _To, capabilities: Mapping[str, Capabilities]) -> tuple[KeyLink, ...]:
    """What the store of the side can be asked for."""
    asked, given = (join.left, join.right) if to == "left" else (join.right, join.left)
    columns = {column.name: column for column in schema_of(given)}
    possible = [
        KeyLink(key.left, key.right, normalize=_steps(join, columns[key.left]))
        if to == "right"
        else KeyLink(key.right, key.left, normalize=_steps(join, columns[key.right]))
        for key in join.on
    ]
    if join.asof is not None:
        asof = join.asof
        before = 0 if asof.direction == "forward" else asof.tolerance
        after = 0 if asof.direction == "backward" else asof.tolerance
        possible.append(KeyLink(asof.left, asof.right, around=(before, after)))
    found = []
    for link in possible:
        target = can_narrow(asked, link, columns[link.given].type, capabilities)
        if target is not None:
            found.append(replace(link, bucket=target.bucket))
    return tuple(found)


def _steps(join: Join, column: Column) -> tuple[Literal["lower", "strip_domain"], ...]:
    return join.normalize if column.type.name.value == "string" else ()


def _narrowed(join: Join, to: _To, links: tuple[KeyLink, ...], choice: KeyChoice) -> Join:
    if to == "right":
        return replace(join, right=Narrowed(join.right, join.left, links, MOST_KEYS), choice=choice)
    return replace(join, left=Narrowed(join.left, join.right, links, MOST_KEYS), choice=choice)
