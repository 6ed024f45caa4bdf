"""Joins, and what goes with them, as JSON for people. Pure."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from query.plan_joins import Join, KeyChoice, KeyLink, Narrowed, OverItem

Json = Any


def join_step(join: Join) -> dict[str, Json]:
    """How the join matches, and what was chosen for its keys."""
    told: dict[str, Json] = {"how": join.how, "as": join.alias, "on": [asdict(key) for key in join.on]}
    if join.normalize:
        told["normalize"] = list(join.normalize)
    if join.asof is not None:
        told["asof"] = {**asdict(join.asof), "tolerance": f"{join.asof.tolerance}ns"}
    told["many"] = join.many
    return told if join.choice is None else {**told, "keys": _choice(join.choice)}


def _choice(choice: KeyChoice) -> dict[str, Json]:
    """`pushed_to`: the side that waits for the other's keys, None when both are fetched at once."""
    sides = {"left": choice.left, "right": choice.right}
    estimates = {side: {"rows": found.rows, "by": found.by} for side, found in sides.items()}
    return {"pushed_to": choice.to, "reason": choice.reason, "estimated": estimates}


def narrowed_step(node: Narrowed) -> dict[str, Json]:
    """The requests of the scans below are those without keys, which are added when they are known."""
    return {"step": "narrow", "keys": [_link(link) for link in node.links], "most": node.most}


def _link(link: KeyLink) -> dict[str, Json]:
    told: dict[str, Json] = {"column": link.asked, "from": link.given}
    if link.normalize:
        told["normalize"] = list(link.normalize)
    if link.around is not None:
        told["around"] = {"before": f"{link.around[0]}ns", "after": f"{link.around[1]}ns"}
    return told


def over_step(item: OverItem) -> dict[str, Json]:
    return {"over": item.function, "of": item.of, **({"window": item.window} if item.window else {}), "as": item.name}
