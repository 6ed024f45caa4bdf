"""Texts that no body can be: broken JSON, odd encodings, members twice, and nesting that nothing may recurse into."""

from __future__ import annotations

from typing import Any

_LEAF = '{"field":"status","op":"eq","value":1}'


def _nested(levels: int) -> str:
    """A filter of so many levels, its leaf included."""
    return '{"where":' + '{"not":' * (levels - 1) + _LEAF + "}" * (levels - 1) + "}"


# name, body, code, pointer
TEXTS: list[tuple[str, Any, str, str]] = [
    ("nothing", b"", "JSON_INVALID", ""),
    ("no JSON", b"select *", "JSON_INVALID", ""),
    ("cut short", b'{"limit": 1', "JSON_INVALID", ""),
    ("a comma too much", b'{"limit": 1,}', "JSON_INVALID", ""),
    ("NaN", b'{"where":{"field":"latency","op":"eq","value":NaN}}', "JSON_INVALID", ""),
    ("Infinity", b'{"limit":Infinity}', "JSON_INVALID", ""),
    ("a lone surrogate", b'{"where":{"field":"host","op":"eq","value":"\\ud800"}}', "JSON_INVALID", ""),
    ("not UTF-8", b'{"where":{"field":"host","op":"eq","value":"\xff"}}', "JSON_INVALID", ""),
    ("UTF-16", '{"limit":1}'.encode("utf-16"), "JSON_INVALID", ""),
    ("two values", b"{} {}", "JSON_INVALID", ""),
    ("a byte order mark", b'\xef\xbb\xbf{"limit":1}', "JSON_INVALID", ""),
    ("an array", b"[]", "BODY_INVALID", ""),
    ("a string", b'"x"', "BODY_INVALID", ""),
    ("null", b"null", "BODY_INVALID", ""),
    ("a member twice", b'{"limit":1,"limit":2}', "DUPLICATE_KEY", "/limit"),
    ("a member twice within a leaf", b'{"where":{"field":"status","op":"eq","value":1,"value":2}}', "DUPLICATE_KEY", "/where/value"),
    ("a member twice, spelled with an escape", b'{"limit":1,"l\\u0069mit":1}', "DUPLICATE_KEY", "/limit"),
    ("a member twice in a list", b'{"select":[{"agg":"count","as":"a","as":"b"}]}', "DUPLICATE_KEY", "/select/0/as"),
    ("depth 17", _nested(17).encode(), "TOO_DEEP", "/where" + "/not" * 16),
    ("depth 500", _nested(500).encode(), "TOO_DEEP", "/where" + "/not" * 16),
    ("depth 100,000", _nested(100_000).encode(), "TOO_DEEP", ""),
    ("a deep array", b"[" * 100_000, "TOO_DEEP", ""),
]  # fmt: skip
