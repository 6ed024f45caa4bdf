"""What InfluxDB does exactly, each with the reason when it does not. Tried on a real server (unittest_/test_influx_*)."""

from __future__ import annotations

from typing import assert_never

from query.backend import EXACT, Capabilities, Ordering, Part, Pushdown, UnsupportedPart, Verdict
from query.catalog import Field
from query.expr import Compare, Predicate
from query.influx.compile import measurement_of
from query.influx.conditions import MAX_FIELD_VALUES, PATTERN_OPS, TIME_OPS, condition
from query.influx.groups import grouping_verdict
from query.influx.table import TIME
from query.plan import Grouping, Scan

_EQUALITY = frozenset({"eq", "ne", "in", "nin", "exists"})
_ORDER = frozenset({"lt", "lte", "gt", "gte", "between"})
_OPS = {
    "string": _EQUALITY | PATTERN_OPS,
    "boolean": _EQUALITY,
    "int64": _EQUALITY | _ORDER,
    "float64": _EQUALITY | _ORDER,
}
# What a condition takes for something of the server's own.
_SYSTEM = frozenset({"_name", "_tagKey", "_fieldKey", "_seriesKey"})
# An `in` on a tag is one regular expression of at most this many characters.
_LISTED_CHARACTERS = 100_000


def unsupported(reason: str) -> Verdict:
    return Verdict(Pushdown.UNSUPPORTED, reason)


class InfluxCapabilities(Capabilities):
    """Finer than a table: tags, fields and the time differ, and so do fields that shards type differently."""

    def pushdown(self, part: Part, scan: Scan) -> Verdict:
        match part:
            case Compare():
                return _leaf(part, scan)
            case Grouping():
                return grouping_verdict(part, scan)
            case Ordering(order, _):
                if scan.group is not None:
                    return unsupported("InfluxDB limits and orders within each series")
                if all(one.field == TIME for one in order) and len(order) <= 1:
                    return EXACT
                return unsupported("InfluxDB orders by time alone")
            case _:
                assert_never(part)

    def composed(self, conjunct: Predicate, scan: Scan) -> Verdict:
        if isinstance(conjunct, Compare):
            return EXACT
        try:
            condition((conjunct,), scan)
        except UnsupportedPart as error:
            return unsupported(f"InfluxQL cannot say it: {error}")
        return EXACT


def _leaf(leaf: Compare, scan: Scan) -> Verdict:
    member = scan.typed(leaf.field)
    if leaf.field == TIME:
        return EXACT if leaf.op in TIME_OPS else unsupported(f"InfluxQL takes no {leaf.op} on the time")
    if leaf.field in _SYSTEM:
        return unsupported(f"InfluxQL means something else by {leaf.field} in a condition")
    if leaf.op not in _OPS[member.type.name.value]:
        return unsupported(f"InfluxQL has no {leaf.op} for {member.type.name.value}s")
    return _tag(leaf) if member.role == "tag" else _field(leaf, member, scan)


def _tag(leaf: Compare) -> Verdict:
    if isinstance(leaf.value, tuple) and sum(len(str(value)) for value in leaf.value) > _LISTED_CHARACTERS:
        return unsupported("the list is too long for one statement")
    return EXACT


def _field(leaf: Compare, member: Field, scan: Scan) -> Verdict:
    if member.name not in measurement_of(scan).uniform:
        return unsupported("shards type the field differently")
    if member.native == "unsigned":
        return unsupported("InfluxQL's literals are signed")
    if isinstance(leaf.value, tuple) and leaf.op != "between" and len(leaf.value) > MAX_FIELD_VALUES:
        return unsupported(f"InfluxDB is slow with more than {MAX_FIELD_VALUES} values on a field")
    if leaf.op == "exists" and not leaf.value:
        return unsupported("InfluxQL cannot ask for points without a field")
    return EXACT
