"""Binds `over`, outputs along the time bucket, and `top`, the first groups of each."""

from __future__ import annotations

from collections.abc import Mapping

from libs.issues import Issues
from query.bind_names import OutputNames, check_sortable
from query.plan import BucketKey, Key, Plan
from query.plan_joins import Over, OverItem, Top
from query.question import Question, SelectExpression, SelectOver, TopClause


class Windows:
    """The `over` items of a question, as they are found among its outputs."""

    def __init__(
        self, question: Question, keys: tuple[str, ...], buckets: Mapping[str, BucketKey], issues: Issues
    ) -> None:
        self.keys, self.buckets, self.issues = keys, buckets, issues
        self.items: list[OverItem] = []
        self._computed = {item.name for item in question.select or () if isinstance(item, SelectExpression)}

    def add(self, item: SelectOver, outputs: OutputNames) -> None:
        """Takes an item, over an output that stands before it."""
        self.items.append(OverItem(item.function, item.of, item.window, item.name))
        if len(self.buckets) != 1:
            hint = 'add {"time_bucket": "1m", "field": …, "as": …} to group_by' if not self.buckets else "keep one"
            message = f"`over` goes along one time bucket; `group_by` has {len(self.buckets)}."
            self.issues.add("BUCKET_INVALID", message, item.at + "/over", hint)
        if item.of in self._computed:
            message = f"{item.of[:100]!r} is an expression, and those are computed after `over`."
            self.issues.add(
                "BODY_INVALID", message, item.at + "/of", "go over an aggregate, and compute with the outcome"
            )
            return
        field = outputs.use(item.of, item.at + "/of")
        if field is not None and not field.type.numeric:
            message = f"`over` cannot go along {item.of[:100]!r}, which holds {field.type.name}."
            self.issues.add("TYPE_MISMATCH", message, item.at + "/of", "it takes numbers")

    def over(self, plan: Plan) -> Plan:
        """The groups with the items behind them."""
        if not self.items or len(self.buckets) != 1:
            return plan
        ((name, bucket),) = self.buckets.items()
        return Over(plan, tuple(self.items), bucket, tuple(key for key in self.keys if key != name))


def bind_top(plan: Plan, clause: TopClause, keys: tuple[Key, ...], outputs: OutputNames) -> Plan:
    """The first groups of each combination of the keys that `per` names."""
    field = outputs.use(clause.by, clause.at + "/by")
    if field is not None:
        check_sortable(field, clause.at + "/by", outputs.issues)
    names = tuple(key.name for key in keys)
    for at, name in enumerate(clause.per):
        if name not in names:
            message = f"{name[:100]!r} is no key of `group_by`."
            outputs.issues.add("NOT_A_KEY", message, f"{clause.at}/per/{at}", outputs.issues.nearest(name, names))
    return Top(plan, clause.by, clause.descending, clause.n, clause.per, names)
