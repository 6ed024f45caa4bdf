"""The named cases of the suite, and those that end in an error while they run."""

from __future__ import annotations

from functools import cache

from unittest_.conformance.case import BOTH, DOCUMENTS, Case, agg, leaf
from unittest_.conformance.cases_filters import filters
from unittest_.conformance.cases_groups import groups
from unittest_.conformance.cases_rows import rows
from unittest_.conformance.cases_time import times

PAST = {"where": leaf("big", "gt", 2**62), "select": [agg("sum", "big")]}
BELOW = {"where": leaf("big", "lt", -(2**62)), "select": [agg("sum", "big")]}
FAILURES = (
    Case("error: a sum past int64", "odd", PAST, BOTH, "NUMBER_OUT_OF_RANGE"),
    Case(
        "error: a sum below int64",
        "odd",
        {"where": leaf("big", "lt", -(2**62)), "select": [agg("sum", "big")]},
        BOTH,
        "NUMBER_OUT_OF_RANGE",
    ),
    Case(
        "error: equality on analysed text",
        "lists",
        {"where": leaf("body", "eq", "quick")},
        DOCUMENTS,
        "FIELD_NOT_FILTERABLE",
    ),
    Case("error: order by analysed text", "lists", {"order_by": ["body"]}, DOCUMENTS, "FIELD_NOT_FILTERABLE"),
    Case("error: groups by analysed text", "lists", {"group_by": ["body"]}, DOCUMENTS, "FIELD_NOT_FILTERABLE"),
    Case(
        "error: order by json of groups",
        "lists",
        {"group_by": ["n"], "select": [agg("first", "parts", "p")], "order_by": ["p"]},
        DOCUMENTS,
        "TYPE_MISMATCH",
    ),
    Case("error: order by json", "lists", {"order_by": ["parts"]}, DOCUMENTS, "TYPE_MISMATCH"),
    Case(
        "error: a list in an expression",
        "lists",
        {"select": [{"expr": "sizes + 1", "as": "x"}]},
        DOCUMENTS,
        "TYPE_MISMATCH",
    ),
    Case("error: no address", "lists", {"where": leaf("addr", "eq", "10.0.0.0/8")}, DOCUMENTS, "TYPE_MISMATCH"),
    Case("error: order of addresses", "lists", {"where": leaf("addr", "lt", "10.0.0.1")}, DOCUMENTS, "TYPE_MISMATCH"),
)


@cache
def cases() -> tuple[Case, ...]:
    """Every case, with a name of its own."""
    found = (*filters(), *rows(), *groups(), *times(), *FAILURES)
    names = [case.name for case in found]
    assert len(set(names)) == len(names), f"two cases of one name: {[n for n in names if names.count(n) > 1]}"
    return found
