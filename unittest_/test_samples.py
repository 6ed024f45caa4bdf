"""The generated samples: the same seed, the same data; busy days, bursts that show in the log and in the metrics."""

from __future__ import annotations

import json
from collections import Counter
from itertools import islice
from statistics import mean

import pytest

from apps.demo.encoding import to_lines, to_ndjson
from apps.demo.samples import BURST_SLOT, HOUR, MINUTE, access_log, bursts, hosts, inventory, load, metrics, timestamp

# 2026-11-19, a Thursday, 00:00 UTC.
DAY = 1_795_046_400_000_000_000


def test_the_same_seed_makes_the_same_data_in_any_window() -> None:
    whole = list(access_log(DAY, DAY + HOUR, seed=3))
    assert whole == list(access_log(DAY, DAY + HOUR, seed=3))
    parts = [*access_log(DAY, DAY + 90 * MINUTE // 4, seed=3), *access_log(DAY + 90 * MINUTE // 4, DAY + HOUR, seed=3)]
    assert parts == whole
    assert whole != list(access_log(DAY, DAY + HOUR, seed=4))
    points = list(metrics(DAY, DAY + 10 * MINUTE, seed=3))
    assert points == [*metrics(DAY, DAY + 5 * MINUTE, seed=3), *metrics(DAY + 5 * MINUTE, DAY + 10 * MINUTE, seed=3)]


def test_the_log_is_in_time_order_and_its_ids_are_unique() -> None:
    log = list(access_log(DAY + 12 * HOUR, DAY + 14 * HOUR))
    assert [entry["@timestamp"] for entry in log] == sorted(entry["@timestamp"] for entry in log)
    assert len({entry["_id"] for entry in log}) == len(log) > 1000


def test_days_are_busy_and_nights_quiet() -> None:
    assert load(DAY + 14 * HOUR) > 4 * load(DAY + 2 * HOUR)
    assert load(DAY + 2 * 24 * HOUR + 14 * HOUR) < load(DAY + 14 * HOUR)
    day = len(list(access_log(DAY + 13 * HOUR, DAY + 14 * HOUR)))
    night = len(list(access_log(DAY + 2 * HOUR, DAY + 3 * HOUR)))
    assert day > 3 * night


def test_a_burst_shows_in_the_log_and_in_the_metrics() -> None:
    burst = bursts(DAY + 12 * HOUR, DAY + 18 * HOUR)[0]
    during = [entry for entry in access_log(burst.start, burst.end) if entry["dc"] == burst.dc]
    before = [entry for entry in access_log(burst.start - HOUR, burst.start) if entry["dc"] == burst.dc]
    assert mean(entry["status"] >= 500 for entry in during) > 0.15
    assert mean(entry["status"] >= 500 for entry in before) < 0.03
    assert mean(entry["latency_ms"] for entry in during) > 3 * mean(entry["latency_ms"] for entry in before)

    def usage(start: int, end: int) -> float:
        return mean(
            float(point["fields"]["usage"])
            for point in metrics(start, end)
            if point["measurement"] == "cpu" and point["tags"]["role"] == "web" and point["tags"]["dc"] == burst.dc
        )

    assert usage(burst.start, burst.end) > usage(burst.start - HOUR, burst.start) + 15


def test_four_bursts_a_day() -> None:
    assert len(bursts(DAY, DAY + 4 * BURST_SLOT)) == 4


def test_hosts_log_and_metrics_know_the_same_names() -> None:
    names = {host.name for host in hosts()}
    assert {document["host"] for document in inventory()} == names
    assert {point["tags"]["host"] for point in metrics(DAY, DAY + 30 * MINUTE)} == names
    web = {name for name in names if name.startswith("web-")}
    assert {entry["host"] for entry in access_log(DAY + 12 * HOUR, DAY + 13 * HOUR)} == web


def test_the_samples_have_gaps_several_values_and_odd_characters() -> None:
    log = list(access_log(DAY + 10 * HOUR, DAY + 18 * HOUR))
    present = Counter(key for entry in log for key in entry)
    assert 0 < present["user"] < len(log)
    assert any(len(entry.get("tags", ())) == 2 for entry in log)
    assert any("ö" in entry["path"] for entry in log)
    expected = len(hosts()) * 24 * 60 * 4
    assert 0.97 * expected < len(list(metrics(DAY, DAY + 24 * HOUR))) < expected


def test_points_as_line_protocol() -> None:
    (line,) = to_lines(
        [
            {
                "measurement": "a b,c",
                "tags": {"k=": "v, w", "a": "ü"},
                "fields": {"i": 1, "f": 1.0, "b": True, "s": 'say "\\"'},
                "time": -1,
            }
        ]
    ).splitlines()
    assert line.decode() == 'a\\ b\\,c,a=ü,k\\==v\\,\\ w i=1i,f=1.0,b=true,s="say \\"\\\\\\"" -1'


def test_documents_as_ndjson() -> None:
    documents = list(islice(access_log(DAY, DAY + HOUR), 3))
    assert [json.loads(line) for line in to_ndjson(documents).splitlines()] == documents


@pytest.mark.parametrize(("time", "text"), [(0, "1970-01-01T00:00:00.000Z"), (-1_000_000, "1969-12-31T23:59:59.999Z")])
def test_timestamps(time: int, text: str) -> None:
    assert timestamp(time) == text
