"""Plans as DuckDB's SQL: pure, no connection. Used by the embedded backend and by the local engine.

    statement = lower(plan, leaf)
    rows = cursor.execute(statement.sql, statement.params).fetchmany(10_000)   # columns in statement.schema's order

`leaf(scan)` says where a scan's rows are: a `Relation(sql, cells, params)`, where `sql` stands behind FROM (`docs AS t`, or
a parenthesised SELECT with an alias), and each `Cell(sql, column)` is an expression over it, of the representation below,
with the `Column` it stands for. A relation's own parameters are named, and not `p` with a number. `lower` asks `leaf` for
the whole of a scan; what a scan has absorbed (`where`, `group`, `order`, `limit`) becomes plan nodes over a bare scan, whose
`columns` are all that they need, by `unfold(scan)`:

    lower(unfold(scan), leaf)          # an embedded backend's compile: `leaf` sees the bare scan

Representation: boolean BOOLEAN, int64 BIGINT, float64 DOUBLE (finite), string VARCHAR, timestamp BIGINT in the type's unit,
json VARCHAR (JSON text), multi a LIST of these; missing is NULL, a list never empty and never holding NULL.
Identifiers of a plan never reach the SQL: DuckDB folds their case, so output columns are called c0, c1, …, and `schema` names
them. Values travel as named parameters ($p0, …) only.

A statement's `checks` are SELECTs to be run before it; one that answers a row is an error: `fanned_out` (JOIN_FANOUT), or
`too_many_joined` (COST_EXCEEDED).

Limits inside the statement raise DuckDB errors that `translate(error)` turns into the tree's: an integer sum past int64
(NUMBER_OUT_OF_RANGE), more groups than `groups` (COST_EXCEEDED), out of memory (COST_EXCEEDED). A float aggregate past the
greatest double, even on the way, fails too (OverflowedAggregate); with the parameters SCALED only where the value itself is,
and with NULLED that is NULL.
"""

from query.sql.failure import (
    NULLED,
    SCALED,
    OverflowedAggregate,
    engine_error,
    fanned_out,
    too_many_joined,
    translate,
)
from query.sql.keys import keys_statement
from query.sql.plan import lower, unfold
from query.sql.statement import Cell, Check, Relation, Statement

__all__ = [
    "NULLED",
    "SCALED",
    "Cell",
    "Check",
    "OverflowedAggregate",
    "Relation",
    "Statement",
    "engine_error",
    "fanned_out",
    "keys_statement",
    "lower",
    "too_many_joined",
    "translate",
    "unfold",
]
