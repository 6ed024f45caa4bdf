"""Filters: what of them Elasticsearch answers exactly, and their clauses for `bool.filter`. Pure.

`ne` and `nin` are the field's presence without the term; times go as `epoch_millis`, or as text with nine digits where
the field holds nanoseconds; zero is asked for as the range from -0.0 to 0.0, which the index tells apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, assert_never

from libs.times import format_instant
from query.backend import EXACT, Pushdown, UnsupportedPart, Verdict
from query.catalog import Field, Table
from query.es import lucene, single
from query.es.mapping import EsField
from query.expr import And, Compare, Not, Or, Predicate
from query.pattern import Pattern
from query.pattern_syntax import parse_ilike, parse_like, parse_regex

Clause = dict[str, Any]

NOTHING: Clause = {"match_none": {}}
EVERYTHING: Clause = {"match_all": {}}
CHECKED = Verdict(Pushdown.EXACT, "the store may refuse the pattern as too complex", checked=True)
# Those that become automata.
PATTERNS = frozenset({"like", "ilike", "regex", "contains", "ends_with"})
_RANGES = frozenset({"eq", "ne", "lt", "lte", "gt", "gte", "in", "nin", "between"})
_EQUALITY = frozenset({"eq", "ne", "in", "nin"})
_STRINGS = _RANGES | {"starts_with", "ends_with", "contains", "like", "ilike", "regex"}
_PUSHED: Mapping[str, frozenset[str]] = {
    "keyword": _STRINGS,
    "text": _STRINGS,
    "integer": _RANGES,
    "double": _RANGES,
    "float": _RANGES,
    "date": _RANGES,
    "date_nanos": _RANGES,
    "boolean": _EQUALITY,
    "ip": _EQUALITY,
    "id": _EQUALITY,
    "json": frozenset(),
    "odd": frozenset(),
}


def native_of(field: Field) -> EsField:
    native = field.native
    assert isinstance(native, EsField)
    return native


def verdict(leaf: Compare, field: Field) -> Verdict:
    """Whether the store answers a leaf exactly, and why not."""
    native = native_of(field)
    if leaf.op in ("match", "match_phrase"):
        return EXACT if native.kind == "text" and native.indexed else _no("the field is not analysed")
    if native.kind == "json":
        return _no("objects kept whole have no filter of their own")
    if leaf.op == "exists":
        return EXACT if native.indexed or native.columnar or native.kind == "id" else _no("the field is not indexed")
    if leaf.op not in _PUSHED[native.kind]:
        return _no(f"{leaf.op} is not exact on this type")
    if not native.path:
        return _no("the text has no keyword sub-field")
    if native.coerced:
        return _no(
            "the index holds another form of the values (a normalizer, a scale, or another type in another index)"
        )
    if not native.indexed:
        return _no("the field is not indexed")
    if native.bits < native.wide and any(not -_half(native) <= value < _half(native) for value in _values(leaf)):
        return _no("not every index holds numbers so great")
    if leaf.op in PATTERNS:
        return _pattern_verdict(leaf)
    return EXACT


def _half(native: EsField) -> int:
    """One more than the greatest integer that the field holds."""
    return 1 << (native.bits - 1)


def _pattern_verdict(leaf: Compare) -> Verdict:
    if leaf.op in ("contains", "ends_with"):
        return EXACT if len(str(leaf.value)) <= 60 else CHECKED
    pattern = pattern_of(leaf)
    if (lucene.wildcard(pattern) if leaf.op == "like" else None) is None and lucene.regexp(pattern) is None:
        return _no("the pattern is too long for the store, or matches nothing")
    return EXACT if lucene.certain(pattern) else CHECKED


def _no(reason: str) -> Verdict:
    return Verdict(Pushdown.UNSUPPORTED, reason)


def pattern_of(leaf: Compare) -> Pattern:
    """The tree of a `like`, `ilike` or `regex`."""
    parse = {"like": parse_like, "ilike": parse_ilike, "regex": parse_regex}[leaf.op]
    return parse(str(leaf.value))


def clause(predicate: Predicate, table: Table) -> Clause:
    """The query of a predicate. Raises UnsupportedPart for a leaf whose verdict is not EXACT."""
    match predicate:
        case Compare():
            return leaf_clause(predicate, table.fields[predicate.field])
        case And(items):
            if not items:
                return EVERYTHING
            return {"bool": {"filter": [clause(item, table) for item in items]}}
        case Or(items):
            if not items:
                return NOTHING
            return {"bool": {"should": [clause(item, table) for item in items], "minimum_should_match": 1}}
        case Not(item):
            return _without(clause(item, table))
        case _:
            assert_never(predicate)


def leaf_clause(leaf: Compare, field: Field) -> Clause:
    """The query of one leaf over a field. Raises UnsupportedPart."""
    judged = verdict(leaf, field)
    if judged.level is not Pushdown.EXACT:
        raise UnsupportedPart(f"{leaf.field} {leaf.op}: {judged.reason}")
    native = native_of(field)
    match leaf.op:
        case "exists":
            return _presence(native) if leaf.value else _without(_presence(native))
        case "match" | "match_phrase":
            return {leaf.op: {native.own: {"query": leaf.value}}}
        case "eq" | "in":
            return _among(native, _values(leaf))
        case "ne" | "nin":
            return {"bool": {"filter": [_presence(native)], "must_not": [_among(native, _values(leaf))]}}
        case "lt" | "lte" | "gt" | "gte" | "between":
            return _range(native, leaf)
        case _:
            return _textual(native, leaf)


def _values(leaf: Compare) -> tuple[Any, ...]:
    return leaf.value if isinstance(leaf.value, tuple) else (leaf.value,)


def _without(inner: Clause) -> Clause:
    return {"bool": {"must_not": [inner]}}


def _presence(native: EsField) -> Clause:
    return EVERYTHING if native.kind == "id" else {"exists": {"field": native.own}}


def _among(native: EsField, values: tuple[Any, ...]) -> Clause:
    """Any of the values."""
    path = native.path
    match native.kind:
        case "id":
            named = [value for value in values if value]
            return {"ids": {"values": named}} if named else NOTHING
        case "date" | "date_nanos":
            return _any([_span(native, "gte", value, "lte", value) for value in values])
        case "integer":
            return _integers(native, values)
        case "double":
            return _numbers(path, list(values))
        case "float":
            return _numbers(path, [near for value in values if single.shortest(near := single.nearest(value)) == value])
        case _:
            return _terms(path, list(values))


def _terms(path: str, values: list[Any]) -> Clause:
    return {"term": {path: values[0]}} if len(values) == 1 else {"terms": {path: values}}


def _integers(native: EsField, values: tuple[int, ...]) -> Clause:
    """Elasticsearch refuses what the field cannot hold."""
    bound = _half(native)
    fitting = [value for value in values if -bound <= value < bound]
    return _terms(native.path, fitting) if fitting else NOTHING


def _numbers(path: str, values: list[float]) -> Clause:
    parts: list[Clause] = []
    others = [value for value in values if value != 0]
    if len(others) < len(values):
        parts.append({"range": {path: {"gte": -0.0, "lte": 0.0}}})
    if others:
        parts.append(_terms(path, others))
    return _any(parts)


def _any(parts: list[Clause]) -> Clause:
    if not parts:
        return NOTHING
    return parts[0] if len(parts) == 1 else {"bool": {"should": parts, "minimum_should_match": 1}}


def _range(native: EsField, leaf: Compare) -> Clause:
    if leaf.op == "between":
        low, high = _values(leaf)
        return _span(native, "gte", low, "lte", high)
    if leaf.op in ("lt", "lte"):
        return _span(native, None, None, leaf.op, leaf.value)
    return _span(native, leaf.op, leaf.value, None, None)


def _span(native: EsField, lower: str | None, low: Any, upper: str | None, high: Any) -> Clause:
    match native.kind:
        case "date":
            bounds = {op: value for op, value in ((lower, low), (upper, high)) if op is not None}
            return {"range": {native.path: {**bounds, "format": "epoch_millis"}}}
        case "date_nanos":
            return _nanos(native, lower, low, upper, high)
        case "double":
            ends = [(op, _signed_zero(op, value)) for op, value in ((lower, low), (upper, high)) if op is not None]
        case "float":
            ends = []
            if lower is not None and (bound := single.above(low, lower == "gte")):
                ends.append((bound[0], _signed_zero(*bound)))
            if upper is not None and (bound := single.below(high, upper == "lte")):
                ends.append((bound[0], _signed_zero(*bound)))
        case "integer":
            least, greatest = -_half(native), _half(native) - 1
            if (lower is not None and low > greatest) or (upper is not None and high < least):
                return NOTHING
            ends = [(op, value) for op, value in ((lower, low), (upper, high)) if op and least <= value <= greatest]
        case _:
            ends = [(op, value) for op, value in ((lower, low), (upper, high)) if op is not None]
    return {"range": {native.path: dict(ends)}} if ends else _presence(native)


def _signed_zero(op: str, value: float) -> float:
    """-0.0 is below 0.0 in the index, and the same number in a question."""
    if value != 0:
        return value
    return -0.0 if op in ("lt", "gte") else 0.0


def _nanos(native: EsField, lower: str | None, low: Any, upper: str | None, high: Any) -> Clause:
    bounds: dict[str, str] = {}
    if upper is not None:
        if high < 0 or (high == 0 and upper == "lt"):
            return NOTHING
        bounds[upper] = _instant(high)
    if lower is not None and (low > 0 or (low == 0 and lower == "gt")):
        bounds[lower] = _instant(low)
    if not bounds:
        return _presence(native)
    return {"range": {native.path: {**bounds, "format": "strict_date_optional_time_nanos"}}}


def _instant(ns: int) -> str:
    """With all nine digits: Elasticsearch fills up what an upper bound leaves away."""
    seconds, rest = divmod(ns, 10**9)
    return f"{format_instant(seconds * 10**9)[:-1]}.{rest:09}Z"


def _textual(native: EsField, leaf: Compare) -> Clause:
    path, text = native.path, str(leaf.value)
    if leaf.op in ("starts_with", "ends_with", "contains") and not text:
        return _presence(native)
    match leaf.op:
        case "starts_with":
            return {"prefix": {path: text}}
        case "contains":
            return {"wildcard": {path: f"*{lucene.literal(text)}*"}}
        case "ends_with":
            return {"wildcard": {path: f"*{lucene.literal(text)}"}}
        case _:
            pattern = pattern_of(leaf)
            if leaf.op == "like" and (plain := lucene.plain(pattern)) is not None:
                return {"term": {path: plain}}
            wild = lucene.wildcard(pattern) if leaf.op == "like" else None
            if wild is not None:
                return {"wildcard": {path: wild}}
            return {"regexp": {path: {"value": lucene.regexp(pattern), "flags": "NONE"}}}
