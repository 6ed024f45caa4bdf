"""The contents that documents and series share, made from a fixed seed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from unittest_.reference.times import SECOND, instant

# Astral plane, combining marks, case pairs that fold oddly, quotes, backslashes, pattern signs, spaces at the ends.
NAMES = (
    "web-1", "WEB-1", "Web-1", "straße", "STRASSE", "İstanbul", "istanbul", "ΣΊΣΥΦΟΣ", "σίσυφος", "σίσυφοσ", "é", "e\u0301",
    "😀", "😀😁", "\U0001d518ber", "K", "\u212a", "k", "quo\"te", "apo'strophe", "back\\slash", "100%", "a_b", "a%b", "a.b", "a+b",
    " lead", "trail ", "com,ma", "equal=s", "new;DROP", "$dollar", "/slash/", "(paren)", "[brace]", "{curly}", "^caret", "tab-less",
    "zero\u200dwidth", "\ufffd", "\uffff", "\U0010ffff", "0", "007", "true", "null", "now-1h", "ÀÉ", "àé", "ẞ", "ß",
)  # fmt: skip
TEXTS = (
    *NAMES, "", " ", "line\nbreak", "cr\r\nlf", "tab\there", "\n", "trailing\n", "\\", "\\\\", "\\n", "%", "_", "\\%", "\"", "''", "`tick`",
    "a" * 200, "😀" * 40, "<script>", "--", "/*", "*/", "{}", "[]", "$1", "AND 1=1", "\u2028", "a|b", "aa", "aaa", "ab12", "2026-11-22",
)  # fmt: skip
BIG = (
    0, 1, -1, 2**31, -(2**31), 2**53 - 1, 2**53, 2**53 + 1, 2**53 + 3, -(2**53) - 1, 2**62, 2**62 + 1, 2**63 - 1, 2**63 - 2,
    -(2**63), -(2**63) + 1, 10**18, 10**18 + 1, 42, 1000,
)  # fmt: skip
RATIOS = (
    0.0, -0.0, 0.1, 0.2, 0.30000000000000004, 0.3, 1 / 3, -1 / 3, 1.5, -1.5, 2.5, -2.5, 0.5, -0.5, 0.49999999999999994, 1e-7, 1e-300,
    -1e-9, 1e15, 123456789.123456789, 9007199254740993.0, 2.0**53, 1e18, -1e18, 1.0, 2.0, 100.0, 4.35, 1e-3, 7e22,
)  # fmt: skip
PATHS = (
    "/",
    "/api/items",
    "/api/items?q=ß",
    "/api/users/7",
    '/quo"te',
    "/back\\slash",
    "/new\nline",
    "",
    "/API/Items",
    "/😀",
    "/a%20b",
)
USERS = ("ann", "Ann", "bob", "Ämilie", "zoë", "", "o'hara", "李雷", "δημήτρης")
ZONE_TURNS = (
    "2026-03-08T05:00:00Z",  # New York: clocks go forward on this day
    "2026-11-01T04:00:00Z",  # New York: and back
    "2026-03-29T00:00:00Z",  # Berlin
    "2026-10-25T00:00:00Z",
    "2026-03-28T22:00:00Z",  # Beirut: midnight is skipped
    "2026-11-01T05:00:00Z",  # Havana: midnight comes twice
    "2011-12-30T09:00:00Z",  # Apia: a whole day is skipped
    "2018-11-04T03:00:00Z",  # Sao Paulo: midnight is skipped
    "2024-02-29T12:00:00Z",
    "2024-12-30T00:00:00Z",  # the first day of the week in which a year ends
    "2025-12-31T23:00:00Z",
    "1969-12-31T23:00:00Z",
    "1970-01-01T00:00:00Z",
)
ODD_TIMES = (
    "1969-12-31T23:59:59.999999999Z", "1969-12-31T23:59:59Z", "1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000000001Z",
    "1969-12-31T00:00:00Z",
    "1969-12-30T23:59:59.999Z", "1965-05-05T05:05:05.000005Z", "1901-12-13T20:45:52Z", "2000-02-29T12:00:00Z", "2038-01-19T03:14:08Z",
    "2026-11-22T10:00:00Z", "2026-11-22T09:59:59.999999999Z", "2026-11-22T10:00:00.5Z", "2200-01-01T00:00:00Z", "1700-01-01T00:00:00Z",
)  # fmt: skip


@dataclass(frozen=True)
class Record:
    """A time in nanoseconds since 1970 and named values; a missing value is absent, or None, or (in documents) an empty list."""

    time: int
    members: dict[str, Any]


def access() -> Sequence[Record]:
    """A web server's log over four hours before the suite's now: bursts, ties in time, missing values."""
    rng = random.Random(3)
    start = instant("2026-11-22T06:30:00Z", 0)
    found: dict[tuple[Any, ...], Record] = {}
    while len(found) < 260:
        burst = rng.choice((0, 0, 900, 7200, 7300))
        second = burst + rng.randrange(60) if burst else rng.randrange(4 * 3600)
        time = start + second * SECOND + rng.choice((0, 0, 0, 250, 999)) * 1_000_000
        members: dict[str, Any] = {
            "host": rng.choice(("web-1", "web-1", "web-2", "web-3", "db-1", None)),
            "dc": rng.choice(("eu", "eu", "us", "ap", "", None)),
            "path": rng.choice(PATHS),
            "user": rng.choice((*USERS, None, None)),
            "status": rng.choice((200, 200, 200, 200, 304, 404, 500, 503)),
            "bytes": rng.choice((0, 17, 512, 512, 4096, rng.randrange(10**6), rng.randrange(10**12), None)),
            "latency": rng.choice((0.0, 0.5, 1.25, round(rng.expovariate(0.02), 3), rng.random() * 1000, None)),
            "cached": rng.choice((True, False, False, None)),
        }
        found.setdefault((time, members["host"], members["dc"] or None), Record(time, _given(members, rng)))
    return list(found.values())


def odd() -> Sequence[Record]:
    """What breaks quoting, folding, number and time handling. Every text, big integer and ratio occurs."""
    rng = random.Random(4)
    found: list[Record] = []
    for at in range(max(len(TEXTS), len(NAMES)) + 30):
        time = instant(ODD_TIMES[at % len(ODD_TIMES)], 0) + at // len(ODD_TIMES) * (SECOND + 1_000_000)
        members: dict[str, Any] = {
            "name": NAMES[at % len(NAMES)] if at % 11 != 10 else None,
            "text": TEXTS[at] if at < len(TEXTS) else rng.choice((None, rng.choice(TEXTS))),
            "big": BIG[at % len(BIG)] if at % 7 != 6 else None,
            "ratio": RATIOS[at % len(RATIOS)] if at % 5 != 4 else None,
            "score": rng.choice((None, round(rng.uniform(-50, 50), 2), rng.uniform(0, 1), float(rng.randrange(-3, 4)))),
            "flag": rng.choice((True, False, None)) if at else True,
        }
        if all(members[name] is None for name in members if name != "name"):
            members["flag"] = False
        found.append(Record(time, _given(members, rng)))
    return found


def nanos() -> Sequence[Record]:
    """Times that differ by nanoseconds, from the first instant of 1970 to the last of int64; several records share a time."""
    rng = random.Random(5)
    anchors = (
        0,
        1,
        SECOND - 1,
        SECOND,
        instant("2026-11-22T10:00:00Z", 0),
        instant("2026-11-22T09:59:59.999999Z", 0),
        2**63 - 10**9,
    )
    times = [anchor + step for anchor in anchors for step in (0, 1, 2, 500, 999, 1_000, 999_999, 1_000_000)]
    found: dict[tuple[int, str | None], Record] = {}
    for at, time in enumerate((*times, *times[:20])):
        host = ("a", "b", "c", None)[(at + at // len(times)) % 4]
        members = {
            "host": host,
            "v": at % 9 - 4 if at % 6 else None,
            "w": round(rng.uniform(-9, 9), 1) if at % 5 else None,
        }
        if members["v"] is None and members["w"] is None:
            members["v"] = 0
        found.setdefault((time, host), Record(time, _given(members, rng)))
    return list(found.values())


def days() -> Sequence[Record]:
    """Half hours around the days on which clocks turn, and around the ends of weeks, months and years."""
    rng = random.Random(6)
    found: dict[tuple[int, str | None], Record] = {}
    for turn in ZONE_TURNS:
        middle = instant(turn, 0)
        for step in (-96, -49, -48, -20, -3, -2, -1, 0, 1, 2, 3, 7, 24, 47, 48, 49, 100):
            time = middle + step * 1800 * SECOND - rng.choice((0, 0, 1)) * 1_000_000
            host = rng.choice(("a", "a", "b", None))
            members = {
                "host": host,
                "v": rng.randrange(-20, 100),
                "w": rng.choice((None, round(rng.uniform(0, 10), 2))),
            }
            found.setdefault((time, host), Record(time, _given(members, rng)))
    return list(found.values())


def many() -> Sequence[Record]:
    """More keys than one page of groups holds, and more rows than one answer."""
    rng = random.Random(7)
    start = instant("2026-11-01T00:00:00Z", 0)
    return [
        Record(
            start + at * 7 * SECOND,
            {"k": f"key-{rng.randrange(1300):04}", "n": rng.randrange(-1000, 1000), "x": round(rng.gauss(100, 15), 3)},
        )
        for at in range(3000)
    ]


def huge() -> Sequence[Record]:
    """Floats whose sums pass the greatest there is, beside others that come back, and small ones."""
    start = instant("2026-11-22T10:00:00Z", 0)
    values = {"a": (1.7e308, 1.7e308), "b": (-1.5e308, -1.5e308, -1.0), "c": (1.7e308, -1.7e308), "d": (0.1, 2.5)}
    return [
        Record(start + at * SECOND, {"host": host, "x": value})
        for host, held in values.items()
        for at, value in enumerate(held)
    ]


def _given(members: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    """Drops most of the missing members; a few stay as an explicit null."""
    return {name: value for name, value in members.items() if value is not None or rng.random() < 0.2}
