"""`over` a time bucket and `top`.

Decision: `over` goes from bucket to bucket as the series has them, by the instants of their starts; the null bucket gets
null. `rate` and `difference` are null when either value is null; a `rate` that falls counts from zero. `moving_avg` is the
mean of the values in the window's rows, also where fewer stand before; `cumulative_sum` adds nothing for a null, and is
null until the first value. All are float64.
Decision: `top` orders by its output descending unless told, missing last; without `per` over all rows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from unittest_.reference.groups import GroupKey
from unittest_.reference.tables import NUMBERS, FieldSpec, Refused, Scope
from unittest_.reference.times import SECOND

Points = Sequence[tuple[int, float | None]]


def over(scope: Scope, item: Mapping[str, Any], keys: Sequence[GroupKey]) -> None:
    """Adds one window output."""
    timed = [key.name for key in keys if key.width is not None]
    spec = scope.fields.get(item["of"])
    if spec is None:
        raise Refused("FIELD_UNKNOWN", item["of"])
    if len(timed) != 1 or spec.type not in NUMBERS:
        raise Refused("TYPE_MISMATCH", "over needs one time bucket and a number")
    others = [key.name for key in keys if key.width is None]
    series: dict[tuple[Any, ...], list[int]] = {}
    for at, row in enumerate(scope.rows):
        if timed[0] in row:
            series.setdefault(tuple(row.get(name) for name in others), []).append(at)
    name = item["as"]
    for places in series.values():
        places.sort(key=lambda at: scope.rows[at][timed[0]])
        points = [(scope.rows[at][timed[0]], scope.rows[at].get(item["of"])) for at in places]
        errors = math.fsum(scope.slack[at].get(item["of"], 0.0) for at in places)
        size = math.fsum(abs(value) for _, value in points if value is not None)
        for at, value in zip(places, window(item["over"], points, item.get("window", 1)), strict=True):
            if value is not None and math.isfinite(value):
                scope.rows[at][name] = value + 0.0
            scope.slack[at][name] = 2 * errors + 1e-9 * size
    scope.fields[name] = FieldSpec("float64")


def window(kind: str, points: Points, size: int) -> list[float | None]:
    """The outputs along one series of (nanoseconds, value)."""
    found: list[float | None] = []
    for i, (time, value) in enumerate(points):
        before_time, before = points[i - 1] if i else (time, None)
        if kind == "moving_avg":
            known = [float(v) for _, v in points[max(0, i - size + 1) : i + 1] if v is not None]
            found.append(math.fsum(known) / len(known) if known else None)
        elif kind == "cumulative_sum":
            known = [float(v) for _, v in points[: i + 1] if v is not None]
            found.append(math.fsum(known) if known else None)
        elif value is None or before is None:
            found.append(None)
        elif kind == "difference":
            found.append(float(value - before))
        elif kind == "rate":
            rise = value if value < before else value - before
            found.append(rise * SECOND / (time - before_time))
        else:
            raise Refused("BODY_INVALID", kind)
    return found


def top(scope: Scope, spec: Mapping[str, Any], keys: Sequence[GroupKey] = ()) -> None:
    """Keeps the first n rows, in each combination of `per`; ties go by the keys, ascending, missing last."""
    for name in reversed([key.name for key in keys]):
        order = sorted((at for at, row in enumerate(scope.rows) if name in row), key=lambda at: scope.rows[at][name])
        order += [at for at, row in enumerate(scope.rows) if name not in row]
        scope.rows, scope.slack = [scope.rows[at] for at in order], [scope.slack[at] for at in order]
    by, per = spec["by"], spec.get("per", [])
    for name in (by, *per):
        if name not in scope.fields:
            raise Refused("FIELD_UNKNOWN", name)
    order = sorted(
        (at for at, row in enumerate(scope.rows) if by in row),
        key=lambda at: scope.rows[at][by],
        reverse=spec.get("dir") != "asc",
    )
    order += [at for at, row in enumerate(scope.rows) if by not in row]
    seen: dict[tuple[Any, ...], int] = {}
    kept: list[int] = []
    for at in order:
        group = tuple(scope.rows[at].get(name) for name in per)
        seen[group] = seen.get(group, 0) + 1
        if seen[group] <= spec["n"]:
            kept.append(at)
    scope.rows, scope.slack = [scope.rows[at] for at in kept], [scope.slack[at] for at in kept]
