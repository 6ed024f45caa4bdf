"""Instants, durations and buckets: text and integers, exact from year 0 to 9999, before 1970 and across changes of clocks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.buckets import bucket_count, bucket_start, bucket_starts
from libs.times import (
    civil_from_days,
    days_from_civil,
    format_instant,
    parse_duration,
    parse_instant,
    parse_time,
    to_unit,
)

SECOND = 1_000_000_000
HOUR = 3600 * SECOND
FIRST = parse_instant("0000-01-01T00:00:00Z")
LAST = parse_instant("9999-12-31T23:59:59.999999999Z")
NOW = parse_instant("2026-03-31T10:17:23.456789012Z")


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00.000000001Z", 1),
        ("1969-12-31T23:59:59.999999999Z", -1),
        ("1970-01-01t01:00:00+01:00", 0),
        ("1969-12-31T18:30:00-05:30", 0),
        ("2000-02-29T00:00:00.5z", 951_782_400_500_000_000),
        ("0000-01-01T00:00:00Z", -62_167_219_200 * SECOND),
        ("9999-12-31T23:59:59Z", 253_402_300_799 * SECOND),
    ],
)
def test_reads_rfc_3339(text: str, ns: int) -> None:
    assert parse_instant(text) == ns


@pytest.mark.parametrize(
    "text",
    [
        "", "2026-11-22", "2026-11-22T10:00:00", "2026-11-22 10:00:00Z", "2026-02-29T00:00:00Z", "2026-00-10T00:00:00Z",
        "2026-01-00T00:00:00Z", "2026-13-01T00:00:00Z", "2026-04-31T00:00:00Z", "1900-02-29T00:00:00Z",
        "2026-11-22T24:00:00Z", "2026-11-22T10:60:00Z", "2026-06-30T23:59:60Z", "2026-11-22T10:00:61Z",
        "2026-11-22T10:00:00.Z", "2026-11-22T10:00:00.1234567890Z", "2026-11-22T10:00:00+24:00", "2026-11-22T10:00:00+0100",
        "2026-11-22T10:00:00+01:60", "+2026-11-22T10:00:00Z", "２０２６-11-22T10:00:00Z", "2026-11-22T10:00:00Z\n",
    ],
)  # fmt: skip
def test_refuses_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match=r"2026|1900|no RFC 3339"):
        parse_instant(text)


@given(st.integers(FIRST, LAST))
def test_text_and_nanoseconds_round_trip(ns: int) -> None:
    text = format_instant(ns)
    assert parse_instant(text) == ns
    assert len(text) in (20, 24, 27, 30)
    assert not text.endswith("000Z") or len(text) == 20


@given(st.integers(FIRST // 1_000_000, LAST // 1_000_000))
def test_milliseconds_are_written_as_their_nanoseconds(ms: int) -> None:
    assert format_instant(ms, "ms") == format_instant(ms * 1_000_000)


@given(st.datetimes(min_value=datetime(1, 1, 1), max_value=datetime(9999, 12, 31)))
def test_agrees_with_datetime(moment: datetime) -> None:
    ns = (moment.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000
    assert parse_instant(moment.isoformat() + "Z") == ns


@given(st.integers(-4_000_000, 4_000_000))
def test_days_and_dates_are_inverses(days: int) -> None:
    year, month, day = civil_from_days(days)
    assert days_from_civil(year, month, day) == days
    assert 1 <= month <= 12
    assert 1 <= day <= 31


def test_times_outside_of_rfc_3339_are_written_all_the_same() -> None:
    assert format_instant(LAST + 1) == "+10000-01-01T00:00:00Z"
    assert format_instant(FIRST - 1) == "-00001-12-31T23:59:59.999999999Z"
    assert format_instant(2**63 - 1, "ms").startswith("+292278994-")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("now", "2026-03-31T10:17:23.456789012Z"),
        ("now-1h", "2026-03-31T09:17:23.456789012Z"),
        ("now-1h/h", "2026-03-31T09:00:00Z"),
        ("now+1d-2h", "2026-04-01T08:17:23.456789012Z"),
        ("now/d", "2026-03-31T00:00:00Z"),
        ("now/d+8h", "2026-03-31T08:00:00Z"),
        ("now/w", "2026-03-30T00:00:00Z"),
        ("now/M", "2026-03-01T00:00:00Z"),
        ("now/y", "2026-01-01T00:00:00Z"),
        ("now/m", "2026-03-31T10:17:00Z"),
        ("now/s", "2026-03-31T10:17:23Z"),
        ("now-500ms/ms", "2026-03-31T10:17:22.956Z"),
        ("now-1M", "2026-02-28T10:17:23.456789012Z"),
        ("now-2y-1M", "2024-02-29T10:17:23.456789012Z"),
        ("now+11M/d", "2027-02-28T00:00:00Z"),
        ("now-1w", "2026-03-24T10:17:23.456789012Z"),
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
    ],
)
def test_now_goes_from_the_left_in_utc(text: str, wanted: str) -> None:
    assert format_instant(parse_time(text, NOW)) == wanted


def test_weeks_start_on_monday_before_1970_as_well() -> None:
    assert format_instant(parse_time("now/w", parse_instant("1969-12-28T12:00:00Z"))) == "1969-12-22T00:00:00Z"


@pytest.mark.parametrize(
    "text", ["now-", "now-1", "now-1x", "now/5m", "now-1h/", "now 1h", "now--1h", "now-1.5h", "nowadays"]
)
def test_refuses_broken_now(text: str) -> None:
    with pytest.raises(ValueError, match="cannot be read at character"):
        parse_time(text, NOW)


@pytest.mark.parametrize("text", ["now+9000y", "now-999999999y", "now-999999999w", "now+999999999M"])
def test_refuses_now_beyond_the_years_there_are(text: str) -> None:
    with pytest.raises(ValueError, match="0000 to 9999"):
        parse_time(text, NOW)


def test_durations() -> None:
    assert [parse_duration(text) for text in ("1ms", "30s", "5m", "2h", "1d", "1w")] == [
        1_000_000, 30 * SECOND, 300 * SECOND, 2 * HOUR, 24 * HOUR, 168 * HOUR,
    ]  # fmt: skip
    for text in ("", "5", "5 m", "-5m", "1.5h", "1M", "1y", "1H", "5m\n"):
        with pytest.raises(ValueError, match="no duration"):
            parse_duration(text)


def test_units_round_down_and_say_whether_that_is_exact() -> None:
    assert to_unit(-1, "ms") == (-1, False)
    assert to_unit(-1_000_000, "ms") == (-1, True)
    assert to_unit(-1, "ns") == (-1, True)


def test_fixed_buckets_count_from_1970() -> None:
    assert bucket_start(-1, SECOND) == -SECOND
    assert bucket_starts(-1, 1, SECOND) == [-SECOND, 0]
    assert bucket_starts(5, 5, SECOND) == []
    assert bucket_count(-1, 1, SECOND) == 2
    assert bucket_count(0, 10 * SECOND, SECOND) == 10


@pytest.mark.parametrize(
    ("unit", "zone", "instant", "start"),
    [
        ("1d", "UTC", "1969-12-31T23:00:00Z", "1969-12-31T00:00:00Z"),
        ("1w", "UTC", "2026-11-22T10:00:00Z", "2026-11-16T00:00:00Z"),
        ("1M", "Europe/Berlin", "2026-03-31T22:30:00Z", "2026-03-31T22:00:00Z"),
        ("1y", "America/New_York", "2026-01-01T04:00:00Z", "2025-01-01T05:00:00Z"),
        ("1d", "Asia/Beirut", "2026-03-29T05:00:00Z", "2026-03-28T22:00:00Z"),  # midnight is skipped
        ("1d", "America/Havana", "2026-11-01T05:30:00Z", "2026-11-01T04:00:00Z"),  # midnight comes twice
        ("1d", "Pacific/Apia", "2011-12-30T10:00:00Z", "2011-12-30T10:00:00Z"),  # the 30th does not exist there
    ],
)
def test_calendar_buckets_in_zones(unit: str, zone: str, instant: str, start: str) -> None:
    assert format_instant(bucket_start(parse_instant(instant), unit, zone)) == start


@given(
    st.integers(parse_instant("1880-01-01T00:00:00Z"), parse_instant("2060-01-01T00:00:00Z")),
    st.sampled_from(["1d", "1w", "1M", "1y"]),
    st.sampled_from(["UTC", "Europe/Berlin", "America/Havana", "Asia/Beirut", "Pacific/Apia", "Africa/Casablanca", "Asia/Kathmandu"]),
)  # fmt: skip
def test_buckets_are_contiguous_and_start_with_a_local_date(ns: int, unit: str, zone: str) -> None:
    start = bucket_start(ns, unit, zone)
    assert start <= ns
    assert bucket_start(start, unit, zone) == start
    assert bucket_start(start - 1, unit, zone) < start
    local = datetime.fromtimestamp(start // SECOND, ZoneInfo(zone))
    before = datetime.fromtimestamp(start // SECOND - 1, ZoneInfo(zone))
    assert before.replace(tzinfo=None).date() < local.date()
    edges = bucket_starts(ns, ns + 800 * 24 * HOUR, unit, zone)
    assert edges[0] == start
    assert edges == sorted(set(edges))
    assert all(bucket_start(edge, unit, zone) == edge for edge in edges[:40])
    assert len(edges) <= bucket_count(ns, ns + 800 * 24 * HOUR, unit)


def test_buckets_reach_the_ends_of_time() -> None:
    for zone in ("UTC", "Europe/Berlin", "Pacific/Kiritimati"):
        assert bucket_start(FIRST, "1y", zone) <= FIRST
        assert bucket_start(LAST, "1y", zone) <= LAST
