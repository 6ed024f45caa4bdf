"""The words of the reference (times, buckets, patterns, expressions), against truths that can be derived by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unittest_.reference import FieldSpec, Refused
from unittest_.reference.buckets import width_of
from unittest_.reference.expressions import half_away, parse
from unittest_.reference.patterns import like, lower, regex
from unittest_.reference.times import SECOND, duration, instant, written

NOW = instant("2026-03-31T13:47:11.5Z", 0)
MINUTE = 60 * SECOND


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00.000000001Z", 1),
        ("1969-12-31T23:59:59.999999999Z", -1),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1969-12-31t19:00:00-05:00", 0),
        ("2000-03-01T00:00:00z", 951_868_800 * SECOND),
        ("now", NOW),
        ("now-1h/h", instant("2026-03-31T12:00:00Z", 0)),
        ("now/d", instant("2026-03-31T00:00:00Z", 0)),
        ("now/w", instant("2026-03-30T00:00:00Z", 0)),
        ("now-1M", instant("2026-02-28T13:47:11.5Z", 0)),
        ("now-1M/M", instant("2026-02-01T00:00:00Z", 0)),
        ("now+11M", instant("2027-02-28T13:47:11.5Z", 0)),
        ("now-1y/y", instant("2025-01-01T00:00:00Z", 0)),
        ("now-1500ms", instant("2026-03-31T13:47:10Z", 0)),
        ("now/s", instant("2026-03-31T13:47:11Z", 0)),
    ],
)
def test_instants(text: str, ns: int) -> None:
    assert instant(text, NOW) == ns


@pytest.mark.parametrize(
    "text",
    ["", "2026-01-01", "2026-01-01T00:00:00", "2026-02-29T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T23:59:60Z",
     "2026-01-01 00:00:00Z",
     "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00.0000000001Z", "2026-1-1T00:00:00Z", "0000-01-01T00:00:00Z", "now-", "now-1", "now-1q",
     "now/", "now -1h", "yesterday", "1700000000", "２026-01-01T00:00:00Z", "2026-01-01T00:00:00+24:00"],
)  # fmt: skip
def test_times_that_are_none(text: str) -> None:
    with pytest.raises(Refused, match="TIME_INVALID"):
        instant(text, NOW)


@given(st.integers(-(2**63), 2**63 - 1))
def test_instants_round_trip(ns: int) -> None:
    text = written(ns)
    assert instant(text, 0) == ns
    assert len(text) in (20, 24, 27, 30)
    assert not text.endswith("000Z") or len(text) == 20


def test_durations() -> None:
    assert [duration(text) for text in ("5m", "20s", "1500ms", "1d")] == [
        5 * MINUTE,
        20 * SECOND,
        3 * SECOND // 2,
        24 * 60 * MINUTE,
    ]


@given(st.integers(-(10**19), 10**19), st.integers(1, 10**6))
def test_fixed_buckets(ns: int, seconds: int) -> None:
    width = width_of(f"{seconds}s")
    start = width.start(ns)
    assert start <= ns < start + seconds * SECOND
    assert start % (seconds * SECOND) == 0


@given(
    st.integers(-2_000_000_000, 4_000_000_000),
    st.sampled_from(["1d", "1w", "1M", "1y"]),
    st.sampled_from(
        [
            "UTC",
            "Europe/Berlin",
            "America/New_York",
            "Asia/Kathmandu",
            "Asia/Beirut",
            "America/Sao_Paulo",
            "Pacific/Apia",
        ]
    ),
)
def test_calendar_buckets(second: int, unit: str, zone: str) -> None:
    width = width_of(unit, zone)
    start = width.start(second * SECOND)
    end = width.next(start)
    assert start <= second * SECOND < end
    assert width.start(start) == start
    assert width.start(end - 1) == start
    local = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=second)).astimezone(ZoneInfo(zone))
    first = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=start // SECOND)).astimezone(ZoneInfo(zone))
    skipped = width.start(start - 1) != start and (first.hour, first.minute) != (0, 0)
    assert first.date() <= local.date()
    if not skipped and unit in ("1M", "1y"):
        assert (first.day, first.year) == (1, local.year)
    if not skipped and unit == "1d":
        assert first.date() == local.date()
    if not skipped and unit == "1w":
        assert first.weekday() == 0


@pytest.mark.parametrize(
    ("zone", "inside", "start"),
    [
        ("Asia/Beirut", "2026-03-29T10:00:00Z", "2026-03-28T22:00:00Z"),  # clocks go from 00:00 to 01:00
        ("America/Havana", "2026-11-01T05:30:00Z", "2026-11-01T04:00:00Z"),  # 01:00 back to 00:00
        ("Europe/Berlin", "2026-10-25T12:00:00Z", "2026-10-24T22:00:00Z"),
        ("Europe/Berlin", "2026-10-26T12:00:00Z", "2026-10-25T23:00:00Z"),
        ("Pacific/Apia", "2011-12-30T10:00:00Z", "2011-12-30T10:00:00Z"),  # the 30th never was
    ],
)
def test_days_in_zones(zone: str, inside: str, start: str) -> None:
    assert written(width_of("1d", zone).start(instant(inside, 0))) == start


def test_a_nanosecond_before_1970_is_in_1969() -> None:
    assert written(width_of("1m").start(-1)) == "1969-12-31T23:59:00Z"
    assert written(width_of("1y").start(-1)) == "1969-01-01T00:00:00Z"


def test_weeks_start_on_monday() -> None:
    assert written(width_of("1w").start(0)) == "1969-12-29T00:00:00Z"


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("%", "", True), ("_", "😀", True), ("__", "e\u0301", True), ("_", "e\u0301", False), ("a%c", "abc\nc", True), ("a\\%", "a%", True),
        ("a\\%", "ab", False), ("\\\\", "\\", True), ("a.c", "abc", False), ("", "", True), ("", "a", False), ("%b%", "abc", True),
    ],
)  # fmt: skip
def test_like(pattern: str, text: str, matches: bool) -> None:
    assert like(pattern, fold=False)(text) is matches


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [("K", "\u212a", True), ("ß", "ẞ", True), ("ß", "SS", False), ("i", "İ", False), ("İ", "İ", True), ("σ", "Σ", True), ("ς", "Σ", False),
     ("ÀÉ", "àé", True), ("é", "e\u0301", False)],
)  # fmt: skip
def test_ilike(pattern: str, text: str, matches: bool) -> None:
    assert like(pattern, fold=True)(text) is matches


@given(st.text())
def test_lower_keeps_the_length(text: str) -> None:
    assert len(lower(text)) == len(text)


@pytest.mark.parametrize("pattern", ["\\", "a\\", "\\a", "%\\n"])
def test_stray_backslashes(pattern: str) -> None:
    with pytest.raises(Refused, match="PATTERN_INVALID"):
        like(pattern, fold=False)


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("b", "abc", True), ("^b", "abc", False), ("c$", "abc", True), ("c$", "abc\n", False), ("a.c", "a\nc", False),
        ("a[^b]c", "a\nc", True),
        ("^(a|bc)+$", "abcbca", True), ("^a{2,3}$", "aaaa", False), ("^a{2}$", "aa", True), ("\\d", "٣", False), ("\\w", "é", False),
        ("^a|b$", "xb", True), ("^[a-c-]+$", "a-b", True), ("x*", "", True), ("^(a*)*$", "aaaa", True),
        ("[]a]", "a", None), ("^.$", "😀", True),
    ],
)  # fmt: skip
def test_regex(pattern: str, text: str, matches: bool | None) -> None:
    if matches is None:
        with pytest.raises(Refused, match="REGEX_UNSUPPORTED"):
            regex(pattern)
    else:
        assert regex(pattern)(text) is matches


@pytest.mark.parametrize(
    "pattern",
    [
        "a**",
        "a*?",
        "(?:a)",
        "(?i)a",
        "\\b",
        "\\1",
        "a^b",
        "a$b",
        "(",
        ")",
        "[",
        "[z-a]",
        "a{2,1}",
        "a{1001}",
        "*",
        "\\",
    ],
)
def test_regex_that_is_not_of_the_subset(pattern: str) -> None:
    with pytest.raises(Refused, match="REGEX_UNSUPPORTED"):
        regex(pattern)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-300 / 1e-300", 1.0),
        ("1 + 2 * 3", 7.0), ("(1 + 2) * 3", 9.0), ("7 - 2 - 1", 4.0), ("8 / 4 / 2", 1.0), ("-2 * -3", 6.0),
        ("2 - -1", 3.0), ("-7 % 3", -1.0),
        ("7 % -3", 1.0), ("1 / 0", None), ("1 % 0", None), ("coalesce(1 / 0, 5)", 5.0), ("nullif(1, 1)", None), ("nullif(1, 2)", 1.0),
        ("round(2.5)", 3.0), ("round(-2.5)", -3.0), ("round(0.49999999999999994)", 0.0), ("abs(-1.5)", 1.5), ("1e3", 1000.0), ("n", 4.0),
        ("`odd ``name`", 2.0), ("none + 1", None), ("coalesce(none, n)", 4.0), ("2 * 3 % 4", 2.0),
        ("1e308 * 10", None), ("big + 0", 2.0**53),
    ],
)  # fmt: skip
def test_expressions(text: str, value: float | None) -> None:
    fields = dict.fromkeys(("n", "odd `name", "none", "big"), FieldSpec("int64"))
    assert parse(text, fields)({"n": 4, "odd `name": 2, "big": 2**53 + 1}, {})[0] == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1 +",
        "(1",
        "1)",
        "1 2",
        "f(1)",
        "abs()",
        "abs(1, 2)",
        "nullif(1)",
        "+1",
        "1 ** 2",
        "a b",
        "'x'",
        "n; drop",
        "`",
        "1..2",
    ],
)
def test_expressions_that_are_none(text: str) -> None:
    with pytest.raises(Refused, match="EXPRESSION_INVALID"):
        parse(text, {"n": FieldSpec("int64"), "a": FieldSpec("int64")})


@given(st.floats(-1e15, 1e15))
def test_halves_go_away_from_zero(value: float) -> None:
    rounded = half_away(value)
    assert rounded == int(rounded)
    assert abs(rounded - value) <= 0.5
    assert half_away(-value) == -rounded
