"""Sort keys of a search: missing values last, lists by their least or greatest, as Elasticsearch shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from libs.errors import RequestError
from query.catalog import Field
from query.embedded.documents_state import StoredField
from query.embedded.search_operands import unsupported

Json = Any
SORTABLE = frozenset(
    {"long", "integer", "short", "byte", "double", "float", "half_float", "boolean", "date", "date_nanos", "keyword"}
)
_TAKEN = frozenset({"order", "missing", "mode", "unmapped_type"})


@dataclass(frozen=True, slots=True)
class SortKey:
    """`value` is the SQL whose result is shown, `direction` what stands behind it to order by it; `missing` what is shown
    for none."""

    value: str
    direction: str
    missing: Json = None
    scored: bool = False

    def shown(self, value: Any) -> Json:
        if value is None:
            return self.missing
        return int(value) if isinstance(value, bool) else value


def sort_keys(sort: Json, fields: Mapping[str, Field]) -> Sequence[SortKey]:
    """Raises RequestError and NotSupportedError with the pointer."""
    many = sort if isinstance(sort, list) else [] if sort is None else [sort]
    return [_key(item, f"/sort/{at}", fields) for at, item in enumerate(many)]


def _key(item: Json, at: str, fields: Mapping[str, Field]) -> SortKey:
    name, options = _parts(item, at)
    for option in options.keys() - _TAKEN:
        raise unsupported(option, f"{at}/{name}/{option}")
    order = str(options.get("order", "desc" if name == "_score" else "asc")).lower()
    missing = options.get("missing", "_last")
    if order not in ("asc", "desc"):
        raise RequestError("A sort's order is asc or desc.", code="BODY_INVALID", pointer=at)
    if missing not in ("_last", "_first"):
        raise unsupported("missing", f"{at}/{name}/missing")
    nulls = "LAST" if missing == "_last" else "FIRST"
    if name == "_score":
        return SortKey("score", f"{order} NULLS LAST", scored=True)
    if name == "_doc":
        return SortKey("t._seq", order)
    member = fields.get(name)
    if member is None:
        if options.get("unmapped_type") in SORTABLE:
            return SortKey("NULL::BIGINT", order, _stand_in(options["unmapped_type"], order, nulls))
        raise RequestError(f"No mapping found for [{name}] in order to sort on.", code="FIELD_UNKNOWN", pointer=at)
    assert isinstance(member.native, StoredField)
    sql = _sortable(name, member, options.get("mode"), order, at)
    return SortKey(sql, f"{order} NULLS {nulls}", _stand_in(member.native.kind, order, nulls))


def _parts(item: Json, at: str) -> tuple[str, Mapping[str, Json]]:
    if isinstance(item, str):
        return item, {}
    if isinstance(item, dict) and len(item) == 1:
        name, options = next(iter(item.items()))
        if isinstance(options, str):
            return name, {"order": options}
        if isinstance(options, dict):
            return name, options
    raise RequestError("A sort key cannot be read.", code="BODY_INVALID", pointer=at, hint='like {"field": "desc"}')


def _sortable(name: str, member: Field, mode: Json, order: str, at: str) -> str:
    native = member.native
    assert isinstance(native, StoredField)
    if native.kind in ("nested", "flattened", "ip"):
        raise unsupported(f"sort on a field of type {native.kind}", at)
    if native.kind == "text":
        raise RequestError(
            f"[{name}] is analysed text and cannot be sorted by.",
            code="FIELD_NOT_FILTERABLE",
            pointer=at,
            hint=f"{name}.keyword",
        )
    sql = native.sql
    if not member.type.multi:
        return sql
    if mode not in (None, "min", "max"):
        raise unsupported("mode", f"{at}/{name}/mode")
    return f"list_{mode or ('min' if order == 'asc' else 'max')}({sql})"


_LONG, _INT, _FLOAT = (-(2**63), 2**63 - 1), (-(2**31), 2**31 - 1), ("-Infinity", "Infinity")
_ENDS: Mapping[str, tuple[Json, Json]] = {
    **dict.fromkeys(("long", "boolean", "date"), _LONG),
    "date_nanos": (0, 2**63 - 1),
    **dict.fromkeys(("integer", "short", "byte"), _INT),
    **dict.fromkeys(("double", "float", "half_float"), _FLOAT),
}


def _stand_in(kind: str, order: str, nulls: str) -> Json:
    """What Elasticsearch shows as the sort value of a missing one."""
    low, high = _ENDS.get(kind, (None, None))
    return high if (order == "asc") == (nulls == "LAST") else low
