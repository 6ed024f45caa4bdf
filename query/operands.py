"""A leaf's JSON operand as a value of its field's type: the bound normal form that query/expr.py describes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import IPv6Address, ip_address
from typing import assert_never

from libs.errors import RequestError
from libs.issues import Issues, kind_of
from libs.result import NS_PER, Type, TypeName
from libs.times import TIME_HINT, parse_time, to_unit
from query.catalog import Field
from query.exact_operands import float_leaf, floor_of, integer_leaf
from query.expr import FALSE, TRUE, And, Compare, Not, Or, Predicate, Scalar
from query.pattern_syntax import parse_ilike, parse_like, parse_regex
from query.text_operands import read_untyped
from query.vocabulary import ANALYSED_OPERATORS, OPERATORS, OPERATORS_OF

_PATTERNS = {"like": parse_like, "ilike": parse_ilike, "regex": parse_regex}
_WANTED = {
    TypeName.BOOLEAN: "true or false",
    TypeName.INT64: "a number",
    TypeName.FLOAT64: "a number",
    TypeName.STRING: "a string",
    TypeName.TIMESTAMP: "an RFC 3339 time or now-1h/h, as a string",
}


def bind_leaf(leaf: Compare, field: Field, now_ns: int, issues: Issues) -> Predicate:
    """The leaf with its field's type and an operand of it. Faults go to `issues`; then the answer counts for nothing."""
    kind = field.type
    if not _allowed(leaf, field, issues):
        return FALSE
    if leaf.op == "exists":
        if isinstance(leaf.value, bool):
            return Compare(leaf.field, "exists", leaf.value, kind, leaf.at)
        issues.add("TYPE_MISMATCH", "`exists` takes true or false.", leaf.at + "/value", "use true or false")
        return FALSE
    read = read_untyped(leaf, kind.name, issues)
    if read is None:
        return FALSE
    leaf = read
    match kind.name:
        case TypeName.STRING:
            return _bind_text(leaf, field, issues)
        case TypeName.INT64 | TypeName.FLOAT64:
            return _bind_number(leaf, kind, issues)
        case TypeName.TIMESTAMP:
            return _bind_time(leaf, kind, now_ns, issues)
        case TypeName.BOOLEAN:
            return _bind_boolean(leaf, kind, issues)
        case TypeName.JSON:
            return FALSE
        case _:
            assert_never(kind.name)


def bind_again(leaf: Compare, field: Field) -> Predicate:
    """A bound leaf for the same field typed differently in a part of the source (`Merge`), exact as ever."""
    kind, was = field.type, leaf.type
    if was is None or leaf.op == "exists" or (kind.name, kind.unit) == (was.name, was.unit):
        return Compare(leaf.field, leaf.op, leaf.value, kind, leaf.at)
    values = _operands(leaf)
    numbers: list[int | float] = [value for value in values if isinstance(value, int | float)]
    if kind.name is TypeName.TIMESTAMP:
        return integer_leaf(leaf, kind, [to_unit(int(value) * NS_PER[was.unit], kind.unit) for value in numbers])
    if kind.name is TypeName.INT64:
        return integer_leaf(leaf, kind, [floor_of(value) for value in numbers])
    if kind.name is TypeName.FLOAT64:
        return float_leaf(leaf, kind, numbers)
    return Compare(leaf.field, leaf.op, leaf.value, kind, leaf.at)


def narrow(predicate: Predicate, fields: Mapping[str, Field]) -> Predicate:
    """A bound predicate bound again to a part's fields; one that the part lacks is missing there."""
    match predicate:
        case Compare(field=name):
            if name in fields:
                return bind_again(predicate, fields[name])
            return TRUE if predicate.op == "exists" and predicate.value is False else FALSE
        case And(items):
            return And(tuple(narrow(item, fields) for item in items))
        case Or(items):
            return Or(tuple(narrow(item, fields) for item in items))
        case Not(item):
            return Not(narrow(item, fields))
        case _:
            assert_never(predicate)


def _allowed(leaf: Compare, field: Field, issues: Issues) -> bool:
    kind = field.type
    if not field.exact and leaf.op not in ANALYSED_OPERATORS:
        issues.add(
            "FIELD_NOT_FILTERABLE",
            f"{leaf.field!r} is analysed text without a keyword sub-field, so `{leaf.op}` has no exact form of it.",
            leaf.at + "/field",
            "use match or match_phrase, or map a keyword sub-field",
        )
        return False
    if kind.name in OPERATORS[leaf.op].types and (field.ops is None or leaf.op in field.ops):
        return True
    taken = [op for op in OPERATORS_OF[kind.name] if field.ops is None or op in field.ops]
    issues.add(
        "TYPE_MISMATCH",
        f"`{leaf.op}` cannot be done on {leaf.field!r}, which holds {kind.name}.",
        leaf.at + "/op",
        "it takes " + ", ".join(taken),
    )
    return False


def _operands(leaf: Compare) -> Sequence[Scalar]:
    return leaf.value if isinstance(leaf.value, tuple) else (leaf.value,)


def _at(leaf: Compare, index: int) -> str:
    return f"{leaf.at}/value/{index}" if isinstance(leaf.value, tuple) else leaf.at + "/value"


def _right_types(leaf: Compare, kind: Type, wanted: type | tuple[type, ...], issues: Issues) -> bool:
    """Whether every operand is of the wanted JSON type."""
    right = True
    for index, value in enumerate(_operands(leaf)):
        if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
            issues.add(
                "TYPE_MISMATCH",
                f"{leaf.field!r} holds {kind.name}, but the operand is {kind_of(value)}.",
                _at(leaf, index),
                f"use {_WANTED[kind.name]}",
            )
            right = False
    return right


def _plain(leaf: Compare, kind: Type) -> Predicate:
    """A leaf whose operands stay as they are, each once."""
    value = tuple(dict.fromkeys(leaf.value)) if isinstance(leaf.value, tuple) and leaf.op != "between" else leaf.value
    return Compare(leaf.field, leaf.op, value, kind, leaf.at)


def _upside_down(leaf: Compare, issues: Issues) -> Predicate:
    issues.add(
        "RANGE_INVALID", "`between` has its low bound above its high one.", leaf.at + "/value", "use [low, high]"
    )
    return FALSE


def _bind_boolean(leaf: Compare, kind: Type, issues: Issues) -> Predicate:
    return _plain(leaf, kind) if _right_types(leaf, kind, bool, issues) else FALSE


def _bind_number(leaf: Compare, kind: Type, issues: Issues) -> Predicate:
    if not _right_types(leaf, kind, (int, float), issues):
        return FALSE
    values = [value for value in _operands(leaf) if isinstance(value, int | float)]
    if leaf.op == "between" and values[0] > values[1]:
        return _upside_down(leaf, issues)
    if kind.name is TypeName.INT64:
        return integer_leaf(leaf, kind, [floor_of(value) for value in values])
    return float_leaf(leaf, kind, values)


def _bind_time(leaf: Compare, kind: Type, now_ns: int, issues: Issues) -> Predicate:
    if not _right_types(leaf, kind, str, issues):
        return FALSE
    instants: list[int] = []
    for index, value in enumerate(_operands(leaf)):
        try:
            instants.append(parse_time(str(value), now_ns))
        except ValueError as error:
            issues.add("TIME_INVALID", f"{error}.", _at(leaf, index), TIME_HINT)
    if len(instants) < len(_operands(leaf)):
        return FALSE
    if leaf.op == "between" and instants[0] > instants[1]:
        return _upside_down(leaf, issues)
    return integer_leaf(leaf, kind, [to_unit(instant, kind.unit) for instant in instants])


def _bind_text(leaf: Compare, field: Field, issues: Issues) -> Predicate:
    if not _right_types(leaf, field.type, str, issues):
        return FALSE
    if field.address:
        return _bind_address(leaf, field.type, issues)
    if leaf.op == "between" and isinstance(leaf.value, tuple) and str(leaf.value[0]) > str(leaf.value[1]):
        return _upside_down(leaf, issues)
    if (parse := _PATTERNS.get(leaf.op)) is not None:
        try:
            parse(str(leaf.value))
        except RequestError as error:
            issues.add(error.code.name, error.message, leaf.at + "/value", error.hint)
            return FALSE
    return _plain(leaf, field.type)


def _bind_address(leaf: Compare, kind: Type, issues: Issues) -> Predicate:
    """Operands in an address's canonical spelling; IPv4 inside IPv6 is IPv4."""
    spelled: list[str] = []
    for index, value in enumerate(_operands(leaf)):
        try:
            address = ip_address(str(value))
        except ValueError:
            issues.add(
                "TYPE_MISMATCH", f"{leaf.field!r} holds addresses, but the operand is none.", _at(leaf, index),
                "use one IPv4 or IPv6 address, such as 192.0.2.1",
            )  # fmt: skip
            continue
        mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
        spelled.append(str(mapped or address))
    if not isinstance(leaf.value, tuple):
        return Compare(leaf.field, leaf.op, spelled[0], kind, leaf.at) if spelled else FALSE
    return Compare(leaf.field, leaf.op, tuple(dict.fromkeys(spelled)), kind, leaf.at)
