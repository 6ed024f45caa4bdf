"""Keys of joins in SQL, in a form whose `=` is the language's equality; what matches nothing is NULL."""

from __future__ import annotations

from collections.abc import Sequence

from libs.result import Type, TypeName
from query.plan_joins import Normalization

# The one character that DuckDB lower-cases alone and the language keeps, since its lower case is two characters.
_KEPT = "\u0130"
_OCTET = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = rf"{_OCTET}(\.{_OCTET}){{3}}"
_HEX = "[0-9a-fA-F]{1,4}"


def _ipv6_ends() -> str:
    """What may stand before the IPv4 part of an IPv6 address: six groups, or fewer around one `::`."""
    short = [
        (f"{_HEX}(:{_HEX}){{{count - 1}}}" if count else "") + f"::({_HEX}:){{0,{5 - count}}}" for count in range(6)
    ]
    return "|".join([f"({_HEX}:){{6}}", *short])


# Only an address with dots needs to be known: without a dot, a text is its own first part.
_DOTTED_ADDRESS = f"({_ipv6_ends()})?{_IPV4}"


def normalized(sql: str, kind: Type, steps: Sequence[Normalization]) -> str:
    """A text key after the steps; other keys stay."""
    if kind.name is not TypeName.STRING:
        return sql
    for step in steps:
        sql = _lowered(sql) if step == "lower" else _first_part(sql)
    return sql


def _lowered(sql: str) -> str:
    apart = f"list_transform(string_split({sql}, '{_KEPT}'), lambda part: lower(part))"
    return f"(CASE WHEN contains({sql}, '{_KEPT}') THEN array_to_string({apart}, '{_KEPT}') ELSE lower({sql}) END)"


def _first_part(sql: str) -> str:
    address = f"regexp_full_match({sql}, '{_DOTTED_ADDRESS}')"
    return f"(CASE WHEN {address} THEN {sql} ELSE split_part({sql}, '.', 1) END)"


def comparable(sql: str, held: Type, other: Type) -> str:
    """A key of type `held` that meets one of type `other`. An integer meets a float64 as integers, since those are exact:
    a float64 that is no int64 equals none."""
    if held.name is TypeName.FLOAT64:
        if other.name is TypeName.INT64:
            return f"(CASE WHEN {sql} = trunc({sql}) THEN TRY_CAST({sql} AS BIGINT) END)"
        return f"({sql} + 0.0)"
    if held.name is TypeName.TIMESTAMP and held.unit != other.unit:
        return f"({sql}::HUGEINT * {1_000_000 if held.unit == 'ms' else 1})"
    return sql
