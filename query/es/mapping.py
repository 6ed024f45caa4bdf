"""An index mapping as fields of the catalogue, each with a note of how Elasticsearch holds it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from libs.result import BOOLEAN, FLOAT64, INT64, JSON, STRING, TIMESTAMP, TIMESTAMP_MS, Type
from query.catalog import Field

Read = Literal["source", "fields", "json", "id", "address"]
Kind = Literal[
    "keyword", "text", "integer", "double", "float", "boolean", "date", "date_nanos", "ip", "id", "json", "odd"
]

EQUALITY = frozenset({"eq", "ne", "in", "nin", "exists"})
_INTEGERS = {"long": 64, "integer": 32, "short": 16, "byte": 8}
_TEXTS = frozenset({"text", "match_only_text", "search_as_you_type", "annotated_text"})
_KEYWORDS = frozenset({"keyword", "constant_keyword", "wildcard", "version"})
_TYPES: dict[str, tuple[Kind, Type]] = {
    "double": ("double", FLOAT64),
    "float": ("float", FLOAT64),
    "half_float": ("odd", FLOAT64),
    "scaled_float": ("odd", FLOAT64),
    "boolean": ("boolean", BOOLEAN),
    "date": ("date", TIMESTAMP_MS),
    "date_nanos": ("date_nanos", TIMESTAMP),
    "ip": ("ip", STRING),
    **dict.fromkeys(_INTEGERS, ("integer", INT64)),
    **dict.fromkeys(_KEYWORDS, ("keyword", STRING)),
    **dict.fromkeys(_TEXTS, ("text", STRING)),
}
_PLAIN_DATES = frozenset(
    {
        "strict_date_optional_time||epoch_millis",
        "strict_date_optional_time_nanos||epoch_millis",
        "strict_date_optional_time_nanos||strict_date_optional_time||epoch_millis",
        "date_optional_time||epoch_millis",
        "strict_date_optional_time",
        "strict_date_optional_time_nanos",
    }
)


@dataclass(frozen=True, slots=True)
class EsField:
    """How Elasticsearch holds a field.

    `path` is what term queries, sorts and aggregations name (a text's keyword sub-field; "" when there is none), `own` what
    `exists`, `match` and `fields` name, `source` the dotted place in `_source`. `read`: where rows take the value from.
    `indexed`: filters on it are answered from an index; `columnar`: it has doc values. `coerced`: the index holds
    something else than terms that equal what is asked (a normalizer), so that nothing but `exists` is pushed.
    `bits`, `wide`: an integer's width, the least and the greatest in the indices. `millis`: an integer in `_source` is
    milliseconds. `ignorable`: names that `_ignored` may tell of it; `ignored`: those it does tell (learned).
    """

    kind: Kind
    path: str
    own: str
    source: str
    read: Read = "source"
    indexed: bool = True
    columnar: bool = True
    coerced: bool = False
    bits: int = 64
    wide: int = 64
    millis: bool = False
    ignorable: frozenset[str] = frozenset()
    ignored: frozenset[str] = frozenset()


ID = Field("_id", STRING, role="id", ops=EQUALITY, native=EsField("id", "_id", "_id", "", read="id", columnar=False))


def fields_of(mapping: Mapping[str, Any]) -> dict[str, Field]:
    """The fields of one index's `mappings`, `_id` first, the others in the mapping's order."""
    found: dict[str, Field] = {"_id": ID}
    source = mapping.get("_source", {})
    whole = source.get("enabled", True) and not source.get("includes") and not source.get("excludes")
    aliases: dict[str, str] = {}
    copied: set[str] = set()
    for name, spec in _leaves(mapping.get("properties", {}), ""):
        if spec.get("type") == "alias":
            aliases[name] = spec["path"]
            continue
        targets = spec.get("copy_to", ())
        copied.update([targets] if isinstance(targets, str) else targets)
        found.update(_members(name, spec))
    for name, spec in mapping.get("runtime", {}).items():
        found[name] = _runtime(name, spec)
    for name, path in aliases.items():
        if path in found:
            found[name] = replace(found[path], name=name, role="member", hidden=True)
    for name in copied & found.keys():
        found[name] = by_fields(found[name])
    return found if whole else {name: by_fields(field) for name, field in found.items()}


def _leaves(properties: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, spec in properties.items():
        kind = spec.get("type", "object")
        if kind in ("object", "passthrough") and spec.get("enabled", True) is not False:
            yield from _leaves(spec.get("properties", {}), f"{prefix}{name}.")
        else:
            yield prefix + name, spec


def _members(name: str, spec: Mapping[str, Any]) -> Iterator[tuple[str, Field]]:
    """The field itself, then its sub-fields, which are hidden."""
    subs = spec.get("fields", {})
    if spec.get("type") in _TEXTS:
        yield name, _text(name, spec, subs)
    else:
        yield name, _plain(name, name, spec)
    for sub, sub_spec in subs.items():
        path = f"{name}.{sub}"
        field = _text(path, sub_spec, {}) if sub_spec.get("type") in _TEXTS else _plain(path, name, sub_spec)
        native = field.native
        assert isinstance(native, EsField)
        yield path, replace(field, hidden=True, native=replace(native, source=name))


def _text(name: str, spec: Mapping[str, Any], subs: Mapping[str, Any]) -> Field:
    for sub, sub_spec in subs.items():
        if sub_spec.get("type") == "keyword" and not _altered(sub_spec) and sub_spec.get("doc_values", True):
            inner = _plain(f"{name}.{sub}", name, sub_spec).native
            assert isinstance(inner, EsField)
            return Field(name, STRING, analysed=True, native=replace(inner, kind="text", own=name, source=name))
    native = EsField("text", "", name, name, indexed=spec.get("index", True), columnar=False)
    return Field(name, STRING, exact=False, analysed=True, native=native)


def _plain(name: str, source: str, spec: Mapping[str, Any]) -> Field:
    kind = spec.get("type", "object")
    if kind not in _TYPES:
        return Field(name, JSON, native=EsField("json", "", name, source, read="json", columnar=False))
    held, type_ = _TYPES[kind]
    coerced = _altered(spec) or kind in ("version", "constant_keyword") or held == "odd"
    by_fields = coerced or "null_value" in spec or "script" in spec
    ignorable = "ignore_above" in spec or spec.get("ignore_malformed") in (True, "true")
    native = EsField(
        held,
        name,
        name,
        source,
        read="fields" if by_fields else "source",
        indexed=spec.get("index", True),
        columnar=spec.get("doc_values", True) and kind not in ("wildcard", "constant_keyword"),
        coerced=coerced,
        bits=_INTEGERS.get(kind, 64),
        wide=_INTEGERS.get(kind, 64),
        millis=spec.get("format", "strict_date_optional_time||epoch_millis") in _PLAIN_DATES,
        ignorable=frozenset({name}) if ignorable else frozenset(),
    )
    return Field(name, type_, ops=EQUALITY if held == "ip" else None, address=held == "ip", native=native)


def _runtime(name: str, spec: Mapping[str, Any]) -> Field:
    """Computed at each query: read through `fields`, filtered and grouped here."""
    held, type_ = _TYPES.get(spec.get("type", ""), ("json", JSON))
    native = EsField(held, name, name, name, read="fields", indexed=False, columnar=False, coerced=True)
    return Field(name, type_, ops=EQUALITY if held == "ip" else None, address=held == "ip", native=native)


def _altered(spec: Mapping[str, Any]) -> bool:
    return "normalizer" in spec


def by_fields(field: Field) -> Field:
    """The field, its values not read from `_source`."""
    native = field.native
    assert isinstance(native, EsField)
    return replace(field, native=replace(native, read="fields")) if native.read == "source" else field


def combined(first: Field, second: Field) -> Field:
    """One field for two indices that give it the same type but hold it differently: what is pushed must hold for both."""
    one, other = first.native, second.native
    assert isinstance(one, EsField)
    assert isinstance(other, EsField)
    if one == other:
        return first
    alike = one.kind == other.kind
    native = replace(
        one,
        kind=one.kind if alike else "odd",
        read=one.read if alike and one.read == other.read else "fields",
        indexed=one.indexed and other.indexed,
        columnar=one.columnar and other.columnar,
        coerced=one.coerced or other.coerced or not alike or one.path != other.path,
        bits=min(one.bits, other.bits),
        wide=max(one.wide, other.wide),
        millis=one.millis and other.millis,
        ignorable=one.ignorable | other.ignorable,
    )
    return replace(first, hidden=first.hidden and second.hidden, native=native)
