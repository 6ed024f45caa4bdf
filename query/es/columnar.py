"""Pages of hits as Arrow columns, out of the answer's bytes by the engine's JSON reader. Pure, but for the engine.

It proves, value by value, what query/es/values.py proves: the JSON in `_source` has the type that the mapping holds. Each
member comes as the JSON that it is (a string in its quotes, a number in the engine's spelling); what fits no column of its
kind ends the statement with an error, and the page is then read value by value.
"""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from libs.arrow_batch import ArrowBatch
from libs.conversion import Converter
from libs.result import Column, Schema, TypeName
from query.es.mapping import EsField
from query.es.predicates import native_of
from query.plan import Scan

_QUOTED = "({x} >= '\"' AND {x} < '#')"
_TEXT = "CASE WHEN contains({x}, '\\') THEN {x}->>'$' ELSE substring({x}, 2, length({x}) - 2) END"
_NUMBER = "({x} >= '-' AND {x} < ':')"
_INTEGER = "TRY_CAST({x} AS BIGINT)"
_WHOLE = f"({_INTEGER}::VARCHAR IS NOT DISTINCT FROM {{x}})"
_DOUBLE = "(TRY_CAST({x} AS DOUBLE) + 0.0)"
# The shortest decimal of a 32-bit float, as query/es/single.py finds it; not of the least ones.
_HELD = f"TRY_CAST({_DOUBLE} AS FLOAT)::DOUBLE"
_ROUNDED = "printf('%.{digits}g', {held})::DOUBLE"
_SINGLE = "CASE WHEN length({x}) <= 7 AND NOT contains({x}, 'e') THEN {double} {ways} END".replace("{double}", _DOUBLE)
_SINGLE = _SINGLE.replace(
    "{ways}",
    " ".join(
        f"WHEN abs({_HELD}) > 1e-37 AND {rounded}::FLOAT::DOUBLE = {_HELD} THEN {rounded} + 0.0"
        for rounded in (_ROUNDED.replace("{digits}", digits).replace("{held}", _HELD) for digits in "6789")
    ),
)
_INSTANT = "TRY_CAST(substring({x}, 2, length({x}) - 2) AS TIMESTAMP)"
# Whole seconds or milliseconds, in UTC; other spellings are read value by value.
_SPELT = " AND ".join(
    (
        """({x} LIKE '"____-__-__T__:__:__.___Z"' OR {x} LIKE '"____-__-__T__:__:__Z"')""",
        "NOT contains({x}, ' ')",
        "substring({x}, 13, 2) < '24'",
    )
)
_PART = r"(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9][0-9]|[0-9])"
_ADDRESS = f"regexp_full_match({{x}}, '\"{_PART}([.]{_PART}){{3}}\"')"


def _checked(fits: str, value: str) -> str:
    return f"CASE WHEN {{x}} IS NULL THEN NULL WHEN {fits} THEN {value} ELSE error('not the same') END"


_MILLISECONDS = (
    # Four digits are a year to Elasticsearch.
    f"CASE WHEN {{x}} IS NULL THEN NULL WHEN {_WHOLE} AND abs({_INTEGER}) NOT BETWEEN 1000 AND 9999 THEN {_INTEGER} "
    f"WHEN {_SPELT} AND {_INSTANT} IS NOT NULL THEN epoch_ms({_INSTANT}) ELSE error('not the same') END"
)
_CELLS: Mapping[str, str] = {
    "keyword": _checked(_QUOTED, _TEXT),
    "text": _checked(_QUOTED, _TEXT),
    "ip": _checked(_ADDRESS, _TEXT),
    "boolean": _checked("{x} IN ('true', 'false')", "{x} = 'true'"),
    "integer": _checked(_WHOLE, _INTEGER),
    "double": _checked(f"{_NUMBER} AND {_DOUBLE} IS NOT NULL", _DOUBLE),
    "float": _checked(f"{_NUMBER} AND {_SINGLE} IS NOT NULL", _SINGLE),
    "date": _MILLISECONDS,
    "id": "{x}",
}


class ColumnarDecoder:
    """Reads the columns of one scan. Serves one thread at a time."""

    def __init__(self, schema: Schema, sql: str) -> None:
        self._schema = schema
        self._converter = Converter(sql)

    def batches(self, content: bytes, start: int, stop: int) -> list[ArrowBatch]:
        """The rows of the list of hits that stands there. Raises NotConverted."""
        arrays = self._converter.of_text(content, start, stop)
        return [ArrowBatch(self._schema, array, 0, array.length) for array in arrays]

    def close(self) -> None:
        self._converter.close()


def statement(scan: Scan) -> str | None:
    """The statement that makes columns of a list of hits; None where some column has to be read value by value."""
    members: dict[str, str] = {}
    places: list[str] = []
    cells: list[str] = []
    for at, name in enumerate(scan.columns):
        field = scan.typed(name)
        native = native_of(field)
        cell = _cell(Column(name, field.type), native)
        if cell is None or members.get(native.source.lower(), native.source) != native.source:
            return None
        if native.kind == "id":
            places.append(f"hit._id AS x{at}")
        else:
            members[native.source.lower()] = native.source
            places.append(f"hit._source.{_named(native.source)}::VARCHAR AS x{at}")
        cells.append(f"{cell.replace('{x}', f'x{at}')} AS c{at}")
    if not members:
        return None
    form = [{"_id": "VARCHAR", "_source": dict.fromkeys(members.values(), "JSON")}]
    hits = f"SELECT unnest(from_json(text, {_literal(orjson.dumps(form).decode())})) AS hit FROM given"
    return f"SELECT {', '.join(cells)} FROM (SELECT {', '.join(places)} FROM ({hits}))"


def _cell(column: Column, native: EsField) -> str | None:
    if column.type.multi or column.type.name is TypeName.JSON or native.read not in ("source", "id"):
        return None
    if "." in native.source or (native.kind == "date" and not native.millis):
        return None
    if column.type.name is TypeName.FLOAT64 and native.kind == "integer":
        return _CELLS["double"]
    return _CELLS.get(native.kind)


def _named(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
