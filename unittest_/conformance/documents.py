"""The contents that only documents hold: lists, objects, addresses, analysed text, and values that an index coerces."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_KEYWORD = {"type": "keyword"}
_LONG = {"type": "long"}


@dataclass(frozen=True)
class Content:
    properties: Mapping[str, Any]
    documents: Sequence[tuple[str, Mapping[str, Any]]]


def _lists() -> Content:
    rng = random.Random(8)
    properties = {
        "@timestamp": {"type": "date"},
        "tags": _KEYWORD,
        "sizes": _LONG,
        "ratios": {"type": "double"},
        "flags": {"type": "boolean"},
        "seen": {"type": "date"},
        "addr": {"type": "ip"},
        "peers": {"type": "ip"},
        "title": {"type": "text", "fields": {"keyword": _KEYWORD}},
        "body": {"type": "text"},
        "geo": {"properties": {"city": _KEYWORD, "lat": {"type": "double"}}},
        "items": {"properties": {"sku": _KEYWORD, "qty": _LONG}},
        "parts": {"type": "nested", "properties": {"name": _KEYWORD, "n": _LONG}},
        "labels": {"type": "flattened"},
        "n": _LONG,
        "one": _KEYWORD,
    }
    ids = ["plain", "with space", "ünï-😀", "quo\"te'", "a/b?c#d%20", "_x", "-1", "0", "00", "UPPER"]
    documents = [(ids[at] if at < len(ids) else f"d{at:03}", _listed(at, rng)) for at in range(90)]
    return Content(properties, documents)


def _listed(at: int, rng: random.Random) -> dict[str, Any]:
    tags = ["red", "Red", "green", "blue", "", "ß", "😀", "a b"]
    words = ["quick", "brown", "fox", "lazy", "dog", "jumps", "over"]
    moment = f"2026-11-{1 + at % 20:02}T{at % 24:02}:30:00.{at % 1000:03}Z"
    source: dict[str, Any] = {
        "@timestamp": rng.choice((moment, moment, moment, None)),
        "tags": rng.choice(
            (
                rng.sample(tags, rng.randrange(4)),
                rng.choice(tags),
                None,
                [None, "red"],
                [[rng.choice(tags[:2])], ["blue"]],
            )
        ),
        "sizes": rng.choice((rng.choices(range(-5, 6), k=rng.randrange(5)), rng.randrange(10), [None], [])),
        "ratios": rng.choice(([0.5, -0.0], [round(rng.uniform(-1, 1), 2) for _ in range(rng.randrange(4))], 0.1, None)),
        "flags": rng.choice(([True, False], [True], False, [], None)),
        "seen": rng.choice(
            (
                ["2026-01-01T00:00:00Z", "2025-06-01T12:00:00.123Z"],
                ["1969-12-31T23:59:59.999Z"],
                "2026-11-05T00:00:00Z",
                [],
            )
        ),
        "addr": rng.choice(("10.0.0.1", "10.0.0.10", "10.0.0.9", "2001:DB8::1", "::ffff:192.0.2.1", "::1", None)),
        "peers": rng.choice((["10.0.0.1", "::1"], ["192.0.2.7"], [], None)),
        "title": rng.choice((" ".join(rng.sample(words, rng.randrange(1, 5))), "The Quick Fox", "quick-fox", None)),
        "body": rng.choice((" ".join(rng.sample(words, rng.randrange(1, 6))), "quick", None)),
        "geo": rng.choice(({"city": "Köln", "lat": 50.9}, {"city": "Oslo"}, {}, {"city": None, "lat": 0.0}, None)),
        "items": rng.choice(
            ([{"sku": "a", "qty": 1}, {"sku": "b"}], {"sku": "c", "qty": 3}, [{"qty": 2}, {"qty": 5}], [], None)
        ),
        "parts": rng.choice(([{"name": "x", "n": 1}, {"name": "y", "n": 2}], {"name": "z"}, [], None)),
        "labels": rng.choice(({"a": "1", "b": {"c": "two"}}, {"a": "x"}, None)),
        "n": at % 13 - 3 if at % 4 else None,
        "one": rng.choice(([rng.choice(("p", "q"))], "r", [], None)),
    }
    return {name: value for name, value in source.items() if value is not None or rng.random() < 0.3}


def _coerced() -> Content:
    """What is sent is not what is held: `_source` keeps the first, every answer shows the second."""
    properties = {
        "@timestamp": {"type": "date"},
        "nanos": {"type": "date_nanos"},
        "short": {"type": "float"},
        "whole": _LONG,
        "small": {"type": "short"},
        "double": {"type": "double"},
        "lower": {"type": "keyword", "normalizer": "lowercase"},
        "addr": {"type": "ip"},
    }
    shorts = [
        0.1,
        0.2,
        1 / 3,
        16777217,
        1e-3,
        3.4e38,
        -0.0,
        0.30000001192092896,
        123456.789,
        100,
        2.5,
        -7.25,
        65504.5,
        1e10,
        None,
        99.99,
    ]
    wholes = ["12", 5.7, -5.7, 7, "0", 9007199254740993, "-3", 2.0, "42.9", None, 1, -0.4, "9007199254740993", 3, 0, 8]
    times = [
        "2026-11-22T10:00:00.123456789Z", "2026-11-22T12:00:00.123+02:00", 1700000000123, 0, -1, "1969-12-31T23:59:59.9995Z",
        "2026-11-22T10:00:00Z", None,
    ]  # fmt: skip
    nanos = [
        "2026-11-22T10:00:00.123456789Z", "1970-01-01T00:00:00.000000001Z", "2026-11-22T10:00:00.123456788Z", 1700000000123, None,
        "2262-04-11T23:47:16.854775807Z", "2026-11-22T11:00:00.5+01:00",
    ]  # fmt: skip
    lowers = ["ABC", "abc", "Ünï", "ÀÉ", "σίσυφος", "MiXed 42", "", None]
    addresses = ["2001:0db8:0000::0001", "10.1.2.3", "::FFFF:10.1.2.3", "FE80::1", None]
    documents = [
        (
            f"c{at:02}",
            {
                "@timestamp": times[at % len(times)],
                "nanos": nanos[at % len(nanos)],
                "short": shorts[at % len(shorts)],
                "whole": wholes[at % len(wholes)],
                "small": (at * 37) % 200 - 100,
                "double": "1.5" if at == 3 else at / 7,
                "lower": lowers[at % len(lowers)],
                "addr": addresses[at % len(addresses)],
            },
        )
        for at in range(32)
    ]
    return Content(properties, documents)


LISTS = _lists()
COERCED = _coerced()
