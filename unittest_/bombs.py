"""Bodies that are too deep, too wide, too long or broken, for test_bombs.py (T4, T10, T11, T12, T13)."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable

MEBIBYTE = 1 << 20
LEAF = b'{"field": "host", "op": "eq", "value": "a"}'


def nested(opening: bytes, inner: bytes, closing: bytes, depth: int) -> bytes:
    return opening * depth + inner + closing * depth


def where(filter_: bytes) -> bytes:
    return b'{"where": ' + filter_ + b"}"


def _members(count: int, value: bytes = b"1") -> bytes:
    return b"{" + b",".join(b'"k%d":%b' % (at, value) for at in range(count)) + b"}"


# Of any route that takes JSON; none of them may be taken for a right body anywhere.
ANY_JSON: dict[str, bytes] = {
    "1e5 brackets": b"[" * 100_000,
    "1e5 closed brackets": nested(b"[", b"", b"]", 100_000),
    "1e5 braces": b'{"a":' * 100_000,
    "1e5 closed braces": nested(b'{"a":', b"1", b"}", 100_000),
    "1e3 brackets": nested(b"[", b"1", b"]", 1_000),
    "NaN": b'{"limit": NaN, "fields": {"v": NaN}}',
    "Infinity": b'{"limit": -Infinity}',
    "1e999": b'{"limit": 1e999, "fields": {"v": 1e999}, "v": 1e999}',
    "lone surrogate": b'{"where": {"field": "\\ud800", "op": "eq", "value": "\\udfff"}}',
    "half a character": b'{"where": "\xc3"}',
    "UTF-16": '{"limit": 1}'.encode("utf-16"),
    "UTF-16 without a mark": '{"limit": 1}'.encode("utf-16-le"),
    "UTF-32": '{"limit": 1}'.encode("utf-32"),
    "byte order mark": b"\xef\xbb\xbf" + b'{"limit": 1}',
    "truncated": b'{"where": {"field": "host", "op": "eq", "val',
    "truncated escape": b'{"where": "\\u00',
    "rubbish behind": b'{"limit": 1} x',
    "two values": b'{"limit": 1}{"limit": 1}',
    "zero bytes": b"\x00" * 1000,
    "a zero in a name": b'{"a\x00": 1}',
    "single quotes": b"{'limit': 1}",
    "comment": b'{"limit": 1 /* one */}',
    "1e5 digits": b'{"limit": '
    + b"9" * 100_000
    + b', "fields": {"v": '
    + b"9" * 100_000
    + b'}, "v": 1'
    + b"9" * 100_000,
}

QUERIES: dict[str, bytes] = {
    "not 17": where(nested(b'{"not": ', LEAF, b"}", 17)),
    "and 17": where(nested(b'{"and": [', LEAF, b"]}", 17)),
    "or 1e3": where(nested(b'{"or": [', LEAF, b"]}", 1_000)),
    "not 1e5": where(nested(b'{"not": ', LEAF, b"}", 100_000)),
    "513 nodes": where(b'{"and": [' + b", ".join([LEAF] * 512) + b"]}"),
    "1e4 nodes": where(b'{"or": [' + b", ".join([LEAF] * 10_000) + b"]}"),
    "1001 values": where(b'{"field": "host", "op": "in", "value": [' + b",".join([b'"a"'] * 1001) + b"]}"),
    "1e5 members": _members(100_000),
    "1e5 selects": b'{"select": [' + b",".join([b'"host"'] * 100_000) + b"]}",
    "1e5 keys": b'{"group_by": [' + b",".join([b'"host"'] * 100_000) + b'], "select": []}',
    "1 MB of text": where(b'{"field": "host", "op": "eq", "value": "' + b"x" * MEBIBYTE + b'"}'),
    "1 MB of a name": where(b'{"field": "' + b"x" * MEBIBYTE + b'", "op": "eq", "value": "a"}'),
    "1 MB of a pattern": where(b'{"field": "host", "op": "like", "value": "' + b"%" * MEBIBYTE + b'"}'),
    "costly expression": where(b'{"field": "host", "op": "regex", "value": "(a+)+' + b"(a|a)*" * 10_000 + b'$"}'),
    "repeated repeats": where(b'{"field": "host", "op": "regex", "value": "((((a{1,999}){1,999}){1,999}){1,999})"}'),
    "1e5 parentheses": b'{"select": [{"expr": "' + b"(" * 100_000 + b'1", "as": "x"}]}',
    "1e5 minuses": b'{"select": [{"expr": "' + b"-" * 100_000 + b'v", "as": "x"}]}',
    "1e5 terms": b'{"select": [{"expr": "v' + b"+v" * 100_000 + b'", "as": "x"}]}',
    "a member twice": b'{"limit": 1, "limit": 2}',
    "a member twice, deep": where(b'{"and": [{"field": "host", "op": "eq", "value": "a", "value": "b"}]}'),
    "a second of ten years": b'{"time_range": {"from": "2010-01-01T00:00:00Z", "to": "2020-01-01T00:00:00Z"}, "group_by":'
    b' [{"time_bucket": "1s", "field": "$time", "as": "t"}], "select": [{"agg": "count", "as": "n"}], "fill": {"mode": "null"}}',
    "no width": b'{"group_by": [{"time_bucket": "0s", "field": "$time", "as": "t"}], "select": [{"agg": "count", "as": "n"}]}',
    "1e9 rows": b'{"limit": 1000000000}',
    "minus one row": b'{"limit": -1}',
    "half a row": b'{"limit": 1.5}',
    "a row in words": b'{"limit": "10"}',
}  # fmt: skip

DSL: dict[str, bytes] = {
    "bool 17": b'{"query": ' + nested(b'{"bool": {"must": ', b'{"match_all": {}}', b"}}", 17) + b"}",
    "bool 1e3": b'{"query": ' + nested(b'{"bool": {"must": ', b'{"match_all": {}}', b"}}", 1_000) + b"}",
    "bool 1e5": b'{"query": ' + nested(b'{"bool": {"must": ', b'{"match_all": {}}', b"}}", 20_000) + b"}",
    "513 clauses": b'{"query": {"bool": {"should": [' + b",".join([b'{"match_all": {}}'] * 513) + b"]}}}",
    "1001 terms": b'{"query": {"terms": {"host": [' + b",".join([b'"a"'] * 1001) + b"]}}}",
    "1e5 members": _members(100_000),
    "1e5 sorts": b'{"sort": [' + b",".join([b'"host"'] * 100_000) + b"]}",
    "aggregations": b'{"aggs": {"a": {"terms": {"field": "host", "size": 1000000}}}}',
    "a member twice": b'{"size": 1, "size": 2}',
    "size 1e9": b'{"size": 1000000000}',
    "from -1": b'{"from": -1}',
    "size true": b'{"size": true}',
}

DOCUMENTS: dict[str, bytes] = {
    "1e6 members": _members(1_000_000),
    "1e3 levels": nested(b'{"a":', b"1", b"}", 1_000),
    "200 levels": nested(b'{"a":', b"1", b"}", 200),
    "a member twice": b'{"host": "a", "host": "b"}',
    "a member twice behind its id": b'{"v": 1, "_id": "twice", "v": 2}',
    "a number past all": b'{"v": 1e400}',
    "a text as a number": b'{"v": "' + b"x" * 10 * MEBIBYTE + b'"}',
    "no object": b'"text"',
    "an id of 1 MB": b'{"_id": "' + b"x" * MEBIBYTE + b'"}',
}

POINTS: dict[str, bytes] = {
    "1e6 fields": b'{"fields": ' + _members(1_000_000) + b"}",
    "1e5 tags": b'{"fields": {"v": 1}, "tags": ' + _members(100_000, b'"t"') + b"}",
    "a field twice": b'{"time": 1, "fields": {"v": 1, "v": 2}}',
    "a tag twice": b'{"time": 1, "tags": {"h": "a", "h": "b"}, "fields": {"v": 1}}',
    "an object as a value": b'{"fields": {"v": ' + nested(b"[", b"1", b"]", 500) + b"}}",
    "an integer past 64 bits": b'{"fields": {"n": 9223372036854775808}}',
    "an integer far past 64 bits": b'{"fields": {"n": 18446744073709551616}}',
    "a time past 64 bits": b'{"time": 99999999999999999999, "fields": {"v": 1}}',
    "1e5 unknown members": _members(100_000),
    "no fields": b'{"fields": {}}',
    "a tag of 1 MB": b'{"tags": {"h": "' + b"x" * MEBIBYTE + b'"}, "fields": {"v": 1}}',
    "a name of 1 MB": b'{"fields": {"' + b"x" * MEBIBYTE + b'": 1}}',
}


def in_array(body: bytes) -> bytes:
    return b"[" + body + b"]"


def _stored(blocks: int) -> bytes:
    """A gzip of `blocks` MiB of zeros, some thousandth of that: each block can be repeated as it is."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    head = packer.compress(bytes(MEBIBYTE)) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(bytes(MEBIBYTE)) + packer.flush(zlib.Z_FULL_FLUSH)
    return head + block * (blocks - 1)


RIGHT = gzip.compress(b'{"_id": "packed", "fields": {"v": 1.5}}\n')
GZIP: dict[str, Callable[[], bytes]] = {
    "10 MB of 10 GB": lambda: _stored(10_000),
    "100 MB": lambda: gzip.compress(b" " * 100 * MEBIBYTE),
    "100 MB in members": lambda: gzip.compress(b" " * 10 * MEBIBYTE) * 10,
    "1e5 empty members": lambda: gzip.compress(b"") * 100_000,
    "17 members": lambda: RIGHT * 17,
    "truncated": lambda: RIGHT[:-9],
    "without its end": lambda: RIGHT[:-8],
    "wrong sum": lambda: RIGHT[:-8] + bytes(4) + RIGHT[-4:],
    "wrong length": lambda: RIGHT[:-4] + b"\xff\xff\xff\x7f",
    "packed twice": lambda: gzip.compress(RIGHT),
    "not packed": lambda: b'{"fields": {"v": 1.5}}\n',
    "zlib": lambda: zlib.compress(b'{"fields": {"v": 1.5}}\n'),
    "rubbish behind": lambda: RIGHT + b"rubbish",
    "nothing": lambda: b"",
    "a head alone": lambda: RIGHT[:10],
}

# Line protocol.
LINES: dict[str, bytes] = {
    "no line": b"hello\n" * 10,
    "other measurement": b"other v=1 1\n",
    "half a text": b'cpu v="' + b"x" * MEBIBYTE,
    "zero bytes": bytes(MEBIBYTE),
    "1e5 commas": b"cpu" + b"," * 100_000 + b" v=1 1\n",
    "1e5 backslashes": b"cpu,h=" + b"\\" * 100_000 + b" v=1 1\n",
    "1e5 quotes": b"cpu v=" + b'"' * 100_001 + b" 1\n",
    "a tag of 1 MB": b"cpu,h=" + b"x" * MEBIBYTE + b" v=1 1\n",
    "not UTF-8": b"cpu v=\xff\xff 1\n",
}
