"""What a plan would do, as JSON, and what can be told of its cost before it runs. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, assert_never

from libs.buckets import bucket_count
from libs.context import Limits
from libs.errors import CostError
from query.backend import Capabilities, Ordering, Pushdown, Query
from query.explain_joins import join_step, narrowed_step, over_step
from query.expr import Predicate, conjuncts
from query.expr_text import arithmetic_text, predicate_text
from query.plan import (
    Aggregate,
    Attempt,
    BucketKey,
    Fill,
    Filter,
    Grouping,
    Key,
    Limit,
    Merge,
    Order,
    Output,
    Plan,
    Project,
    Scan,
    Sort,
    inputs,
    scans,
)
from query.plan_joins import Join, Narrowed, Over, Top, Union
from query.rules.filters import share

Json = Any
_FIRST = "what stands before it is done here"


def explain(
    plan: Plan, queries: Mapping[Scan, Query], capabilities: Mapping[str, Capabilities], limits: Limits
) -> dict[str, Json]:
    """`plan`: the tree, from the last step to the scans; `sources`: each scan's native request and what it does (some run
    only where an attempt's numbers prove nothing);
    `here`: what is left to the local engine, each part with the reason; `estimate`: of the cost."""
    found = list(dict.fromkeys(scans(plan)))
    first = set(_first_way(plan))
    return {
        "plan": _tree(plan, found),
        "sources": [
            {**_source(scan, queries[scan], at), "only_if_not_proven": scan not in first}
            for at, scan in enumerate(found)
        ],
        "here": _left(plan, capabilities),
        "estimate": _estimate(plan, found),
        "limits": asdict(limits),
    }


def check_cost(plan: Plan, limits: Limits) -> None:
    """Raises CostError for what is sure to pass a limit: buckets to fill, and rows of a source that is fetched whole."""
    if isinstance(plan, Attempt):
        return check_cost(plan.pushed, limits)
    if isinstance(plan, Narrowed):
        return None  # how much of it is fetched shows when the keys are there
    if isinstance(plan, Fill):
        buckets = bucket_count(plan.start, plan.end, plan.bucket.width)
        if buckets > limits.groups:
            raise CostError(
                f"The time range holds {buckets} buckets of {plan.bucket.name!r}; the limit is {limits.groups} groups.",
                hint="use wider buckets or a narrower time range",
            )
    if isinstance(plan, Scan):
        rows = _rows(plan)
        known = plan.table is not None and plan.table.rows is not None  # a limit tells nothing of what there is
        if known and plan.where is None and rows is not None and rows > limits.rows_fetched:
            raise CostError(
                f"All {rows} rows of {plan.source.instance!r} would be fetched; the limit is {limits.rows_fetched}.",
                hint="narrow it by a time range or a filter; /explain shows why the store cannot do it by itself",
                source=plan.source.instance,
            )
    for child in inputs(plan):
        check_cost(child, limits)
    return None


def _rows(scan: Scan) -> int | None:
    """How many rows the scan answers at the most, where that is known."""
    if scan.group is not None:
        return 1 if not scan.group.keys else None
    held = scan.table.rows if scan.table is not None else None
    if scan.limit is None:
        return held
    return scan.limit if held is None else min(held, scan.limit)


def _estimate(plan: Plan, found: list[Scan]) -> dict[str, Json]:
    rows = [_rows(scan) for scan in found]
    known = [count for count in rows if count is not None]
    return {
        "rows_fetched_at_most": sum(known) if len(known) == len(rows) else None,
        "buckets": {key.name: count for key, count in _buckets(plan)},
    }


def _buckets(plan: Plan) -> list[tuple[BucketKey, int]]:
    """The buckets of each time key whose range is bounded."""
    found: dict[BucketKey, int] = {}
    for node in _grouping_nodes(plan):
        assert node.group is not None
        ranges = {scan.bounds.field: scan.bounds for scan in scans(node) if scan.bounds is not None}
        for key in node.group.keys:
            bounds = ranges.get(key.field)
            if isinstance(key, BucketKey) and bounds and bounds.start is not None and bounds.end is not None:
                found[key] = bucket_count(bounds.start, bounds.end, key.width)
    return list(found.items())


def _grouping_nodes(plan: Plan) -> list[Aggregate | Scan]:
    own = [plan] if isinstance(plan, Aggregate | Scan) and plan.group is not None else []
    return own + [node for child in inputs(plan) for node in _grouping_nodes(child)]


def _first_way(plan: Plan) -> list[Scan]:
    """The scans that run unless an attempt fails."""
    if isinstance(plan, Scan):
        return [plan]
    if isinstance(plan, Attempt):
        return _first_way(plan.pushed)
    return [scan for child in inputs(plan) for scan in _first_way(child)]


def _source(scan: Scan, query: Query, at: int) -> dict[str, Json]:
    pushed: dict[str, Json] = {}
    if scan.where is not None:
        pushed["where"] = [predicate_text(part) for part in conjuncts(scan.where)]
    if scan.group is not None:
        pushed["group"] = _group(scan.group)
    if scan.order:
        pushed["order"] = _order(scan.order)
    if scan.limit is not None:
        pushed["limit"] = scan.limit
    return {
        "scan": at,
        "source": scan.source.instance,
        "target": list(scan.source.target),
        "columns": [column.name for column in query.schema],
        "pushed": pushed,
        "request": query.explain(),
    }


def _tree(plan: Plan, found: list[Scan]) -> dict[str, Json]:
    """The node's name, what it does, and its inputs."""
    node: dict[str, Json]
    match plan:
        case Scan():
            return {"step": "scan", "scan": found.index(plan)}
        case Merge():
            node = {"step": "merge"}
        case Filter(_, where):
            node = {"step": "filter", "where": [predicate_text(part) for part in conjuncts(where)]}
        case Aggregate(_, group):
            node = {"step": "aggregate", **_group(group)}
        case Fill():
            node = {"step": "fill", "mode": plan.mode, "bucket": plan.bucket.name}
        case Project(_, outputs):
            node = {"step": "project", "outputs": [_output(output) for output in outputs]}
        case Sort(_, order):
            node = {"step": "sort", "order": _order(order)}
        case Limit(_, count):
            node = {"step": "limit", "count": count}
        case Join():
            node = {"step": "join", **join_step(plan)}
        case Narrowed():
            node = narrowed_step(plan)
        case Union(_, labels):
            node = {"step": "union", "labels": list(labels)}
        case Over(_, items):
            node = {"step": "over", "bucket": plan.bucket.name, "outputs": [over_step(item) for item in items]}
        case Top():
            direction = "desc" if plan.descending else "asc"
            node = {"step": "top", "by": plan.by, "dir": direction, "n": plan.n, "per": list(plan.per)}
        case Attempt(_, _, reason):
            node = {"step": "attempt", "reason": reason}
        case _:
            assert_never(plan)
    return {**node, "inputs": [_tree(child, found) for child in inputs(plan)]}


def _output(output: Output) -> Json:
    if output.expression is None:
        return output.name
    return {"as": output.name, "expr": arithmetic_text(output.expression)}


def _group(group: Grouping) -> dict[str, Json]:
    return {
        "keys": [_key(key) for key in group.keys],
        "aggregates": [
            {
                "agg": one.function,
                **({"field": one.field} if one.field is not None else {}),
                **({"p": one.p} if one.p is not None else {}),
                **({"where": predicate_text(one.where)} if one.where is not None else {}),
                "as": one.name,
            }
            for one in group.aggregates
        ],
    }


def _key(key: Key) -> Json:
    if not isinstance(key, BucketKey):
        return key.name
    width = f"{key.width // 10**9}s" if isinstance(key.width, int) else key.width
    return {"time_bucket": width, "field": key.field, "tz": key.tz, "as": key.name}


def _order(order: tuple[Order, ...]) -> list[Json]:
    return [{"field": key.field, "dir": "desc" if key.descending else "asc"} for key in order]


def _left(plan: Plan, capabilities: Mapping[str, Capabilities]) -> list[dict[str, Json]]:
    """The steps that no store does, from the first to the last, with the reasons; of attempts, the pushed way's."""
    if isinstance(plan, Attempt):
        return _left(plan.pushed, capabilities)
    before = [part for child in inputs(plan) for part in _left(child, capabilities)]
    match plan:
        case Filter(Scan() as scan, where):
            own = [_filter_left(part, scan, capabilities) for part in conjuncts(where)]
        case Filter(_, where):
            own = [{"part": predicate_text(part), "reason": _FIRST} for part in conjuncts(where)]
        case Aggregate(child, group):
            own = [{"part": "groups", "reason": _reason(group, child, capabilities)}]
        case Sort(child, order):
            own = [{"part": "order", "reason": _reason(Ordering(order, None), child, capabilities)}]
        case Limit(Sort(), _):
            own = []
        case Limit(child, count):
            own = [{"part": "limit", "reason": _reason(Ordering((), count), child, capabilities)}]
        case Fill():
            own = [{"part": "fill", "reason": "no store fills buckets as the language does"}]
        case Project(_, outputs):
            own = [
                {"part": output.name, "reason": "expressions are computed here"}
                for output in outputs
                if output.expression is not None
            ]
        case Join():
            own = [{"part": f"join {plan.alias}".rstrip(), "reason": "sides are joined here"}]
        case Union():
            own = [{"part": "union", "reason": "queries are put together here"}]
        case Over():
            own = [
                {"part": item.name, "reason": "no store looks along buckets as the language does"}
                for item in plan.items
            ]
        case Top():
            own = [{"part": "top", "reason": "no store keeps the first of each as the language does"}]
        case Merge():
            own = [{"part": "merge", "reason": "the parts of the source type a used field differently"}]
        case Scan() | Narrowed():
            own = []
        case _:
            assert_never(plan)
    return before + own


def _filter_left(part: Predicate, scan: Scan, capabilities: Mapping[str, Capabilities]) -> dict[str, Json]:
    found = share(part, scan, capabilities[scan.source.instance])
    text = {"part": predicate_text(part), "reason": "; ".join(dict.fromkeys(filter(None, found.reasons))) or _FIRST}
    if found.pushed is None:
        return text
    return {**text, "fetched": predicate_text(found.pushed)}


def _reason(part: Grouping | Ordering, child: Plan, capabilities: Mapping[str, Capabilities]) -> str:
    if not isinstance(child, Scan) or (child.group is not None and isinstance(part, Grouping)):
        return _FIRST
    verdict = capabilities[child.source.instance].pushdown(part, child)
    if verdict.level is Pushdown.EXACT:
        return "not asked of the store"
    return verdict.reason or _FIRST
