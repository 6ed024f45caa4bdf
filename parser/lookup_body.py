"""A lookup table's body, CSV or JSON, as typed columns. A column's type is what all its cells can be read as, exactly."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Sequence
from typing import Any

from libs.errors import RequestError
from libs.issues import Issues, escape, kind_of
from libs.result import BOOLEAN, FLOAT64, INT64, STRING, TIMESTAMP, Batch, Cell, Column, Type
from libs.times import parse_instant
from parser.decode import decode, decode_exact, find_duplicates, surely_unique

MOST_COLUMNS = 256
_SOURCE = "mix"
_NAME = re.compile(r"@?[^\W\d][\w.@ -]{0,199}")
_NAME_FORM = "letters, digits, '_', '-', '.', '@' and spaces, 200 at the most, the first a letter, '_' or '@'"
_WORDS = {"true": True, "false": False}
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,18})")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_LEAST, _GREATEST = -(2**63), 2**63 - 1
# Times are held in nanoseconds of 64 bits: the years 1677 to 2262.


def parse_csv(body: bytes, most_rows: int) -> Batch:
    """The table of a CSV text (RFC 4180, UTF-8, its first row the names); an empty cell is missing.

    Raises RequestError with everything that is wrong, at `/<row>/<column>`, rows counted from 0 behind the names.
    """
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise RequestError("The body is not UTF-8.", code="BODY_INVALID", pointer="", hint="send UTF-8") from None
    try:
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
    except csv.Error as error:
        raise RequestError(
            f"The body is no CSV: {error}.", code="BODY_INVALID", pointer="", hint='quote as "a ""b"", c"'
        ) from None
    if not rows:
        raise RequestError("The body has no row of names.", code="BODY_INVALID", pointer="", hint="name the columns")
    names, *cells = rows
    issues = Issues()
    _check_size(names, len(cells), most_rows, issues)
    for at, row in enumerate(cells):
        if len(row) != len(names):
            why = f"This row has {len(row)} cells for {len(names)} columns."
            issues.add("VALUE_INVALID", why, f"/{at}", "send one cell for each column")
    issues.raise_any()
    columns = [_typed_texts([row[place] or None for row in cells]) for place in range(len(names))]
    return _batch(names, columns, len(cells))


def parse_rows(body: bytes, most_rows: int) -> Batch:
    """The table of a JSON array of flat objects; null and absent members are missing. Raises RequestError."""
    rows = decode(body)
    issues = Issues()
    if type(rows) is not list or not all(type(row) is dict for row in rows):
        raise RequestError(
            "This must be an array of objects.", code="BODY_INVALID", pointer="", hint='such as [{"host": "web-1"}]'
        )
    if not surely_unique(body, sum(map(len, rows))):
        find_duplicates(body, issues)
    if any(type(value) is float and abs(value) >= 2.0**63 for row in rows for value in row.values()):
        rows = decode_exact(body)
    names = list(dict.fromkeys(name for row in rows for name in row))
    if not names:
        raise RequestError("The rows have no members.", code="BODY_INVALID", pointer="", hint="send one row at least")
    _check_size(names, len(rows), most_rows, issues)
    columns = [_typed_values([row.get(name) for row in rows], name, issues) for name in names]
    issues.raise_any()
    return _batch(names, columns, len(rows))


def _check_size(names: Sequence[str], rows: int, most_rows: int, issues: Issues) -> None:
    if len(names) > MOST_COLUMNS:
        why = f"The table has {len(names)} columns; at most {MOST_COLUMNS} are taken."
        issues.add("TOO_MANY_VALUES", why, "", "leave some away")
    if rows > most_rows:
        why = f"The table has {rows} rows; at most {most_rows} are taken."
        issues.add("TOO_MANY_VALUES", why, "", "send less, or raise limits.lookup_rows")
    for place, name in enumerate(names):
        if not _NAME.fullmatch(name):
            issues.add("BODY_INVALID", f"{name[:60]!r} cannot be a column's name.", "", _NAME_FORM)
        elif name in names[:place]:
            issues.add("NAME_CLASH", f"Two columns are called {name!r}.", "", "give one of them another name")


def _batch(names: Sequence[str], columns: Sequence[tuple[Type, list[Cell]]], length: int) -> Batch:
    schema = tuple(Column(name, kind, _SOURCE) for name, (kind, _) in zip(names, columns, strict=True))
    return Batch(schema, [cells for _, cells in columns], length)


def _typed_texts(texts: list[str | None]) -> tuple[Type, list[Cell]]:
    """A column of texts as the narrowest type that each of them spells in its usual form."""
    present = [text for text in texts if text is not None]
    if not present:
        return STRING, list(texts)
    if all(text in _WORDS for text in present):
        return BOOLEAN, [None if text is None else _WORDS[text] for text in texts]
    if all(_INTEGER.fullmatch(text) and _LEAST <= int(text) <= _GREATEST for text in present):
        return INT64, [None if text is None else int(text) for text in texts]
    if all(map(_is_number, present)):
        return FLOAT64, [None if text is None else float(text) for text in texts]
    return _texts_or_times(texts, present)


def _is_number(text: str) -> bool:
    """Whether it is a finite number, and no integer that a double would change."""
    if not _NUMBER.fullmatch(text) or len(text) > 400 or not math.isfinite(float(text)):
        return False
    return not text.lstrip("-").isdigit() or int(text) == int(float(text))


def _texts_or_times(texts: list[str | None], present: list[str]) -> tuple[Type, list[Cell]]:
    try:
        instants = [parse_instant(text) for text in present]
    except ValueError:
        return STRING, list(texts)
    if not all(_LEAST <= instant <= _GREATEST for instant in instants):
        return STRING, list(texts)
    found = iter(instants)
    return TIMESTAMP, [None if text is None else next(found) for text in texts]


def _typed_values(values: list[Any], name: str, issues: Issues) -> tuple[Type, list[Cell]]:
    """A column of JSON values: booleans, numbers or strings, not mixed; strings are times where each is one."""
    present = [value for value in values if value is not None]
    if all(type(value) is str for value in present):
        return _texts_or_times(values, present) if present else (STRING, values)
    if all(type(value) is bool for value in present):
        return BOOLEAN, values
    if all(type(value) is int for value in present):
        _check_each(values, lambda value: _LEAST <= value <= _GREATEST, "is past 64 bits", name, issues)
        return INT64, values
    if all(type(value) in (int, float) for value in present):
        exact = [value if value is None or abs(value) > 1e308 else float(value) for value in values]
        _check_each(
            values, lambda value: abs(value) <= 1e308 and float(value) == value, "has no exact double", name, issues
        )
        return FLOAT64, exact
    first = kind_of(present[0])
    for at, value in enumerate(values):
        if value is not None and (type(value) in (list, dict) or kind_of(value) != first):
            why = f"The column {name[:60]!r} holds {first} before, and here {kind_of(value)}."
            if type(value) in (list, dict):
                why = f"A cell is a string, a number, true or false, not {kind_of(value)}."
            issues.add("VALUE_INVALID", why, f"/{at}/{escape(name)}", "give each column one type")
            break
    return STRING, []


def _check_each(values: list[Any], right: Any, why: str, name: str, issues: Issues) -> None:
    for at, value in enumerate(values):
        if value is not None and not right(value):
            hint = "send it as a string"
            issues.add("NUMBER_OUT_OF_RANGE", f"{str(value)[:40]} {why}.", f"/{at}/{escape(name)}", hint)
