"""The combined access log of Apache and nginx, a line a document.

    83.149.9.216 - ann [17/May/2015:10:05:03 +0000] "GET /a HTTP/1.1" 200 203023 "http://example.com/" "Mozilla/5.0 …"

What a line has no value for (`-`) is left away. https://httpd.apache.org/docs/2.4/logs.html
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from apps.load.refused import NotTaken

_QUOTED = r'((?:[^"\\]|\\.)*+)'
# A log that cut its last line short lacks the last quote.
_LINE = re.compile(
    r"(?P<client_ip>\S++) (?P<identity>\S++) (?P<user>.*?) \[(?P<time>[^\]]++)\] "
    rf'"(?P<request>{_QUOTED})" (?P<status>[0-9]{{3}}) (?P<bytes>[0-9]++|-)'
    rf'(?: "(?P<referrer>{_QUOTED})" "(?P<user_agent>{_QUOTED})"?+)?+[ \t]*+'
)
_TIME = re.compile(r"([0-9]{2})/([A-Z][a-z]{2})/([0-9]{4}):([0-9]{2}):([0-9]{2}):([0-9]{2}) ([+-])([0-9]{2})([0-9]{2})")
_REQUEST = re.compile(r"([A-Za-z]++) (\S++)(?: (HTTP/[0-9.]++))?+")
_ESCAPE = re.compile(r'\\(["\\])')
_MONTHS = {
    name: number
    for number, name in enumerate(("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), 1)
}  # fmt: skip
_KEYWORD = {"type": "keyword"}
# What `--create` makes an index with.
PROPERTIES: dict[str, Any] = {
    "@timestamp": {"type": "date"},
    **dict.fromkeys(("host", "client_ip", "user", "method", "path", "protocol", "request", "referrer"), _KEYWORD),
    "status": {"type": "integer"},
    "bytes": {"type": "long"},
    "user_agent": {"type": "text", "fields": {"keyword": _KEYWORD}},
}


def document(line: str, host: str) -> dict[str, Any]:
    """The fields of a line, `host` among them where it is not empty. Raises NotTaken."""
    match = _LINE.fullmatch(line)
    if match is None:
        raise NotTaken("this is no line of a combined access log")
    found: dict[str, Any] = {"@timestamp": _time(match["time"])}
    if host:
        found["host"] = host
    for name in ("client_ip", "user"):
        if match[name] != "-":
            found[name] = match[name]
    found |= _request(_ESCAPE.sub(r"\1", match["request"]))
    found["status"] = int(match["status"])
    if match["bytes"] != "-":
        found["bytes"] = int(match["bytes"])
        if found["bytes"] >= 2**63:
            raise NotTaken("its bytes do not fit int64")
    for name in ("referrer", "user_agent"):
        if match[name] not in (None, "-", ""):
            found[name] = _ESCAPE.sub(r"\1", match[name])
    return found


def _request(text: str) -> dict[str, str]:
    """The parts of the request line; one that has no such parts stays whole, as `request`."""
    match = _REQUEST.fullmatch(text)
    if match is None:
        return {} if text in ("", "-") else {"request": text}
    parts = {"method": match[1], "path": match[2]}
    return parts | {"protocol": match[3]} if match[3] else parts


def _time(text: str) -> str:
    """RFC 3339, in UTC."""
    match = _TIME.fullmatch(text)
    try:
        if match is None or match[2] not in _MONTHS:
            raise ValueError
        day, year, hour, minute, second = (int(match[group]) for group in (1, 3, 4, 5, 6))
        offset = timedelta(hours=int(match[8]), minutes=int(match[9]))
        zone = timezone(offset if match[7] == "+" else -offset)
        at = datetime(year, _MONTHS[match[2]], day, hour, minute, second, tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError):
        raise NotTaken(f"{text[:40]!r} is no time of such a log") from None
    return at.isoformat().replace("+00:00", "Z")
