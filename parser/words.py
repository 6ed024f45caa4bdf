"""The members and bounds of a body, as tables: what reads it keeps to them, and so does its schema (parser/grammar.py)."""

from __future__ import annotations

from typing import get_args

from query.plan import CalendarUnit, FillMode
from query.plan_joins import Direction, How, Normalization, OverFunction

MOST_FILTER_DEPTH = 16
MOST_FILTER_NODES = 512
MOST_VALUES = 1_000
MOST_CHARACTERS = 1_000
MOST_NAME = 1_000
MOST_SELECTED = 256
MOST_KEYS = 32
MOST_JOINS = 4
MOST_DEPTH = 4
MOST_UNITED = 8
MOST_WINDOW = 10_000
MOST_TOP = 10_000
LEAST_LIMIT, MOST_LIMIT = 1, 10_000
DEFAULT_LIMIT = 100

FILL_MODES: tuple[FillMode, ...] = get_args(FillMode)
DIRECTIONS = ("asc", "desc")
HOWS: tuple[How, ...] = get_args(How)
ASOF_DIRECTIONS: tuple[Direction, ...] = get_args(Direction)
NORMALIZATIONS: tuple[Normalization, ...] = get_args(Normalization)
OVER_FUNCTIONS: tuple[OverFunction, ...] = get_args(OverFunction)

# Members of each object of a body.
LEAF = frozenset({"field", "op", "value"})
NODE = frozenset({"and", "or", "not"})
TIME_RANGE = frozenset({"from", "to", "field"})
FIELD_ITEM = frozenset({"field"})
BUCKET_ITEM = frozenset({"time_bucket", "field", "as", "tz"})
AGGREGATE_ITEM = frozenset({"agg", "field", "as", "p", "where"})
EXPRESSION_ITEM = frozenset({"expr", "as"})
OVER_ITEM = frozenset({"over", "of", "window", "as"})
ORDER_ITEM = frozenset({"field", "dir"})
FILL = frozenset({"mode", "value"})
TOP = frozenset({"by", "n", "per", "dir"})
JOIN_ITEM = frozenset({"how", "as", "with", "on", "many", "normalize", "asof"})
ON_ITEM = frozenset({"left", "right"})
ASOF = frozenset({"left", "right", "direction", "tolerance"})
THEN = frozenset({"where", "group_by", "select", "having", "top", "order_by"})
OPTIONS = frozenset({"partial", "timeout", "exact", "total", "require_fresh"})
DOCUMENTS_SOURCE = frozenset({"source", "index"})
LOOKUP_SOURCE = frozenset({"source", "lookup"})
SERIES_SOURCE = frozenset({"source", "db", "measurement"})
BODY = frozenset(
    {
        "from", "time_range", "where", "group_by", "select", "having", "fill", "top", "join", "then", "union", "order_by",
        "limit", "cursor", "options",
    }
)  # fmt: skip
# A query inside a body, and what a union may have of its own.
NESTED = BODY - {"cursor", "options"}
OF_UNION = frozenset({"union", "then", "order_by", "limit", "cursor", "options"})

# Words of the language that a later release adds: known, so that the hint can say so.
NOT_YET = "this release does not have it yet"
CALENDAR_WIDTHS: tuple[CalendarUnit, ...] = get_args(CalendarUnit)
MOST_WIDTH_SECONDS = 100 * 366 * 86_400
MOST_TOLERANCE = MOST_WIDTH_SECONDS * 1_000_000_000
