"""Clauses of Elasticsearch's query DSL as SQL conditions over an index's table `t`; operands are bound, never pasted."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from libs.errors import RequestError
from query.catalog import Field
from query.embedded.documents_state import StoredField
from query.embedded.search_dates import date_range
from query.embedded.search_operands import SIGNS, bound_of, invalid, operand_of, unsupported
from query.embedded.values import lowered

Json = Any
MAX_DEPTH = 32
MAX_TEXT = 1_000
_WORD_GAP = r"[^\p{L}\p{M}\p{N}_]+"
_SQL = {"boolean": "BOOLEAN", "int64": "BIGINT", "float64": "DOUBLE", "string": "VARCHAR", "timestamp": "BIGINT"}
_SCORED = "1.0"


@dataclass(frozen=True, slots=True)
class Condition:
    """`sql` is true for what matches; `score` adds up to `_score` (constant scores, not Elasticsearch's BM25)."""

    sql: str
    score: str = _SCORED


NOTHING = Condition("FALSE", "0.0")


class Clauses:
    """Reads the clauses of one search; `params` are the operands bound so far, their names behind `prefix`."""

    def __init__(self, fields: Mapping[str, Field], prefix: str = "q") -> None:
        self.fields = fields
        self.prefix = prefix
        self.params: dict[str, Any] = {}
        self._readers: Mapping[str, Callable[[Json, str, int], Condition]] = {
            "match_all": self._match_all,
            "term": self._term,
            "terms": self._terms,
            "range": self._range,
            "exists": self._exists,
            "prefix": self._prefix,
            "wildcard": self._wildcard,
            "bool": self._bool,
        }

    def everything(self) -> Condition:
        return Condition("TRUE")

    def read(self, clause: Json, at: str, depth: int) -> Condition:
        """Raises NotSupportedError (CLAUSE_UNSUPPORTED), RequestError (BODY_INVALID, TOO_DEEP)."""
        if depth > MAX_DEPTH:
            raise RequestError("The query is nested too deeply.", code="TOO_DEEP", pointer=at)
        if not isinstance(clause, dict) or len(clause) != 1:
            raise invalid("A query is an object of exactly one clause.", at)
        name, content = next(iter(clause.items()))
        reader = self._readers.get(name)
        if reader is None:
            raise unsupported(name, f"{at}/{name}")
        if not isinstance(content, dict):
            raise invalid(f"{name} is an object.", f"{at}/{name}")
        return reader(content, f"{at}/{name}", depth)

    def bind(self, value: Any, kind: str) -> str:
        name = f"{self.prefix}{len(self.params)}"
        self.params[name] = value
        return f"${name}::{kind}"

    def _match_all(self, content: Json, at: str, depth: int) -> Condition:
        _only(content, frozenset({"boost"}), at)
        return self.everything()

    def _bool(self, content: Json, at: str, depth: int) -> Condition:
        _only(content, frozenset({"must", "filter", "should", "must_not", "minimum_should_match"}), at)
        groups = {
            name: self._many(content.get(name, []), f"{at}/{name}", depth)
            for name in ("must", "filter", "should", "must_not")
        }
        parts = [one.sql for one in (*groups["must"], *groups["filter"])]
        should = groups["should"]
        least = content.get("minimum_should_match", 0 if parts or not should else 1)
        if not isinstance(least, int) or isinstance(least, bool) or least < 0:
            raise unsupported("minimum_should_match other than a number", f"{at}/minimum_should_match")
        if least > len(should):
            return NOTHING
        if least == 1:
            parts.append("(" + " OR ".join(one.sql for one in should) + ")")
        elif least:
            counted = " + ".join(f"CASE WHEN {one.sql} THEN 1 ELSE 0 END" for one in should) or "0"
            parts.append(f"({counted}) >= {least}")
        parts += [f"(({one.sql}) IS NOT TRUE)" for one in groups["must_not"]]
        scores = [one.score for one in groups["must"]] + [
            f"CASE WHEN {one.sql} THEN {one.score} ELSE 0.0 END" for one in should
        ]
        if not parts:
            return Condition("TRUE", " + ".join(scores) or _SCORED)
        return Condition("(" + " AND ".join(parts) + ")", "(" + (" + ".join(scores) or "0.0") + ")")

    def _many(self, content: Json, at: str, depth: int) -> list[Condition]:
        if isinstance(content, list):
            return [self.read(one, f"{at}/{number}", depth + 1) for number, one in enumerate(content)]
        return [self.read(content, at, depth + 1)]

    def _exists(self, content: Json, at: str, depth: int) -> Condition:
        _only(content, frozenset({"field"}), at)
        name = content.get("field")
        if not isinstance(name, str):
            raise invalid("exists names a field.", at)
        prefix = f"{name}."
        found = [member for path, member in self.fields.items() if path == name or path.startswith(prefix)]
        if not found:
            return NOTHING
        return Condition("(" + " OR ".join(f"{_column(member)} IS NOT NULL" for member in found) + ")")

    def _term(self, content: Json, at: str, depth: int) -> Condition:
        name, options = _single(content, "value", at)
        _only(options, frozenset({"value", "boost"}), at)
        return self._equal(name, [options.get("value")], at)

    def _terms(self, content: Json, at: str, depth: int) -> Condition:
        named = {name: value for name, value in content.items() if name != "boost"}
        if len(named) != 1:
            raise invalid("terms names one field.", at)
        name, values = next(iter(named.items()))
        if not isinstance(values, list):
            raise unsupported("terms lookup", f"{at}/{name}")
        return self._equal(name, values, at)

    def _equal(self, name: str, values: list[Json], at: str) -> Condition:
        member = self.fields.get(name)
        if member is None:
            return NOTHING
        native = _native(member)
        if native.kind in ("nested", "flattened"):
            raise unsupported(f"a field of type {native.kind}", at)
        if native.kind in ("date", "date_nanos"):
            ranges = [self._dates(member, {"gte": value, "lte": value}, at) for value in values]
            return Condition("(" + (" OR ".join(one.sql for one in ranges) or "FALSE") + ")")
        operands = [operand for value in values if (operand := operand_of(native, value, at)) is not None]
        kind = _SQL[member.type.name.value]
        bound = self.bind(operands, f"{kind}[]")
        if native.kind == "text":
            return Condition(f"list_has_any({_words(member)}, {bound})")
        if member.type.multi:
            return Condition(f"list_has_any({_column(member)}, {bound})")
        return Condition(f"list_contains({bound}, {_column(member)})")

    def _range(self, content: Json, at: str, depth: int) -> Condition:
        name, bounds = _single(content, "", at)
        _only(bounds, frozenset({*SIGNS, "boost"}), f"{at}/{name}")
        bounds = {sign: value for sign, value in bounds.items() if sign in SIGNS and value is not None}
        member = self.fields.get(name)
        if member is None:
            return NOTHING
        kind = _native(member).kind
        if kind in ("date", "date_nanos"):
            return self._dates(member, bounds, f"{at}/{name}")
        if kind in ("nested", "flattened", "ip", "text", "boolean", "_id"):
            raise unsupported(f"range on a field of type {kind}", f"{at}/{name}")
        tests = []
        for sign, value in bounds.items():
            test = bound_of(_native(member), sign, value, f"{at}/{name}/{sign}")
            if test is None:
                return NOTHING
            tests.append((test[0], self.bind(test[1], _SQL[member.type.name.value])))
        return _each(
            member, lambda sql: " AND ".join(f"{sql} {sign} {bound}" for sign, bound in tests) or f"{sql} IS NOT NULL"
        )

    def _dates(self, member: Field, bounds: Mapping[str, Json], at: str) -> Condition:
        low, high = date_range(bounds, _native(member).kind == "date_nanos", at)
        first, last = self.bind(low, "BIGINT"), self.bind(high, "BIGINT")
        return _each(member, lambda sql: f"{sql} BETWEEN {first} AND {last}")

    def _prefix(self, content: Json, at: str, depth: int) -> Condition:
        member, value = self._textual(content, "value", at, "prefix")
        if member is None:
            return NOTHING
        bound = self.bind(value, "VARCHAR")
        return _each(member, lambda sql: f"starts_with({sql}, {bound})")

    def _wildcard(self, content: Json, at: str, depth: int) -> Condition:
        member, value = self._textual(content, "wildcard", at, "wildcard")
        if member is None:
            return NOTHING
        if not value:
            return NOTHING
        bound = self.bind(_wildcard_regex(value), "VARCHAR")
        return _each(member, lambda sql: f"regexp_full_match({sql}, {bound})")

    def _textual(self, content: Json, key: str, at: str, clause: str) -> tuple[Field | None, str]:
        name, options = _single(content, key, at)
        _only(options, frozenset({"value", key, "boost", "rewrite"}), f"{at}/{name}")
        value = options.get(key, options.get("value"))
        if not isinstance(value, str) or len(value) > MAX_TEXT:
            raise invalid(f"{clause} takes a text of at most {MAX_TEXT} characters.", f"{at}/{name}")
        member = self.fields.get(name)
        if member is None:
            return None, value
        if _native(member).kind not in ("keyword", "text"):
            raise unsupported(f"{clause} on a field of type {_native(member).kind}", f"{at}/{name}")
        return member, lowered(value) if _native(member).lowered else value


def _native(member: Field) -> StoredField:
    assert isinstance(member.native, StoredField)
    return member.native


def _column(member: Field) -> str:
    return f"({_native(member).sql})"


def _words(member: Field) -> str:
    """The lower-cased words of an analysed text, as a list."""
    sql = _column(member)
    text = f"array_to_string({sql}, ' ')" if member.type.multi else sql
    return f"regexp_split_to_array(lower({text}), '{_WORD_GAP}')"


def _each(member: Field, test: Callable[[str], str]) -> Condition:
    """The test on the value, on any value of a list, on any word of a text."""
    if _native(member).kind == "text":
        return Condition(f"(len(list_filter({_words(member)}, lambda v: v <> '' AND {test('v')})) > 0)")
    if member.type.multi:
        return Condition(f"(len(list_filter({_column(member)}, lambda v: {test('v')})) > 0)")
    return Condition(f"({test(_column(member))})")


def _wildcard_regex(pattern: str) -> str:
    r"""`*` any text, `?` one code point, `\` takes the next one as it is."""
    parts, at = ["(?s)"], 0
    while at < len(pattern):
        sign = pattern[at]
        if sign == "\\" and at + 1 < len(pattern):
            at += 1
            parts.append(re.escape(pattern[at]))
        else:
            parts.append({"*": ".*", "?": "."}.get(sign) or f"\\x{{{ord(sign):X}}}")
        at += 1
    return "".join(parts)


def _single(content: Mapping[str, Json], key: str, at: str) -> tuple[str, dict[str, Json]]:
    """A clause's one field and its options; a bare operand stands for {key: operand}."""
    if len(content) != 1:
        raise invalid("The clause names one field.", at)
    name, options = next(iter(content.items()))
    if isinstance(options, dict):
        return name, options
    if not key:
        raise invalid("The clause's field holds an object.", f"{at}/{name}")
    return name, {key: options}


def _only(content: Mapping[str, Json], known: frozenset[str], at: str) -> None:
    for name in content.keys() - known:
        raise unsupported(name, f"{at}/{name}")
