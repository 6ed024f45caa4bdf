"""The types and parameters of mappings that this store does, each parameter with the values that it takes.

Parameters that only tune Elasticsearch's own files (`index`, `doc_values`, `store`, …) are taken and change nothing:
every field here is searchable, sortable and kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Check = Callable[[Any], bool]


def _any(value: Any) -> bool:
    return True


def _bool(value: Any) -> bool:
    return isinstance(value, bool) or value in ("true", "false")


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _format(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _map(value: Any) -> bool:
    return isinstance(value, dict)


def _only(*allowed: Any) -> Check:
    return lambda value: value in allowed


def _source(value: Any) -> bool:
    return value in ({}, {"enabled": True})


def _routing(value: Any) -> bool:
    return value in ({}, {"required": False})


SQL_TYPES = {
    "long": "BIGINT", "integer": "BIGINT", "short": "BIGINT", "byte": "BIGINT", "double": "DOUBLE", "float": "DOUBLE",
    "half_float": "DOUBLE", "boolean": "BOOLEAN", "keyword": "VARCHAR", "text": "VARCHAR", "ip": "VARCHAR", "date": "BIGINT",
    "date_nanos": "BIGINT",
}  # fmt: skip

_FIELD: Mapping[str, Check] = {"type": _text, "index": _bool, "store": _bool, "meta": _map, "fields": _map}
_VALUES: Mapping[str, Check] = {**_FIELD, "doc_values": _bool}
_MALFORMED: Mapping[str, Check] = {"ignore_malformed": lambda value: isinstance(value, bool)}
_NUMBER: Mapping[str, Check] = {
    **_VALUES,
    **_MALFORMED,
    "coerce": lambda value: isinstance(value, bool),
    "null_value": _any,
}
_DATE: Mapping[str, Check] = {
    **_VALUES,
    **_MALFORMED,
    "null_value": _any,
    "format": _format,
    "locale": _only("", "en", "ROOT"),
}

LEAF_PARAMS: Mapping[str, Mapping[str, Check]] = {
    **dict.fromkeys(("long", "integer", "short", "byte", "double", "float", "half_float"), _NUMBER),
    "boolean": {**_VALUES, **_MALFORMED, "null_value": _any},
    "ip": {**_VALUES, **_MALFORMED, "null_value": _any},
    "date": _DATE,
    "date_nanos": _DATE,
    "keyword": {
        **_VALUES,
        "ignore_above": _count,
        "null_value": _any,
        "normalizer": _text,
        "norms": _bool,
        "index_options": _text,
        "eager_global_ordinals": _bool,
        "split_queries_on_whitespace": _only(False),
        "similarity": _text,
    },
    "text": {
        **_FIELD,
        "norms": _bool,
        "index_options": _text,
        "similarity": _text,
        "term_vector": _text,
        "position_increment_gap": _count,
        "fielddata": _only(False),
        "eager_global_ordinals": _bool,
        "analyzer": _only("standard"),
        "search_analyzer": _only("standard"),
        "index_phrases": _bool,
    },
    "flattened": {
        "type": _text,
        "index": _bool,
        "doc_values": _bool,
        "depth_limit": _count,
        "eager_global_ordinals": _bool,
        "index_options": _text,
    },
}

OBJECT_PARAMS: Mapping[str, Check] = {
    "type": _text,
    "properties": _any,
    "dynamic": _any,
    "enabled": _bool,
    "include_in_parent": _only(False),
    "include_in_root": _only(False),
}

ROOT_PARAMS: Mapping[str, Check] = {
    "properties": _any,
    "dynamic": _any,
    "date_detection": lambda value: isinstance(value, bool),
    "numeric_detection": lambda value: isinstance(value, bool),
    "_meta": _map,
    "_source": _source,
    "_routing": _routing,
    "subobjects": _only(True, "true"),
}

CHECKS: Mapping[str, frozenset[str]] = {"dynamic": frozenset({"true", "false", "strict"})}
