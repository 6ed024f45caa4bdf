"""The members and bounds of a body, as tables: what reads it keeps to them, and so does its schema (parser/grammar.py)."""

from __future__ import annotations

from typing import get_args

from query.plan import CalendarUnit, FillMode

MOST_FILTER_DEPTH = 16
MOST_FILTER_NODES = 512
MOST_VALUES = 1_000
MOST_CHARACTERS = 1_000
MOST_NAME = 1_000
MOST_SELECTED = 256
MOST_KEYS = 32
LEAST_LIMIT, MOST_LIMIT = 1, 10_000
DEFAULT_LIMIT = 100

FILL_MODES: tuple[FillMode, ...] = get_args(FillMode)
DIRECTIONS = ("asc", "desc")

# Members of each object of a body.
LEAF = frozenset({"field", "op", "value"})
NODE = frozenset({"and", "or", "not"})
TIME_RANGE = frozenset({"from", "to", "field"})
FIELD_ITEM = frozenset({"field"})
BUCKET_ITEM = frozenset({"time_bucket", "field", "as", "tz"})
AGGREGATE_ITEM = frozenset({"agg", "field", "as", "p", "where"})
EXPRESSION_ITEM = frozenset({"expr", "as"})
ORDER_ITEM = frozenset({"field", "dir"})
FILL = frozenset({"mode", "value"})
OPTIONS = frozenset({"partial", "timeout", "exact"})
DOCUMENTS_SOURCE = frozenset({"source", "index"})
SERIES_SOURCE = frozenset({"source", "db", "measurement"})
BODY = frozenset(
    {
        "from", "time_range", "where", "group_by", "select", "having", "fill", "order_by", "limit", "cursor", "options",
    }
)  # fmt: skip

# Words of the language that a later release adds: known, so that the hint can say so.
LATER_BODY = frozenset({"join", "then", "union", "top"})
LATER_OPTIONS = frozenset({"total", "require_fresh"})
LATER_SELECT = frozenset({"over", "of", "window"})
NOT_YET = "this release does not have it yet"
CALENDAR_WIDTHS: tuple[CalendarUnit, ...] = get_args(CalendarUnit)
MOST_WIDTH_SECONDS = 100 * 366 * 86_400
