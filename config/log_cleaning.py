"""What a log line may hold: no secrets, no control characters, no field over a kilobyte."""

import functools
import json
import math
import re
from collections.abc import Mapping
from json.encoder import encode_basestring_ascii as _encode_text

FIELD_BYTES = 1024
TRACEBACK_BYTES = 8192
# No character of ASCII escapes to more than six bytes.
SHORT = FIELD_BYTES // 6
MAX_DEPTH = 4
MAX_ITEMS = 64
REDACTED = "[redacted]"

_SECRET_KEY = re.compile(
    r"passw|passphrase|secret|token|authorization|api.?key|credential|cookie|private.?key|signature", re.IGNORECASE
)
# In running text: a URL's user and password, a header's credentials, a query string's or an assignment's secret.
_SECRETS_IN_TEXT = (
    (re.compile(r"://[^/\s@'\"]*@"), "://" + REDACTED + "@"),
    (re.compile(r"\b(Bearer|Basic|ApiKey|Token)\s+[\w.~+/=-]{6,}", re.IGNORECASE), r"\1 " + REDACTED),
    (
        re.compile(
            r"((?:passw(?:or)?d|secret|token|api_?key|authorization)['\"]?\s*[=:]\s*)['\"]?[^\s&'\",}]{3,}",
            re.IGNORECASE,
        ),
        r"\1" + REDACTED,
    ),
)
# Quick: text without one of these holds nothing to substitute.
_SUSPICIOUS = re.compile(r"[@=\s]|[A-Za-z'\"]:")
# Ids, routes, paths and addresses: nothing in them to escape or to substitute.
_PLAIN = re.compile(r"[0-9A-Za-z./_-]*", re.ASCII)

_encode_structure = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode


def render(fields: Mapping[str, object]) -> bytes:
    """One line of ASCII JSON with its newline: every control and non-ASCII character is escaped."""
    members: list[str] = []
    for name, value in fields.items():
        start = _start(name)
        # The usual fields of an access line.
        if type(value) is str and len(value) <= SHORT and _PLAIN.fullmatch(value) and start is not None:
            members.append(f'{start}"{value}"')
        elif type(value) is int and -(2**53) < value < 2**53 and start is not None:
            members.append(f"{start}{value}")
        else:
            members.append(f"{_encode_text(name[:128])}:{_encode(clean(name, value))}")
    # DEL is the one control character that JSON leaves as it is.
    return ("{" + ",".join(members) + "}\n").replace("\x7f", "\\u007f").encode()


@functools.lru_cache(maxsize=1024)
def _start(name: str) -> str | None:
    """A member's name as it is written; None for one that may hold a secret."""
    return None if _is_secret(name) else _encode_text(name[:128]) + ":"


def _encode(value: object) -> str:
    # A third of the time of the encoder for any structure, for what nearly every field is.
    if isinstance(value, str):
        return _encode_text(value)
    return repr(value) if type(value) in (int, float) else _encode_structure(value)


def clean(key: object, value: object, depth: int = 0) -> object:
    """The value as JSON can show it: secrets gone by their key, long texts and deep structures cut."""
    if isinstance(key, str) and _is_secret(key):
        return REDACTED
    if isinstance(value, str):
        if len(value) <= SHORT and value.isascii() and _SUSPICIOUS.search(value) is None:
            return value
        return clean_text(value, TRACEBACK_BYTES if key == "exception" else FIELD_BYTES)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**63 else str(value)[:64]
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if depth < MAX_DEPTH and isinstance(value, Mapping):
        items = list(value.items())[:MAX_ITEMS]
        return {clean_text(str(name), 128): clean(str(name), item, depth + 1) for name, item in items}
    if depth < MAX_DEPTH and isinstance(value, list | tuple | set | frozenset):
        return [clean(None, item, depth + 1) for item in list(value)[:MAX_ITEMS]]
    return clean_text(repr(value), FIELD_BYTES)


@functools.lru_cache(maxsize=1024)
def _is_secret(key: str) -> bool:
    return _SECRET_KEY.search(key) is not None


def clean_text(text: str, limit: int) -> str:
    """The text without secrets, at most `limit` bytes long once it is escaped; of a traceback the end is kept."""
    keeps_end = limit == TRACEBACK_BYTES
    # Cut roughly before the search: that is not run over megabytes.
    text = text[-limit * 2 :] if keeps_end else text[: limit * 2]
    if _SUSPICIOUS.search(text):
        for pattern, replacement in _SECRETS_IN_TEXT:
            text = pattern.sub(replacement, text)
    if not text.isascii():
        # A lone surrogate is no character: other readers of the line would stumble over it.
        text = text.encode("utf-8", "backslashreplace").decode()
    # No character escapes to more than twelve bytes.
    if len(text) * 12 <= limit or _escaped_size(text) <= limit:
        return text
    while text and (size := _escaped_size(text)) > limit - 3:
        keep = max(len(text) * (limit - 3) // size - 1, 0)
        text = text[len(text) - keep :] if keeps_end else text[:keep]
    return "..." + text if keeps_end else text + "..."


def _escaped_size(text: str) -> int:
    return len(json.dumps(text)) - 2 + 5 * text.count("\x7f")
