"""The odd documents of test_embedded_types: mappings with what is written under them."""

# ruff: noqa: E501
from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Case:
    name: str
    mapping: Mapping[str, Any]
    documents: tuple[bytes, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)


def case(name: str, mapping: Mapping[str, Any], documents: Iterable[Any], **settings: Any) -> Case:
    encoded = tuple(one if isinstance(one, bytes) else json.dumps(one).encode() for one in documents)
    return Case(name, mapping, encoded, settings)


def of(kind: str, values: Iterable[Any], **params: Any) -> tuple[Mapping[str, Any], list[dict[str, Any]]]:
    """A mapping with one field `f`, and documents with one value of it each."""
    return {"properties": {"f": {"type": kind, **params}}}, [{"f": value} for value in values]


NUMBERS = [
    1, 1.5, "7", "x", True, None, [], [1, None, 2], {"b": 1}, 2**63 - 1, 2**63, -(2**63) - 1, "", " 5", "5.9", -5.9, 1e30, "1e3",
    "0x10", "NaN", [[1, 2], [3]], "-7", "+7", "5.", ".5", [1, "a"], 127, 128, -129, 127.9, 128.0, 32768, 2**31 - 1, 2**31, -0.0, 0.1,
    "2.25", 16777217, 123456789012345678, 1e-50, 1e39, 3.4028235e38, 65519, 65520, 2049, 1e300,
]  # fmt: skip
TEXTS = [
    "a",
    "",
    " ",
    1,
    -5,
    True,
    None,
    ["a", None, "b"],
    ["a", "a"],
    {"x": 1},
    "😀",
    "é" * 10,
    "x" * 300,
    "nul\u0000inside",
]
DATE_TEXTS = [
    "2024", "2024-01", "2024-01-02", "2024-01-02T03", "2024-01-02T03:04", "2024-01-02T03:04:05Z", "2024-01-02T03:04:05.1Z",
    "2024-01-02T03:04:05.123456789+01:00", "2024-01-02T", "2024-01-02T03:04:05,5Z", "2024-01-02T03:04:05+0100", "2024-01-02T03Z",
    "2024-01-02T03:04:05Europe/Berlin", "2024-01-02T03:04:05UTC", "2024-01-02T03:04:05+01:00:30", "2024-01T03",
    "2024-1-2", "2024-02-30", "2024-02-29", "2023-02-29", "2024-01-02Z", "2024-01-02T24:00:00Z", "2024-01-02T23:59:60Z", "0001-01-01",
    "2024-W01", "2024-001", "2024-01-02T03:04:05.1234567890Z", "2024-01-02T03:04:05.Z", "2024-01-02 03:04:05", "+2024-01-01",
    "2024-01-02t03:04:05z", "2024-01-02T03:04:05-18:30", "2024-01-02T03:04:05+1", "2024-01-02T3:04", "20240102", "now", "x", "2024/01/02",
    "9999-12-31T23:59:59.999Z", "1969-12-31T23:59:59.9999Z", "2024-13-01", "2024-01-32", "2024-01-02T03:60:00Z",
]  # fmt: skip
DATE_VALUES = [
    *DATE_TEXTS, "", 0, -1, 1.5, 1700000000000, 1700000000000.7, "1700000000000", "-1", 2024, 99999, "99999", "12", True, {"a": 1}, "1e3",
    ["2024-01-01", None, "2023-01-01"], 1e20, -62135596800000,
]  # fmt: skip
ADDRESSES = [
    "192.168.0.1", "2001:DB8:0:0:0:0:0:1", "::ffff:1.2.3.4", "999.1.1.1", "1.2.3.4/8", 1, "fe80::1%eth0", "01.2.3.4", "::1.2.3.4",
    "1:0:0:2:0:0:0:3", "", None, "::", "1.2.3", "FE80::0:1", ["10.0.0.1", "::1"], {"a": 1}, "::FFFF:102:304", "2001:db8:0:1:1:1:1:1",
]  # fmt: skip
BOOLEANS = [True, False, "true", "false", "", "no", 1, 0, "False", None, [True, False], {"a": 1}, "TRUE"]

DYNAMIC = [
    b'{"i":1}', b'{"f":1.5}', b'{"b":true}', b'{"s":"text"}', b'{"n":null}', b'{"l":[]}', b'{"ln":[null]}', b'{"o":{"p":1,"q":{"r":"x"}}}',
    b'{"e":{}}', b'{"on":{"p":null}}', b'{"xs":[{"y":1},{"y":2,"z":"q"}]}', b'{"nested":[[1,2],[3]]}', b'{"a.b":1}', b'{"a":{"c":2}}',
    b'{"a":{"b.d":3}}', b'{"@timestamp":"2024-01-01T00:00:00Z"}', b'{"a b":1,"\\u00e4":2,"x\\"y":3,"a*b":4}', b'{"_foo":1}',
    b'{"i":"7"}', b'{"i":2.9}', b'{"i":"x"}', b'{"f":3}', b'{"f":"4.5"}', b'{"b":"false"}', b'{"b":1}', b'{"s":5}', b'{"s":true}', b'{"s":{"t":1}}', b'{"i":{"t":1}}', b'{"o":5}', b'{"o":[1]}', b'{"o":null}', b'{"o":[null,{"p":2}]}',
    b'{"m1":[1,"a"]}', b'{"m2":[1,2.5]}', b'{"m3":[1.5,2]}', b'{"m4":[1,true]}', b'{"m5":["2024-01-01","x"]}', b'{"m6":["x","2024-01-01"]}',
    b'{"m7":[1,{"a":1}]}', b'{"m8":[{"a":1},5]}', b'{"m9":[{"y":1},{"y":2.5}]}', b'{"i":[1,2.5,"3"]}',
    b'{"big":9223372036854775808}', b'{"huge":18446744073709551616}', b'{"long":"' + b"x" * 257 + b'"}',
    b'{"long":"' + b"x" * 256 + b'"}', b'{"long":["a","' + b"y" * 300 + b'"]}', b'{"long":"' + "😀".encode() * 129 + b'"}',
    b'{"":1}', b'{" ":1}', b'{"p..q":1}', b'{".p":1}', b'{".":1}', b'{"_id":"x"}', b'{"_source":1}', b'{"_routing":1}', b'{"_index":"a"}',
    b"[1]", b"5", b'"x"', b'{"a":', b'{"q":"x"} trailing', b'{"q":NaN}', b'{"dup":1,"dup":2}', b'{"in":{"dup":1,"dup":2}}',
    b'{ "spaced" : [ 1 , 2 ] }', b'{"esc":"\\u0041\\n\\"\\\\"}', b'{"empty":""}', b'{"i":""}', b'{"neg":-0.0}', b'{"exp":1e2}', b'{"neg0":-0}',
]  # fmt: skip


def _dates() -> list[dict[str, str]]:
    texts = [
        *DATE_TEXTS,
        "2024/01/02 03:04:05",
        "2024/01/02 Z",
        "2024/01/02 03:04:05 +0100",
        "1.5",
        "-5",
        "1e3",
        "2024/1/2",
        "2024T03",
    ]
    return [{f"d{number:03}": text} for number, text in enumerate(texts)]


def _far(value: Any) -> bool:
    """Whether a number needs an exponent (what Elasticsearch shows of it is Java's spelling) or is past all calendars."""
    return isinstance(value, int | float) and (abs(value) > 1e15 or 0 < abs(value) < 1e-3)


CASES = [
    case("dynamic types", {}, DYNAMIC),
    case("date detection", {}, _dates()),
    case("date detection off", {"date_detection": False}, [{"d": "2024-01-01"}]),
    case("numeric detection", {"numeric_detection": True}, [{"i": "5"}, {"f": "5.5"}, {"s": "5x"}, {"n": "1e3"}, {"e": ""}, {"x": " 5"}]),
    case("detected slashes, then others", {}, [{"d": "2024/01/02"}, {"d": "2024-01-02"}, {"d": 5}, {"d": "2024/01/02 01:02:03"}]),
    *(
        case(f"{kind} of numbers", *of(kind, NUMBERS))
        for kind in ("long", "double", "float", "half_float", "boolean", "ip")
    ),
    *(
        # Elasticsearch takes "NaN" for the integer 0, which is refused here; of 127.9 in a byte it holds 127 and shows nothing.
        case(f"{kind} of numbers", *of(kind, [one for one in NUMBERS if one not in ("NaN", 127.9)]))
        for kind in ("integer", "short", "byte")
    ),
    *(
        case(f"{kind} of numbers", *of(kind, [one for one in NUMBERS if not _far(one)]))
        for kind in ("keyword", "text", "date")
    ),
    *(
        case(f"{kind} without coercion", *of(kind, [1, 1.0, 1.5, "1", "", None, [1, 2.0]], coerce=False))
        for kind in ("long", "integer", "short", "byte", "double", "float")
    ),
    *(
        case(f"{kind} ignoring what is malformed", *of(kind, values, ignore_malformed=True))
        for kind, values in (
            ("long", [1, "x", [1, "x", 2], True, 2**63, {"a": 1}, None]),
            ("byte", [1, 200, "x"]),
            ("double", [1.5, "x", "NaN", ["1", "y"]]),
            ("date", ["2024-01-01", "x", ["2024-01-01", "y"], True]),
            ("ip", ["1.2.3.4", "x"]),
            ("boolean", [True, "x"]),
        )
    ),
    *(
        case(f"{kind} with a null value", *of(kind, [None, [None, given], [], given, ""], null_value=null))
        for kind, null, given in (
            ("long", 7, 3), ("double", 7.5, 3.5), ("keyword", "NULL", "x"), ("boolean", True, False), ("date", "2024-01-01", "2023-01-01"),
            ("ip", "1.2.3.4", "::1"),
        )
    ),
    case("keyword texts", *of("keyword", TEXTS)),
    case("keyword of 32,766 bytes", *of("keyword", ["x" * 32766, "x" * 32767, "é" * 16383, "é" * 16384])),
    case("keyword ignoring above 3", *of("keyword", ["abc", "abcd", ["a", "abcd", "b"], "ééé", "😀😀", "😀x", 1234, 123], ignore_above=3)),
    case("keyword lower-cased", *of("keyword", ["ÀBC", "ΣΊΣΥΦΟΣ", "ẞ", "K", "A", 5], normalizer="lowercase")),
    case("text", *of("text", TEXTS)),
    case("text with keyword", *of("text", TEXTS, fields={"keyword": {"type": "keyword", "ignore_above": 5}})),
    case("sub-fields of other types", *of("keyword", ["5", "x", 7, None], fields={"n": {"type": "long", "ignore_malformed": True}, "t": {"type": "text"}})),
    case("sub-field that refuses", *of("keyword", ["5", "x"], fields={"n": {"type": "integer"}})),
    case("boolean", *of("boolean", BOOLEANS)),
    case("ip", *of("ip", ADDRESSES)),
    case("date", *of("date", DATE_VALUES)),
    case("date_nanos", *of("date_nanos", [
        *DATE_TEXTS, 1700000000000, -1, 0, 1.5, "1700000000000.123456", "2262-04-11T23:47:16.854775807Z", "2262-04-11T23:47:16.854775808Z",
        "1970-01-01T00:00:00.000000001Z",
    ])),
    case("date of its own format", *of("date", ["2024-01-02", "2024-01-02T00:00:00Z", 5, "02.01.2024", "x"], format="yyyy-MM-dd||dd.MM.yyyy")),
    case("date with time of its own format", *of("date", ["2024-01-02 03:04:05", "2024-01-02 3:04:05", "2024-01-02"], format="yyyy-MM-dd HH:mm:ss")),
    case("date in seconds", *of("date", [5, "5", 1.5, "x", "2024-01-01"], format="epoch_second")),
    case("dynamic false", {"dynamic": False, "properties": {"a": {"type": "long"}, "o": {"type": "object", "dynamic": True}}}, [
        {"a": 1, "b": 2, "o": {"c": 1}}, {"x": {"y": 1}}, {"o": {"d": {"e": 1}}},
    ]),
    case("dynamic strict", {"dynamic": "strict", "properties": {"a": {"type": "long"}, "o": {"properties": {"k": {"type": "keyword"}}}}}, [
        {"a": 1}, {"a": 1, "b": 2}, {"o": {"c": 1}}, {"o": {"k": "v"}}, {"b": None}, {"b": []}, {"p": {"q": 1}}, {"p.q": 1}, {"o.k": "w"},
    ]),
    case("disabled, nested and flattened", {
        "properties": {"o": {"type": "object", "enabled": False}, "n": {"type": "nested"}, "f": {"type": "flattened"}}
    }, [
        {"o": {"a": 1}}, {"o": 5}, {"n": [{"a": 1}, {"a": 2}]}, {"n": {"a": "x"}}, {"n": {"a": 3}}, {"f": {"a": 1, "b": {"c": True}}}, {"f": 5},
        {"n": 5}, {"f": [{"a": 1}, {"a": 2}]}, {"n": []}, {"f": None}, {"n": {"d": {"e": 1.5}}}, {"o.p": 1}, {"n.a": 4}, {"f.x": "1"},
    ]),
    case("nested with a strict mapping", {
        "properties": {"n": {"type": "nested", "dynamic": "strict", "properties": {"a": {"type": "integer"}}}}
    }, [{"n": [{"a": 1}]}, {"n": [{"a": 1, "b": 2}]}, {"n": {"a": 2**31}}]),
    case("more fields than allowed", {}, [{f"f{n}": 1 for n in range(6)}, {f"f{n}": 1 for n in range(5)}, {"s": "x"}], **{
        "index.mapping.total_fields.limit": 5
    }),
    case("a type that is not there", {"properties": {"a": {"type": "nope"}}}, []),
    case("no type", {"properties": {"a": {}}}, []),
    case("a parameter that is not there", {"properties": {"a": {"type": "long", "foo": 1}}}, []),
    case("a root member that is not there", {"foo": 1}, []),
    case("a normalizer that is not there", {"properties": {"a": {"type": "keyword", "normalizer": "nope"}}}, []),
    case("an analyzer that is not there", {"properties": {"a": {"type": "text", "analyzer": "nope"}}}, []),
    case("a field that is no object", {"properties": {"a": 5}}, []),
    case("a null value of another type", {"properties": {"a": {"type": "long", "null_value": "x"}}}, []),
    case("a setting that is not there", {}, [], foo=1),
]  # fmt: skip
