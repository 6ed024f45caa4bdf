"""What a named case of the suite is. Expected rows come from the reference alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Body = dict[str, Any]
TIME = "$time"
BOTH = ("documents", "series")
DOCUMENTS = ("documents",)
SERIES = ("series",)


@dataclass(frozen=True)
class Case:
    """A body over a data set. `$time` in it stands for the kind's time field. `error` is the code where the answer is one."""

    name: str
    data: str
    body: Mapping[str, Any]
    kinds: tuple[str, ...] = BOTH
    error: str | None = None


def bound(body: Mapping[str, Any], time_field: str) -> Body:
    """The body with its time field named."""
    filled: Body = json.loads(json.dumps(body).replace(TIME, time_field))
    return filled


def leaf(field: str, op: str, value: Any) -> Body:
    return {"field": field, "op": op, "value": value}


def every(*nodes: Body) -> Body:
    return {"and": list(nodes)}


def either(*nodes: Body) -> Body:
    return {"or": list(nodes)}


def negated(node: Body) -> Body:
    return {"not": node}


def count(name: str = "n", **more: Any) -> Body:
    return {"agg": "count", "as": name, **more}


def agg(function: str, field: str, name: str | None = None, **more: Any) -> Body:
    return {"agg": function, "field": field, "as": name or f"{function}_{field.strip('$')}", **more}


def expr(text: str, name: str) -> Body:
    return {"expr": text, "as": name}


def bucket(width: str, **more: Any) -> Body:
    return {"time_bucket": width, "field": TIME, "as": "t", **more}


def span(start: str | None, end: str | None, **more: Any) -> Body:
    bounds = {"from": start, "to": end}
    return {name: value for name, value in bounds.items() if value is not None} | more
