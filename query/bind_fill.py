"""Binds `fill`: one bucket of a wholly bounded range, and a mode that every aggregate's type can take."""

from __future__ import annotations

from libs.buckets import bucket_count
from libs.context import Limits
from libs.errors import CostError
from libs.issues import Issues
from libs.result import TypeName
from query.exact_operands import HIGHEST, LOWEST
from query.plan import Aggregation, Bounds, BucketKey, Fill, Key, Plan
from query.question import FillClause


def with_fill(
    plan: Plan,
    clause: FillClause,
    keys: tuple[Key, ...],
    aggregates: tuple[Aggregation, ...],
    bounds: Bounds | None,
    limits: Limits,
    issues: Issues,
) -> Plan:
    """The groups of `plan`, filled. Raises CostError when the buckets alone pass the limit of groups."""
    buckets = [key for key in keys if isinstance(key, BucketKey)]
    if len(buckets) != 1:
        hint = 'add {"time_bucket": "1m", "field": …, "as": …} to group_by' if not buckets else "keep one"
        issues.add("FILL_INVALID", f"`fill` needs one time bucket; `group_by` has {len(buckets)}.", clause.at, hint)
        return plan
    bucket = buckets[0]
    if bounds is None or bounds.start is None or bounds.end is None:
        issues.add(
            "FILL_INVALID",
            "`fill` needs a time range with both ends.",
            clause.at,
            "add time_range with `from` and `to`",
        )
        return plan
    if bounds.field != bucket.field:
        issues.add(
            "FILL_INVALID",
            f"`fill` needs the time range on the bucket's field {bucket.field!r}; it is on {bounds.field!r}.",
            clause.at,
            "name the same field in both",
        )
        return plan
    for aggregate in aggregates:
        if aggregate.function != "count":
            _check_mode(clause, aggregate, issues)
    if not issues.found:
        _check_cost(bucket, bounds.start, bounds.end, limits)
    return Fill(
        plan,
        clause.mode,
        bucket,
        keys=tuple(key.name for key in keys if key is not bucket),
        counts=tuple(one.name for one in aggregates if one.function == "count"),
        values=tuple(one.name for one in aggregates if one.function != "count"),
        start=bounds.start,
        end=bounds.end,
        value=clause.value,
    )


def _check_mode(clause: FillClause, aggregate: Aggregation, issues: Issues) -> None:
    """Whether the mode can replace nulls of the aggregate's type; `null` and `previous` always can."""
    kind = aggregate.type
    if kind is None or clause.mode not in ("value", "linear"):
        return
    fits = kind.numeric
    if clause.mode == "value" and kind.name is TypeName.INT64:
        fits = isinstance(clause.value, int) and LOWEST <= clause.value <= HIGHEST
    if not fits:
        what = f"the value {clause.value}" if clause.mode == "value" else "linear"
        issues.add(
            "FILL_INVALID",
            f"`fill` cannot put {what} into {aggregate.name!r}, which holds {kind.name}.",
            clause.at,
            "use null or previous, or a number of the aggregate's type",
        )


def _check_cost(bucket: BucketKey, start: int, end: int, limits: Limits) -> None:
    count = bucket_count(start, end, bucket.width)
    if count > limits.groups:
        raise CostError(
            f"The time range holds {count} buckets of {bucket.name!r}, more than the limit of {limits.groups} groups.",
            pointer="/fill",
            hint="use wider buckets or a narrower time range",
        )
